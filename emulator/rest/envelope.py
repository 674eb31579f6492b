"""What is around an HTTP request: how the journal shows it, what the client says of its attempt, and its connection."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from emulator.operations.base import Envelope
from emulator.port import TRANSPORT, Transport

Scope = Mapping[str, Any]

_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?")


class JsonCodec:
    """Bodies of HTTP in the journal: they are JSON already. What nobody reads is known when a call was served."""

    def request(self, body: bytes) -> Any:
        return msgspec.json.decode(body)

    def response(self, body: bytes) -> Any:
        return msgspec.json.decode(body)

    def unread(self, body: bytes) -> list[str]:
        return []


_CODEC = JsonCodec()


def header(scope: Scope, name: bytes) -> str | None:
    """The first header of a name, in lower case."""
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return None


def envelope_of(scope: Scope) -> Envelope:
    """The envelope of a request."""
    target, query = scope["raw_path"].partition(b"?")[0], scope["query_string"]
    return Envelope(
        method=scope["method"],
        target=(target + b"?" + query if query else target).decode("latin-1"),
        headers=scope["headers"],
        codec=_CODEC,
        drop=lambda: _drop(scope),
        deadline_seconds=lambda: _number(scope, b"x-stainless-read-timeout"),
        retry=lambda: _whole(scope, b"x-stainless-retry-count"),
        aside=header(scope, b"x-emulator-aside") is not None,
    )


def transport_of(scope: Scope) -> Transport | None:
    """The connection of a request. There is none where the application is called within the process."""
    transport: Transport | None = scope.get("extensions", {}).get(TRANSPORT)
    return transport


def _drop(scope: Scope) -> None:
    transport = transport_of(scope)
    if transport is not None:
        transport.abort()


def _number(scope: Scope, name: bytes) -> float | None:
    """What OpenAI's clients say of their own attempt, if they do."""
    text = header(scope, name) or ""
    return float(text) if _NUMBER.fullmatch(text) else None


def _whole(scope: Scope, name: bytes) -> int | None:
    number = _number(scope, name)
    return None if number is None else int(number)
