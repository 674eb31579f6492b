"""Images and videos: read here as their specifications describe them."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.domain.media import colour_of, mp4, png, size_of


@given(
    ratio=st.sampled_from(["1:1", "9:16", "16:9", "9:19.5", "19.5:9", "auto", None]),
    colour=st.tuples(*[st.integers(0, 255)] * 3),
)
def test_generated_image_is_valid(ratio: str | None, colour: tuple[int, int, int]) -> None:
    """Every chunk's checksum is right, and the pixels are as many as the header says, all of the one colour."""
    width, height = size_of(ratio)
    content = png(width, height, colour)
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, at = {}, 8
    while at < len(content):
        (length,) = struct.unpack_from(">I", content, at)
        type, data = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", content, at + 8 + length) == (zlib.crc32(type + data),)
        chunks[type] = data
        at += 12 + length
    assert list(chunks) == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
    assert struct.unpack(">IIBBBBB", chunks[b"IHDR"]) == (width, height, 1, 3, 0, 0, 0)
    assert (chunks[b"PLTE"], chunks[b"IEND"]) == (bytes(colour), b"")
    assert zlib.decompress(chunks[b"IDAT"]) == bytes((1 + (width + 7) // 8) * height)


def boxes(content: bytes, prefix: str = "") -> dict[str, bytes]:
    """The boxes of an MP4 by path, the containers opened."""
    found, at = {}, 0
    while at < len(content):
        (size,) = struct.unpack_from(">I", content, at)
        name, body = content[at + 4 : at + 8].decode(), content[at + 8 : at + size]
        assert 8 <= size <= len(content) - at, f"{prefix}{name} is {size} bytes long"
        found[prefix + name] = body
        if name in ("moov", "trak", "mdia", "minf", "dinf", "stbl"):
            found |= boxes(body, f"{prefix}{name}/")
        at += size
    return found


@given(seconds=st.integers(1, 15))
def test_generated_video_is_valid(seconds: int) -> None:
    """The boxes nest, the durations agree, and the one sample lies where the table says: a picture."""
    content = mp4(32, 18, (1, 2, 3), seconds)
    found, table = boxes(content), "moov/trak/mdia/minf/stbl/"
    timescale, length = struct.unpack_from(">II", found["moov/mvhd"], 12)
    assert (timescale, length) == (1000, seconds * 1000)
    assert struct.unpack_from(">I", found["moov/trak/tkhd"], 20) == (length,)
    assert struct.unpack_from(">II", found["moov/trak/mdia/mdhd"], 12) == (timescale, length)
    assert len(found["moov/mvhd"]) == 100
    assert len(found["moov/trak/tkhd"]) == 84
    (size,) = struct.unpack_from(">I", found[f"{table}stsz"], 4)
    (offset,) = struct.unpack_from(">I", found[f"{table}stco"], 8)
    assert struct.unpack_from(">III", found[f"{table}stts"], 4) == (1, 1, length)
    assert content[offset : offset + size] == found["mdat"] == png(32, 18, (1, 2, 3))


# ISO/IEC 14496-12: where a member stands in a box, its format, and what it is in a film of 32 x 18 and 2 seconds.
MATRIX = (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
MEMBERS: dict[str, list[tuple[int, str, Any]]] = {
    "ftyp": [(0, "4s", b"isom"), (4, "I", 0x200), (8, "4s4s4s", (b"isom", b"iso2", b"mp41"))],
    "moov/mvhd": [
        *[(0, "I", 0), (4, "II", (0, 0)), (12, "II", (1000, 2000)), (20, "I", 0x10000), (24, "H", 0x100)],
        *[(26, "10s", bytes(10)), (36, "9I", MATRIX), (72, "24s", bytes(24)), (96, "I", 2)],
    ],
    "moov/trak/tkhd": [
        *[(0, "I", 3), (4, "II", (0, 0)), (12, "I", 1), (16, "I", 0), (20, "I", 2000), (24, "16s", bytes(16))],
        *[(40, "9I", MATRIX), (76, "II", (32 << 16, 18 << 16))],
    ],
    "moov/trak/mdia/mdhd": [(0, "I", 0), (4, "II", (0, 0)), (12, "II", (1000, 2000)), (20, "HH", (0x55C4, 0))],
    "moov/trak/mdia/hdlr": [(0, "II", (0, 0)), (8, "4s", b"vide"), (12, "12s", bytes(12)), (24, "8s", b"picture\0")],
    "moov/trak/mdia/minf/vmhd": [(0, "I", 1), (4, "8s", bytes(8))],
    "moov/trak/mdia/minf/dinf/dref": [(0, "II", (0, 1)), (8, "I4sI", (12, b"url ", 1))],
    "moov/trak/mdia/minf/stbl/stts": [(0, "II", (0, 1)), (8, "II", (1, 2000))],
    "moov/trak/mdia/minf/stbl/stsc": [(0, "II", (0, 1)), (8, "III", (1, 1, 1))],
    "moov/trak/mdia/minf/stbl/stsz": [(0, "I", 0), (8, "I", 1)],
    "moov/trak/mdia/minf/stbl/stco": [(0, "II", (0, 1))],
    "moov/trak/mdia/minf/stbl/stsd": [
        *[(0, "II", (0, 1)), (12, "4s", b"mp4v"), (16, "6sH", (bytes(6), 1)), (24, "16s", bytes(16))],
        *[(40, "HH", (32, 18)), (44, "II", (0x480000, 0x480000)), (52, "IH", (0, 1)), (58, "32s", bytes(32))],
        *[(90, "Hh", (24, -1)), (98, "4sI", (b"esds", 0))],
    ],
}


@pytest.mark.parametrize("box", MEMBERS)
def test_video_boxes_have_specified_members(box: str) -> None:
    """Every member of every box, up to its last byte."""
    content = boxes(mp4(32, 18, (1, 2, 3), 2))[box]
    for at, form, expected in MEMBERS[box]:
        values = struct.unpack_from(f">{form}", content, at)
        assert values == (expected if isinstance(expected, tuple) else (expected,)), f"{box} at {at}"
    at, form, _ = MEMBERS[box][-1]
    rest = content[at + struct.calcsize(f">{form}") :]
    assert not rest or box.endswith("stsd") or (len(rest) == 4 and box.endswith(("stco", "stsz")))


def test_video_frames_are_declared_as_png() -> None:
    """ISO/IEC 14496-1: a stream of the object type 0x6D, which is PNG, and of the kind "visual"."""
    entry = boxes(mp4(32, 18, (1, 2, 3), 2))["moov/trak/mdia/minf/stbl/stsd"]
    descriptors = entry[106:]
    tag, length, id, flags = struct.unpack_from(">BBHB", descriptors)
    assert (tag, length, id, flags) == (3, len(descriptors) - 2, 1, 0)
    tag, length, kind, stream = struct.unpack_from(">BBBB", descriptors, 5)
    assert (tag, length, kind, stream >> 2, stream & 1) == (4, 13, 0x6D, 4, 1)
    assert descriptors[9:20] == bytes(11)
    assert descriptors[20:] == bytes([6, 1, 2])  # nothing but the predefined one for MP4 files


@pytest.mark.parametrize(
    ("ratio", "size"),
    [
        *[("1:1", (32, 32)), ("16:9", (32, 18)), ("9:16", (18, 32)), ("2:1", (32, 16)), ("19.5:9", (32, 15))],
        *[("auto", (32, 32)), (None, (32, 32)), ("", (32, 32)), ("1:1000", (1, 32)), ("1000:1", (32, 1))],
        *[("1:2:3", (32, 32)), ("a:b", (32, 32))],
    ],
)
def test_longer_side_of_image_has_32_pixels(ratio: str | None, size: tuple[int, int]) -> None:
    """The other one as many as the ratio says, one at least; and a square where there is no ratio."""
    assert size_of(ratio) == size


@given(st.text())
def test_colour_of_text_is_deterministic(text: str) -> None:
    """The same each time, and hardly ever that of another text."""
    assert colour_of(text) == colour_of(text)
    assert all(0 <= part <= 255 for part in colour_of(text))
    assert len({colour_of(str(number)) for number in range(100)}) == 100
