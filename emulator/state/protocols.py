"""What the state expects of the services that packages above it provide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from emulator.core.clock import Instant
from emulator.core.errors import ApiError
from emulator.domain.chat.requests import ModelRequest


class Journal(Protocol):
    """Remembers calls."""

    def begin(
        self, team: str, at: Instant, transport: Any, operation: str, envelope: Any, secret: str | None
    ) -> Any: ...

    def replied(
        self,
        call: Any,
        status: int | str | None,
        reply: bytes | None,
        size: int | None = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None: ...

    def unmatched(
        self,
        team: str,
        at: Instant,
        transport: Any,
        envelope: Any,
        credentials: str | None,
        error: ApiError,
        status: int | str,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None: ...

    def clear(self, team: str) -> int: ...

    def drop(self, team: str) -> None: ...


class Faults(Protocol):
    """Knows which calls are to fail."""

    def take(self, call: Any) -> Any: ...

    def clear(self, team: str) -> int: ...


class PlannedAnswers(Protocol):
    """Knows what a test wants a team's requests to be answered with."""

    def add(self, team: str, rule: Any) -> Any: ...

    def of(self, team: str) -> list[Any]: ...

    def remove(self, team: str, id: str) -> bool: ...

    def before(self, team: str, responder: Responder) -> Responder: ...

    def clear(self, team: str) -> int: ...


class ResponderTable(Protocol):
    """Finds responders by their setting."""

    def named(self, wanted: str | Callable[..., Any]) -> Responder: ...

    def clear(self, team: str) -> int: ...


class Responder(Protocol):
    """Answers model requests; `requests_max` is how many at once."""

    requests_max: int

    async def answer(self, requests: Sequence[ModelRequest]) -> list[Any]:
        """What to say to each request, in order. An exception in its place lets that request fail."""
        ...
