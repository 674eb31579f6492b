"""Receive bytes of HTTP/1.1 with fewer copies than uvicorn: copying takes most of the time of a large upload.

All connections of a port read into one shared buffer (a read and its parsing are one step of the loop), and the pieces
of a body are passed to the app as the parser returns them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

# Per read: every read of a large body costs the same time in Python, and half of this size takes a tenth longer. A
# small request is one read anyway; hashing and writing take longest, in smaller steps (operations/files/receive.py).
READ_BYTES = 512 * 1024
# The part of a body that the app has not requested yet; the rest stays in the socket. Less than one read, or libuv
# would continue to read the same connection, and others would wait for twice as long.
WAITING_BYTES_MAX = READ_BYTES // 4

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class Body:
    """The received pieces of a request's body that the app has not requested yet."""

    # Defaults in the class, because most requests have no body.
    _pieces: deque[bytes] | None = None
    _waiting = 0
    _more = True  # whether more pieces may arrive

    @property
    def full(self) -> bool:
        return self._waiting > WAITING_BYTES_MAX

    def add(self, piece: bytes) -> None:
        """Keep a piece until it is requested."""
        if self._pieces is None:
            self._pieces = deque()
        self._pieces.append(piece)
        self._waiting += len(piece)

    def end(self) -> None:
        """Mark the last added piece as the last one."""
        self._more = False

    def receiver(self, receive: Receive) -> Receive:
        """Return the app's `receive`: the pieces, then the messages of uvicorn's own `receive`."""

        async def receive_piece() -> Message:
            if not self._pieces:
                message = await receive()
                if message["type"] != "http.request":
                    return message
                self._more = message["more_body"]
            body = self._pieces.popleft() if self._pieces else b""
            self._waiting -= len(body)
            return {"type": "http.request", "body": body, "more_body": self._more or bool(self._pieces)}

        return receive_piece


class BufferedReads(asyncio.BufferedProtocol):
    """Reads for a protocol into a shared buffer; the protocol must not keep references to it."""

    def __init__(self, protocol: asyncio.Protocol, buffer: bytearray) -> None:
        self._protocol = protocol
        self._buffer = memoryview(buffer)
        self.connection_lost = protocol.connection_lost  # type: ignore[method-assign]
        self.eof_received = protocol.eof_received  # type: ignore[method-assign]
        self.pause_writing = protocol.pause_writing  # type: ignore[method-assign]
        self.resume_writing = protocol.resume_writing  # type: ignore[method-assign]

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._protocol.data_received(self._buffer[:nbytes])  # type: ignore[arg-type]  # bytes, or a view of some
