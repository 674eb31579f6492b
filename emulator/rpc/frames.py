"""The messages in a recorded body of gRPC: each with a flag and its length before it, as other programs record bodies.

Source: PROTOCOL-HTTP2.md of gRPC ("Length-Prefixed-Message").
"""

from __future__ import annotations

import zlib

BYTES_MAX = 64 * 1024 * 1024  # of all messages of one body, decompressed
_HEAD = 5
_WINDOWS = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
# By number, as in `grpc-status`.
_CODES = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED"),
    *("INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
)


def split_frames(data: bytes, encoding: str = "") -> list[bytes]:
    """Return the messages of a body; `encoding` is its `grpc-encoding`. Raises ValueError for any other body."""
    found, at, left = [], 0, BYTES_MAX
    while at < len(data):
        length = int.from_bytes(data[at + 1 : at + _HEAD], "big")
        end = at + _HEAD + length
        if data[at] > 1 or end > len(data):
            raise ValueError("this is no body of gRPC")
        message = data[at + _HEAD : end]
        if data[at]:
            message = _decompressed(message, encoding, left)
        left -= len(message)
        found.append(message)
        at = end
    return found


def code_name(number: str) -> str | None:
    """Return the name of a `grpc-status`; None for an unknown one."""
    return _CODES[int(number)] if number.isascii() and number.isdigit() and int(number[:3]) < len(_CODES) else None


def _decompressed(message: bytes, encoding: str, most: int) -> bytes:
    if encoding not in _WINDOWS:
        raise ValueError(f"messages compressed with {encoding or 'an unknown coding'} are not read")
    decoder = zlib.decompressobj(_WINDOWS[encoding])
    try:
        plain = decoder.decompress(message, max(1, most))
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if not decoder.eof:
        raise ValueError("a compressed message is cut off, or too long")
    return plain
