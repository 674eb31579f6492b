"""Accepted connections, and their registration at the port."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Protocol


class Connection(Protocol):
    """An accepted connection, in any state."""

    transport: asyncio.Transport

    def hang_up(self) -> None:
        """Close now if nothing is in progress, else as soon as that has ended."""

    def abort(self) -> None:
        """Close at once, even if something is in progress."""


class Register(Protocol):
    """The register of open connections: the interface of the port for its connections."""

    def opened(self, connection: Connection) -> None:
        """Register a connection."""

    def closed(self, connection: Connection) -> None:
        """Unregister a connection."""


def descriptor(connection: Connection) -> int:
    """Return the file descriptor of a connection's socket; -1 once it is closing, when the number may be reused."""
    number: int = -1 if connection.transport.is_closing() else connection.transport.get_extra_info("socket").fileno()
    return number


def end_output(transport: asyncio.Transport) -> None:
    """Send an EOF and continue to read. asyncio has no half-close for TLS: there the connection is closed."""
    if transport.can_write_eof():
        transport.write_eof()
    else:
        transport.close()


def reset(transport: asyncio.Transport) -> None:
    """Close with an RST instead of a FIN."""
    with suppress(OSError):
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
