"""Protocols of the services that packages above `state` provide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from emulator.core.clock import Instant
from emulator.core.errors import ApiError
from emulator.domain.chat.requests import ModelRequest


class Journal(Protocol):
    """Records calls."""

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
    """Decides which calls fail."""

    def take(self, call: Any) -> Any: ...

    def clear(self, team: str) -> int: ...


class PlannedAnswers(Protocol):
    """Has the planned answers of a team."""

    def add(self, team: str, rule: Any) -> Any: ...

    def of(self, team: str) -> list[Any]: ...

    def remove(self, team: str, id: str) -> bool: ...

    def before(self, team: str, responder: Responder) -> Responder: ...

    def clear(self, team: str) -> int: ...


class ResponderTable(Protocol):
    """Returns the responder of a setting."""

    def named(self, wanted: str | Callable[..., Any]) -> Responder: ...

    def clear(self, team: str) -> int: ...


class Responder(Protocol):
    """Answers model requests, at most `requests_max` at once."""

    requests_max: int

    async def answer(self, requests: Sequence[ModelRequest]) -> list[Any]:
        """Return one answer for each request, in order. An exception in place of an answer fails that request."""
        ...
