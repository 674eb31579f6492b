"""Checkpoints: the log stays short while rows are written, and hardly a commit waits for the disk."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from emulator.store.checkpoints import LOG_PAGES_MAX, ROWS
from emulator.store.database import Database
from tests.serving import until

WRITTEN = 16 * ROWS
PAGE_BYTES = 4096


def write(database: Database, rows: int) -> None:
    """Commit that many rows, one by one."""
    for n in range(rows):
        with database.transaction():
            database.write("INSERT INTO batch_calls VALUES ('a', ?, 0)", ("x" * 500 + str(n),))


def test_checkpoints_bound_write_ahead_log(tmp_path: Path) -> None:
    """Continuous writing keeps the log bounded: earlier pages reach the database before the connection closes."""
    path = tmp_path / "emulator.sqlite"
    with closing(Database(path)) as database:
        for _ in range(16):
            write(database, ROWS)
            until(lambda: database._checkpoints is not None and database._checkpoints.idle)
        log = path.with_name(path.name + "-wal")
        assert log.stat().st_size < 1.1 * LOG_PAGES_MAX * PAGE_BYTES
        assert path.stat().st_size > WRITTEN * 500 / 2, "it was carried over before the end"
        assert database.rows("SELECT count(*) FROM batch_calls") == [(WRITTEN,)]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM batch_calls").fetchone() == (WRITTEN,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_blocked_checkpoint_is_made_later(tmp_path: Path) -> None:
    """A reader that blocks a checkpoint does not block commits, and nothing is lost."""
    path = tmp_path / "emulator.sqlite"
    with closing(Database(path)) as database:
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM batch_calls").fetchone()
            write(database, 2 * ROWS)
            assert reader.execute("SELECT count(*) FROM batch_calls").fetchone() == (0,)
        write(database, ROWS)
        assert database.rows("SELECT count(*) FROM batch_calls") == [(3 * ROWS,)]
