"""Images in a conversation: descriptions and token counts, without fetching anything."""

from __future__ import annotations

import base64
import binascii
import struct
from typing import Any

import msgspec

Json = dict[str, Any]


TILE_PIXELS = 32
LOW_DETAIL_PIXELS = 512
TOKENS_OF_UNKNOWN = 256


class ImageFacts(msgspec.Struct, frozen=True):
    """The type, the size in bytes and the sides in pixels of an image, as far as they are known."""

    content_type: str
    size: int
    width: int = 0
    height: int = 0


def describe_image(image: Json) -> str:
    """Describe an image for a reader; one with a URL is named and never fetched."""
    url = image.get("url")
    if isinstance(url, str) and url.startswith("data:"):
        facts = facts_of(data_of(url))
        sides = f" {facts.width}x{facts.height}" if facts.width else ""
        return f"{facts.content_type}{sides}, {facts.size} bytes"
    return str(url or image.get("file_id") or "no source")[:200]


def image_tokens(image: Json) -> int:
    """Count the tokens of an image: one for each tile of 32 pixels, and two (recorded, 2026-09).

    At low detail the longer side has 512 pixels at most. An image that is not in the request counts as small (assumed).
    """
    url = image.get("url")
    facts = facts_of(data_of(url)) if isinstance(url, str) and url.startswith("data:") else None
    if facts is None or not facts.width or not facts.height:
        return TOKENS_OF_UNKNOWN
    width, height = facts.width, facts.height
    longer = max(width, height)
    if image.get("detail") == "low" and longer > LOW_DETAIL_PIXELS:
        width, height = (max(1, side * LOW_DETAIL_PIXELS // longer) for side in (width, height))
    return -(-width // TILE_PIXELS) * -(-height // TILE_PIXELS) + 2


def data_of(url: str) -> bytes:
    """Decode a data URL, or plain base64; return empty bytes if that fails."""
    try:
        return base64.b64decode(url.partition(",")[2] if url.startswith("data:") else url)
    except (binascii.Error, ValueError):
        return b""


def facts_of(content: bytes) -> ImageFacts:
    """Read the header of a PNG, JPEG or WebP."""
    if content.startswith(b"\x89PNG\r\n\x1a\n") and len(content) >= 24:
        return ImageFacts("image/png", len(content), *struct.unpack(">II", content[16:24]))
    if content.startswith(b"\xff\xd8"):
        return ImageFacts("image/jpeg", len(content), *_jpeg_sides(content))
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return ImageFacts("image/webp", len(content))
    return ImageFacts("application/octet-stream", len(content))


def _jpeg_sides(content: bytes) -> tuple[int, int]:
    """Return width and height from the frame header of a JPEG (ITU-T T.81, B.2.2)."""
    place = 2
    while place + 9 <= len(content) and content[place] == 0xFF:
        kind, length = content[place + 1], int.from_bytes(content[place + 2 : place + 4], "big")
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", content[place + 5 : place + 9])
            return width, height
        place += 2 + length
    return 0, 0
