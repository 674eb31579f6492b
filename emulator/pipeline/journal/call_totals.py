"""Counts and durations of all calls since the start, by operation and outcome, for `/_emulator/metrics`."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import NamedTuple

# Upper bounds of the duration buckets, in seconds; one more bucket has the longer durations.
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 10.0)
_MILLISECONDS = tuple(bound * 1000 for bound in SECONDS)


class Calls(NamedTuple):
    """The labels of a counter. A request that matches no route has no operation."""

    operation: str | None
    transport: str
    status: int | str | None  # of HTTP, or the name of a gRPC code; None if there was no response
    outcome: str | None


class Durations:
    """A histogram of the durations of calls with the same labels."""

    __slots__ = ("buckets", "count", "ms")

    def __init__(self) -> None:
        self.count, self.ms = 0, 0.0
        self.buckets = [0] * (len(SECONDS) + 1)


class CallTotals:
    """The counts of all teams since the start. A reset of a team or of its journal does not change them."""

    def __init__(self) -> None:
        self.calls: dict[Calls, Durations] = {}
        self.faults: dict[str, int] = {}  # how often each kind of fault affected a call

    def add(self, calls: Calls, ms: float, faults: Iterable[str]) -> None:
        """Count a completed call with its duration in milliseconds and the faults that affected it."""
        durations = self.calls.get(calls)
        if durations is None:
            durations = self.calls[calls] = Durations()
        durations.count += 1
        durations.ms += ms
        durations.buckets[bisect_left(_MILLISECONDS, ms)] += 1
        for fault in faults:
            self.faults[fault] = self.faults.get(fault, 0) + 1
