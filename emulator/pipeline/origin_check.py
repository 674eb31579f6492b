"""Check the Host and Origin of requests: protection from DNS rebinding and from foreign web pages.

A browser sends requests on behalf of any page that its user visits, and every page knows the published default keys.
Two checks exclude foreign pages:

- `Host`. With DNS rebinding an attacker's name resolves to the address of this machine, so that the emulator seems to
  be part of the attacker's site. Such a name must be public; addresses, names without a dot and private suffixes are
  not. The control API accepts local names only while the emulator listens on loopback.
- `Origin`. The control API accepts its own page only. For `/v1`, CORS headers say whether a page of another origin may
  read an answer; `Authorization` needs a preflight, so without them a browser does not send the call.

gRPC has neither check: a page cannot speak HTTP/2 without TLS, nor set the headers that gRPC needs.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from urllib.parse import urlsplit

import msgspec

from emulator.state.settings import Settings, flag

HOSTS_KNOWN = 256  # results in the cache
SHOWN_CHARS_MAX = 200  # of an unknown name, in a refusal
_EVERYWHERE = frozenset({"0.0.0.0", "::"})
_PRIVATE_SUFFIXES = (".local", ".internal", ".localhost")  # names that no public DNS server resolves


class OriginCheck(msgspec.Struct, frozen=True):
    """The host names and web pages that the settings of an emulator allow."""

    listening: str  # --host: other machines call the emulator by this name
    allowed: frozenset[str]  # of --allow-host, and the host of --public-url
    cors: str

    @classmethod
    def of(cls, settings: Settings) -> OriginCheck:
        """Return the check for the settings."""
        public = None if settings.public_url is None else _host_of(settings.public_url)
        return cls(settings.host.lower(), frozenset(filter(None, [*settings.allow_hosts, public])), settings.cors)

    def control_refusal(self, host: str | None, origin: str | None) -> str | None:
        """Return why the control API refuses a call with these headers; None if it does not."""
        beyond = self.listening in _EVERYWHERE
        if host is not None and not _is_known(host, self.listening, self.allowed, private_names=beyond):
            return f"the control plane does not answer to the name {_shown(host)}; {_ADVICE}"
        if origin is not None and _authority(origin) != host:
            return f"the control plane does not answer pages of {_shown(origin)}"
        return None

    def api_refusal(self, host: str | None) -> str | None:
        """Return why `/v1` refuses a call with this Host; None if it does not."""
        if host is None or _is_known(host, self.listening, self.allowed, private_names=True):
            return None
        return f"This emulator does not answer to the name {_shown(host)}; {_ADVICE}."

    @property
    def any_origin(self) -> bool:
        """Whether every response has CORS headers, also without an Origin."""
        return self.cors == "any"

    def cors_origin(self, origin: str | None) -> str | None:
        """Return the value of Access-Control-Allow-Origin for a call with this Origin; None for no CORS headers."""
        if self.any_origin:
            return "*"
        return origin if self.cors == "loopback" and origin is not None and _is_loopback_page(origin) else None


_ADVICE = f"to use it, start the emulator with {flag('allow_hosts')} NAME"


def is_loopback(host: str) -> bool:
    """Return whether only this machine can connect to a server that listens on a host."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@lru_cache(HOSTS_KNOWN)
def _is_known(host: str, listening: str, allowed: frozenset[str], *, private_names: bool) -> bool:
    """Return whether a Host header names this machine."""
    name = _host_of(f"//{host}")
    if name is None:
        return False
    if is_loopback(name) or name == listening or name in allowed:
        return True
    if any(suffix.startswith(".") and name.endswith(suffix) for suffix in allowed):
        return True
    return private_names and (_is_address(name) or "." not in name or name.endswith(_PRIVATE_SUFFIXES))


@lru_cache(HOSTS_KNOWN)
def _is_loopback_page(origin: str) -> bool:
    name = _host_of(origin) if origin.startswith(("http://", "https://")) else None
    return name is not None and is_loopback(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _host_of(url: str) -> str | None:
    """Return the host of a URL in lower case, without a trailing dot."""
    try:
        return (urlsplit(url).hostname or "").removesuffix(".") or None
    except ValueError:
        return None


def _authority(url: str) -> str | None:
    """Return the host and port of an Origin, in the form of a Host header."""
    try:
        return urlsplit(url).netloc or None
    except ValueError:
        return None


def _shown(text: str) -> str:
    return ascii(text[:SHOWN_CHARS_MAX])
