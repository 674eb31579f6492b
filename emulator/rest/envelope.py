"""What is around an HTTP request: how the journal shows it, what the client says of its attempt, and its connection."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

import msgspec

from emulator.core.errors import CallerGone
from emulator.domain.json_depth import WALKED_MAX, is_deeper
from emulator.http.requests import transport_of
from emulator.http.routing import raw_path
from emulator.operations.base import Envelope

Scope = MutableMapping[str, Any]

_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?")


class JsonCodec:
    """Bodies of HTTP in the journal: they are JSON already. What nobody reads is known when a call was served."""

    def request(self, body: bytes) -> Any:
        if is_deeper(body, WALKED_MAX):  # as one that was refused may be
            raise ValueError("too deep to be shown as JSON")
        return msgspec.json.decode(body)

    response = request

    def unread(self, body: bytes) -> list[str]:
        return []


_CODEC = JsonCodec()


class HttpEnvelope(Envelope):
    """What is around an HTTP request."""

    scope: Scope = msgspec.field(default_factory=dict)

    def drop(self) -> None:
        """Reset the connection. There is none where the application is called within the process."""
        transport = transport_of(self.scope)
        if transport is not None:
            transport.abort()

    def deadline_seconds(self) -> float | None:
        """What OpenAI's clients say of their own attempt."""
        return self._number(b"x-stainless-read-timeout")

    def retry(self) -> int | None:
        """What OpenAI's clients say of their own attempt."""
        number = self._number(b"x-stainless-retry-count")
        return None if number is None else int(number)

    def _number(self, name: bytes) -> float | None:
        text = headers_of(self.scope).get(name, b"").decode("latin-1")
        return float(text) if _NUMBER.fullmatch(text) else None


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """The headers by their names in lower case; of those that are repeated the first."""
    return dict(reversed(scope["headers"]))


def envelope_of(scope: Scope, headers: Mapping[bytes, bytes]) -> HttpEnvelope:
    """The envelope of a request."""
    target, query = raw_path(scope), scope["query_string"]
    if query:
        target = f"{target}?{query.decode('latin-1')}"
    return HttpEnvelope(
        scope["method"],
        target,
        scope["headers"],
        _CODEC,
        is_internal=b"x-emulator-internal" in headers,
        scope=scope,
    )


@contextmanager
def cancelled_on_disconnect(scope: Scope) -> Iterator[None]:
    """Cancel the current task when the client of a request disconnects. Raises CallerGone where that has happened.

    A cancellation by somebody else, such as the stop of the server, stays a CancelledError.
    """
    transport, task = transport_of(scope), asyncio.current_task()
    if transport is None or task is None:
        yield
        return
    disconnected = False

    def cancel() -> None:
        nonlocal disconnected
        disconnected = True
        task.cancel()

    transport.on_lost(cancel)
    try:
        yield
    except asyncio.CancelledError:
        if disconnected and not task.uncancel():
            raise CallerGone from None
        raise
    finally:
        transport.on_lost(None)
