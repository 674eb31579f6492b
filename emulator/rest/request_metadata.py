"""The metadata of an HTTP request: its view in the journal, the client's timeout and retry, and its connection."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

import msgspec

from emulator.core.lazy_pattern import lazy_pattern
from emulator.domain.json_depth import WALKED_MAX, is_deeper
from emulator.http.requests import connection_of, headers_of
from emulator.operations.base import Envelope

Scope = MutableMapping[str, Any]

_NUMBER = lazy_pattern(r"[0-9]{1,9}(\.[0-9]{1,6})?")


class JsonCodec:
    """Bodies of HTTP in the journal, which are JSON already. Unknown fields are added after the call."""

    def request(self, body: bytes) -> Any:
        if is_deeper(body, WALKED_MAX):  # the body of a refused call may be
            raise ValueError("too deep to be shown as JSON")
        return msgspec.json.decode(body)

    response = request

    def unread(self, body: bytes) -> list[str]:
        return []


_CODEC = JsonCodec()


class HttpEnvelope(Envelope):
    """The metadata of an HTTP request."""

    scope: Scope = msgspec.field(default_factory=dict)

    def drop(self) -> None:
        """Reset the connection. A call within the process has none."""
        connection = connection_of(self.scope)
        if connection is not None:
            connection.abort()

    def deadline_seconds(self) -> float | None:
        """Return the timeout of the client's attempt, from a header of OpenAI's clients."""
        return self._number(b"x-stainless-read-timeout")

    def retry(self) -> int | None:
        """Return the number of the client's retry, from a header of OpenAI's clients."""
        number = self._number(b"x-stainless-retry-count")
        return None if number is None else int(number)

    def _number(self, name: bytes) -> float | None:
        text = headers_of(self.scope).get(name, b"").decode("latin-1")
        return float(text) if _NUMBER.fullmatch(text) else None


def envelope_of(scope: Scope, headers: Mapping[bytes, bytes], raw_path: str) -> HttpEnvelope:
    """Return the metadata of a request; `raw_path` is its path as sent."""
    target, query = raw_path, scope["query_string"]
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
