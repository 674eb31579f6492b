"""Rows of deferred completions: answers that wait to be fetched."""

from __future__ import annotations

import msgspec

from emulator.core.clock import Instant
from emulator.store.columns import Columns
from emulator.store.database import Database


class Deferred(msgspec.Struct, frozen=True):
    """A deferred completion. `answer` is JSON; it is empty once it has expired."""

    id: str
    answer: bytes
    is_ready: bool
    expires_at: Instant


DEFERRED = Columns(Deferred, "deferred_completions")


class DeferredCompletions:
    """The deferred completions of every team."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def insert(self, team: str, deferred: Deferred) -> None:
        """Keep one."""
        self._db.write(DEFERRED.insert, DEFERRED.row(team, deferred))

    def get(self, team: str, id: str) -> Deferred | None:
        """Return one, expired or not."""
        row = self._db.row(f"{DEFERRED.select} WHERE team = ? AND id = ?", (team, id))
        return None if row is None else DEFERRED.read(row)

    def total(self, team: str) -> int:
        """Return how many a team has that have not expired."""
        return self._db.count("deferred_completions WHERE team = ? AND answer <> x''", (team,))

    def set_ready(self, team: str, id: str) -> None:
        """Let one be fetched."""
        self._db.write("UPDATE deferred_completions SET is_ready = 1 WHERE team = ? AND id = ?", (team, id))

    def empty(self, team: str, id: str) -> None:
        """Forget the answer of one, but not that there was one."""
        self._db.write("UPDATE deferred_completions SET answer = x'' WHERE team = ? AND id = ?", (team, id))

    def delete(self, team: str, id: str) -> None:
        """Delete one."""
        self._db.write("DELETE FROM deferred_completions WHERE team = ? AND id = ?", (team, id))
