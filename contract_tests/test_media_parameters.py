"""Each parameter of a request for images or videos has its effect over REST and gRPC, live and in batches."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass
from typing import Any

import pytest

from . import matchers
from .case import case
from .clients.client import Client
from .clients.rest import RestClient
from .messages import disagreement
from .target import Target

pytestmark = [pytest.mark.over_both_protocols, pytest.mark.own_team]
Json = Any
NOW = "2031-05-06T07:08:09Z"
SECONDS = 1_935_817_689  # of that time
OPENAPI = "OpenAPI: GenerateImageRequest to ExtendVideoRequest; image.proto and video.proto; storage guide"
URL = "https://x.ai/a.png"
IMAGE_MODEL, VIDEO_MODEL = "grok-imagine-image-2.0", "grok-imagine-video"


@dataclass(frozen=True)
class Row:
    """A request over REST and over gRPC, how many images it makes, and what it costs; 0 seconds for an image.

    `{image}` and `{video}` in both stand for files of the team.
    """

    path: str
    body: Json
    rpc: str
    message: Json
    count: int = 1
    ticks: int = 600_000_000
    seconds: int = 0
    stored: Json = None  # of the file that it is stored as
    size: tuple[int, int] | None = None  # the proportion of width and height


_IMAGE, _EDIT, _VIDEO = "/v1/images/generations", "/v1/images/edits", "/v1/videos/generations"
_MAKE_IMAGE, _MAKE_VIDEO, _EXTEND = "GenerateImage", "GenerateVideo", "ExtendVideo"
_SECOND = 500_000_000


def storage(**more: Json) -> Json:
    """Storage options."""
    return {"storage_options": {"filename": "kettle.bin", **more}}


def stored(url_seconds: int | None, seconds: int | None) -> Json:
    """What an answer says of a stored file."""
    found: Json = {"filename": "kettle.bin", "file_id": "$file_id"}
    found["expires_at"] = "$absent" if seconds is None else SECONDS + seconds
    found["public_url"] = "$absent" if url_seconds is None else {"$starts": "http"}
    found["public_url_expires_at"] = SECONDS + url_seconds if url_seconds else "$absent"
    return found


def _image(body: Json, message: Json, **more: Json) -> Row:
    return Row(_IMAGE, body, _MAKE_IMAGE, message, **more)


def _both(same: Json, **more: Json) -> Row:
    return _image(same, same, **more)


ROWS: tuple[Row, ...] = (
    _both({}),
    _both({"user": "u"}),
    _both({"n": 3}, count=3, ticks=1_800_000_000),
    _image({"response_format": "b64_json"}, {"format": "IMG_FORMAT_BASE64"}),
    _image({"quality": "low"}, {"quality": "IMG_QUALITY_LOW"}, ticks=400_000_000),
    _image({"quality": "high"}, {"quality": "IMG_QUALITY_HIGH"}, ticks=800_000_000),
    _image({"resolution": "2k"}, {"resolution": "IMG_RESOLUTION_2K"}),
    _image({"aspect_ratio": "16:9"}, {"aspect_ratio": "IMG_ASPECT_RATIO_16_9"}, size=(16, 9)),
    _image({"aspect_ratio": "9:19.5"}, {"aspect_ratio": "IMG_ASPECT_RATIO_9_19_5"}, size=(18, 39)),
    _both(storage(), stored=stored(None, None)),
    _both(storage(expires_after=7200), stored=stored(None, 7200)),
    _image(storage(public_url=True), storage(public_url={}), stored=stored(0, None)),
    _both(storage(expires_after=9000, public_url={"expires_after": 3600}), stored=stored(3600, 9000)),
    _image(
        storage(expires_after=9000, public_url=True),
        storage(expires_after=9000, public_url={}),
        stored=stored(9000, 9000),
    ),
    _both(
        storage(expires_after=7200, public_url={"expires_after": 9000}),
        stored={**stored(None, 7200), "public_url_error": "$text"},
    ),
    Row(_EDIT, {"image": {"url": URL}}, _MAKE_IMAGE, {"image": {"image_url": URL}}, ticks=620_000_000),
    Row(_EDIT, {"image": {"file_id": "{image}"}}, _MAKE_IMAGE, {"image": {"file_id": "{image}"}}, ticks=620_000_000),
    Row(
        _EDIT,
        {
            "images": [{"url": URL}, {"file_id": "{image}"}],
            "n": 2,
            "response_format": "b64_json",
            **storage(expires_after=7200),
        },
        _MAKE_IMAGE,
        {
            "images": [{"image_url": URL}, {"file_id": "{image}"}],
            "n": 2,
            "format": "IMG_FORMAT_BASE64",
            **storage(expires_after=7200),
        },
        count=2,
        ticks=1_240_000_000,
        stored=stored(None, 7200),
    ),
    Row(
        _EDIT,
        {"image": {"url": URL}, "aspect_ratio": "2:1", "quality": "low"},
        _MAKE_IMAGE,
        {"image": {"image_url": URL}, "aspect_ratio": "IMG_ASPECT_RATIO_2_1", "quality": "IMG_QUALITY_LOW"},
        ticks=420_000_000,
        size=(2, 1),
    ),
    Row(_VIDEO, {"duration": 3}, _MAKE_VIDEO, {"duration": 3}, seconds=3, ticks=3 * _SECOND),
    Row(_VIDEO, {"seconds": "4"}, _MAKE_VIDEO, {"duration": 4}, seconds=4, ticks=4 * _SECOND),
    Row(
        _VIDEO,
        {
            "duration": 2,
            "image": {"file_id": "{image}"},
            "resolution": "720p",
            "aspect_ratio": "9:16",
            **storage(expires_after=7200),
        },
        _MAKE_VIDEO,
        {
            "duration": 2,
            "image": {"file_id": "{image}"},
            "resolution": "VIDEO_RESOLUTION_720P",
            "aspect_ratio": "VIDEO_ASPECT_RATIO_9_16",
            **storage(expires_after=7200),
        },
        seconds=2,
        ticks=2 * _SECOND,
        stored=stored(None, 7200),
    ),
    Row(
        _VIDEO,
        {"duration": 1, "input_reference": {"url": URL}, **storage(public_url={"expires_after": 3600})},
        _MAKE_VIDEO,
        {"duration": 1, "image": {"image_url": URL}, **storage(public_url={"expires_after": 3600})},
        seconds=1,
        ticks=_SECOND,
        stored=stored(3600, None),
    ),
    Row(
        "/v1/videos/extensions",
        {"duration": 5, "video": {"file_id": "{video}"}, **storage()},
        _EXTEND,
        {"duration": 5, "video": {"file_id": "{video}"}, **storage()},
        seconds=5,
        ticks=5 * _SECOND,
        stored=stored(None, None),
    ),
)
# The kind of a batch request for a path, and its member in a message.
KINDS = {
    _IMAGE: ("image_generation", "image_request"),
    _EDIT: ("image_edit", "image_request"),
    _VIDEO: ("video_generation", "video_request"),
    "/v1/videos/extensions": ("video_extension", "video_extension_request"),
}


@pytest.fixture
def files(rest: RestClient, target: Target, name: str) -> dict[str, str]:
    """An image and a video of a team whose clock stands still, by the names that rows have for them."""
    target.control("POST", "/clock/freeze", {"at": NOW})
    kinds = {"{image}": ("a.png", "image/png"), "{video}": ("a.mp4", "video/mp4")}
    return {word: rest.upload_file(b"x", f"{name}{each}", content_type=kind).id for word, (each, kind) in kinds.items()}


def filled(value: Json, files: dict[str, str]) -> Json:
    """A request with the ids of files, its model and its prompt."""
    if isinstance(value, dict):
        return {key: filled(each, files) for key, each in value.items()}
    if isinstance(value, list):
        return [filled(each, files) for each in value]
    return files.get(value, value) if isinstance(value, str) else value


def request_of(row: Row, given: Json, files: dict[str, str]) -> Json:
    """A whole request."""
    return {"model": VIDEO_MODEL if row.seconds else IMAGE_MODEL, "prompt": "A kettle.", **filled(given, files)}


def check_result(rest: RestClient, row: Row, found: Json) -> None:
    """Fail where a result over REST is not what the request asks for."""
    assert found["usage"]["cost_in_usd_ticks"] == row.ticks, row.body
    made = [found["video"]] if row.seconds else found["data"]
    assert len(made) == row.count, row.body
    for each in made:
        matchers.check(each, {"file_output": "$absent" if row.stored is None else row.stored}, f"{row.body}")
        if row.seconds:
            assert each["duration"] == row.seconds, row.body
        is_base64 = row.body.get("response_format") == "b64_json"
        assert ("b64_json" in each, "url" in each) == (is_base64, not is_base64), row.body
        content = base64.b64decode(each["b64_json"]) if is_base64 else rest.load(each["url"]).body
        if row.size is not None and content.startswith(b"\x89PNG"):
            width, height = struct.unpack(">II", content[16:24])
            assert width / height == pytest.approx(row.size[0] / row.size[1], rel=0.1), row.body
        if row.stored is not None:
            check_file(rest, row, each["file_output"], content)


def check_file(rest: RestClient, row: Row, output: Json, content: bytes) -> None:
    """Fail where a stored file is not what an answer says of it."""
    file = rest.json("GET", f"/v1/files/{output['file_id']}")
    names = ("filename", "expires_at", "public_url", "public_url_expires_at")
    shown = [{name: each.get(name) for name in names} for each in (file, output)]
    assert shown[0] == shown[1], row.body
    assert rest.read_file(output["file_id"]) == content, row.body
    if output.get("public_url"):
        assert rest.load(output["public_url"]).body == content, row.body


def check_message(row: Row, message: Json, found: Json) -> None:
    """Fail where the result over gRPC is not that over REST."""
    assert message["model"] == (VIDEO_MODEL if row.seconds else IMAGE_MODEL), row.message
    assert message.get("usage", {}).get("cost_in_usd_ticks", row.ticks) == row.ticks, row.message
    ours, theirs = ([message["video"]], [found["video"]]) if row.seconds else (message["images"], found["data"])
    for one, other in zip(ours, theirs, strict=True):
        assert bool(one.get("url")) == bool(other.get("url")), row.message
        assert one.get("duration") == other.get("duration"), row.message
        files = [dict(each.get("file_output") or {}) for each in (one, other)]
        for each in files:
            each.pop("file_id", None)
            if each.pop("public_url", None):
                each["has_url"] = True
        reason = disagreement(files[0], files[1])
        assert reason is None, (row.message, reason)


@case(
    "media.parameters",
    *("images.generate", "images.edit", "videos.generate", "videos.extend", "videos.get", "files.get"),
    evidence="assumed",
    source=f"{OPENAPI}; which quality has which price is assumed",
    control=True,
    paid=True,
)
def test_live(client: Client, rest: RestClient, target: Target, files: dict[str, str]) -> None:
    """Each parameter of an image or a video has its effect on what is made, stored and paid, over gRPC as over REST."""
    for row in ROWS:
        found = rest.json("POST", row.path, json_body=request_of(row, row.body, files))
        if row.seconds:
            found = video(rest, target, found["request_id"])
        check_result(rest, row, found)
        if client.protocol == "grpc":
            answer = client.call_rpc(row.rpc, **request_of(row, row.message, files))
            if row.seconds:
                id = answer["request_id"]
                answer = client.call_rpc("GetDeferredVideo", request_id=id)["response"]
                check_message(row, answer, video(rest, target, id))
            check_message(row, answer, found)


def video(rest: RestClient, target: Target, id: str) -> Json:
    """A video that is done."""
    return matchers.wait_until(
        lambda: rest.json("GET", f"/v1/videos/{id}"), {"status": "done"}, within_seconds=target.wait_seconds_max
    )


@case(
    "batches.media.parameters",
    *("batches.add_requests", "batches.list_results", "files.get"),
    evidence="assumed",
    source=f"{OPENAPI}; batch.proto: a request is kept as it was added",
    control=True,
    destructive=True,
    paid=True,
)
def test_batches(client: Client, rest: RestClient, target: Target, files: dict[str, str], name: str) -> None:
    """Each parameter of an image or a video has its effect in a batch too, and is kept as it was added."""
    ids = [rest.create_batch(f"{name}{word}").id for word in ("rest", "grpc")]
    bodies, messages = [], []
    for number, row in enumerate(ROWS):
        kind, member = KINDS[row.path]
        body = {kind: request_of(row, row.body, files)}
        bodies.append({"batch_request_id": f"{number:02}", "batch_request": body})
        messages.append({"batch_request_id": f"{number:02}", member: request_of(row, row.message, files)})
    rest.call("POST", f"/v1/batches/{ids[0]}/requests", json_body={"batch_requests": bodies})
    if client.protocol == "grpc":
        client.call_rpc("AddBatchRequests", batch_id=ids[1], batch_requests=messages)
    else:
        ids.pop()
    for id in ids:
        matchers.wait_until(
            lambda id=id: vars(rest.get_batch(id)),  # type: ignore[misc]
            {"pending": 0, "requests": len(ROWS), "succeeded": len(ROWS)},
            within_seconds=target.wait_seconds_max,
        )
    for id in ids:
        results = rest.json("GET", f"/v1/batches/{id}/results")["results"]
        for row, result in zip(ROWS, results, strict=True):
            [found] = result["batch_result"]["response"].values()
            check_result(rest, row, found)
    if client.protocol == "grpc":
        results = [rest.json("GET", f"/v1/batches/{id}/results")["results"] for id in ids]
        for number, row in enumerate(ROWS):
            details = [
                client.call_rpc("GetBatchRequestResult", batch_id=id, batch_request_id=f"{number:02}") for id in ids
            ]
            member = KINDS[row.path][1]
            assert details[0]["request"] == details[1]["request"], row.message
            matchers.check(details[0]["request"][member], request_of(row, row.message, files), f"{row.message}")
            for detail, shown in zip(details, results, strict=True):
                [found] = shown[number]["batch_result"]["response"].values()
                [message] = (each for each in detail["result"]["response"].values() if each is not None)
                check_message(row, message, found)
