"""The clock of a team: the wall clock plus an offset, or a frozen instant.

This is the only module that reads the wall clock. An `Instant` is a whole number of microseconds since the Unix epoch
(UTC): the resolution of the API, and exact in every store.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

import msgspec

Instant = int
MICROSECONDS = 1_000_000  # in a second
LATEST: Instant = 253_402_300_799 * MICROSECONDS  # 9999-12-31T23:59:59Z, the end of RFC 3339


def wall() -> Instant:
    """Read the wall clock."""
    return time.time_ns() // 1000


def monotonic_ms() -> float:
    """Return a monotonic time in milliseconds, to measure durations."""
    return time.perf_counter() * 1000


def seconds(instant: Instant) -> int:
    """Return whole Unix seconds, the format of the Files API."""
    return instant // MICROSECONDS


def rfc3339(instant: Instant) -> str:
    """Return RFC 3339 in UTC with six fraction digits and `Z`, the format of the management API."""
    return to_datetime(instant).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def date(instant: Instant) -> str:
    """Return `YYYY-MM-DD` in UTC, the format of the Batch API over REST."""
    return to_datetime(instant).strftime("%Y-%m-%d")


def to_datetime(instant: Instant) -> datetime:
    """Return an aware datetime in UTC."""
    whole, micros = divmod(instant, MICROSECONDS)
    return datetime.fromtimestamp(whole, UTC).replace(microsecond=micros)


def from_datetime(moment: datetime) -> Instant:
    """Return the instant of an aware datetime."""
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * MICROSECONDS + delta.microseconds


def later(instant: Instant, microseconds: int) -> Instant:
    """Return `instant` plus `microseconds`, at most LATEST, which a late clock could exceed without limits."""
    return max(0, min(instant + microseconds, LATEST))


class Clock(msgspec.Struct):
    """The clock of one team. Only `reset` moves it backwards. It stops at the end of the year 9999."""

    offset: int = 0  # microseconds ahead of the wall clock
    frozen_at: Instant | None = None

    @property
    def frozen(self) -> bool:
        return self.frozen_at is not None

    def now(self) -> Instant:
        """Return the team's current instant."""
        if self.frozen_at is not None:
            return self.frozen_at
        instant = wall()
        return later(instant, self.offset) if self.offset else instant

    def advance(self, microseconds: int) -> None:
        """Move forward; a frozen clock stays frozen at the later instant."""
        if microseconds < 0:
            raise ValueError("a clock only advances forward")
        if self.now() + microseconds > LATEST:
            raise ValueError("a clock stops at the end of the year 9999")
        if self.frozen_at is None:
            self.offset += microseconds
        else:
            self.frozen_at += microseconds

    def freeze(self, at: Instant | None = None) -> None:
        """Stop at the current instant, or at `at`. Raises ValueError if `at` is out of range."""
        if at is not None and not 0 <= at <= LATEST:
            raise ValueError("at lies before 1970 or after 9999")
        self.frozen_at = self.now() if at is None else at

    def resume(self) -> None:
        """Continue from the frozen instant."""
        if self.frozen_at is not None:
            self.offset = self.frozen_at - wall()
            self.frozen_at = None

    def reset(self) -> None:
        """Set the clock to the wall clock."""
        self.offset, self.frozen_at = 0, None
