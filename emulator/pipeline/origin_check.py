"""Which names an emulator answers to, and which web pages may read its answers.

A browser sends requests on behalf of any page that its user visits, and every page knows the published default keys.
Two checks keep pages of elsewhere out:

- `Host`. DNS rebinding gives a name of the attacker the address of this machine, so that the emulator seems to be part
  of the attacker's site. Such a name needs a DNS server of the attacker; addresses, names without a dot and private
  suffixes have none. The control API is stricter and takes local names alone while the emulator listens on loopback.
- `Origin`. The control API answers its own page only. For `/v1`, CORS headers say whether a page of
  another origin may read an answer; `Authorization` needs a preflight, so without them it sends no call at all.

gRPC has neither check: a page cannot speak HTTP/2 without TLS, nor set the headers that gRPC needs.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from urllib.parse import urlsplit

import msgspec

from emulator.state.settings import Settings, flag

HOSTS_KNOWN = 256  # verdicts that are kept
SHOWN_CHARS_MAX = 200  # of a foreign name, in a refusal
_EVERYWHERE = frozenset({"0.0.0.0", "::"})
_PRIVATE_SUFFIXES = (".local", ".internal", ".localhost")  # names that no public DNS server can answer for


class OriginCheck(msgspec.Struct, frozen=True):
    """The names and pages that the settings of an emulator let in."""

    listening: str  # --host: who opens it to other machines wants it to be called there
    allowed: frozenset[str]  # of --allow-host, and the host of --public-url
    cors: str

    @classmethod
    def of(cls, settings: Settings) -> OriginCheck:
        """The check that the settings ask for."""
        public = None if settings.public_url is None else _host_of(settings.public_url)
        return cls(settings.host.lower(), frozenset(filter(None, [*settings.allow_hosts, public])), settings.cors)

    def control_refusal(self, host: str | None, origin: str | None) -> str | None:
        """Why the control API does not answer a call with these headers; None where it does."""
        beyond = self.listening in _EVERYWHERE
        if host is not None and not _is_known(host, self.listening, self.allowed, private_names=beyond):
            return f"the control plane does not answer to the name {_shown(host)}; {_ADVICE}"
        if origin is not None and _authority(origin) != host:
            return f"the control plane does not answer pages of {_shown(origin)}"
        return None

    def api_refusal(self, host: str | None) -> str | None:
        """Why `/v1` does not answer a call with this Host; None where it does."""
        if host is None or _is_known(host, self.listening, self.allowed, private_names=True):
            return None
        return f"This emulator does not answer to the name {_shown(host)}; {_ADVICE}."

    @property
    def any_origin(self) -> bool:
        """Whether every call gets CORS headers, also one without an Origin."""
        return self.cors == "any"

    def cors_origin(self, origin: str | None) -> str | None:
        """The value of Access-Control-Allow-Origin for a call with this Origin; None for no CORS headers."""
        if self.any_origin:
            return "*"
        return origin if self.cors == "loopback" and origin is not None and _is_loopback_page(origin) else None


_ADVICE = f"to use it, start the emulator with {flag('allow_hosts')} NAME"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on a host."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@lru_cache(HOSTS_KNOWN)
def _is_known(host: str, listening: str, allowed: frozenset[str], *, private_names: bool) -> bool:
    """Whether a Host header names this machine."""
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
    """The host of a URL in lower case, without the dot that ends a full name."""
    try:
        return (urlsplit(url).hostname or "").removesuffix(".") or None
    except ValueError:
        return None


def _authority(url: str) -> str | None:
    """The host and port of an Origin, as its Host header would have them."""
    try:
        return urlsplit(url).netloc or None
    except ValueError:
        return None


def _shown(text: str) -> str:
    return ascii(text[:SHOWN_CHARS_MAX])
