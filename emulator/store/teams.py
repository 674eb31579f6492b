"""Rows of teams: their clock, their settings and the counter of their ids."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import msgspec

from emulator.core.clock import Instant
from emulator.store.database import Database

# The tables of a team except its chunks, in the order of deletion; `deleted_files` is last, because a trigger writes to
# it.
_TABLES = (
    *("batch_calls", "batch_media", "batch_costs", "batch_requests", "batches"),
    *("document_unique_values", "documents", "collections"),
    *("file_batch_uploads", "files", "jobs", "deleted_files"),
    *("deferred_completions", "stored_responses", "deferred_videos", "live_media"),
    *("retired_secrets", "api_keys", "audit_events"),
)
_MANY_FILES = 1000  # from this number on, dropping and making triggers is faster than running them


class TeamRow(msgspec.Struct, frozen=True):
    """The row of a team."""

    clock_offset: int
    frozen_at: Instant | None
    overrides: dict[str, Any]  # the settings of the team, as JSON values


class Teams:
    """The teams that exist."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self, name: str) -> TeamRow | None:
        """Return the row of a team, or None."""
        row = self._db.row("SELECT clock_offset, frozen_at, overrides FROM teams WHERE name = ?", (name,))
        return None if row is None else TeamRow(row[0], row[1], json.loads(row[2]))

    def insert(self, name: str) -> None:
        """Create a team, unless it exists."""
        self._db.write("INSERT INTO teams (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))

    def exists(self, name: str) -> bool:
        """Return whether a team of this name exists."""
        return self._db.row("SELECT 1 FROM teams WHERE name = ?", (name,)) is not None

    def names(self) -> list[str]:
        """Return the names of all teams, sorted."""
        return [row[0] for row in self._db.rows("SELECT name FROM teams ORDER BY name")]

    def set_clock(self, name: str, offset: int, frozen_at: Instant | None) -> None:
        """Store the clock of a team."""
        self._db.write("UPDATE teams SET clock_offset = ?, frozen_at = ? WHERE name = ?", (offset, frozen_at, name))

    def set_overrides(self, name: str, overrides: Mapping[str, Any]) -> None:
        """Store the settings of a team."""
        self._db.write("UPDATE teams SET overrides = ? WHERE name = ?", (json.dumps(overrides), name))

    def delete(self, name: str) -> None:
        """Delete the row of a team, after all of its data."""
        self._db.write("DELETE FROM teams WHERE name = ?", (name,))

    def next_id(self, name: str) -> int | None:
        """Return the next value of the team's id counter. None if the team does not exist."""
        row = self._db.row("UPDATE teams SET id_counter = id_counter + 1 WHERE name = ? RETURNING id_counter", (name,))
        return None if row is None else int(row[0])

    def clear(self, name: str) -> dict[str, int]:
        """Delete all data of a team except its chunks; return the number of rows by table."""
        with self._db.transaction(), self._counting_nothing(name):
            counts = {table: self._db.write(f"DELETE FROM {table} WHERE team = ?", (name,)) for table in _TABLES}
            self._db.write(
                "UPDATE teams SET id_counter = 0, clock_offset = 0, frozen_at = NULL, overrides = '{}', "
                "files_count = 0, files_bytes = 0 WHERE name = ?",
                (name,),
            )
        return counts

    def _counting_nothing(self, name: str) -> AbstractContextManager[None]:
        """Disable triggers if a team has many files: they update counts and positions that are deleted as well."""
        row = self._db.row("SELECT files_count FROM teams WHERE name = ?", (name,))
        return nullcontext() if row is None or row[0] < _MANY_FILES else self._db.without_triggers()
