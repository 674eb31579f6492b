"""Images and videos over gRPC: answers, states and refusals. What is made costs money on a real service."""

from __future__ import annotations

import struct

import pytest

from . import matchers
from .case import case
from .clients.client import Client
from .clients.models import ApiError, Unsupported
from .clients.rest import RestClient
from .target import Target

pytestmark = [pytest.mark.over_grpc, pytest.mark.one_client_per_protocol]
IMAGE_PROTO, VIDEO_PROTO = "image.proto: the Image service", "video.proto: the Video service"
IMAGE = {"model": "grok-imagine-image", "prompt": "A kettle."}
VIDEO = {"model": "grok-imagine-video", "prompt": "A kettle.", "duration": 2}
UNKNOWN = "00000000-0000-4000-8000-000000000000"


def finished(client: Client, target: Target, id: str) -> dict[str, object]:
    """A video once it is done."""
    found: dict[str, object] = matchers.wait_until(
        lambda: client.call_rpc("GetDeferredVideo", request_id=id),
        {"status": "DONE", "response": {"progress": 100, "error": None}},
        within_seconds=target.wait_seconds_max,
    )
    return found


@case("media.over-grpc.image", "images.generate", evidence="documented", source=IMAGE_PROTO, paid=True)
def test_image(client: Client) -> None:
    """Over gRPC each image has a URL and respects moderation; the answer names the model."""
    answer = client.call_rpc("GenerateImage", **IMAGE, n=2, format="IMG_FORMAT_URL")
    image = {"url": {"$starts": "http"}, "respect_moderation": True}
    matchers.check(answer, {"model": "grok-imagine-image", "images": [image, image]})


@case("media.over-grpc.image-base64", "images.generate", evidence="documented", source=IMAGE_PROTO, paid=True)
def test_image_in_base64(client: Client) -> None:
    """Over gRPC an image in base64 is a data URL."""
    answer = client.call_rpc("GenerateImage", **IMAGE, format="IMG_FORMAT_BASE64")
    matchers.check(answer, {"images": [{"base64": {"$matches": "^data:image/[a-z]+;base64,"}}]})


@case("media.over-grpc.video", "videos.generate", "videos.get", evidence="documented", source=VIDEO_PROTO, paid=True)
def test_video(client: Client, target: Target) -> None:
    """Over gRPC a video is fetched by its request id until it is done."""
    id = client.call_rpc("GenerateVideo", **VIDEO)["request_id"]
    video = {"url": {"$starts": "http"}, "duration": 2, "respect_moderation": True}
    matchers.check(finished(client, target, id), {"response": {"model": "grok-imagine-video", "video": video}})


@case(
    "media.over-grpc.extension",
    *("videos.extend", "videos.generate", "videos.get"),
    evidence="documented",
    source=VIDEO_PROTO,
    paid=True,
)
def test_extension(client: Client, target: Target) -> None:
    """Over gRPC a video can be extended by so many seconds."""
    first = finished(client, target, client.call_rpc("GenerateVideo", **VIDEO)["request_id"])
    url = first["response"]["video"]["url"]  # type: ignore[index]  # what wait_until has checked
    asked = {**VIDEO, "duration": 3, "video": {"url": url}}
    id = client.call_rpc("ExtendVideo", **asked)["request_id"]
    matchers.check(finished(client, target, id), {"response": {"video": {"duration": 3}}})


@case(
    "media.over-grpc.refusals",
    *("images.generate", "videos.generate"),
    refusing=("images.generate", "videos.generate"),
    evidence="assumed",
    source="recorded over REST, 2026-04",
    refusal="not found",
)
def test_refusals(client: Client) -> None:
    """A model that makes no images or videos is not found, with the sentence of REST."""
    for rpc, fields in (("GenerateImage", IMAGE), ("GenerateVideo", VIDEO)):
        with pytest.raises(ApiError) as error:
            client.call_rpc(rpc, **fields | {"model": "no-such-model"})
        assert error.value.kind == "not_found"
        assert "The model no-such-model does not exist or your team " in error.value.message


@case(
    "media.over-grpc.unknown-video",
    *("videos.get",),
    evidence="assumed",
    source="xai-sdk: the server of its tests",
    refusal="not found",
)
def test_unknown_video(client: Client) -> None:
    """Over gRPC a video that does not exist is not found."""
    with pytest.raises(ApiError) as error:
        client.call_rpc("GetDeferredVideo", request_id=UNKNOWN)
    assert error.value.kind == "not_found"


@case(
    "media.over-grpc.loaded",
    *("images.generate", "videos.generate", "videos.get"),
    evidence="documented",
    source=f"{IMAGE_PROTO}; {VIDEO_PROTO}",
    paid=True,
)
def test_loaded(client: Client, rest: RestClient, target: Target) -> None:
    """What the URLs of images and videos lead to is an image or a video, and both cost what REST says."""
    image = client.call_rpc("GenerateImage", **IMAGE, n=2, format="IMG_FORMAT_URL")
    video = finished(client, target, client.call_rpc("GenerateVideo", **VIDEO)["request_id"])["response"]
    assert isinstance(video, dict)
    shown = rest.json("POST", "/v1/images/generations", json_body={**IMAGE, "n": 2})
    id = rest.json("POST", "/v1/videos/generations", json_body=VIDEO)["request_id"]
    made = matchers.wait_until(
        lambda: rest.json("GET", f"/v1/videos/{id}"), {"status": "done"}, within_seconds=target.wait_seconds_max
    )
    urls = [each["url"] for found in (image["images"], shown["data"]) for each in found]
    for url, kind in (
        *((url, "image/") for url in urls),
        *((each["video"]["url"], "video/") for each in (video, made)),
    ):
        loaded = rest.load(url)
        assert loaded.status == 200, url
        assert loaded.headers["content-type"].startswith(kind), url
        assert loaded.body
    assert len({*urls, video["video"]["url"], made["video"]["url"]}) == len(urls) + 2
    for message, found in ((image, shown), (video, made)):
        ticks = found["usage"]["cost_in_usd_ticks"]
        assert message["usage"].get("cost_in_usd_ticks", ticks) == ticks  # an older library does not know it


@case(
    "media.over-grpc.aspect-ratio",
    "images.generate",
    evidence="documented",
    source=f"{IMAGE_PROTO}; OpenAPI: GenerateImageRequest.aspect_ratio",
    paid=True,
)
def test_aspect_ratio(client: Client, rest: RestClient) -> None:
    """Over gRPC and REST an image is as wide and as high as its aspect ratio says."""
    for word, ratio in (("2_1", 2.0), ("1_2", 0.5)):
        message = {"aspect_ratio": f"IMG_ASPECT_RATIO_{word}", "format": "IMG_FORMAT_URL"}
        image = client.call_rpc("GenerateImage", **IMAGE, **message)["images"][0]
        body = {**IMAGE, "aspect_ratio": word.replace("_", ":")}
        shown = rest.json("POST", "/v1/images/generations", json_body=body)["data"][0]
        for url in (image["url"], shown["url"]):
            loaded = rest.load(url).body
            if not loaded.startswith(b"\x89PNG"):
                raise Unsupported("the size of a PNG alone is looked at")
            width, height = struct.unpack(">II", loaded[16:24])
            assert width == pytest.approx(ratio * height, rel=0.1), (word, width, height)
