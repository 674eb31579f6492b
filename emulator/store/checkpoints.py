"""Carries what was committed from the write-ahead log into the database, in a thread: the disk is waited for there."""

from __future__ import annotations

import sqlite3
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

ROWS = 500  # written between two checkpoints
# SQLite makes a checkpoint itself, and on the event loop, only when this much has come together all the same.
LOG_PAGES_MAX = 8_000


class Checkpoints:
    """One checkpoint at a time. Called on the event loop, which reads and commits meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")
        self._running: Future[None] | None = None
        self._next = ROWS

    @property
    def idle(self) -> bool:
        """Whether none is being made."""
        return self._running is None or self._running.done()

    def committed(self, rows_written: int) -> None:
        """Hear how many rows were written so far, and begin a checkpoint if it is time for one."""
        if rows_written >= self._next and self.idle:
            self._next = rows_written + ROWS
            self._running = self._thread.submit(self._run)

    def _run(self) -> None:
        with suppress(sqlite3.Error):  # what does not fit on the disk, say, stays in the log and is carried over later
            if self._connection is None:
                self._connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
                self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Wait for the one that runs."""
        self._thread.shutdown()
        if self._connection is not None:
            self._connection.close()
