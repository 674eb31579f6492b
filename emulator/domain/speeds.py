"""The speed of background work: at once, as observed live, or when released."""

from __future__ import annotations

from emulator.core.clock import MICROSECONDS, Instant, later

STAGE = MICROSECONDS // 4  # if no longer time was observed


def pause(speed: str, realistic: int) -> int | None:
    """Return the microseconds to wait at a speed: `realistic` at that speed; None if it waits for release."""
    return {"instant": 0, "realistic": realistic, "manual": None}[speed]


def first_due(speed: str, at: Instant, realistic: int = STAGE) -> Instant | None:
    """Return when work is due that begins at an instant; None if it waits for release."""
    delay = pause(speed, realistic)
    return None if delay is None else later(at, delay)
