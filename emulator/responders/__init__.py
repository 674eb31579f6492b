"""Responders, which answer model requests: `echo`, `canned:FILE`, `call:MODULE:FUNCTION`, `http:URL`, or a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from emulator.core.import_callable import load
from emulator.core.redaction import redact_url
from emulator.state.protocols import Responder


def make_responder(spec: str | Callable[..., Any]) -> Responder:
    """Return the responder for a spec. Raises ValueError with one sentence."""
    if not isinstance(spec, str):
        return _call(spec)
    if spec == "echo":
        return _echo()
    kind, _, rest = spec.partition(":")
    if kind not in _KINDS or not rest:
        raise ValueError(f"{redact_url(spec)!r} is not echo, canned:FILE, call:MODULE:FUNCTION or http:URL")
    return _KINDS[kind](spec if rest.startswith("//") else rest)


# Each module is imported at its first use: most emulators only need `echo`.


def _echo() -> Responder:
    from emulator.responders.echo import Echo

    return Echo()


def _canned(path: str) -> Responder:
    from emulator.responders.canned import Canned

    return Canned.from_file(path)


def _call(function: Callable[..., Any]) -> Responder:
    from emulator.responders.call import Call

    return Call(function)


def _http(url: str) -> Responder:
    from emulator.responders.http import Http

    return Http.from_url(url)


_KINDS: dict[str, Callable[[str], Responder]] = {
    "canned": _canned,
    "call": lambda name: _call(load(name)),
    "http": _http,
    "https": _http,
}
