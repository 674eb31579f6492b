"""The Image and Video services: answers, states, and refusals with the sentences of REST."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest

from emulator import Emulator
from emulator.rpc.messages import load
from fixtures.team import EmulatedTeam
from tests.rpc.client import Rpc, message

GENERATE_IMAGE, GENERATE_VIDEO = "xai_api.Image/GenerateImage", "xai_api.Video/GenerateVideo"
GET_VIDEO = "xai_api.Video/GetDeferredVideo"


@pytest.fixture
def rpc(emulator: Emulator, rest: httpx.Client) -> Iterator[Rpc]:
    """A client of the inference plane, on an emulator that was reset."""
    with Rpc(emulator.grpc_target, emulator.api_key) as rpc:
        yield rpc


def image_request(**fields: Any) -> Any:
    """A request for images."""
    return message("xai_api.GenerateImageRequest", **{"prompt": "a kettle", "model": "grok-imagine-image", **fields})


def video_request(**fields: Any) -> Any:
    """A request for a video."""
    return message("xai_api.GenerateVideoRequest", **{"prompt": "a kettle", "model": "grok-imagine-video", **fields})


def video(rpc: Rpc, id: str) -> tuple[str, Any]:
    """The name of the status of a video, and the whole answer."""
    answer = rpc.call(GET_VIDEO, message("xai_api.GetDeferredVideoRequest", request_id=id))
    return load().enum("xai_api.DeferredStatus").values_by_number[answer.status].name, answer


def test_image_says_model_and_cost(rpc: Rpc) -> None:
    answer = rpc.call(GENERATE_IMAGE, image_request(n=2))
    assert (answer.model, answer.usage.cost_in_usd_ticks) == ("grok-imagine-image", 400_000_000)
    assert all(image.url.startswith("http://") and image.respect_moderation for image in answer.images)


def test_image_in_base64_is_data_url(rpc: Rpc) -> None:
    base64 = load().enum("xai_api.ImageFormat").values_by_name["IMG_FORMAT_BASE64"].number
    [image] = rpc.call(GENERATE_IMAGE, image_request(format=base64)).images
    assert image.base64.startswith("data:image/png;base64,")


def test_request_that_gives_image_is_an_edit(rpc: Rpc) -> None:
    image = message("xai_api.ImageUrlContent", image_url="https://example.com/a.png")
    for fields in ({"image": image}, {"images": [image]}):
        assert rpc.call(GENERATE_IMAGE, image_request(**fields)).usage.cost_in_usd_ticks == 220_000_000


def test_video_is_pending_then_done(emulator: Emulator, rpc: Rpc) -> None:
    team = EmulatedTeam(emulator, "default")
    team.freeze()
    team.configure(batches="realistic")
    id = rpc.call(GENERATE_VIDEO, video_request(duration=3)).request_id
    team.advance(0.5)
    status, pending = video(rpc, id)
    assert (status, pending.response.progress, pending.response.HasField("video")) == ("PENDING", 50, False)
    team.advance(0.5)
    status, done = video(rpc, id)
    assert (status, done.response.video.duration, done.response.progress) == ("DONE", 3, 100)
    assert done.response.usage.cost_in_usd_ticks == 1_500_000_000
    assert httpx.get(done.response.video.url).content[4:8] == b"ftyp"


def test_video_expires(emulator: Emulator, rpc: Rpc) -> None:
    team = EmulatedTeam(emulator, "default")
    team.freeze()
    id = rpc.call(GENERATE_VIDEO, video_request()).request_id
    team.advance(86_400)
    status, expired = video(rpc, id)
    assert (status, expired.HasField("response")) == ("EXPIRED", False)


def test_video_that_responder_refuses_fails() -> None:
    def refuse(request: Any) -> Any:
        raise RuntimeError("no film today")

    with Emulator(responder=refuse) as own, Rpc(own.grpc_target, own.api_key) as rpc:
        status, failed = video(rpc, rpc.call(GENERATE_VIDEO, video_request()).request_id)
    assert status == "FAILED"
    assert (failed.response.error.code, failed.response.error.message) == ("internal_error", "no film today")


def test_extension_has_its_own_default_duration(rpc: Rpc) -> None:
    extension = message(
        "xai_api.ExtendVideoRequest",
        prompt="a kettle",
        model="grok-imagine-video",
        video=message("xai_api.VideoUrlContent", url="https://example.com/a.mp4"),
    )
    id = rpc.call("xai_api.Video/ExtendVideo", extension).request_id
    assert video(rpc, id)[1].response.video.duration == 6


def test_video_is_the_same_over_rest(rpc: Rpc, rest: httpx.Client) -> None:
    id = rpc.call(GENERATE_VIDEO, video_request(duration=3)).request_id
    body, answer = rest.get(f"/v1/videos/{id}").json(), video(rpc, id)[1].response
    assert httpx.get(body["video"]["url"]).content == httpx.get(answer.video.url).content
    assert (body["video"]["duration"], body["model"]) == (answer.video.duration, answer.model)


@pytest.mark.parametrize(
    ("name", "request_message", "code", "words"),
    [
        (GENERATE_IMAGE, image_request(n=11), "INVALID_ARGUMENT", "n must be between 1 and 10, got 11"),
        (GENERATE_IMAGE, image_request(model="no-such-model"), "NOT_FOUND", "The model no-such-model does not exist"),
        (GENERATE_VIDEO, video_request(duration=16), "INVALID_ARGUMENT", "duration must be between 1 and 15"),
        (
            GET_VIDEO,
            message("xai_api.GetDeferredVideoRequest", request_id="x"),
            "NOT_FOUND",
            "Invalid request ID",
        ),
    ],
)
def test_refusal_has_the_words_of_rest(rpc: Rpc, name: str, request_message: Any, code: str, words: str) -> None:
    refused = rpc.refusal(name, request_message)
    assert refused.code() is grpc.StatusCode[code]
    assert refused.details().startswith(words)
