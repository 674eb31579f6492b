"""Job rows: scheduled work, due in the time of the team."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from emulator.core.clock import LATEST, Instant
from emulator.store.database import Database

ATTEMPTS_MAX = 3  # starts without an end; then the job is dropped, because it may be what ends the process
HELD = LATEST + 1  # due time of a job that waits to be released: no clock reaches it


class JobCancelled(Exception):
    """The job is not scheduled any more: while it ran, its team was reset, restored or deleted."""


class Job(msgspec.Struct, frozen=True):
    """Work to do for `subject` at `due_at`."""

    seq: int
    team: str
    due_at: Instant
    kind: str
    subject: str
    attempts: int = 0  # starts without an end, because the process ended
    careful: int = 0  # how many more pieces of the work are done one by one


class Jobs:
    """The jobs of every team, in order of (due_at, seq)."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, team: str, kind: str, subject: str, due_at: Instant, *, careful: int = 0) -> int:
        """Schedule a job and return its number."""
        row = self._db.row(
            "INSERT INTO jobs (team, due_at, kind, subject) VALUES (?, ?, ?, ?) RETURNING seq",
            (team, due_at, kind, subject),
        )
        assert row is not None
        seq: int = row[0]
        if careful:
            self._db.write("INSERT INTO job_attempts (job, careful) VALUES (?, ?)", (seq, careful))
        return seq

    def begin(self, job: Job) -> None:
        """Record that a job starts. The record remains if the process ends before the job does."""
        self._db.write(
            "INSERT INTO job_attempts (job, attempts) SELECT seq, 1 FROM jobs WHERE seq = ? "
            "ON CONFLICT DO UPDATE SET attempts = attempts + 1",
            (job.seq,),
        )

    def interrupt(self, job: Job) -> None:
        """Record that a job was stopped properly and will run again: none of its attempts counts."""
        self._db.write("UPDATE job_attempts SET attempts = 0 WHERE job = ?", (job.seq,))

    def is_planned(self, team: str, kind: str, subject: str, by: Instant) -> bool:
        """Return whether a job of a kind for a subject is due by an instant."""
        row = self._db.row(
            "SELECT 1 FROM jobs WHERE team = ? AND subject = ? AND kind = ? AND due_at <= ? LIMIT 1",
            (team, subject, kind, by),
        )
        return row is not None

    def next_due(self, team: str, kinds: Iterable[str], until: Instant) -> Job | None:
        """Return the earliest job of some kinds of a team that is due by `until`."""
        found: list[Job] = []
        for kind in kinds:  # one after the other: the database index has an order for each kind
            row = self._db.row(
                "SELECT seq, team, due_at, kind, subject, coalesce(attempts, 0), coalesce(careful, 0) "
                "FROM jobs LEFT JOIN job_attempts ON job = seq WHERE team = ? AND kind = ? AND due_at <= ? "
                "ORDER BY due_at, seq LIMIT 1",
                (team, kind, until),
            )
            if row is not None:
                found.append(Job(*row))
        return min(found, key=lambda job: (job.due_at, job.seq), default=None)

    def earliest(self, team: str, kinds: Iterable[str] | None = None) -> Instant | None:
        """Return when the next job of a team is due, of some kinds or of all."""
        if kinds is None:
            row = self._db.row("SELECT min(due_at) FROM jobs WHERE team = ?", (team,))
            return None if row is None else row[0]
        found = (
            self._db.row("SELECT min(due_at) FROM jobs WHERE team = ? AND kind = ?", (team, kind)) for kind in kinds
        )
        return min((row[0] for row in found if row is not None and row[0] is not None), default=None)

    def planned(self, team: str, limit: int) -> list[Job]:
        """Return the first jobs of a team, in the order in which they are due."""
        rows = self._db.rows(
            "SELECT seq, team, due_at, kind, subject FROM jobs WHERE team = ? ORDER BY due_at, seq LIMIT ?",
            (team, limit),
        )
        return [Job(*row) for row in rows]

    def count(self, team: str) -> int:
        """Return how many jobs of a team are scheduled."""
        return self._db.count("jobs WHERE team = ?", (team,))

    def release(self, team: str, due_at: Instant) -> None:
        """Make the held jobs due."""
        self._db.write("UPDATE jobs SET due_at = ? WHERE team = ? AND due_at = ?", (due_at, team, HELD))

    def exists(self, job: Job) -> bool:
        """Return whether a job is still scheduled; objects with the same ids may be new ones."""
        return self._db.row("SELECT 1 FROM jobs WHERE seq = ?", (job.seq,)) is not None

    def done(self, job: Job) -> None:
        """Remove a job, in the transaction that does its work. Raises JobCancelled."""
        if not self._db.write("DELETE FROM jobs WHERE seq = ?", (job.seq,)):
            raise JobCancelled

    def cancel(self, team: str, kind: str, subject: str) -> None:
        """Remove the scheduled jobs of a kind for a subject."""
        self._db.write("DELETE FROM jobs WHERE team = ? AND subject = ? AND kind = ?", (team, subject, kind))

    def teams(self) -> list[str]:
        """Return the teams that have jobs."""
        return [row[0] for row in self._db.rows("SELECT DISTINCT team FROM jobs")]
