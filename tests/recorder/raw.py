"""A server that answers with bytes of a script, and clients that send bytes: for what no library would do."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from types import TracebackType

from tests.serving import PATIENCE_SECONDS


class RawConnection:
    """One accepted connection, or one that was opened."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE_SECONDS)
        self.socket = connection
        self._buffer = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def until(self, mark: bytes) -> bytes:
        """Read up to a mark and return everything, the mark included."""
        while mark not in self._buffer:
            data = self.socket.recv(65536)
            assert data, f"the connection ended before {mark!r}, after {self._buffer!r}"
            self._buffer += data
        end = self._buffer.index(mark) + len(mark)
        found, self._buffer = self._buffer[:end], self._buffer[end:]
        return found

    def exactly(self, count: int) -> bytes:
        """Read so many bytes."""
        while len(self._buffer) < count:
            data = self.socket.recv(65536)
            assert data, f"the connection ended after {len(self._buffer)} of {count} bytes"
            self._buffer += data
        found, self._buffer = self._buffer[:count], self._buffer[count:]
        return found

    def rest(self) -> bytes:
        """Read to the end, be it an orderly one or a reset."""
        try:
            while data := self.socket.recv(65536):
                self._buffer += data
        except ConnectionError:
            pass
        found, self._buffer = self._buffer, b""
        return found

    def close(self) -> None:
        self.socket.close()


class RawServer:
    """Runs a function for each connection, in a thread of its own, until the end of the `with`."""

    def __init__(self, script: Callable[[RawConnection], None]) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.errors: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> RawServer:
        self._accepting.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(PATIENCE_SECONDS)
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
        if error is None:
            assert self.errors == []

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        raw = RawConnection(connection)
        try:
            self._script(raw)
        except BaseException as error:
            self.errors.append(error)
        finally:
            raw.close()


def connect(port: int) -> RawConnection:
    """Open a connection to a port of this machine."""
    return RawConnection(socket.create_connection(("127.0.0.1", port)))
