"""One HTTP/1.1 connection to the service, for the requests of one client connection.

The response is read while the request is still being written: a server that refuses an upload early, and closes, would
otherwise be lost (httpx lost such refusals). The rest of such a request is read from the client before the response
ends, so that it can be recorded, and forwarded while the service accepts it. Target and headers are forwarded
unchanged. There are no pool, cookies or redirects, no retry of a request that may have been received, and nothing of
the environment (~/.netrc, proxies) is used.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from urllib.parse import urlsplit

import httptools
import msgspec

READ_BYTES = 256 * 1024
HEAD_BYTES_MAX = 256 * 1024  # of the headers of a response, or of all trailers after it
WRITE_BYTES = 1024 * 1024  # in the send buffer before reading from the client pauses
CONNECT_SECONDS = 20
REST_SECONDS = 20  # for a client to send the rest of a request that was answered already
FINAL_STATUS_MIN = 200  # lower ones are interim responses: 100 Continue, 103 Early Hints

Headers = Sequence[tuple[bytes, bytes]]


class Unreachable(Exception):
    """No connection to the service: nothing was sent. The message is one clear line."""


class HungUp(Exception):
    """The connection ended before the response did."""


class Head(msgspec.Struct, frozen=True):
    """The beginning of a response."""

    status: int
    reason: bytes
    headers: list[tuple[bytes, bytes]]


class _Parser:
    """Collects the events of httptools for one response. Bytes after it belong to no request, and are ignored."""

    def __init__(self) -> None:
        self.reason, self.headers = b"", list[tuple[bytes, bytes]]()
        self.pieces: list[bytes] = []
        self.head_complete = self.complete = self.keep_alive = self.is_over = False
        self.status = 0
        self.parser = httptools.HttpResponseParser(self)

    def on_message_begin(self) -> None:
        if self.is_over:
            self.keep_alive = False
            return
        self.reason, self.headers = b"", []
        self.head_complete = self.complete = False  # after a response such as 100 Continue

    def on_status(self, status: bytes) -> None:
        if not self.is_over:
            self.reason += status

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.head_complete and not self.is_over:  # otherwise it is a trailer
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if not self.is_over:
            self.head_complete, self.status = True, self.parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        if not self.is_over:
            self.pieces.append(body)

    def on_message_complete(self) -> None:
        if self.is_over:
            return
        self.complete = True
        self.is_over = self.status >= FINAL_STATUS_MIN
        self.keep_alive = self.parser.should_keep_alive()  # only known now


class Upstream:
    """A connection to one host, opened when it is needed and kept while both sides keep it."""

    def __init__(self, url: str, tls: ssl.SSLContext | None) -> None:
        """`tls` is used where the URL begins with https."""
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port or (443 if secure else 80)
        self._authority, self._tls = parts.netloc.encode(), tls if secure else None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    def abort(self) -> None:
        """Close at once, also during a request."""
        writer, self._reader, self._writer = self._writer, None, None
        if writer is not None:
            writer.transport.abort()

    async def ask(
        self, method: bytes, target: bytes, headers: Headers, body: AsyncIterator[bytes] | None
    ) -> AsyncIterator[Head | bytes]:
        """Send a request; yield the head of the response and the pieces of its body.

        `headers` have no Host. Raises Unreachable, HungUp, and what `body` raises.
        """
        is_kept = self._is_open()
        began = False
        try:
            async for part in self._ask(method, target, headers, body):
                began = True
                yield part
        except HungUp:
            # A kept connection may have been closed meanwhile; a request without a body can be sent again.
            if not is_kept or began or body is not None or method not in (b"GET", b"HEAD"):
                raise
            async for part in self._ask(method, target, headers, None):
                yield part

    def _is_open(self) -> bool:
        return (
            self._writer is not None
            and self._reader is not None
            and not (self._writer.is_closing() or self._reader.at_eof())
        )

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._reader is None or self._writer is None or not self._is_open():
            self.abort()
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    self._reader, self._writer = await asyncio.open_connection(
                        self._host, self._port, ssl=self._tls, limit=READ_BYTES
                    )
            except TimeoutError:
                raise Unreachable(f"no answer within {CONNECT_SECONDS} s") from None
            except ssl.SSLCertVerificationError as error:
                raise Unreachable(f"its certificate is not trusted ({error.verify_message}); see --ca") from None
            except OSError as error:
                raise Unreachable(error.strerror or str(error)) from None
            self._writer.transport.set_write_buffer_limits(high=WRITE_BYTES)
        return self._reader, self._writer

    async def _ask(
        self, method: bytes, target: bytes, headers: Headers, body: AsyncIterator[bytes] | None
    ) -> AsyncIterator[Head | bytes]:
        reader, writer = await self._open()
        chunked = body is not None and not any(name.lower() == b"content-length" for name, _ in headers)
        lines = [b"%b %b HTTP/1.1" % (method, target), b"Host: " + self._authority]
        lines += [b"%b: %b" % pair for pair in headers]
        lines += [b"Transfer-Encoding: chunked"] if chunked else []
        writer.write(b"\r\n".join(lines) + b"\r\n\r\n")
        sending = None if body is None else asyncio.create_task(_send(writer, body, chunked))
        is_done = False
        try:
            async for part in self._answer(reader, method, sending):
                yield part
            if sending is not None:  # answered before it was read: the rest still belongs to the request
                await asyncio.wait([sending], timeout=REST_SECONDS)
            is_done = True
        finally:
            unsent = sending is not None and not sending.done()
            if sending is not None:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
            if not is_done or unsent:  # nothing reads the rest of the request
                self.abort()

    async def _answer(
        self, reader: asyncio.StreamReader, method: bytes, sending: asyncio.Task[None] | None
    ) -> AsyncIterator[Head | bytes]:
        collected, shown, head_bytes = _Parser(), False, 0
        parser = collected.parser
        while not collected.complete:
            data = await _read(reader, sending)
            head_bytes += 0 if shown else len(data)
            if head_bytes > HEAD_BYTES_MAX + READ_BYTES:
                raise HungUp(f"after more than {HEAD_BYTES_MAX} bytes of headers")
            if not data:
                if shown and _ends_with_connection(collected.headers):
                    self.abort()
                    break
                raise HungUp("in the middle of the response" if shown else "before a response")
            try:
                parser.feed_data(data)
            except httptools.HttpParserUpgrade:
                pass
            except httptools.HttpParserError as error:
                if not collected.is_over:
                    raise HungUp(f"after what is no HTTP response: {error}") from None
                collected.keep_alive = False
            if collected.head_complete and not shown:
                if collected.status < FINAL_STATUS_MIN:
                    collected.head_complete = collected.complete = False
                    continue
                shown = True
                yield Head(collected.status, collected.reason, collected.headers)
                if method == b"HEAD":  # the parser would wait for a body
                    self.abort()
                    return
            pieces, collected.pieces = collected.pieces, []
            for piece in pieces:
                yield piece
        if not collected.keep_alive:
            self.abort()


async def _read(reader: asyncio.StreamReader, sending: asyncio.Task[None] | None) -> bytes:
    """Read bytes of the response; empty at the end. An error of the client while it sends ends the wait."""
    reading = asyncio.ensure_future(reader.read(READ_BYTES))
    try:
        if sending is not None and not sending.done():
            await asyncio.wait([reading, sending], return_when=asyncio.FIRST_COMPLETED)
        if sending is not None and sending.done() and not reading.done():
            error = sending.exception()
            if error is not None:
                raise error
        return await reading
    except OSError:
        return b""
    finally:
        if not reading.done():
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


def _ends_with_connection(headers: Headers) -> bool:
    """Return whether only the end of the connection ends the body."""
    return not any(name.lower() in (b"content-length", b"transfer-encoding") for name, _ in headers)


async def _send(writer: asyncio.StreamWriter, body: AsyncIterator[bytes], chunked: bool) -> None:
    """Forward a body. If the service stops reading, the client's body is still read to its end."""
    async for piece in body:
        await _write(writer, b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
    if chunked:
        await _write(writer, b"0\r\n\r\n")


async def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    if writer.is_closing():
        return
    writer.write(data)
    with suppress(OSError):
        await writer.drain()
