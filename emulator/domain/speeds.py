"""How fast things happen that the real service takes its time for: at once, as observed live, or when released."""

from __future__ import annotations

from emulator.core.clock import MICROSECONDS, Instant, later

STAGE = MICROSECONDS // 4  # where no longer time was observed


def pause(speed: str, realistic: int) -> int | None:
    """Return the microseconds to wait at a speed, `realistic` ones at that; None where it waits to be released."""
    return {"instant": 0, "realistic": realistic, "manual": None}[speed]


def first_due(speed: str, at: Instant, realistic: int = STAGE) -> Instant | None:
    """Return when something happens that begins at an instant; None waits until it is released."""
    delay = pause(speed, realistic)
    return None if delay is None else later(at, delay)
