"""How fast an answer is given: a wait before it, the pace of its text, and where its stream ends too early."""

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
        """How long after the delay so many tokens are there."""
        writing = tokens / self.tokens_per_second if self.tokens_per_second else 0.0
        return round((self.ttft + writing) * MICROSECONDS)

    @property
    def delay_microseconds(self) -> int:
        """How long nothing happens at all."""
        return round(self.delay * MICROSECONDS)


class Paced(msgspec.Struct, frozen=True):
    """What a responder said, and how fast it is to be given."""

    said: Any
    pace: Pace


def without_pace(said: Any) -> Any:
    """Return what a responder said, for a request whose answer is not waited for, such as one of a batch."""
    return said.said if isinstance(said, Paced) else said
