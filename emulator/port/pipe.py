"""HTTP/2, which only gRPC speaks here, piped to a gRPC server on a private unix socket, loaded when it is needed.

Everything belongs to one event loop, but for the two calls into the gRPC server, which have threads of their own.
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
from emulator.port.connection import Register, reset

READ_BYTES = 256 * 1024
SOCKET_DIRECTORY_BYTES_MAX = 80  # a socket's path has room for 104 bytes on macOS, 108 on Linux


class GrpcServer(Protocol):
    """A running gRPC server, as the port needs to know it."""

    def stop(self) -> None:
        """End every call and return when that is done; called in a worker thread."""


class PipeEnd(asyncio.Protocol):
    """One end of a piped connection: what it receives goes to the other end, no faster than that one takes it."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.other: PipeEnd | None = None
        self.ended = False  # nothing more comes from this end
        self.lost = False  # nor can this end be written to

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
                self.other.transport.write_eof()
        return True  # this end may still be written to

    def pause_writing(self) -> None:
        if self.other is not None and not self.other.ended:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and not self.other.ended:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = self.lost = True


class ClientEnd(PipeEnd):
    """The client's end of a piped connection, which stands for the whole of it."""

    def __init__(self, register: Register) -> None:
        super().__init__()
        self._register = register
        self.name = ""  # of its socket towards the gRPC server, which calls the peer `unix:` and this

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
        """Send the client what is left, and an end; close when it has closed, and ignore what it sends until then.

        To close at once would reset the connection if the client has sent anything that was not read, and a reset
        discards what it has not received yet.
        """
        if self.transport.is_closing():
            return
        if self.ended:
            self.transport.close()
        else:
            with suppress(OSError):  # the client has reset the connection, which its transport is about to notice
                self.transport.write_eof()
            self.transport.resume_reading()

    def hang_up(self) -> None:
        """Close if no gRPC server is there yet; else that one, which is being stopped as well, ends the connection."""
        if self.other is None:
            self.transport.close()

    def abort(self) -> None:
        reset(self.transport)


class ServerEnd(PipeEnd):
    """The end of a piped connection towards the gRPC server."""

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
        """Read what the server sent before it closed the connection.

        A server that closes with bytes of the client unread, or before the client has sent its last, makes a read or
        a write of this end fail. The transport then gives up, although the last answers may still be in the socket.
        """
        pieces = []
        with suppress(OSError):
            while piece := os.read(self.transport.get_extra_info("socket").fileno(), READ_BYTES):
                pieces.append(piece)
        return b"".join(pieces)


class GrpcBackend:
    """The gRPC server on a private unix socket, loaded when the first client asks for it."""

    def __init__(self, load_grpc: Callable[[str], GrpcServer], log: Callable[[str], None]) -> None:
        self._load_grpc, self._log = load_grpc, log
        self._loading: asyncio.Future[None] | None = None
        self._lock = threading.Lock()  # around the next two, which the loading thread uses as well
        self._server: GrpcServer | None = None
        self._stopped = False
        self._directory = Path()  # with the socket, once that is there
        self._clients = 0

    async def connect(self, client: ClientEnd, received: bytes) -> None:
        """Pipe the client to the server; hang up on it when there is none."""
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
            server.transport.write(received)  # last: it may find the client to be too fast, and pause it again

    def _socket(self, client: ClientEnd) -> socket.socket:
        """Connect from a name of its own, without which gRPC calls the peer of every call just `unix:`."""
        self._clients += 1
        client.name = str(self._directory / f"c{self._clients}")
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.setblocking(False)  # the server's queue either has room at once, or is too long to wait for
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
        """Wait for the server to run; if it cannot be loaded, the next client tries again."""
        if self._loading is None:
            self._loading = in_thread(self._load)
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
            self._temporary.remove()


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
