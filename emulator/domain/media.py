"""Generated images and videos: tiny, valid, and always the same for the same colour."""

from __future__ import annotations

import hashlib
import struct
import zlib

Colour = tuple[int, int, int]

_LONGER_SIDE = 32  # pixels


def colour_of(text: str) -> Colour:
    """Return a colour derived from a text."""
    red, green, blue = hashlib.blake2b(text.encode(), digest_size=3).digest()
    return red, green, blue


def size_of(aspect_ratio: str | None) -> tuple[int, int]:
    """Return width and height for an aspect ratio such as `16:9`; a square for an unknown one."""
    try:
        width, height = (float(side) for side in (aspect_ratio or "1:1").split(":"))
    except ValueError:  # "auto"
        return _LONGER_SIDE, _LONGER_SIDE
    longer = max(width, height)
    return max(1, round(_LONGER_SIDE * width / longer)), max(1, round(_LONGER_SIDE * height / longer))


def png(width: int, height: int, colour: Colour) -> bytes:
    """Return a PNG of one colour, with a palette of one entry (W3C PNG specification)."""
    row = b"\0" + bytes((width + 7) // 8)
    header = struct.pack(">IIBBBBB", width, height, 1, 3, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _png_chunk(type, data)
        for type, data in (
            (b"IHDR", header),
            (b"PLTE", bytes(colour)),
            (b"IDAT", zlib.compress(row * height)),
            (b"IEND", b""),
        )
    )


def _png_chunk(type: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + type + data + struct.pack(">I", zlib.crc32(type + data))


def mp4(width: int, height: int, colour: Colour, seconds: int) -> bytes:
    """Return an MP4 (ISO/IEC 14496-12) that shows one image for some seconds: a single sample, which is a PNG."""
    image = png(width, height, colour)
    brand = _box(b"ftyp", b"isom", _u32(0x200), b"isomiso2mp41")
    moov = _movie(width, height, seconds, len(image), offset=0)
    moov = _movie(width, height, seconds, len(image), offset=len(brand) + len(moov) + 8)
    return brand + moov + _box(b"mdat", image)


_TIMESCALE = 1000  # units per second
_UNITY = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)  # the identity matrix


def _movie(width: int, height: int, seconds: int, sample: int, *, offset: int) -> bytes:
    length = seconds * _TIMESCALE
    rate, volume, next_track = _u32(0x10000), b"\x01\0", _u32(2)
    times = _u32(0, 0, _TIMESCALE, length)
    movie_header = _full(b"mvhd", 0, times, rate, volume, bytes(10), _UNITY, bytes(24), next_track)
    extent = _u32(width << 16, height << 16)
    track_header = _full(b"tkhd", 3, _u32(0, 0, 1, 0, length), bytes(16), _UNITY, extent)
    media_header = _full(b"mdhd", 0, times, b"\x55\xc4\0\0")  # language: und
    handler = _full(b"hdlr", 0, _u32(0), b"vide", bytes(12), b"picture\0")
    reference = _full(b"dref", 0, _u32(1), _full(b"url ", 1))
    tables = _box(
        b"stbl",
        _full(b"stsd", 0, _u32(1), _sample_entry(width, height)),
        _full(b"stts", 0, _u32(1, 1, length)),
        _full(b"stsc", 0, _u32(1, 1, 1, 1)),
        _full(b"stsz", 0, _u32(sample, 1)),
        _full(b"stco", 0, _u32(1, offset)),
    )
    information = _box(b"minf", _full(b"vmhd", 1, bytes(8)), _box(b"dinf", reference), tables)
    media = _box(b"mdia", media_header, handler, information)
    return _box(b"moov", movie_header, _box(b"trak", track_header, media))


def _sample_entry(width: int, height: int) -> bytes:
    """Return `mp4v` with object type 0x6D, which the MP4 registration authority assigned to PNG."""
    decoder = bytes([0x04, 13, 0x6D, 0x11]) + bytes(11)
    stream = bytes([0x03, 3 + len(decoder) + 3]) + b"\0\x01\0" + decoder + bytes([0x06, 1, 2])
    return _box(
        b"mp4v",
        *(bytes(6), b"\0\x01", bytes(16), struct.pack(">HH", width, height), _u32(0x480000, 0x480000, 0)),
        *(b"\0\x01", bytes(32), struct.pack(">Hh", 24, -1), _full(b"esds", 0, stream)),
    )


def _box(type: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return _u32(8 + len(body)) + type + body


def _full(type: bytes, flags: int, *parts: bytes) -> bytes:
    """Return a box with a version (always 0) and flags."""
    return _box(type, _u32(flags), *parts)


def _u32(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers)}I", *numbers)
