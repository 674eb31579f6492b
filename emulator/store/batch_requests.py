"""Rows of the requests of batches. The body of a request is in its row, or on a line of the input file of the batch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec

from emulator.core.clock import Instant
from emulator.core.errors import Kind
from emulator.domain.batches.batch import Batch, Failure, Request, RequestKind
from emulator.domain.batches.jsonl import body_of
from emulator.domain.paging import Cursor
from emulator.store.blobs import Blobs
from emulator.store.database import Database

_SELECT = (
    "SELECT id, kind, model, created_at, finished_at, result, error, error_kind, size, body_offset, seq "
    "FROM batch_requests"
)
_KINDS = {kind.value: kind for kind in RequestKind}
_OF_BATCH = "team = ?1 AND batch_id = ?2"
# Excludes the requests of an incomplete addition. The plus sign keeps SQLite from using the order of `seq`.
_FIRST = "SELECT first FROM batch_additions WHERE owner = ?1 AND batch_id = ?2"
_ADMITTED = f"{_OF_BATCH} AND +seq < ifnull(({_FIRST}), {2**63 - 1})"


def _request(row: tuple[Any, ...]) -> Request:
    outcome = row[5] if row[6] is None else Failure(Kind[row[7]], row[6])
    return Request(row[0], _KINDS[row[1]], row[2], row[3], row[4], outcome, row[8], row[9], row[10])


class NewRow(msgspec.Struct, frozen=True):
    """A request to add: with its body, or with the offset of its line in the input file."""

    id: str
    kind: RequestKind
    model: str
    due_at: Instant | None  # None: when the next request of its batch is processed
    size: int  # bytes of the body, or of the line
    body: bytes | None = None
    offset: int | None = None


class BatchRequests:
    """The requests of every batch."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._db = database
        self._blobs = blobs

    def insert(self, team: str, batch_id: str, at: Instant, rows: Sequence[NewRow]) -> bool:
        """Add requests, without those whose ids the batch already has; return whether there were none of these."""
        added = self._db.write_many(
            "INSERT INTO batch_requests (team, batch_id, id, kind, model, created_at, due_at, size, body, "
            "body_offset) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                (team, batch_id, row.id, row.kind.value, row.model, at, row.due_at, row.size, row.body, row.offset)
                for row in rows
            ),
        )
        return not rows or added == len(rows)

    def get(self, team: str, batch_id: str, id: str) -> Request | None:
        """Return a request."""
        row = self._db.row(f"{_SELECT} WHERE {_ADMITTED} AND id = ?", (team, batch_id, id))
        return None if row is None else _request(row)

    def bodies(self, batch: Batch, requests: Sequence[Request]) -> list[bytes]:
        """Return the JSON bodies of requests, in their order."""
        if batch.input_blob is None:
            rows = [self._db.row("SELECT body FROM batch_requests WHERE seq = ?", (each.seq,)) for each in requests]
            return [row[0] for row in rows if row is not None]
        with open(self._blobs.require(batch.input_blob), "rb", buffering=0) as file:
            number = file.fileno()
            return [body_of(os.pread(number, each.size, each.offset or 0)) for each in requests]

    # --- lists, in the order of the ids (observed live for results, 2026-08)

    def page(
        self, team: str, batch_id: str, *, after: Cursor | None, limit: int, finished: bool | None = None
    ) -> list[Request]:
        """Return requests after a position: all, only finished ones, or only unfinished ones."""
        where = {None: "", True: " AND finished_at IS NOT NULL", False: " AND finished_at IS NULL"}[finished]
        return self._db.keyset(
            _request,
            _SELECT,
            _ADMITTED + where,
            (team, batch_id),
            order_by="id",
            descending=False,
            after=after,
            limit=limit,
        )

    @staticmethod
    def cursor(request: Request) -> Cursor:
        """Return the position of a request in the lists."""
        return Cursor(request.id, request.seq)

    # --- processing

    def due(self, team: str, batch_id: str, until: Instant, *, limit: int, bytes: int) -> list[Request]:
        """Return due requests in due order: at most `limit`, with not much more than `bytes` bytes of bodies."""
        rows = self._db.rows(
            f"{_SELECT} WHERE {_ADMITTED} AND finished_at IS NULL AND (due_at IS NULL OR due_at <= ?) "
            "ORDER BY due_at, seq LIMIT ?",
            (team, batch_id, until, limit),
        )
        found: list[Request] = []
        for request in map(_request, rows):
            found.append(request)
            bytes -= request.size
            if bytes <= 0:
                break
        return found

    def next_due(self, team: str, batch_id: str) -> Instant | None:
        """Return when the next unfinished request of a batch is due; None if none has a time of its own."""
        row = self._db.row(
            f"SELECT min(due_at) FROM batch_requests WHERE {_ADMITTED} AND finished_at IS NULL", (team, batch_id)
        )
        return None if row is None else row[0]

    def finish(self, request: Request, outcome: bytes | Failure, at: Instant) -> bool:
        """Store the outcome of a request, once; return whether it was unfinished."""
        result, error, kind = (
            (None, outcome.message, outcome.kind.name) if isinstance(outcome, Failure) else (outcome, None, None)
        )
        changed = self._db.write(
            "UPDATE batch_requests SET finished_at = ?, result = ?, error = ?, error_kind = ? "
            "WHERE seq = ? AND finished_at IS NULL",
            (at, result, error, kind, request.seq),
        )
        return changed == 1

    # --- additions in several transactions

    def begin_addition(self, team: str, batch_id: str) -> None:
        """Hide all requests that are inserted from now on until `end_addition`."""
        self._db.write(
            "INSERT INTO batch_additions SELECT ?, ?, "
            "1 + coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'batch_requests'), 0)",
            (team, batch_id),
        )

    def is_adding(self, team: str, batch_id: str) -> bool:
        """Return whether there is an incomplete addition."""
        row = self._db.row("SELECT 1 FROM batch_additions WHERE owner = ? AND batch_id = ?", (team, batch_id))
        return row is not None

    def end_addition(self, team: str, batch_id: str) -> bool:
        """End an addition: publish its requests, or note that they were deleted. Return whether it was begun."""
        return self._db.write("DELETE FROM batch_additions WHERE owner = ? AND batch_id = ?", (team, batch_id)) > 0

    def take_back(self, team: str, batch_id: str, limit: int) -> bool:
        """Delete some requests of an incomplete addition. Return whether the last of them is deleted."""
        with self._db.transaction():
            deleted = self._db.write(
                "DELETE FROM batch_requests WHERE seq IN "
                f"(SELECT seq FROM batch_requests WHERE {_OF_BATCH} AND seq >= ({_FIRST}) LIMIT ?)",
                (team, batch_id, limit),
            )
            return deleted < limit and self.end_addition(team, batch_id)

    def take_back_all(self) -> None:
        """Delete the rows of additions that another process did not complete. On a full disk they stay hidden."""
        with suppress(OSError):
            for team, batch_id in self._db.rows("SELECT owner, batch_id FROM batch_additions"):
                self.take_back(team, batch_id, 2**63 - 1)

    # --- input files

    def staged(self, team: str, batch_id: str) -> int:
        """Return how many requests were read from the input file so far."""
        return self._db.count(f"batch_requests WHERE {_OF_BATCH}", (team, batch_id))

    def discard(self, team: str, batch_id: str, limit: int) -> int:
        """Delete some requests of a batch whose input file was rejected; return how many."""
        return self._db.write(
            f"DELETE FROM batch_requests WHERE seq IN (SELECT seq FROM batch_requests WHERE {_OF_BATCH} LIMIT ?)",
            (team, batch_id, limit),
        )
