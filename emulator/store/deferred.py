"""Rows of deferred chat completions."""

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
        """Store a deferred completion."""
        self._db.write(DEFERRED.insert, DEFERRED.row(team, deferred))

    def get(self, team: str, id: str) -> Deferred | None:
        """Return a deferred completion, expired or not."""
        row = self._db.row(f"{DEFERRED.select} WHERE team = ? AND id = ?", (team, id))
        return None if row is None else DEFERRED.read(row)

    def total(self, team: str) -> int:
        """Return how many unexpired deferred completions a team has."""
        return self._db.count("deferred_completions WHERE team = ? AND answer <> x''", (team,))

    def set_ready(self, team: str, id: str) -> None:
        """Mark a deferred completion as ready to be fetched."""
        self._db.write("UPDATE deferred_completions SET is_ready = 1 WHERE team = ? AND id = ?", (team, id))

    def empty(self, team: str, id: str) -> None:
        """Delete the answer of a deferred completion, and keep its row."""
        self._db.write("UPDATE deferred_completions SET answer = x'' WHERE team = ? AND id = ?", (team, id))

    def delete(self, team: str, id: str) -> None:
        """Delete a deferred completion."""
        self._db.write("DELETE FROM deferred_completions WHERE team = ? AND id = ?", (team, id))
