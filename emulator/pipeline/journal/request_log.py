"""The request log: one line on the terminal for each call (`--log requests`)."""

from __future__ import annotations

from collections.abc import Callable

from emulator.core.clock import rfc3339
from emulator.domain.keys import DEFAULT_TEAM
from emulator.pipeline.journal.journal import Entry
from emulator.pipeline.journal.views import shown_target


def request_logger(log: Callable[[str], None]) -> Callable[[str, Entry], None]:
    """Return a listener for the journal that logs each completed call of every team."""
    return lambda team, entry: log(line_of(team, entry))


def line_of(team: str, entry: Entry) -> str:
    """Return a call as one line: wall clock, transport, status, duration, operation, path, and notes such as faults."""
    status = "-" if entry.status is None else entry.status
    words = [rfc3339(entry.real_at)[11:23], f"{entry.transport:4}", f"{status!s:>4}", f"{entry.ms:8.1f} ms"]
    words += [f"{entry.operation or '-':24}", entry.method, shown_target(entry.target)]
    words += [f"team={team}"] if team != DEFAULT_TEAM else []
    words += [f"rule={entry.rule}"] if entry.rule else []
    words += [f"fault={fault}" for fault in entry.faults]
    return " ".join(words)
