"""One request for an image or video has one result and one cost over REST, over gRPC and in a batch."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from emulator import Emulator
from emulator.rpc.batches.media import EXTENSION_REQUEST, IMAGE_REQUEST, IMAGE_RESPONSE, VIDEO_REQUEST, VIDEO_RESPONSE
from fixtures.team import EmulatedTeam
from tests.rpc.client import Rpc, message

Json = dict[str, Any]
GIVEN = {"url": "https://example.com/a"}
IMAGES: dict[str, tuple[str, Json]] = {
    "plain": ("generations", {}),
    "several": ("generations", {"n": 3, "aspect_ratio": "16:9", "model": "grok-imagine-image-pro"}),
    "quality": ("generations", {"model": "grok-imagine-image-2.0", "quality": "high"}),
    "edit": ("edits", {"image": GIVEN}),
    "edit of two": ("edits", {"images": [GIVEN, GIVEN]}),
}
VIDEOS: dict[str, tuple[str, str, Json]] = {
    "plain": ("generations", "video_generation", {}),
    "duration": ("generations", "video_generation", {"duration": 3, "aspect_ratio": "16:9"}),
    "edit": ("edits", "video_generation", {"video": GIVEN}),
    "extension": ("extensions", "video_extension", {"video": GIVEN, "duration": 2}),
}


@pytest.fixture
def team(emulator: Emulator) -> EmulatedTeam:
    """A team that was reset."""
    emulator.reset()
    return EmulatedTeam(emulator, "default")


def batch_result(team: EmulatedTeam, kind: str, body: Json) -> Json:
    """What a batch answers to one request."""
    batch = team.call("POST", "/v1/batches", {"name": "b"})["batch_id"]
    requests = [{"batch_request_id": "a", "batch_request": {kind: body}}]
    team.call("POST", f"/v1/batches/{batch}/requests", {"batch_requests": requests})
    team.advance_until(batch_done=batch)
    [result] = team.call("GET", f"/v1/batches/{batch}/results")["results"]
    [response] = result["batch_result"]["response"].values()
    return dict(response)


def what_counts(result: Json) -> Json:
    """A result without the token in each URL, and without the model, which only some responses contain."""
    text = json.dumps({name: value for name, value in result.items() if name != "model"}, sort_keys=True)
    for item in (*result.get("data", ()), result.get("video", {})):
        if "url" in item:
            assert httpx.get(item["url"]).status_code == 200
            text = text.replace(item["url"].rsplit("/", 2)[1], "TOKEN")
    return dict(json.loads(text))


@pytest.mark.parametrize(("path", "body"), IMAGES.values(), ids=IMAGES)
def test_images_are_the_same_everywhere(emulator: Emulator, team: EmulatedTeam, path: str, body: Json) -> None:
    body = {"prompt": "a kettle", **body}
    live = team.call("POST", f"/v1/images/{path}", body)
    batch = batch_result(team, "image_edit" if path == "edits" else "image_generation", body)
    with Rpc(emulator.grpc_target, emulator.api_key) as rpc:
        answer = rpc.call("xai_api.Image/GenerateImage", IMAGE_REQUEST.to_message(body))
    assert what_counts(live) == what_counts(batch)
    grpc = IMAGE_RESPONSE.to_json(answer)
    assert grpc["usage"] == live["usage"]
    assert len(grpc["data"]) == len(live["data"])
    contents = [[httpx.get(item["url"]).content for item in each["data"]] for each in (live, grpc)]
    assert contents[0] == contents[1]


@pytest.mark.parametrize(("path", "kind", "body"), VIDEOS.values(), ids=VIDEOS)
def test_videos_are_the_same_everywhere(
    emulator: Emulator, team: EmulatedTeam, path: str, kind: str, body: Json
) -> None:
    body = {"prompt": "a kettle", "model": "grok-imagine-video", **body}
    id = team.call("POST", f"/v1/videos/{path}", body)["request_id"]
    live, batch = team.call("GET", f"/v1/videos/{id}"), batch_result(team, kind, body)
    shape, name = (EXTENSION_REQUEST, "ExtendVideo") if path == "extensions" else (VIDEO_REQUEST, "GenerateVideo")
    with Rpc(emulator.grpc_target, emulator.api_key) as rpc:
        id = rpc.call(f"xai_api.Video/{name}", shape.to_message(body)).request_id
        answer = rpc.call("xai_api.Video/GetDeferredVideo", message("xai_api.GetDeferredVideoRequest", request_id=id))
    assert what_counts(live) == what_counts(batch)
    grpc = VIDEO_RESPONSE.to_json(answer.response)
    assert (grpc["usage"], grpc["model"]) == (live["usage"], live["model"])
    assert grpc["video"]["duration"] == live["video"]["duration"]
