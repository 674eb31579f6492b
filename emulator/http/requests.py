"""Reading requests: Starlette's `Request` with a bounded body, and query strings as pairs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from typing import Annotated, Any
from urllib.parse import unquote_plus

import msgspec
from starlette.requests import Request as StarletteRequest

from emulator.core.errors import ApiError, CallerGone, Kind
from emulator.port import CONNECTION, ClientConnection

_HEADERS = "xai_emulator.headers"  # key in the scope of a request: its headers by name
Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]


class Request(StarletteRequest):
    """An HTTP request. Its header names are in lower case; its path parameters are decoded."""

    received: bytes = b""  # the body, after `read_body`
    received_bytes: int = 0

    def header(self, name: bytes) -> str | None:
        """The first value of a header."""
        return header(self.scope, name)

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Yield the body as it arrives. Raises CallerGone when the client disconnects before its end."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise CallerGone
            more = message.get("more_body", False)
            if message.get("body"):
                self.received_bytes += len(message["body"])
                yield message["body"]

    async def read_body(self, most: int | None, rule: str | None = None) -> bytes:
        """Return the whole body. Raises ApiError as soon as it has more than `most` bytes."""
        pieces, size = [], 0
        async for piece in self.stream():
            pieces.append(piece)
            size += len(piece)
            if most is not None and size > most:
                raise ApiError(Kind.PAYLOAD_TOO_LARGE, f"The body has more than {most} bytes.", rule=rule)
        self.received = b"".join(pieces)
        return self.received


def headers_of(scope: Any) -> dict[bytes, bytes]:
    """Return the headers of a request by lower-case name, the first one of repeated headers. Cached in the scope."""
    headers: dict[bytes, bytes] | None = scope.get(_HEADERS)
    if headers is None:
        headers = scope[_HEADERS] = dict(reversed(scope["headers"]))
    return headers


def header(scope: Any, name: bytes) -> str | None:
    """Return the first value of a header; `name` is in lower case."""
    value = headers_of(scope).get(name)
    return None if value is None else str(value, "latin-1")


def connection_of(scope: Any) -> ClientConnection | None:
    """Return the connection of a request; None if it did not come through the emulator's own port."""
    extensions = scope.get("extensions")
    connection: ClientConnection | None = extensions.get(CONNECTION) if extensions else None
    return connection


def query_pairs(query: str) -> Iterator[tuple[str, str]]:
    """Return the names and values of a query string, in order. Raises UnicodeDecodeError if one is not UTF-8."""
    for pair in query.split("&") if query else ():
        name, _, value = pair.partition("=")
        yield unquote_plus(name, errors="strict"), unquote_plus(value, errors="strict")
