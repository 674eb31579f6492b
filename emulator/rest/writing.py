"""How a route answers: a JSON struct, or bytes with ranges. Each way also tells its schema."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from emulator.errors import ApiError, Kind
from emulator.operations.base import Content
from emulator.rest.bodies import Reply
from emulator.rest.reading import Exchange

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class Writing(Protocol):
    """A way to answer."""

    def __call__(self, exchange: Exchange, result: Any) -> Reply: ...


class AsJson(msgspec.Struct, frozen=True):
    """A struct, rendered from the operation's result."""

    shape: type
    make: Callable[[Any], Any]

    def __call__(self, exchange: Exchange, result: Any) -> Reply:
        return Reply(200, msgspec.json.encode(self.make(result)))


class AsBytes(msgspec.Struct, frozen=True):
    """Content, whole or, over GET, one byte range of it (RFC 9110 §14). Where its type is always the same, that one."""

    media_type: str = "*/*"

    def __call__(self, exchange: Exchange, result: Content) -> Reply:
        headers = [(b"accept-ranges", b"bytes")]
        wanted = byte_range(exchange.header(b"range"), result.size) if exchange.scope["method"] == "GET" else None
        start, stop = wanted or (0, result.size)
        if wanted is not None:
            headers.append((b"content-range", f"bytes {start}-{stop - 1}/{result.size}".encode()))
        headers.append((b"content-length", str(stop - start).encode()))
        return Reply(
            206 if wanted else 200,
            content_type=result.content_type.encode("latin-1", "replace"),
            headers=headers,
            content=result,
            start=start,
            stop=stop,
        )


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The [start, stop) a Range header asks for; None for no range, several, or one that cannot be read."""
    found = _RANGE.fullmatch(header.replace(" ", "")) if header else None
    if found is None or (not found[1] and not found[2]):
        return None
    if not found[1]:  # the last n bytes
        start, stop = max(0, size - int(found[2])), size
    else:
        start, stop = int(found[1]), min(size, int(found[2]) + 1) if found[2] else size
        if found[2] and int(found[2]) < int(found[1]):
            return None  # not a valid range: ignored
    if start >= size:
        raise ApiError(Kind.RANGE_NOT_SATISFIABLE, f"The content has {size} bytes.", rule="range")
    return start, stop
