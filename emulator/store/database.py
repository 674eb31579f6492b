"""The one SQLite connection: opening, schema versions, transactions.

It is called directly on the event loop that owns the state, because a row by key takes microseconds, and a change of
threads ten times that. So a transaction without an `await` is atomic with respect to every other operation.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from emulator.core.locks import PRIVATE_FILE
from emulator.domain.paging import Cursor
from emulator.store.checkpoints import LOG_PAGES_MAX, Checkpoints

T = TypeVar("T")

SCHEMA_VERSION = 3
_SCHEMA = Path(__file__).with_name("schema.sql")
_CHUNKS = Path(__file__).with_name("schema_chunks.sql")
_FROM_2 = Path(__file__).with_name("schema_from_2.sql")
_ADDED = Path(__file__).with_name("schema_added.sql")
# How long a statement waits while another program has the database locked. The event loop waits too, so the time is
# short. Only the first statement waits: until one succeeds, the others fail at once.
BUSY_MILLISECONDS = 50


class DatabaseUnusable(Exception):
    """The database cannot be opened; the message says why and what to do."""


# The errno for each primary result code of SQLite that is about the disk.
_DISK_ERRORS = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_CANTOPEN: errno.EIO,
    sqlite3.SQLITE_CORRUPT: errno.EIO,
    sqlite3.SQLITE_NOTADB: errno.EIO,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_BUSY: errno.EBUSY,
}


# Python, not SQLite, reports damaged text: as an OperationalError without a code, or as a decoding error.
_ERRORS = (sqlite3.Error, UnicodeDecodeError)


def translate_error(error: Exception) -> Exception:
    """Map sqlite3 errors to OSError so that callers stay storage-agnostic."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None and isinstance(error, sqlite3.OperationalError | UnicodeDecodeError):
        return OSError(errno.EIO, "database disk image is malformed")
    number = _DISK_ERRORS.get((code or 0) & 0xFF)  # the primary result code
    return error if number is None else OSError(number, str(error))


class Database:
    """A connection with the current schema. Rows are plain tuples."""

    def __init__(self, path: Path | None) -> None:
        """Open `path`, or a database in memory. Raises DatabaseUnusable."""
        where = ":memory:" if path is None else str(path)
        self._depth = 0
        self._is_locked = False  # by another program, at the last attempt
        self._is_full = False  # the disk, at the last write
        self._checkpoints = None if path is None else Checkpoints(path)
        try:
            if path is not None:  # SQLite would make it readable by other users
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), PRIVATE_FILE))
            self._connection = sqlite3.connect(
                where, isolation_level=None, check_same_thread=False, timeout=BUSY_MILLISECONDS / 1000
            )
            try:
                self._prepare(where)
            except BaseException:
                self._connection.close()
                raise
        except _ERRORS as error:
            raise DatabaseUnusable(f"the database {where} cannot be opened: {error}") from None

    def _prepare(self, where: str) -> None:
        connection = self._connection
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        is_empty = connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None
        if version == 0 and not is_empty:
            raise DatabaseUnusable(f"the database {where} was not created by xai-emulator: use another --data-dir")
        if version not in (0, 2, SCHEMA_VERSION):
            raise DatabaseUnusable(
                f"the database {where} has schema version {version}, this xai-emulator reads version "
                f"{SCHEMA_VERSION}; use another --data-dir or the xai-emulator version that wrote it"
            )
        # WAL with NORMAL: a commit survives the death of the process, not necessarily a power cut.
        connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;")
        # Some builds overwrite deleted content with zeros even if that costs I/O, which is five times slower.
        connection.execute("PRAGMA secure_delete=FAST")
        connection.execute(f"PRAGMA wal_autocheckpoint={LOG_PAGES_MAX}")
        if version != SCHEMA_VERSION:
            tables = _CHUNKS.read_text()
            changes = (
                _SCHEMA.read_text() + tables
                if version == 0
                else f"ALTER TABLE chunks RENAME TO former_chunks; {tables} {_FROM_2.read_text()}"
            )
            connection.executescript(f"BEGIN; {changes} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")
        connection.executescript(_ADDED.read_text())

    def close(self) -> None:
        if self._checkpoints is not None:
            self._checkpoints.close()
        self._connection.close()

    @property
    def in_transaction(self) -> bool:
        return self._depth > 0

    @property
    def rows_written(self) -> int:
        """Return how many rows were written so far, including those that were rolled back; it only increases."""
        return self._connection.total_changes

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything inside, or nothing. Nested transactions join the outer one."""
        if self._depth == 0:
            self._execute("BEGIN IMMEDIATE")
        self._depth += 1
        try:
            yield
        except BaseException:
            self._depth -= 1
            if self._depth == 0:
                self._roll_back()
            raise
        self._depth -= 1
        if self._depth == 0:
            try:
                self._execute("COMMIT")
            except Exception:
                self._roll_back()
                raise
            if self._checkpoints is not None:
                self._checkpoints.committed(self.rows_written)

    @contextmanager
    def without_triggers(self) -> Iterator[None]:
        """Disable triggers inside. Needs a transaction, whose rollback restores them. Takes about a millisecond."""
        triggers = self.rows("SELECT name, sql FROM main.sqlite_master WHERE type = 'trigger'")
        for name, _ in triggers:
            self.write(f"DROP TRIGGER main.{name}")
        yield
        for _, sql in triggers:
            self.write(sql)

    def _roll_back(self) -> None:
        """Roll the transaction back, unless SQLite has done so already, as on a full disk."""
        if self._connection.in_transaction:
            self._execute("ROLLBACK")

    def _translated(self, error: Exception) -> Exception:
        """Return the translated error. After a locked database, later calls do not wait for it again."""
        translated = translate_error(error)
        number = translated.errno if isinstance(translated, OSError) else None
        if number == errno.EBUSY and not self._is_locked:
            self._wait_for_locks(0)
        self._is_full |= number == errno.ENOSPC
        return translated

    def _wait_for_locks(self, milliseconds: int) -> None:
        self._is_locked = milliseconds == 0
        self._connection.execute(f"PRAGMA busy_timeout={milliseconds}")

    def _empty_log(self) -> None:
        """Copy the log into the database and truncate it: refused writes start no checkpoint that would do so later.

        On a disk that is still full, the pages stay in the log.
        """
        if self._checkpoints is not None:
            self._checkpoints.wait()
        with suppress(sqlite3.Error):
            blocked, *_ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            self._is_full = bool(blocked)

    def _execute(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        if self._is_full and not self._connection.in_transaction:
            self._empty_log()
        try:
            cursor = self._connection.execute(sql, parameters)
            if self._is_locked and self._connection.in_transaction:  # the lock was acquired
                self._wait_for_locks(BUSY_MILLISECONDS)
            return cursor
        except _ERRORS as error:
            raise self._translated(error) from error

    def write(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Run one statement and return the number of rows it changed. Raises OSError when the disk is full."""
        return self._execute(sql, parameters).rowcount

    def write_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        """Run one statement for each row of parameters and return the number of rows changed by all of them.

        Raises OSError when the disk is full.
        """
        try:
            return self._connection.executemany(sql, rows).rowcount
        except _ERRORS as error:
            raise self._translated(error) from error

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """Return the first row, or None."""
        try:
            row: tuple[Any, ...] | None = self._connection.execute(sql, parameters).fetchone()
        except _ERRORS as error:
            raise self._translated(error) from error
        return row

    def count(self, counted: str, parameters: Sequence[Any] = ()) -> int:
        """Return the number of rows for the text after FROM: a table and its condition."""
        row = self.row(f"SELECT count(*) FROM {counted}", parameters)
        assert row is not None
        count: int = row[0]
        return count

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return all rows."""
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except _ERRORS as error:
            raise self._translated(error) from error

    def keyset(
        self,
        make: Callable[[tuple[Any, ...]], T],
        select: str,
        where: str,
        parameters: Sequence[Any],
        *,
        order_by: str,
        descending: bool,
        after: Cursor | None,
        limit: int,
        seq: str = "seq",
    ) -> list[T]:
        """Return a page of rows in the order of (order_by, seq), after a position, converted by `make`."""
        direction, beyond = ("DESC", "<") if descending else ("ASC", ">")
        values = list(parameters)
        if after is not None:
            where += f" AND ({order_by}, {seq}) {beyond} (?, ?)"
            values += (after.key, after.seq)
        sql = f"{select} WHERE {where} ORDER BY {order_by} {direction}, {seq} {direction} LIMIT ?"
        return [make(row) for row in self.rows(sql, [*values, limit])]
