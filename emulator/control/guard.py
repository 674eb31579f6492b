"""Who may not ask: pages of elsewhere that a browser shows to somebody who runs an emulator."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_EVERYWHERE = frozenset({"0.0.0.0", "::"})
_PRIVATE_SUFFIXES = (".local", ".internal", ".localhost")  # names that no public DNS server can answer for


def foreign_caller(host: str | None, origin: str | None, listening: str) -> str | None:
    """Why a call is refused: its Host was rebound to this machine, or its Origin is a page of somebody else.

    `listening` is what the emulator was told to listen on: who opens it to other machines wants it to be called there.
    """
    if host is not None and not _may_be_called(_name(f"//{host}"), listening):
        return f"the control plane answers local hosts only, not {host[:200]!r}"
    if origin is not None and _authority(origin) != host:
        return f"the control plane does not answer pages of {origin[:200]!r}"
    return None


def _may_be_called(name: str | None, listening: str) -> bool:
    """Whether a host is this machine. To the outside, only what a page cannot have rebound: addresses, bare names."""
    if name is None:
        return False
    if name in _LOCAL or name == listening:
        return True
    return listening in _EVERYWHERE and (_is_address(name) or "." not in name or name.endswith(_PRIVATE_SUFFIXES))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _authority(url: str) -> str | None:
    """The host and port of an Origin, as its Host header would have them."""
    try:
        return urlsplit(url).netloc or None
    except ValueError:
        return None
