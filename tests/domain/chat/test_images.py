"""Images of a conversation: their size, their tokens, and how an echo names them."""

from __future__ import annotations

import base64

import pytest

from emulator.domain.chat.images import data_of, describe_image, facts_of, image_tokens
from emulator.domain.media import png

# The head of a JPEG of 640 by 480 pixels: an application segment, then the frame header.
JPEG = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x11\x08\x01\xe0\x02\x80\x03\x01"


def data_url(content: bytes, content_type: str = "image/png") -> str:
    """An image as a data URL."""
    return f"data:{content_type};base64,{base64.b64encode(content).decode()}"


@pytest.mark.parametrize(
    ("width", "height", "detail", "tokens"),
    [
        (1024, 1024, "high", 1026),
        (1024, 1024, "low", 258),
        (32, 32, None, 3),
        (33, 32, None, 4),
        (512, 512, "low", 258),
        (4096, 16, "low", 18),
    ],
)
def test_tokens_of_image_are_its_tiles_and_two(width: int, height: int, detail: str | None, tokens: int) -> None:
    assert image_tokens({"url": data_url(png(width, height, (1, 2, 3))), "detail": detail}) == tokens


@pytest.mark.parametrize("image", [{"url": "https://example.com/a.png"}, {"file_id": "file_1"}, {}, {"url": "data:,x"}])
def test_image_of_unknown_size_counts_as_small_one(image: dict[str, str]) -> None:
    assert image_tokens(image) == 256


def test_facts_are_read_from_head_whatever_the_declared_type() -> None:
    assert (facts_of(JPEG).content_type, facts_of(JPEG).width, facts_of(JPEG).height) == ("image/jpeg", 640, 480)
    assert facts_of(b"RIFF\0\0\0\0WEBPVP8 ").content_type == "image/webp"
    assert facts_of(b"GIF89a").content_type == "application/octet-stream"
    assert facts_of(JPEG[:10]).width == 0


def test_image_is_described_or_named_and_never_fetched() -> None:
    picture = png(64, 48, (1, 2, 3))
    assert describe_image({"url": data_url(picture)}) == f"image/png 64x48, {len(picture)} bytes"
    assert describe_image({"url": "https://example.com/a.png"}) == "https://example.com/a.png"
    assert describe_image({"file_id": "file_1"}) == "file_1"
    assert describe_image({}) == "no source"


@pytest.mark.parametrize("url", ["data:image/png;base64,!", "data:", ""])
def test_data_that_cannot_be_decoded_is_empty(url: str) -> None:
    assert data_of(url) == b""
