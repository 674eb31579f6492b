"""Listen on one port for HTTP/1.1 and gRPC: the first bytes of a connection identify the protocol.

With TLS there is a second port for the same protocols: there ALPN decides, or else the first bytes after the handshake.
Clients that offer HTTP/1.1 get it, because REST is served over nothing else; gRPC clients offer h2 only (RFC 7301,
section 3.2).

HTTP/1.1 is served in this process by uvicorn's protocol class. HTTP/2, which is for gRPC only, is piped to a gRPC
server on a private unix socket, loaded when the first such connection arrives. `uvicorn.Server` is not used: its stop
takes 200 ms, and from Python 3.12 on `asyncio.Server.wait_closed()` waits for every open transport, piped ones
included. Everything here belongs to one event loop, except the two calls into the gRPC server, which have threads of
their own.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple, cast

from emulator.core.forks import on_fork, replace_by_null
from emulator.port.body import BufferedReads, Message, Receive
from emulator.port.connection import Connection, descriptor
from emulator.port.http import (
    ASGI,
    CONNECTION,
    HEAD_BYTES_MAX,
    ClientConnection,
    HttpConnection,
    HttpServer,
    Send,
)
from emulator.port.listen import BACKLOG, CannotListen, PortTaken, listening_sockets
from emulator.port.pipe import ClientEnd, GrpcBackend, GrpcServer
from emulator.port.uvicorn_names import check_uvicorn

__all__ = [
    "ASGI",
    "CONNECTION",
    "HEAD_BYTES_MAX",
    "CannotListen",
    "ClientConnection",
    "FirstBytes",
    "GrpcServer",
    "Message",
    "Port",
    "PortTaken",
    "Receive",
    "Send",
    "Tls",
]

H2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # RFC 9113 §3.4
TLS_HANDSHAKE = 0x16  # the first byte of a ClientHello, RFC 8446 §5.1
# How much longer than the grace period the gRPC server may take to stop. It needs milliseconds, but on a busy machine
# its threads may have to wait for the processor.
BACKEND_SECONDS = 2.0
UNWIND_SECONDS = 0.1  # time for aborted connections and cancelled requests to end
ALPN_PROTOCOLS = ("http/1.1", "h2")  # in the order of preference
TLS_HANDSHAKE_SECONDS = 10.0  # after which a client that has not finished its handshake is disconnected
TLS_HINT = (
    "A client spoke TLS to this plain-text port, and its connection was closed. Connect without TLS: xai-sdk does so "
    'if api_host starts with "localhost:" or if use_insecure_channel=True, openai if base_url starts with "http://".'
)


class Tls(NamedTuple):
    """The TLS settings of a port, and the number of its TLS port; 0 selects a free one."""

    context: ssl.SSLContext
    number: int


class AlertedHandshake(ssl.SSLObject):
    """A handshake whose failure is sent to the client as a TLS alert, such as that a certificate is required.

    The event loops close a connection when its handshake fails, and discard the alert that has not been sent. So the
    failure is first reported as a need for more input, upon which they send the alert, and then, at the next input or
    the timeout of the handshake, as itself.
    """

    _failure: ssl.SSLError | None = None

    def do_handshake(self) -> None:
        if self._failure is not None:
            raise self._failure
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self._failure = error
            raise ssl.SSLWantReadError() from error


class Port:
    """A listening port, on 127.0.0.1 and, if available, ::1, for HTTP/1.1 and gRPC."""

    def __init__(
        self,
        app: ASGI,
        load_grpc: Callable[[str], GrpcServer],
        *,
        host: str = "localhost",
        number: int = 0,
        tls: Tls | None = None,
        log: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
        grace_seconds: float = 0.5,
        backend_seconds: float = BACKEND_SECONDS,
    ) -> None:
        self.host, self.number = host, number
        self._tls, self.tls_number = tls, None if tls is None else tls.number
        self.grace_seconds, self._backend_seconds = grace_seconds, backend_seconds
        self._log = log
        self._backend = GrpcBackend(load_grpc, log)
        self._listeners: list[asyncio.Server] = []
        self._open: set[Connection] = set()
        self._closed_one = asyncio.Event()
        self._piping: set[asyncio.Task[None]] = set()
        self._hinted_at_tls = False
        self._stopping: asyncio.Task[None] | None = None
        self._http = HttpServer(self, app, log)

    @property
    def connections(self) -> int:
        """The number of connected clients."""
        return len(self._open)

    async def start(self) -> None:
        """Listen, and set the numbers of free ports. Raises PortTaken or CannotListen."""
        check_uvicorn()
        self._http.config.load()
        sockets = listening_sockets(self.host, self.number)
        try:
            tls_sockets = [] if self._tls is None else listening_sockets(self.host, self._tls.number)
        except CannotListen:
            for listener in sockets:
                listener.close()
            raise
        self.number = sockets[0].getsockname()[1]
        for listener in sockets:
            await self._listen(listener)
        if self._tls is not None:
            self.tls_number = tls_sockets[0].getsockname()[1]
            self._tls.context.set_alpn_protocols(ALPN_PROTOCOLS)
            self._tls.context.sslobject_class = AlertedHandshake
            for listener in tls_sockets:
                await self._listen(listener, ssl=self._tls.context, ssl_handshake_timeout=TLS_HANDSHAKE_SECONDS)
        on_fork(self)

    async def _listen(self, listener: socket.socket, **tls: Any) -> None:
        loop = asyncio.get_running_loop()
        self._listeners.append(
            await loop.create_server(lambda: FirstBytes(self), sock=listener, backlog=BACKLOG, **tls)
        )

    def leave_to_parent(self) -> None:
        """Close the listeners and connections in a forked child; they stay open in the parent."""
        replace_by_null(each.fileno() for listener in self._listeners for each in listener.sockets)
        replace_by_null(descriptor(connection) for connection in self._open)

    async def stop(self) -> None:
        """Stop listening, close all connections and free resources; running calls get the grace period."""
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop())
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        for listener in self._listeners:
            listener.close()
        backend_stopped = asyncio.create_task(self._backend.stop(self.grace_seconds + self._backend_seconds))
        for connection in list(self._open):
            connection.hang_up()
        await self._quiet(self.grace_seconds)
        for connection in list(self._open):
            connection.abort()
        for task in {*self._http.running, *self._piping}:
            task.cancel()
        await self._quiet(UNWIND_SECONDS)
        await backend_stopped

    async def _quiet(self, seconds: float) -> None:
        """Wait until no connection is open and no request runs, but no longer than `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._open:
                    self._closed_one.clear()
                    await self._closed_one.wait()
                while running := self._http.running | self._piping:
                    await asyncio.wait(running)

    def abort_peer(self, peer: str) -> None:
        """Reset the connection whose calls say `peer` in their gRPC context (`unix:…`, a different one for each)."""
        for connection in list(self._open):
            if isinstance(connection, ClientEnd) and os.path.basename(connection.name) == os.path.basename(peer):
                connection.abort()

    def opened(self, connection: Connection) -> None:
        """Register a connection."""
        self._open.add(connection)

    def closed(self, connection: Connection) -> None:
        """Unregister a connection."""
        self._open.discard(connection)
        self._closed_one.set()

    def refuse_tls(self) -> None:
        """Log once how the client has to be configured, because clients repeat their handshakes."""
        if not self._hinted_at_tls:
            self._hinted_at_tls = True
            self._log(TLS_HINT)

    @property
    def read_buffer(self) -> bytearray:
        """Return the read buffer, which all HTTP connections share."""
        return self._http.read_buffer

    def http_connection(self) -> HttpConnection:
        """Return the protocol of a connection with HTTP/1.1, or with an unknown protocol."""
        return HttpConnection(self._http)

    def pipe(self, transport: asyncio.Transport, received: bytes) -> None:
        """Connect a client that speaks HTTP/2 to the gRPC server, once that runs."""
        client = ClientEnd(self)
        transport.pause_reading()
        transport.set_protocol(client)
        client.connection_made(transport)
        task = asyncio.create_task(self._backend.connect(client, received))
        self._piping.add(task)
        task.add_done_callback(self._piping.discard)


class FirstBytes(asyncio.Protocol):
    """A new connection, whose first bytes are kept until they identify HTTP/2, TLS or HTTP/1.1."""

    def __init__(self, port: Port) -> None:
        self._port = port
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._port.opened(self)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._received[0] == TLS_HANDSHAKE:
            self._port.refuse_tls()
            self.transport.close()
        elif not H2_PREFACE.startswith(self._received[: len(H2_PREFACE)]):
            self._port.closed(self)
            http = self._port.http_connection()
            self.transport.set_protocol(BufferedReads(http, self._port.read_buffer))
            # uvloop changes to buffered reads only when reading starts
            self.transport.pause_reading()
            self.transport.resume_reading()
            http.connection_made(self.transport)
            http.data_received(self._received)
        elif len(self._received) >= len(H2_PREFACE):
            self._port.closed(self)
            self._port.pipe(self.transport, self._received)

    def connection_lost(self, exc: Exception | None) -> None:
        self._port.closed(self)

    def hang_up(self) -> None:
        self.transport.abort()

    def abort(self) -> None:
        self.transport.abort()
