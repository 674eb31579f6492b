"""HTTP/1.1 on an accepted connection: uvicorn's protocol with a limit of the request head and a controlled stop."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn, Protocol

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from emulator.port.body import READ_BYTES, Body, Message, Receive
from emulator.port.connection import Register, end_output, reset

Send = Callable[[Message], Awaitable[None]]
ASGI = Callable[[Message, Receive, Send], Awaitable[None]]

CONNECTION = "xai_emulator.connection"  # the name of the request's ClientConnection in the extensions of an ASGI scope
BODY = "xai_emulator.body"  # likewise of its Body, which is removed before the app is called

# Enough for a filter of 8192 characters, the longest documented query, with four percent-encoded bytes each.
HEAD_BYTES_MAX = 128 * 1024
KEEP_ALIVE_SECONDS = 75
REFUSAL_SECONDS = 1.0  # how long a refused client may continue to send before its connection is closed
_CHECKED_HEADERS = frozenset({b"host", b"transfer-encoding", b"expect"})
_VERSIONS = frozenset({"1.1", "1.0"})
NOT_HTTP, HEAD_TOO_LARGE, NO_TUNNEL, TWO_HOSTS, OTHER_CODING, OTHER_VERSION = (
    f"HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {len(text)}\r\n"
    f"connection: close\r\n\r\n{text}".encode()
    for status, text in (
        ("400 Bad Request", "This is not an HTTP request."),
        ("431 Request Header Fields Too Large", f"The request's head is longer than {HEAD_BYTES_MAX} bytes."),
        ("501 Not Implemented", "CONNECT is not supported: this server is no proxy."),
        ("400 Bad Request", "The request has more than one Host header."),
        ("501 Not Implemented", "The only transfer coding supported is chunked, once."),
        ("400 Bad Request", "This server speaks HTTP/1.1 and HTTP/1.0."),
    )
)


class ClientConnection(Protocol):
    """The connection of an ASGI request, in `scope["extensions"][CONNECTION]`."""

    loop: asyncio.AbstractEventLoop  # of the request

    def respond(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bool:
        """Send a whole response at once. Return False, and send nothing, if earlier data has not been sent yet."""

    def on_lost(self, callback: Callable[[], None] | None) -> None:
        """Call `callback` when the connection is lost from now on; None removes the callback."""

    def abort(self) -> None:
        """Reset the connection, so that the client sees it drop."""

    def close(self) -> None:
        """Close the connection once all data is sent: the client receives a truncated response."""


class HttpServer:
    """The shared state of all HTTP connections of a port: the app, uvicorn's settings, and the running requests."""

    def __init__(self, register: Register, app: ASGI, log: Callable[[str], None]) -> None:
        self.register = register
        self._app = app
        # uvicorn must not use the process' environment, its loggers or its proxies.
        self.config = Config(
            self._run_app,
            http=HttpConnection,
            interface="asgi3",
            ws="none",
            lifespan="off",
            log_config=None,
            proxy_headers=False,
            workers=1,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        self.state = ServerState()
        self.read_buffer = bytearray(READ_BYTES)
        self.logger = logging.Logger("emulator.port", logging.ERROR)
        self.logger.addHandler(_Failures(log))

    @property
    def running(self) -> set[asyncio.Task[None]]:
        """Return the running requests."""
        return self.state.tasks

    def _run_app(self, scope: Message, receive: Receive, send: Send) -> Awaitable[None]:
        """Run the app, and record for the stop whether its response is an event stream."""
        connection = scope["extensions"][CONNECTION]
        body: Body = scope["extensions"].pop(BODY)

        async def noting_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                connection.streams_events = any(
                    name.lower() == b"content-type" and value.startswith(b"text/event-stream")
                    for name, value in message.get("headers", ())
                )
            await send(message)

        return self._app(scope, body.receiver(receive), noting_send)


class HttpConnection(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 connection with a limit of the request head, delivered refusals, and a controlled stop."""

    def __init__(self, server: HttpServer) -> None:
        super().__init__(server.config, server.state, {})
        self.logger, self.access_log = server.logger, False
        self.streams_events = False
        self._register = server.register
        self._in_head = False
        self._upgrading = False  # the current head requests another protocol, and is parsed again without that
        self._head_bytes = 0  # of the request head being read, as reported by the parser
        self._progressed = False  # whether the parser has reported something about its current input
        self._unreported_bytes = 0  # parsed since the last report
        self._refused = False
        self._refusal = NOT_HTTP  # the response if the parser fails
        self._on_lost: Callable[[], None] | None = None  # of the running request: pipelined ones run one by one
        self._requests: deque[RequestResponseCycle] = deque()  # oldest first; more than one when they are pipelined

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._register.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        # uvicorn notifies the latest request only, and does not stop the timer of a connection that was reset.
        for request in self._unanswered():
            _disconnect(request)
        self._unset_keepalive_if_required()
        self._register.closed(self)
        if self._on_lost is not None:
            self._on_lost()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self.timeout_keep_alive_task is not None:
            self._unset_keepalive_if_required()
        self._progressed = False
        try:
            try:
                self.parser.feed_data(data)
            except HttpParserUpgrade as upgrade:
                self._decline_upgrade(data[upgrade.args[0] :])
        except HttpParserError:
            self._refuse(self._refusal)
            return
        # The parser buffers an unfinished header, whose size must be limited. After a report the unfinished rest is
        # shorter than one read, and the bytes before it may belong to another request.
        self._unreported_bytes = 0 if self._progressed else self._unreported_bytes + len(data)
        if self._unreported_bytes > HEAD_BYTES_MAX:
            self._refuse(HEAD_TOO_LARGE)

    def _decline_upgrade(self, data: bytes) -> None:
        """Ignore the offer to change the protocol in the head just read, and every one in the data after it.

        Ignoring it is allowed (RFC 9110 section 7.8). After a head with `Upgrade` the parser treats the body, or the
        following data, as that of the other protocol. That head is therefore parsed again without the offer, which
        makes it an ordinary request with an ordinary body.
        """
        while True:
            head = self._head_without_upgrade()
            self.parser = HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does for its own
            self.parser.feed_data(head)
            try:
                self.parser.feed_data(data)
                return
            except HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]

    def _head_without_upgrade(self) -> bytes:
        parser = self.parser
        lines = [b"%b %b HTTP/%b" % (parser.get_method(), self.url, parser.get_http_version().encode())]
        lines += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._body = Body()
        self.scope["extensions"] = {CONNECTION: self, BODY: self._body}  # type: ignore[dict-item]
        self._in_head, self._upgrading, self._head_bytes, self._progressed = True, False, 0, True

    # The parser calls these often, so they call few Python functions, which took a tenth of a small GET.

    def on_url(self, url: bytes) -> None:
        self._progressed = True
        self._head_bytes += len(url)
        if self._head_bytes > HEAD_BYTES_MAX:
            self._give_up(HEAD_TOO_LARGE)
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._progressed = True
        self._head_bytes += len(name) + len(value)  # trailers, which follow the body, count with the head
        if self._head_bytes > HEAD_BYTES_MAX:
            self._give_up(HEAD_TOO_LARGE)
        if not self._in_head:
            return  # a trailer must never replace a header that was checked, such as a key (RFC 9110 § 6.5.1)
        name = name.lower()
        if name in _CHECKED_HEADERS:
            self._check_header(name, value)
        self.headers.append((name, value))

    def _check_header(self, name: bytes, value: bytes) -> None:
        if name == b"expect":
            self.expect_100_continue = self.expect_100_continue or value.strip().lower() == b"100-continue"
            return
        if name == b"transfer-encoding" and value.strip().lower() != b"chunked":
            self._give_up(OTHER_CODING)
        for other, _ in self.headers:
            if other == name:
                self._give_up(TWO_HOSTS if name == b"host" else OTHER_CODING)

    def _give_up(self, answer: bytes) -> NoReturn:
        self._refusal = answer
        raise ValueError("The request is refused.")  # becomes an error of the parser

    def on_headers_complete(self) -> None:
        if self.parser.get_method() == b"CONNECT":
            self._give_up(NO_TUNNEL)
        if self.parser.get_http_version() not in _VERSIONS:
            self._give_up(OTHER_VERSION)
        self._upgrading = self.parser.should_upgrade()
        if self._upgrading:
            return
        super().on_headers_complete()
        self._in_head = False
        self._unanswered().append(self.cycle)

    def on_chunk_header(self) -> None:
        self._progressed = True

    def on_message_complete(self) -> None:
        self._progressed = True
        if self._upgrading:
            return
        super().on_message_complete()
        self._body.end()
        # A trailer may set it too, and the parser then ignores the following data.
        if not self.parser.should_keep_alive():
            self.cycle.keep_alive = False
            if self.cycle.response_complete:
                self.transport.close()

    def on_body(self, body: bytes) -> None:
        self._progressed = True
        if self.cycle.response_complete:
            return
        self._body.add(body)
        if self._body.full:
            self.flow.pause_reading()
        self.cycle.message_event.set()

    def _unanswered(self) -> deque[RequestResponseCycle]:
        while self._requests and self._requests[0].response_complete:
            self._requests.popleft()
        return self._requests

    def _refuse(self, answer: bytes) -> None:
        """Refuse input that is no HTTP request, and let the client read the response before the connection closes."""
        self._refused = True
        unanswered = self._unanswered()
        is_broken = bool(unanswered) and not self._in_head and unanswered[-1].more_body
        whole = list(unanswered)[:-1] if is_broken else list(unanswered)
        if whole and not (whole[0].response_started and self.streams_events):
            whole[-1].keep_alive = False  # their responses are sent first, and then the connection closes
            return
        if whole or (is_broken and unanswered[0].response_started):
            self.transport.close()  # the refusal cannot be written into another response
            return
        for request in unanswered:
            _disconnect(request)
        self.transport.write(answer)
        # Closing with unread bytes would reset the connection, and the client might never receive the response.
        end_output(self.transport)
        self.timeout_keep_alive_task = self.loop.call_later(REFUSAL_SECONDS, self.timeout_keep_alive_handler)

    def respond(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bool:
        # One write, and one pass over the headers; uvicorn's `send` takes two writes and checks each header twice.
        unanswered = self._requests
        if not unanswered or unanswered[0].response_complete:
            unanswered = self._unanswered()
        if self.flow.write_paused or not unanswered:
            return False
        request = unanswered[0]
        if request.disconnected:
            return True
        if request.response_started:
            raise RuntimeError("The response has begun already.")
        head = b"\r\n".join([b": ".join(header) for header in headers])
        if head.count(b"\n") != len(headers) - 1 or head.count(b"\r") != len(headers) - 1:
            raise RuntimeError("A header has more than one line.")
        request.response_started = request.response_complete = True
        unanswered.popleft()
        request.waiting_for_100_continue = False
        request.message_event.set()
        end = b"\r\n\r\n" if request.keep_alive else b"\r\nconnection: close\r\n\r\n"
        self.transport.write(b"".join((STATUS_LINE[status], head, end, body)))
        if not request.keep_alive:
            self.transport.close()
        request.on_response()
        return True

    def on_lost(self, callback: Callable[[], None] | None) -> None:
        self._on_lost = callback

    def hang_up(self) -> None:
        unanswered = self._unanswered()
        if self._refused and (not unanswered or unanswered[0].disconnected):
            self.transport.close()
        elif unanswered and unanswered[0].response_started and self.streams_events:
            _disconnect(unanswered[0])
            if unanswered[0].chunked_encoding:
                self.transport.write(b"0\r\n\r\n")
            self.transport.close()
        else:
            self.shutdown()

    def abort(self) -> None:
        for request in self._unanswered():
            _disconnect(request)
        reset(self.transport)

    def close(self) -> None:
        for request in self._unanswered():
            _disconnect(request)
        self.transport.close()


class _Failures(logging.Handler):
    """Pass the errors that uvicorn reports to the port's log, except for requests that the stop cancelled."""

    def __init__(self, log: Callable[[str], None]) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        if not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError)):
            self._log(self.format(record))


def _disconnect(cycle: RequestResponseCycle) -> None:
    """Notify the app that the client of this request has disconnected."""
    cycle.disconnected = True
    cycle.message_event.set()
