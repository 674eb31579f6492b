"""Copy committed pages from the write-ahead log into the database, in a thread that waits for the disk."""

from __future__ import annotations

import sqlite3
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

ROWS = 500  # rows written between two checkpoints
# SQLite makes a checkpoint itself, on the event loop, only if the log reaches this size nevertheless.
LOG_PAGES_MAX = 8_000


class Checkpoints:
    """Runs one checkpoint at a time. Called on the event loop, which reads and commits meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")
        self._running: Future[None] | None = None
        self._next = ROWS

    @property
    def idle(self) -> bool:
        """Return whether no checkpoint is running."""
        return self._running is None or self._running.done()

    def committed(self, rows_written: int) -> None:
        """Note how many rows were written so far, and start a checkpoint if it is due."""
        if rows_written >= self._next and self.idle:
            self._next = rows_written + ROWS
            self._running = self._thread.submit(self._run)

    def _run(self) -> None:
        with suppress(sqlite3.Error):  # on a full disk, for example, pages stay in the log until a later checkpoint
            if self._connection is None:
                self._connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
                self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def wait(self) -> None:
        """Wait for a running checkpoint."""
        if self._running is not None:
            self._running.result()

    def close(self) -> None:
        """Wait for a running checkpoint."""
        self._thread.shutdown()
        if self._connection is not None:
            self._connection.close()
