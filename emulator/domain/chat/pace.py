"""The pace of an answer: a delay before it, the speed of its text, and an optional early end of its stream."""

from __future__ import annotations

from typing import Any

import msgspec

from emulator.core.clock import MICROSECONDS


class Pace(msgspec.Struct, frozen=True, omit_defaults=True):
    """Seconds by the team's clock, words of a delta, and the number of deltas after which a stream is cut."""

    delay: float = 0.0
    ttft: float = 0.0
    tokens_per_second: float | None = None
    chunk: int = 1
    cut_after: int | None = None

    def microseconds(self, tokens: int) -> int:
        """Return the time from the end of the delay to the given number of tokens."""
        writing = tokens / self.tokens_per_second if self.tokens_per_second else 0.0
        return round((self.ttft + writing) * MICROSECONDS)

    @property
    def delay_microseconds(self) -> int:
        """Return the delay before the answer."""
        return round(self.delay * MICROSECONDS)


class Paced(msgspec.Struct, frozen=True):
    """A responder's answer, with its pace."""

    said: Any
    pace: Pace


def without_pace(said: Any) -> Any:
    """Return a responder's answer without its pace, for a request that is not waited for, such as one of a batch."""
    return said.said if isinstance(said, Paced) else said
