"""Starlette responses that render JSON with msgspec and begin with the headers that middlewares added.

A middleware of this kit does not wrap `send` to add headers: it adds them to `response_headers(scope)`, and the
response begins with them. So the journal can show all headers of a response before it is sent, and a small response can
take the short path: on a connection of the emulator's own port (`emulator.port.ClientConnection`) a `Response` is
handed over whole, `respond` writes head and body at once, and no `send` is called. That saves two messages through
every `send` of the stack, and a system call. Under another ASGI server, or in a test, a response is sent as two
ordinary messages.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing
from typing import Any

import msgspec
from starlette import responses
from starlette.types import Message, Receive, Scope, Send

from emulator.core.errors import ApiError, CallerGone, Kind
from emulator.core.lazy_pattern import lazy_pattern
from emulator.core.time_slices import TimeSlices
from emulator.http.disconnect import CancelOnDisconnect
from emulator.http.requests import connection_of
from emulator.operations.base import Content

Headers = list[tuple[bytes, bytes]]

JSON = b"application/json"
HTML = b"text/html; charset=utf-8"
TEXT = b"text/plain; charset=utf-8"

REQUEST_ID = b"x-request-id"
NO_CONNECTION = "a planned fault ends the connection, and a call within the process has none"

_RANGE = lazy_pattern(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_HEADERS = "xai_emulator.response_headers"


def response_headers(scope: Scope) -> Headers:
    """Return the list of headers with which the response to a request will begin; middlewares append to it."""
    headers: Headers = scope.setdefault(_HEADERS, [])
    return headers


def set_request_id(scope: Scope, id: str) -> None:
    """Set the request id of a response to the id of the object in it, in place of a new one."""
    headers = response_headers(scope)
    headers[:] = [(name, value) for name, value in headers if name != REQUEST_ID]
    headers.append((REQUEST_ID, id.encode("latin-1", "replace")))


class Response(responses.Response):
    """A response whose body is in memory. `content_type` None sends no Content-Type."""

    body: bytes

    def __init__(
        self,
        body: bytes = b"",
        status_code: int = 200,
        content_type: bytes | None = JSON,
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        # Starlette's __init__ would encode and decode every header; these are bytes already.
        self.body, self.status_code, self.background = body, status_code, None
        length = (b"content-length", b"%d" % len(body))
        self.raw_headers = (
            [*headers, length] if content_type is None else [*headers, (b"content-type", content_type), length]
        )

    def begin_with(self, headers: Headers) -> Headers:
        """Insert these headers before the response's own, removing them from the given list; return all headers."""
        self.raw_headers[:0] = headers
        headers.clear()
        return self.raw_headers

    def replace_body(self, body: bytes) -> None:
        """Send another body of the same type."""
        self.body = body
        self.headers["content-length"] = str(len(body))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = self.begin_with(response_headers(scope))
        body = b"" if scope["method"] == "HEAD" else self.body
        connection = connection_of(scope)
        if connection is not None and connection.respond(self.status_code, headers, body):
            return
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class JsonResponse(Response):
    """A response that msgspec renders."""

    def __init__(self, content: Any, status_code: int = 200, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        super().__init__(msgspec.json.encode(content), status_code, JSON, headers)


class TextResponse(Response):
    """A text response."""

    def __init__(self, body: bytes, content_type: bytes = TEXT) -> None:
        super().__init__(body, 200, content_type)


class StreamingResponse(responses.StreamingResponse):
    """A response that is sent piece by piece, from an iterator that is closed also when the client disconnects."""

    body_iterator: AsyncGenerator[bytes, None]

    def __init__(self, pieces: AsyncGenerator[bytes, None], headers: Iterable[tuple[bytes, bytes]]) -> None:
        super().__init__(pieces)
        self.raw_headers = [*headers]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.raw_headers[:0] = response_headers(scope)
        async with aclosing(self.body_iterator):
            if scope["method"] == "HEAD":
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                await send({"type": "http.response.body", "body": b""})
            else:
                await super().__call__(scope, receive, send)


class EventStream(StreamingResponse):
    """Server-sent events, until the client disconnects."""

    def __init__(self, events: AsyncGenerator[bytes, None]) -> None:
        super().__init__(events, [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")])


class ReadResponse(Response):
    """A response that is read while it is sent. A planned fault may cut it: then the connection ends early."""

    on_left: Callable[[], object] | None = None  # called if the client disconnects before the end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = self.begin_with(response_headers(scope))
        start = {"type": "http.response.start", "status": self.status_code, "headers": headers}
        try:
            if scope["method"] == "HEAD":
                await send(start)
            else:
                with CancelOnDisconnect(scope):
                    await self._stream(start, send)
        except CallerGone:
            self._left()
        except asyncio.CancelledError:
            self._left()
            raise
        except ApiError:
            _cut(scope)
        else:
            await send({"type": "http.response.body", "body": b""})

    def _left(self) -> None:
        if self.on_left is not None:
            self.on_left()

    @abstractmethod
    async def _stream(self, start: Message, send: Send) -> None:
        """Send the head and the pieces of the body."""


class SseResponse(ReadResponse):
    """Server-sent events of an operation.

    No event is read before the response starts, and the events are closed when the client disconnects.
    """

    def __init__(self, events: Callable[[], AsyncIterator[bytes]]) -> None:
        super().__init__(content_type=None)
        self._events = events
        self.raw_headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]

    async def _stream(self, start: Message, send: Send) -> None:
        await send(start)
        async with aclosing(self._events()) as events:  # type: ignore[type-var]
            slices = TimeSlices()
            async for event in events:
                await slices.pause()  # not after the last one, which a client may take for the end
                await send({"type": "http.response.body", "body": event, "more_body": True})


class FileDownload(StreamingResponse):
    """A file download with a file name.

    `finished` is called once: before the last piece is sent, so that it has run when a client has read everything, or
    when the download fails.
    """

    def __init__(
        self, pieces: AsyncGenerator[bytes, None], name: str, size: int, finished: Callable[[], object]
    ) -> None:
        headers = [
            (b"content-type", b"application/octet-stream"),
            (b"content-length", str(size).encode()),
            (b"content-disposition", f'attachment; filename="{name}"'.encode()),
        ]
        super().__init__(self._until_finished(pieces), headers)
        self._finished: Callable[[], object] | None = finished

    @classmethod
    def of(cls, content: bytes, name: str) -> FileDownload:
        """Return a download of bytes in memory."""

        async def whole() -> AsyncGenerator[bytes, None]:
            yield content

        return cls(whole(), name, len(content), lambda: None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._finish()

    async def _until_finished(self, pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        last = b""
        async with aclosing(pieces):
            async for piece in pieces:
                if last:
                    yield last
                last = piece
        self._finish()
        yield last

    def _finish(self) -> None:
        finished, self._finished = self._finished, None
        if finished is not None:
            finished()


class FileResponse(responses.FileResponse):
    """A file on disk, whole or as ranges."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.raw_headers[:0] = response_headers(scope)
        await super().__call__(scope, receive, send)


def _cut(scope: Scope) -> None:
    """Close the connection of a response that has begun: it is too late for a refusal."""
    connection = connection_of(scope)
    if connection is None:
        raise ConnectionResetError(NO_CONNECTION) from None
    connection.close()


class ContentResponse(ReadResponse):
    """Content of the store, whole or, over GET, one byte range of it (RFC 9110 §14)."""

    def __init__(self, content: Content, wanted: tuple[int, int] | None) -> None:
        super().__init__(status_code=200 if wanted is None else 206, content_type=None)
        self._content = content
        self._start, self._stop = wanted or (0, content.size)
        self.raw_headers = [(b"accept-ranges", b"bytes")]
        if wanted is not None:
            shown = f"bytes {self._start}-{self._stop - 1}/{content.size}"
            self.raw_headers.append((b"content-range", shown.encode()))
        self.raw_headers.append((b"content-length", str(self._stop - self._start).encode()))
        self.raw_headers.append((b"content-type", content.content_type.encode("latin-1", "replace")))

    @property
    def content_bytes(self) -> int:
        """Return how many bytes of the content are sent."""
        return self._stop - self._start

    async def _stream(self, start: Message, send: Send) -> None:
        async with aclosing(self._content.read(self._start, self._stop)) as pieces:  # type: ignore[type-var]
            try:
                # Open the content before the first await: once open, it stays readable when another call deletes it.
                piece = await anext(pieces, None)
            except ApiError:  # a planned fault that cuts a response that has begun
                await send(start)
                raise
            await send(start)
            left = self.content_bytes
            while piece is not None:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                left -= len(piece)
                if not left:
                    self.on_left = None  # a client may leave as soon as it has every byte
                await asyncio.sleep(0)  # a fast reader must not block the loop
                piece = await anext(pieces, None)


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the [start, stop) of a Range header; None without a header, for several ranges, or for an invalid one."""
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
