"""The address on which the emulator listens."""

from __future__ import annotations


class ListenAddress:
    """The origin of the emulator, for use where the Host of the caller is not known."""

    def __init__(self, host: str) -> None:
        self._host = host
        self.origin = "http://localhost"
        self.tls_origin: str | None = None
        self._tls_port: str | None = None
        self.authority: str | None = None  # our own certificate (PEM) that clients have to trust, if it is used

    def listening(self, port: int, tls_port: int | None = None) -> None:
        """Set the ports, once the sockets are bound."""
        self.origin = origin_of(self._host, port)
        if tls_port is not None:
            self.tls_origin, self._tls_port = origin_of(self._host, tls_port, "https"), str(tls_port)

    def origin_at(self, authority: str) -> str:
        """Return the origin for an authority (host and port) when the scheme is not known."""
        return f"{'https' if authority.rpartition(':')[2] == self._tls_port else 'http'}://{authority}"


def origin_of(host: str, port: int, scheme: str = "http") -> str:
    """Return the origin under which this machine reaches a server that listens on a host."""
    name = f"[{host}]" if ":" in host else "localhost" if host in ("127.0.0.1", "0.0.0.0") else host
    return f"{scheme}://{name}:{port}"
