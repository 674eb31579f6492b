"""Accepted connections, and their registration at the port."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Protocol


class Connection(Protocol):
    """An accepted connection, in whichever state it is."""

    transport: asyncio.Transport

    def hang_up(self) -> None:
        """Close now if nothing is under way, else as soon as that has ended."""

    def abort(self) -> None:
        """Close at once, whatever is under way."""


class Register(Protocol):
    """The register of open connections: the port, as its connections use it."""

    def opened(self, connection: Connection) -> None:
        """Count a connection in."""

    def closed(self, connection: Connection) -> None:
        """Count a connection out."""


def descriptor(connection: Connection) -> int:
    """The file descriptor of a connection's socket; -1 once it is being closed, when another file may have it."""
    number: int = -1 if connection.transport.is_closing() else connection.transport.get_extra_info("socket").fileno()
    return number


def end_output(transport: asyncio.Transport) -> None:
    """Send an end and continue to read. asyncio has no half-close for TLS: there the connection is closed."""
    if transport.can_write_eof():
        transport.write_eof()
    else:
        transport.close()


def reset(transport: asyncio.Transport) -> None:
    """Close with an RST instead of an orderly end."""
    with suppress(OSError):
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
