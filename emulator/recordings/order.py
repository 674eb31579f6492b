"""The order of exchanges, and the times at which they began."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from emulator.core.clock import Instant, from_datetime
from emulator.recordings.entries import Entry

YEARS = range(2000, 2100)  # of which a recording can be


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """Return entries in the order in which their requests began."""
    return sorted(entries, key=lambda entry: (moment(entry.started) or 0, entry.number if entry.number else 0))


def moment(text: str) -> Instant | None:
    """Return the instant of a time in RFC 3339; None if it is missing, invalid, or of another century."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if found.tzinfo is None or found.year not in YEARS else from_datetime(found)
