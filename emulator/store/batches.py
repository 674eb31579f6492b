"""Rows of batches, of their costs, and of the calls that count against their rate limits."""

from __future__ import annotations

import msgspec

from emulator.core.clock import Instant
from emulator.domain.batches.batch import Batch, Phase
from emulator.domain.paging import Cursor
from emulator.store.columns import Columns
from emulator.store.database import Database

BATCHES = Columns(Batch, "batches", computed={"seq": None})
_ONE = "team = ? AND id = ?"


class Cost(msgspec.Struct, frozen=True):
    """The cost of the finished requests of one endpoint."""

    endpoint: str
    ticks: int
    count: int


class Batches:
    """The batches of every team."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def insert(self, team: str, batch: Batch) -> None:
        """Add a batch; the store assigns its number."""
        self._db.write(BATCHES.insert, BATCHES.row(team, batch))

    def get(self, team: str, id: str) -> Batch | None:
        """Return the batch, or None."""
        row = self._db.row(f"{BATCHES.select} WHERE {_ONE}", (team, id))
        return None if row is None else BATCHES.read(row)

    def total(self, team: str) -> int:
        """Return how many batches a team has."""
        return self._db.count("batches WHERE team = ?", (team,))

    def page(self, team: str, after: Cursor | None, limit: int) -> list[Batch]:
        """Return batches, newest first, after a position."""
        return self._db.keyset(
            BATCHES.read,
            BATCHES.select,
            "team = ?",
            (team,),
            order_by="created_at",
            descending=True,
            after=after,
            limit=limit,
        )

    @staticmethod
    def cursor(batch: Batch) -> Cursor:
        """Return the position of a batch in the list."""
        return Cursor(batch.created_at, batch.seq)

    def set_phase(self, team: str, id: str, phase: Phase) -> None:
        """Move a batch to its next open phase."""
        self._db.write(f"UPDATE batches SET phase = ? WHERE {_ONE}", (phase.value, team, id))

    def close(
        self, team: str, id: str, phase: Phase, at: Instant, *, because: str | None = None, reverts: bool = False
    ) -> None:
        """End a batch; requests that are not finished count as cancelled from now on."""
        self._db.write(
            f"UPDATE batches SET phase = ?, closed_at = ?, cancelled_because = ?, cancel_reverts = ? WHERE {_ONE}",
            (phase.value, at, because, reverts, team, id),
        )

    def count(self, team: str, id: str, *, requests: int = 0, success: int = 0, error: int = 0) -> None:
        """Add to the counters of a batch."""
        self._db.write(
            "UPDATE batches SET num_requests = num_requests + ?, num_success = num_success + ?, "
            f"num_error = num_error + ? WHERE {_ONE}",
            (requests, success, error, team, id),
        )

    def set_read(self, team: str, id: str, *, bytes: int, lines: int) -> None:
        """Store how much of the input file has been read."""
        self._db.write(f"UPDATE batches SET read_bytes = ?, read_lines = ? WHERE {_ONE}", (bytes, lines, team, id))

    # --- input files

    def blobs(self, team: str | None = None) -> set[str]:
        """Return the names of all blobs from which batches read their requests, of one team or of all."""
        where, parameters = ("", ()) if team is None else (" AND team = ?", (team,))
        rows = self._db.rows(f"SELECT input_blob FROM batches WHERE input_blob IS NOT NULL{where}", parameters)
        return {row[0] for row in rows}

    def reads(self, blob: str) -> bool:
        """Return whether a batch reads its requests from a blob. Such a blob is kept when its file is deleted."""
        return self._db.row("SELECT 1 FROM batches WHERE input_blob = ?", (blob,)) is not None

    # --- costs

    def add_cost(self, team: str, id: str, cost: Cost) -> None:
        """Add the cost of requests."""
        self._db.write(
            "INSERT INTO batch_costs VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE "
            "SET ticks = ticks + excluded.ticks, count = count + excluded.count",
            (team, id, cost.endpoint, cost.ticks, cost.count),
        )

    def costs(self, team: str, id: str) -> list[Cost]:
        """Return the cost of a batch by endpoint."""
        rows = self._db.rows(
            "SELECT endpoint, ticks, count FROM batch_costs WHERE team = ? AND batch_id = ? ORDER BY endpoint",
            (team, id),
        )
        return [Cost(*row) for row in rows]

    # --- rates

    def calls_since(self, team: str, operation: str, instant: Instant) -> int:
        """Return how often an operation was called after an instant; older calls are deleted."""
        self._db.write(
            "DELETE FROM batch_calls WHERE team = ? AND operation = ? AND at <= ?", (team, operation, instant)
        )
        return self._db.count("batch_calls WHERE team = ? AND operation = ?", (team, operation))

    def note_call(self, team: str, operation: str, at: Instant) -> None:
        """Record a call."""
        self._db.write("INSERT INTO batch_calls VALUES (?, ?, ?)", (team, operation, at))
