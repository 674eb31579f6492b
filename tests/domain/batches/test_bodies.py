"""What the bodies of batch requests may hold: the words and bounds of the real messages."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import pytest
from xai_sdk.proto import image_pb2, video_pb2

from emulator.domain.batches.batch import RequestKind
from emulator.domain.batches.bodies import (
    URLS,
    ImageEditBody,
    ImageGenerationBody,
    VideoEditBody,
    VideoGenerationBody,
    check_body,
)
from emulator.domain.chat.bodies import ChatBody


def said(shape: Any, member: str) -> set[str]:
    """The words a member of a body may be, spelled like the values of an enum."""
    words = {word for choice in get_args(get_type_hints(shape)[member]) for word in get_args(choice)}
    return {word.upper().translate(str.maketrans(":.", "__")) for word in words}


@pytest.mark.parametrize(
    ("shape", "member", "enum", "prefix"),
    [
        (ImageGenerationBody, "aspect_ratio", image_pb2.ImageAspectRatio, "IMG_ASPECT_RATIO_"),
        (VideoGenerationBody, "aspect_ratio", video_pb2.VideoAspectRatio, "VIDEO_ASPECT_RATIO_"),
        (ImageGenerationBody, "resolution", image_pb2.ImageResolution, "IMG_RESOLUTION_"),
        (VideoGenerationBody, "resolution", video_pb2.VideoResolution, "VIDEO_RESOLUTION_"),
    ],
)
def test_body_enums_equal_proto_enums(shape: Any, member: str, enum: Any, prefix: str) -> None:
    """Each value of the enum can be said in a body, and nothing else."""
    assert said(shape, member) == {name.removeprefix(prefix) for name in enum.keys()[1:]}  # the first stands for none


@pytest.mark.parametrize("value", [-(2**31), -(2**31) - 1, 2**31 - 1, 2**31])
def test_counts_are_numbers_of_32_bits(value: int) -> None:
    """Both ends of int32 are taken, and nothing beyond them."""
    fits = -(2**31) <= value < 2**31
    assert (check_body({"n": value}, ChatBody) is None) is fits
    assert (check_body({"max_tokens": value}, ChatBody) is None) is fits


@pytest.mark.parametrize(("value", "taken"), [("url", True), ("b64_json", True), ("base64", False), ("", False)])
def test_pictures_come_in_two_formats(value: str, taken: bool) -> None:
    """As a URL, or as base64 in JSON (OpenAPI: GenerateImageRequest.response_format)."""
    assert (check_body({"response_format": value}, ImageGenerationBody) is None) is taken


@pytest.mark.parametrize(
    ("body", "shape", "complaint"),
    [
        ({}, ImageEditBody, "missing field `prompt`"),
        ({"prompt": "x"}, VideoEditBody, "missing field `video`"),
        ({"messages": [{"role": "user"}, {}]}, ChatBody, "missing field `role` - at `messages[1]`"),
        ({"messages": [{"role": "wizard"}]}, ChatBody, "Invalid enum value 'wizard' - at `messages[0].role`"),
        ([], ChatBody, "Expected `object`, got `array`"),
    ],
)
def test_body_error_names_path_of_member(body: Any, shape: Any, complaint: str) -> None:
    """As a path from the body on."""
    assert check_body(body, shape) == complaint


@pytest.mark.parametrize(
    ("url", "kind", "body"),
    [
        ("/v1/chat/completions", RequestKind.CHAT, {}),
        ("/v1/responses", RequestKind.RESPONSES, {"input": "x"}),
        ("/v1/images/generations", RequestKind.IMAGE_GENERATION, {}),
        ("/v1/images/edits", RequestKind.IMAGE_EDIT, {"prompt": "x"}),
        ("/v1/videos/generations", RequestKind.VIDEO_GENERATION, {}),
        ("/v1/videos", RequestKind.VIDEO_GENERATION, {}),
        ("/v1/videos/edits", RequestKind.VIDEO_GENERATION, {"prompt": "x", "video": {"url": "y"}}),
        ("/v1/videos/extensions", RequestKind.VIDEO_EXTENSION, {"prompt": "x", "video": {"url": "y"}}),
    ],
)
def test_endpoint_accepts_body_with_required_members_only(url: str, kind: RequestKind, body: dict[str, Any]) -> None:
    """Its kind is that of the Batch guide, its body may lack all that is optional, and nothing else."""
    found, shape = URLS[url]
    assert found is kind
    assert check_body(body, shape) is None
    for member in body:
        lacking = {name: value for name, value in body.items() if name != member}
        assert check_body(lacking, shape) == f"missing field `{member}`"
