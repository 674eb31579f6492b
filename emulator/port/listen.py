"""Listening sockets: the addresses of a host, and one sentence if it is not possible to listen on it."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress

BACKLOG = 1024
BIND_ATTEMPTS = 16


class CannotListen(OSError):
    """It is not possible to listen on the address; the text is one sentence with the reason."""

    def __init__(self, host: str, number: int, cause: OSError) -> None:
        super().__init__(cause.errno, cause.strerror)
        self.host, self.number = host, number

    def __str__(self) -> str:
        return f"Cannot listen on {_address(self.host, self.number)}: {self.strerror}."


class PortTaken(CannotListen):
    """Another process listens on the address already."""

    def __str__(self) -> str:
        return f"Port {self.number} is taken: something else already listens on {_address(self.host, self.number)}."


def listening_sockets(host: str, number: int) -> list[socket.socket]:
    """Bind and listen: for `localhost` and 127.0.0.1 on both loopback addresses, with one number; else on the host."""
    if host not in ("localhost", "127.0.0.1"):
        try:
            family, _, _, _, address = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0]
        except OSError as error:
            raise CannotListen(host, number, error) from error
        except UnicodeError as error:  # an empty label, or one of more than 63 characters
            raise CannotListen(host, number, OSError(errno.EINVAL, "this is not a valid host name")) from error
        return [_listening_socket(family, str(address[0]), number)]
    for _ in range(BIND_ATTEMPTS if number == 0 else 0):
        with suppress(PortTaken):  # the number is free on one of the two only
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
        # With an explicit protocol, because asyncio checks it before it sets TCP_NODELAY on accepted sockets.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise CannotListen(address, number, error) from error
    try:
        # Allows a restart while old connections linger; a second listener is refused nevertheless.
        if os.name == "posix":
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


def _address(host: str, number: int) -> str:
    return f"[{host}]:{number}" if ":" in host else f"{host}:{number}"
