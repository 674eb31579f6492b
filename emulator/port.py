"""Listen on one port for HTTP/1.1 and gRPC: the first bytes of a connection decide which of the two it speaks.

HTTP/1.1 is served in place by uvicorn's protocol class. HTTP/2, which only gRPC speaks here, is piped to a gRPC server
on a private unix socket, loaded when the first such connection arrives. `uvicorn.Server` is not used: its stop costs
200 ms, and from Python 3.12 on `asyncio.Server.wait_closed()` waits for every open transport, piped ones included.
Everything here belongs to one event loop, but for the two calls into the gRPC server, which have threads of their own.
"""

import asyncio
import errno
import logging
import os
import shutil
import socket
import struct
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, Protocol, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGI = Callable[[Message, Receive, Send], Awaitable[None]]

H2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # RFC 9113 §3.4
TLS_HANDSHAKE = 0x16  # the first byte of a ClientHello, RFC 8446 §5.1
TRANSPORT = "xai_emulator.transport"  # the name, in an ASGI scope's extensions, of the request's Transport

# Long enough for a filter of 8192 characters, the longest documented query, percent-encoded from four bytes each.
HEAD_BYTES_MAX = 128 * 1024
KEEP_ALIVE_SECONDS = 75
REFUSAL_SECONDS = 1.0  # how long a refused client may go on sending before its connection is closed
BACKEND_SECONDS = 0.3  # how much longer than the grace period the gRPC server may take to stop
UNWIND_SECONDS = 0.1  # how long aborted connections and cancelled requests may take to end
NOT_HTTP, HEAD_TOO_LARGE = (
    f"HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {len(text)}\r\n"
    f"connection: close\r\n\r\n{text}".encode()
    for status, text in (
        ("400 Bad Request", "This is not an HTTP request."),
        ("431 Request Header Fields Too Large", f"The request's head is longer than {HEAD_BYTES_MAX} bytes."),
    )
)
BACKLOG = 1024
SOCKET_DIRECTORY_BYTES_MAX = 80  # a socket's path has room for 104 bytes on macOS, 108 on Linux
BIND_ATTEMPTS = 16
TLS_HINT = (
    "A client spoke TLS to this plain-text port, and its connection was closed. Connect without TLS: xai-sdk does so "
    'if api_host starts with "localhost:" or if use_insecure_channel=True, openai if base_url starts with "http://".'
)


class CannotListen(OSError):
    """The address cannot be listened on; its text is one sentence that says why."""

    def __init__(self, host: str, number: int, cause: OSError) -> None:
        super().__init__(cause.errno, cause.strerror)
        self.host, self.number = host, number

    def __str__(self) -> str:
        return f"Cannot listen on {_address(self.host, self.number)}: {self.strerror}."


class PortTaken(CannotListen):
    """Something else listens on the address already."""

    def __str__(self) -> str:
        return f"Port {self.number} is taken: something else already listens on {_address(self.host, self.number)}."


class GrpcServer(Protocol):
    """A running gRPC server, as the port needs to know it."""

    def stop(self) -> None:
        """End every call and return when that is done; called in a worker thread."""


class Transport(Protocol):
    """The connection of an ASGI request, found in `scope["extensions"][TRANSPORT]`."""

    def abort(self) -> None:
        """Reset the connection, so that the client sees it drop."""


class Connection(Protocol):
    """An accepted connection, in whichever state it is."""

    def hang_up(self) -> None:
        """Close now if nothing is under way, else as soon as that has ended."""

    def abort(self) -> None:
        """Close at once, whatever is under way."""


class Port:
    """One listening port, on 127.0.0.1 and, where it exists, ::1, for HTTP/1.1 and gRPC."""

    def __init__(
        self,
        app: ASGI,
        load_grpc: Callable[[str], GrpcServer],
        *,
        host: str = "localhost",
        number: int = 0,
        log: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
        grace_seconds: float = 0.5,
    ) -> None:
        self.host, self.number, self.grace_seconds = host, number, grace_seconds
        self._app, self._log = app, log
        self._backend = GrpcBackend(load_grpc, log)
        self._listeners: list[asyncio.Server] = []
        self._open: set[Connection] = set()
        self._closed_one = asyncio.Event()
        self._piping: set[asyncio.Task[None]] = set()
        self._hinted_at_tls = False
        self._stopping: asyncio.Task[None] | None = None
        # Of the process' environment, loggers and proxies in front of it, uvicorn is to know nothing.
        self._config = Config(
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
        self._state = ServerState()
        self._logger = logging.Logger("emulator.port", logging.ERROR)
        self._logger.addHandler(_Failures(log))

    @property
    def connections(self) -> int:
        """How many clients are connected now."""
        return len(self._open)

    async def start(self) -> None:
        """Listen, and learn the number if any would do; raise PortTaken or CannotListen if that cannot be."""
        self._config.load()
        sockets = listening_sockets(self.host, self.number)
        self.number = sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        for listener in sockets:
            server = await loop.create_server(lambda: FirstBytes(self), sock=listener, backlog=BACKLOG)
            self._listeners.append(server)

    async def stop(self) -> None:
        """Stop listening, end every conversation and free what they held; the running ones get the grace period."""
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop())
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        for listener in self._listeners:
            listener.close()
        backend_stopped = asyncio.create_task(self._backend.stop(self.grace_seconds + BACKEND_SECONDS))
        for connection in list(self._open):
            connection.hang_up()
        await self._quiet(self.grace_seconds)
        for connection in list(self._open):
            connection.abort()
        for task in {*self._state.tasks, *self._piping}:
            task.cancel()
        await self._quiet(UNWIND_SECONDS)
        await backend_stopped

    async def _quiet(self, seconds: float) -> None:
        """Wait until no connection is open and no request runs, but no longer than told."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._open:
                    self._closed_one.clear()
                    await self._closed_one.wait()
                while running := self._state.tasks | self._piping:
                    await asyncio.wait(running)

    def abort_peer(self, peer: str) -> None:
        """Reset the connection whose calls say `peer` in their gRPC context (`unix:…`, a different one for each)."""
        for connection in list(self._open):
            if isinstance(connection, ClientEnd) and os.path.basename(connection.name) == os.path.basename(peer):
                connection.abort()

    async def _run_app(self, scope: Message, receive: Receive, send: Send) -> None:
        """Run the app, and note for the day of the stop whether its response is an event stream."""
        connection = scope["extensions"][TRANSPORT]

        async def noting_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                connection.streams_events = any(
                    name.lower() == b"content-type" and value.startswith(b"text/event-stream")
                    for name, value in message.get("headers", ())
                )
            await send(message)

        await self._app(scope, receive, noting_send)

    def opened(self, connection: Connection) -> None:
        """Count a connection in."""
        self._open.add(connection)

    def closed(self, connection: Connection) -> None:
        """Count a connection out."""
        self._open.discard(connection)
        self._closed_one.set()

    def refuse_tls(self) -> None:
        """Say once what the client's configuration needs: a client repeats its handshake again and again."""
        if not self._hinted_at_tls:
            self._hinted_at_tls = True
            self._log(TLS_HINT)

    def http_connection(self) -> "HttpConnection":
        """Make the protocol of a connection that speaks HTTP/1.1, or nothing known."""
        return HttpConnection(self, self._config, self._state, self._logger)

    def pipe(self, transport: asyncio.Transport, received: bytes) -> None:
        """Connect a client that speaks HTTP/2 with the gRPC server, as soon as that is there."""
        client = ClientEnd(self)
        transport.pause_reading()
        transport.set_protocol(client)
        client.connection_made(transport)
        task = asyncio.create_task(self._backend.connect(client, received))
        self._piping.add(task)
        task.add_done_callback(self._piping.discard)


class FirstBytes(asyncio.Protocol):
    """A new connection, held until its first bytes tell HTTP/2, TLS and HTTP/1.1 apart."""

    def __init__(self, port: Port) -> None:
        self._port = port
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._port.opened(self)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._received[0] == TLS_HANDSHAKE:
            self._port.refuse_tls()
            self._transport.close()
        elif not H2_PREFACE.startswith(self._received[: len(H2_PREFACE)]):
            self._port.closed(self)
            http = self._port.http_connection()
            self._transport.set_protocol(http)
            http.connection_made(self._transport)
            http.data_received(self._received)
        elif len(self._received) >= len(H2_PREFACE):
            self._port.closed(self)
            self._port.pipe(self._transport, self._received)

    def connection_lost(self, exc: Exception | None) -> None:
        self._port.closed(self)

    def hang_up(self) -> None:
        self._transport.abort()

    def abort(self) -> None:
        self._transport.abort()


class HttpConnection(HttpToolsProtocol):
    """An HTTP/1.1 connection: uvicorn's, with a bounded request head, refusals that arrive, and an end on demand."""

    def __init__(self, port: Port, config: Config, state: ServerState, logger: logging.Logger) -> None:
        super().__init__(config, state, {})
        self.logger, self.access_log = logger, False
        self.streams_events = False
        self._port = port
        self._in_head = False
        self._head_bytes = 0  # of the request head being read, as far as the parser has reported it
        self._unreported_bytes = 0  # the most that it may hold back beyond that
        self._refused = False
        self._requests: deque[RequestResponseCycle] = deque()  # oldest first; more than one when they are pipelined

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._port.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        # uvicorn tells the latest request only, and leaves the timer of a connection that was reset to run.
        for request in self._unanswered():
            _disconnect(request)
        self._unset_keepalive_if_required()
        self._port.closed(self)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        reported = self._head_bytes
        super().data_received(data)
        # The parser reports a header when it is complete, and keeps what it has of an unfinished one.
        if self._in_head and not self._refused:
            self._unreported_bytes = self._unreported_bytes + len(data) if self._head_bytes == reported else 0
            if self._unreported_bytes > HEAD_BYTES_MAX:
                self._refuse(HEAD_TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: self}  # type: ignore[dict-item]
        self._in_head, self._head_bytes, self._unreported_bytes = True, 0, 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._count_head(len(name) + len(value))

    def _count_head(self, count: int) -> None:
        self._head_bytes += count  # trailers, which come after the body, are counted with the head
        if self._head_bytes > HEAD_BYTES_MAX:
            raise ValueError("The request's head is too long.")  # becomes an error of the parser

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._in_head = False
        self._unanswered().append(self.cycle)

    def _unanswered(self) -> deque[RequestResponseCycle]:
        while self._requests and self._requests[0].response_complete:
            self._requests.popleft()
        return self._requests

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls when its parser gives up."""
        self._refuse(HEAD_TOO_LARGE if self._head_bytes > HEAD_BYTES_MAX else NOT_HTTP)

    def _refuse(self, answer: bytes) -> None:
        """Answer what is no HTTP request, and leave the client time to read that before the connection closes."""
        self._refused = True
        unanswered = self._unanswered()
        if len(unanswered) > 1 or any(request.response_started for request in unanswered):
            self.transport.close()  # another response comes first, and the refusal cannot be written into it
            return
        for request in unanswered:
            _disconnect(request)
        self.transport.write(answer)
        # To close with bytes unread would reset the connection, and the client might never see the answer.
        self.transport.write_eof()
        self.timeout_keep_alive_task = self.loop.call_later(REFUSAL_SECONDS, self.timeout_keep_alive_handler)

    def hang_up(self) -> None:
        unanswered = self._unanswered()
        if self._refused:
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
        _reset(self.transport)


class PipeEnd(asyncio.Protocol):
    """One end of a piped connection: what it receives goes to the other end, no faster than that one takes it."""

    transport: asyncio.Transport

    def __init__(self, other: "PipeEnd | None" = None) -> None:
        self.other = other
        self.ended = False  # nothing more comes from this end
        self.dismissed = False  # the other end need not wait for this one to end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self.other is not None:
            self.other.other = self

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        self.ended = True
        if self.other is not None and not self.other.transport.is_closing():
            self.other.transport.write_eof()
            if self.other.ended or self.other.dismissed:
                self.other.transport.close()
                self.transport.close()
        return True  # this end may still be written to

    def pause_writing(self) -> None:
        if self.other is not None and not self.other.ended:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and not self.other.ended:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None:
            self.other.transport.close() if exc is None else self.other.transport.abort()


class ClientEnd(PipeEnd):
    """The client's end of a piped connection, which stands for the whole of it."""

    def __init__(self, port: Port) -> None:
        super().__init__()
        self._port = port
        self.name = ""  # of its socket towards the gRPC server, which calls the peer `unix:` and this

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._port.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._port.closed(self)
        if self.name:
            with suppress(OSError):
                os.unlink(self.name)

    def hang_up(self) -> None:
        """Close when the gRPC server, which is being stopped as well and knows the calls, has ended its side."""
        self.dismissed = True
        if self.other is None or self.other.ended:
            self.transport.close()

    def abort(self) -> None:
        _reset(self.transport)


class GrpcBackend:
    """The gRPC server on a private unix socket, loaded when the first client asks for it."""

    def __init__(self, load_grpc: Callable[[str], GrpcServer], log: Callable[[str], None]) -> None:
        self._load_grpc, self._log = load_grpc, log
        self._loading: asyncio.Future[None] | None = None
        self._lock = threading.Lock()  # around the next two, which the loading thread uses as well
        self._server: GrpcServer | None = None
        self._stopped = False
        self._directory = ""
        self._clients = 0

    async def connect(self, client: ClientEnd, received: bytes) -> None:
        """Pipe the client to the server; hang up on it when there is none."""
        if not await self._loaded():
            client.abort()
            return
        server = PipeEnd(client)
        try:
            await asyncio.get_running_loop().create_unix_connection(lambda: server, sock=self._socket(client))
        except OSError as error:
            self._log(f"The gRPC server cannot be reached: {error}.")
            client.abort()
            return
        if client.transport.is_closing():
            server.transport.abort()
        else:
            client.transport.resume_reading()
            server.transport.write(received)  # last: it may find the client to be too fast, and pause it again

    def _socket(self, client: ClientEnd) -> socket.socket:
        """Connect from a name of its own, without which gRPC calls the peer of every call just `unix:`."""
        self._clients += 1
        client.name = os.path.join(self._directory, f"c{self._clients}")
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.setblocking(False)  # the server's queue either has room at once, or is too long to wait for
            connection.bind(client.name)
            connection.connect(self._path())
        except OSError:
            connection.close()
            raise
        return connection

    def _path(self) -> str:
        return os.path.join(self._directory, "grpc")

    async def _loaded(self) -> bool:
        """Wait for the server to run; if it cannot be loaded, the next client tries again."""
        if self._loading is None:
            self._loading = in_thread(self._load)
            self._loading.add_done_callback(self._load_ended)
        await asyncio.wait([self._loading])
        return self._server is not None

    def _load(self) -> None:
        self._directory = private_directory()
        try:
            server = self._load_grpc(self._path())
        except BaseException:
            shutil.rmtree(self._directory, ignore_errors=True)
            raise
        with self._lock:
            if not self._stopped:
                self._server = server
                return
        self._end(server)

    def _load_ended(self, loading: asyncio.Future[None]) -> None:
        if error := loading.exception():
            self._loading = None
            self._log(f"The gRPC server could not be loaded: {type(error).__name__}: {error}")

    async def stop(self, seconds: float) -> None:
        """Stop the server, or the loading of it, but wait no longer than told for that."""
        with self._lock:
            self._stopped = True
            server, self._server = self._server, None
        if server is not None:
            ending = in_thread(lambda: self._end(server))
        elif self._loading is not None:
            ending = self._loading
        else:
            return
        _, late = await asyncio.wait([ending], timeout=seconds)
        if late:
            self._log(f"The gRPC server did not stop within {seconds:g} s and is left behind.")
        elif error := ending.exception():
            self._log(f"The gRPC server did not stop cleanly: {type(error).__name__}: {error}")

    def _end(self, server: GrpcServer) -> None:
        try:
            server.stop()
        finally:
            shutil.rmtree(self._directory, ignore_errors=True)


class _Failures(logging.Handler):
    """Hand to the port's log what uvicorn reports, but for requests that were cancelled by the stop."""

    def __init__(self, log: Callable[[str], None]) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        if not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError)):
            self._log(self.format(record))


def listening_sockets(host: str, number: int) -> list[socket.socket]:
    """Bind and listen: for `localhost` and 127.0.0.1 on both loopback addresses, with one number; else on the host."""
    if host not in ("localhost", "127.0.0.1"):
        try:
            family, _, _, _, address = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0]
        except OSError as error:
            raise CannotListen(host, number, error) from error
        return [_listening_socket(family, str(address[0]), number)]
    for _ in range(BIND_ATTEMPTS if number == 0 else 0):
        with suppress(PortTaken):  # free on one of the two only
            return _loopback_sockets(number)
    return _loopback_sockets(number)


def _loopback_sockets(number: int) -> list[socket.socket]:
    first = _listening_socket(socket.AF_INET, "127.0.0.1", number)
    try:
        return [first, _listening_socket(socket.AF_INET6, "::1", first.getsockname()[1])]
    except PortTaken:
        first.close()
        raise
    except CannotListen:
        return [first]  # this machine has no ::1


def _listening_socket(family: int, address: str, number: int) -> socket.socket:
    try:
        # With the protocol named, which asyncio looks for before it sets TCP_NODELAY on what is accepted.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise CannotListen(address, number, error) from error
    try:
        if os.name == "posix":  # to restart while old connections linger; a second listener is refused all the same
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.setblocking(False)
        listener.bind((address, number))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise (PortTaken if error.errno == errno.EADDRINUSE else CannotListen)(address, number, error) from error
    return listener


def private_directory() -> str:
    """Make a directory that only this user can enter, with a path short enough for a socket's address in it."""
    directory = tempfile.mkdtemp(prefix="xai-emulator-")
    if len(os.fsencode(directory)) > SOCKET_DIRECTORY_BYTES_MAX:
        os.rmdir(directory)
        directory = tempfile.mkdtemp(prefix="xai-emulator-", dir="/tmp")
    return directory


def in_thread(work: Callable[[], None]) -> asyncio.Future[None]:
    """Run blocking work in a thread that, unlike an executor's, holds up neither the loop's end nor the process'."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()

    def deliver(error: BaseException | None) -> None:
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    def run() -> None:
        error: BaseException | None = None
        try:
            work()
        except BaseException as raised:
            error = raised
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(deliver, error)

    threading.Thread(target=run, name="xai-emulator-grpc", daemon=True).start()
    return future


def _disconnect(cycle: RequestResponseCycle) -> None:
    """Tell the app that the client of this request has gone."""
    cycle.disconnected = True
    cycle.message_event.set()


def _reset(transport: asyncio.Transport) -> None:
    """Close with an RST instead of an orderly end."""
    with suppress(OSError):
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _address(host: str, number: int) -> str:
    return f"[{host}]:{number}" if ":" in host else f"{host}:{number}"
