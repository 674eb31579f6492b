"""Where the emulator listens."""

from __future__ import annotations


class ListenAddress:
    """The origin of the emulator, for callers whose own view of it is not known."""

    def __init__(self, host: str) -> None:
        self._host = host
        self.origin = "http://localhost"

    def listening(self, port: int) -> None:
        """Note the port, which is known when the socket is bound."""
        self.origin = origin_of(self._host, port)


def origin_of(host: str, port: int) -> str:
    """Return scheme and authority under which this machine reaches a server that listens on a host."""
    name = f"[{host}]" if ":" in host else "localhost" if host in ("127.0.0.1", "0.0.0.0") else host
    return f"http://{name}:{port}"
