"""Rows of the audit log."""

from __future__ import annotations

from emulator.domain.audit import AuditEvent
from emulator.domain.paging import Cursor
from emulator.store.columns import Columns
from emulator.store.database import Database

AUDIT_EVENTS = Columns(AuditEvent, "audit_events", computed={"seq": None})


class AuditLog:
    """The audit events of every team."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def append(self, team: str, event: AuditEvent, most: int | None) -> None:
        """Add an event; if there are more than `most`, delete the oldest ones."""
        with self._db.transaction():
            self._db.write(AUDIT_EVENTS.insert, AUDIT_EVENTS.row(team, event))
            if most is not None:
                self._db.write(
                    "DELETE FROM audit_events WHERE team = ?1 AND seq <= "
                    "(SELECT seq FROM audit_events WHERE team = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)",
                    (team, most),
                )

    def page(self, team: str, start: int, stop: int, after: Cursor | None, limit: int) -> list[AuditEvent]:
        """Return events of [start, stop), newest first, after a position."""
        return self._db.keyset(
            AUDIT_EVENTS.read,
            AUDIT_EVENTS.select,
            "team = ? AND at >= ? AND at < ?",
            (team, start, stop),
            order_by="at",
            descending=True,
            after=after,
            limit=limit,
        )

    def clear(self, team: str) -> None:
        """Delete the events of a team."""
        self._db.write("DELETE FROM audit_events WHERE team = ?", (team,))

    @staticmethod
    def cursor(event: AuditEvent) -> Cursor:
        """Return the position of an event in the list."""
        return Cursor(event.at, event.seq)
