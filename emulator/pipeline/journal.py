"""A bounded memory of calls: who asked what, through which door, and what came of it. Never a secret, never content."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from emulator.clock import Instant, monotonic_ms
from emulator.errors import ApiError
from emulator.operations.base import Call, Door


@dataclass(slots=True)
class Entry:
    """One call. `outcome` is "ok" or the kind of the refusal; None while the call runs."""

    number: int
    at: Instant
    door: Door
    operation: str
    team: str
    outcome: str | None = None
    rule: str | None = None
    ms: float = 0.0
    _started: float = 0.0

    def refused(self, error: ApiError) -> None:
        """The call ends with a refusal."""
        self.outcome, self.rule = error.kind.name, error.rule

    def cancelled(self) -> None:
        """The caller left before the answer."""
        self.outcome = "CANCELLED"

    def failed(self, error: Exception) -> None:
        """The call ends with a defect of the emulator."""
        self.outcome, self.rule = "INTERNAL", type(error).__name__

    def end(self) -> None:
        """The call is over."""
        self.ms = monotonic_ms() - self._started
        if self.outcome is None:
            self.outcome = "ok"


class Journal:
    """The last calls, in order of their numbers; `evicted` counts those that were forgotten."""

    def __init__(self, entries_max: int = 10_000) -> None:
        self._entries: deque[Entry] = deque(maxlen=entries_max)
        self._count = 0

    def begin(self, call: Call) -> Entry:
        """Note a call that starts."""
        self._count += 1
        entry = Entry(self._count, call.at, call.door, call.operation.name, call.team.name)
        entry._started = monotonic_ms()
        self._entries.append(entry)
        return entry

    @property
    def evicted(self) -> int:
        return self._count - len(self._entries)

    def entries(self, team: str) -> list[Entry]:
        """The remembered calls of a team, oldest first."""
        return [entry for entry in self._entries if entry.team == team]
