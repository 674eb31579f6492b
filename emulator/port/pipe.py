"""Pipe HTTP/2 connections, which only gRPC clients open here, to a gRPC server on a private unix socket.

Theory of operation
===================

grpcio accepts its connections itself: it cannot take over one whose first bytes the port has read. The port therefore
connects to grpcio's own socket for each such client and copies bytes both ways, without looking at them. A piped
connection has two ends, each an asyncio protocol: `ClientEnd` on the client's connection, `ServerEnd` on the one to
the server. Both belong to the event loop of the port, so no lock is needed around them.

Guarantees
----------

1. What one side sends reaches the other whole and in order, as long as that one reads. This includes the last answers
   of a server that closes while its client still sends, for example when the port is being stopped.
2. An end of input is passed on, and the other direction stays usable.
3. A slow reader slows its sender down. Of each direction the pipe holds at most the high-water mark of an asyncio
   transport and one read; when the server closes, also what is left in the kernel's buffer of its socket.
4. No connection outlives its client, and none outlives the stop of the port.

States
------

An end is open, then `ended` (it sends no more), then `lost` (it cannot be written to either).

- One end has ended: the other one gets `write_eof`.
- Both ends have ended: both transports are closed, which sends what is still buffered.
- The client is lost: the server's end is closed, or aborted if the client was reset.
- The server is lost: the client is sent what the server left and then an end. The connection stays until the client
  closes it, and what it sends until then is discarded. To close it at once would be wrong: the kernel answers bytes
  that are unread with a reset, and a reset discards what the client has not received yet.

asyncio and uvloop report a failed write or read as the loss of the whole transport. A server that has closed makes the
next write fail although its last bytes can still be read, so `ServerEnd` reads those from the socket itself, in
`connection_lost`, which is called before the socket is closed.

Stop
----

The port stops the server and leaves the pipes alone: the server knows which calls run. It closes each connection when
its last call has ended, clients close in return, and what is still open after the grace period is reset.

The server is loaded by the first client that needs it, in a thread, because importing grpcio takes long. A load and a
stop may run at the same time. Both decide under `_lock`: the one that comes second ends the server, so none is left
behind, and the one that ends it removes the directory of the socket.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol, cast

from emulator.core.locks import TemporaryDirectory
from emulator.core.threads import in_thread
from emulator.port.connection import Register, end_output, reset

READ_BYTES = 256 * 1024
SOCKET_DIRECTORY_BYTES_MAX = 80  # a socket's path has at most 104 bytes on macOS, 108 on Linux


class GrpcServer(Protocol):
    """The interface of a running gRPC server for the port."""

    def stop(self) -> None:
        """End every call and return when that is done; called in a worker thread."""


class PipeEnd(asyncio.Protocol):
    """One end of a piped connection: its input is written to the other end, no faster than that one accepts it."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.other: PipeEnd | None = None
        self.ended = False  # this end sends no more data
        self.lost = False  # nor can this end receive data

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.other is not None and not self.other.lost:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        self.ended = True
        if self.other is not None:
            if self.other.ended:
                self.other.transport.close()
                self.transport.close()
            elif not self.other.transport.is_closing():
                end_output(self.other.transport)
        return self.transport.can_write_eof()  # whether this end accepts data

    def pause_writing(self) -> None:
        if self.other is not None and not self.other.ended:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and not self.other.ended:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = self.lost = True


class ClientEnd(PipeEnd):
    """The client's end of a piped connection, which represents the whole connection."""

    def __init__(self, register: Register) -> None:
        super().__init__()
        self._register = register
        self.name = ""  # of its socket to the gRPC server, which calls the peer `unix:` and this

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._register.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.other is not None:
            self.other.transport.close() if exc is None else self.other.transport.abort()
        self._register.closed(self)
        if self.name:
            with suppress(OSError):
                os.unlink(self.name)

    def server_lost(self) -> None:
        """Send the client the remaining data and an EOF; close when it has closed, and ignore what it sends until then.

        Closing at once would reset the connection if data of the client was not read, and a reset discards data that
        the client has not received yet.
        """
        if self.transport.is_closing():
            return
        if self.ended:
            self.transport.close()
        else:
            with suppress(OSError):  # the client has reset the connection, which its transport is about to notice
                end_output(self.transport)
            self.transport.resume_reading()

    def hang_up(self) -> None:
        """Close if there is no gRPC server yet; else the server, which is stopping as well, ends the connection."""
        if self.other is None:
            self.transport.close()

    def abort(self) -> None:
        reset(self.transport)


class ServerEnd(PipeEnd):
    """The end of a piped connection to the gRPC server."""

    def __init__(self, client: ClientEnd) -> None:
        super().__init__()
        self._client = client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.other, self._client.other = self._client, self

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None and not self.ended and not self._client.transport.is_closing():
            self._client.transport.write(self._unread())
        super().connection_lost(exc)
        self._client.server_lost()

    def _unread(self) -> bytes:
        """Read the data that the server sent before it closed the connection.

        If a server closes with unread data of the client, or before the client has sent all of its data, a read or a
        write of this end fails. The transport then stops, although the last responses may still be in the socket.
        """
        pieces = []
        with suppress(OSError):
            while piece := os.read(self.transport.get_extra_info("socket").fileno(), READ_BYTES):
                pieces.append(piece)
        return b"".join(pieces)


class GrpcBackend:
    """The gRPC server on a private unix socket, loaded for the first gRPC client."""

    def __init__(self, load_grpc: Callable[[str], GrpcServer], log: Callable[[str], None]) -> None:
        self._load_grpc, self._log = load_grpc, log
        self._loading: asyncio.Future[None] | None = None
        self._lock = threading.Lock()  # guards the next two, which the loading thread uses as well
        self._server: GrpcServer | None = None
        self._stopped = False
        self._directory = Path()  # with the socket, once it exists
        self._clients = 0

    async def connect(self, client: ClientEnd, received: bytes) -> None:
        """Pipe the client to the server; close its connection if there is no server."""
        if not await self._loaded():
            client.abort()
            return
        server = ServerEnd(client)
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
            server.transport.write(received)  # last: the write may pause the client again

    def _socket(self, client: ClientEnd) -> socket.socket:
        """Connect from a named socket; otherwise gRPC calls the peer of every call just `unix:`."""
        self._clients += 1
        client.name = str(self._directory / f"c{self._clients}")
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.setblocking(False)  # the server's queue either has room, or is too long to wait for
            connection.bind(client.name)
            connection.connect(self._address)
        except OSError:
            connection.close()
            raise
        return connection

    @property
    def _address(self) -> str:
        return str(self._directory / "grpc")

    async def _loaded(self) -> bool:
        """Wait until the server runs; if it cannot be loaded, the next client tries again."""
        if self._loading is None:
            self._loading = in_thread(self._load, "grpc")
            self._loading.add_done_callback(self._load_ended)
        await asyncio.wait([self._loading])
        return self._server is not None

    def _load(self) -> None:
        self._temporary = TemporaryDirectory(SOCKET_DIRECTORY_BYTES_MAX)
        self._directory = self._temporary.path
        try:
            server = self._load_grpc(self._address)
        except BaseException:
            self._temporary.remove()
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
        """Stop the server, or its loading, but wait no longer than `seconds`."""
        with self._lock:
            self._stopped = True
            server, self._server = self._server, None
        if server is not None:
            ending = in_thread(lambda: self._end(server), "grpc")
        elif self._loading is not None:
            ending = self._loading
        else:
            return
        _, late = await asyncio.wait([ending], timeout=seconds)
        if late:
            self._log(f"The gRPC server did not stop within {seconds:g} s and is left running.")
        elif error := ending.exception():
            self._log(f"The gRPC server did not stop cleanly: {type(error).__name__}: {error}")

    def _end(self, server: GrpcServer) -> None:
        try:
            server.stop()
        finally:
            self._temporary.remove()
