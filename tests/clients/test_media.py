"""Images and videos under the unmodified xai-sdk, synchronous and asynchronous, and openai."""

from __future__ import annotations

import base64
from datetime import timedelta

import grpc
import httpx
import openai
import pytest
import xai_sdk
from xai_sdk.proto import deferred_pb2

from emulator import Emulator
from fixtures.team import EmulatedTeam

IMAGE, VIDEO = "grok-imagine-image", "grok-imagine-video"
POLL = timedelta(milliseconds=1)
PNG = b"\x89PNG\r\n\x1a\n"


def test_sample_downloads_image_from_its_url(client: xai_sdk.Client) -> None:
    image = client.image.sample("a kettle", IMAGE)
    assert image.image.startswith(PNG)
    assert (image.model, image.respect_moderation, image.cost_usd) == (IMAGE, True, 0.02)


def test_sample_decodes_base64(client: xai_sdk.Client) -> None:
    assert client.image.sample("a kettle", IMAGE, image_format="base64").image.startswith(PNG)


def test_sample_batch_returns_a_response_for_each_image(client: xai_sdk.Client) -> None:
    images = client.image.sample_batch("a kettle", IMAGE, 3, image_url="https://example.com/a.png")
    assert len({image.url for image in images}) == 3
    assert images[0].cost_usd == pytest.approx(0.062)


def test_image_is_stored_as_file(client: xai_sdk.Client) -> None:
    image = client.image.sample("a kettle", IMAGE, storage_options={"filename": "kettle.png", "public_url": True})
    assert image.file_output is not None
    assert client.files.get(image.file_output.file_id).filename == "kettle.png"
    assert image.public_url is not None
    assert httpx.get(image.public_url).content.startswith(PNG)


def test_generate_waits_for_video(client: xai_sdk.Client) -> None:
    video = client.video.generate("a kettle", VIDEO, duration=3, interval=POLL)
    assert httpx.get(video.url).content[4:8] == b"ftyp"
    assert (video.duration, video.model, video.cost_usd) == (3, VIDEO, 0.15)


def test_start_and_get_show_states(emulator: Emulator, client: xai_sdk.Client) -> None:
    EmulatedTeam(emulator, "default").configure(batches="manual")
    id = client.video.start("a kettle", VIDEO).request_id
    assert client.video.get(id).status == deferred_pb2.DeferredStatus.PENDING
    httpx.post(f"{emulator.url}/_emulator/jobs/run").raise_for_status()
    assert client.video.get(id).status == deferred_pb2.DeferredStatus.DONE


def test_extension_continues_video(client: xai_sdk.Client) -> None:
    first = client.video.generate("a kettle", VIDEO, interval=POLL)
    assert client.video.extend("it boils", VIDEO, video_url=first.url, interval=POLL).duration == 6


def test_unknown_model_is_not_found(client: xai_sdk.Client) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        client.image.sample("a kettle", "no-such-model")
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_async_client_samples_images_and_generates_videos(async_client: xai_sdk.AsyncClient) -> None:
    image = await async_client.image.sample("a kettle", IMAGE, image_format="base64")
    assert (await image.image).startswith(PNG)
    assert len(await async_client.image.sample_batch("a kettle", IMAGE, 2)) == 2
    video = await async_client.video.generate("a kettle", VIDEO, interval=POLL)
    assert video.duration == 8
    started = await async_client.video.start("a kettle", VIDEO)
    assert (await async_client.video.get(started.request_id)).response.video.url.startswith("http")


def test_openai_generates_images(emulator: Emulator) -> None:
    emulator.reset()
    with openai.OpenAI(base_url=emulator.base_url, api_key=emulator.api_key, max_retries=0) as client:
        images = client.images.generate(model=IMAGE, prompt="a kettle", n=2)
        assert images.data is not None
        assert all(httpx.get(str(image.url)).content.startswith(PNG) for image in images.data)
        encoded = client.images.generate(model=IMAGE, prompt="a kettle", response_format="b64_json").data
        assert encoded is not None
        assert base64.b64decode(str(encoded[0].b64_json)).startswith(PNG)
        with pytest.raises(openai.BadRequestError) as refused:
            client.images.generate(model=IMAGE, prompt="a kettle", size="1024x1024")
        assert refused.value.response.json()["error"] == "Argument not supported: size"
        with pytest.raises(openai.NotFoundError):
            client.images.generate(model="no-such-model", prompt="a kettle")
