"""How fast things happen that the real service takes its time for: at once, in about a second, or when released."""

from __future__ import annotations

from emulator.core.clock import MICROSECONDS, Instant, later

STAGE = MICROSECONDS // 4  # the realistic speed takes four stages in about a second (observed live)


def pause(speed: str) -> int | None:
    """How many microseconds lie between two stages; None where the first one waits to be released."""
    return {"instant": 0, "realistic": STAGE, "manual": None}[speed]


def first_due(speed: str, at: Instant) -> Instant | None:
    """When something begun at an instant takes its first stage; None waits until it is released."""
    delay = pause(speed)
    return None if delay is None else later(at, delay)
