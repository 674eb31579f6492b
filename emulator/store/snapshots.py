"""Snapshots: everything a team has, in one file that can be kept, copied and given to another team.

The file is an SQLite database with the rows of every table that has a column `team`, whatever that table is, and the
bytes they refer to. It is written under a temporary name and renamed, so a snapshot is whole or not there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from emulator import ids
from emulator.clock import LATEST, Instant
from emulator.store.blobs import Blobs
from emulator.store.database import SCHEMA_VERSION, Database, told
from emulator.store.snapshot_files import (
    APPLICATION_ID,
    FORMAT_VERSION,
    BadSnapshot,
    open_part,
    open_whole,
    put_blob,
    take_blob,
)
from emulator.store.teams import TeamRow

NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_SUFFIX = ".xai-snapshot"
_BLOB_COLUMN = re.compile(r"(?:.*_)?blob")  # holds the name of a blob


class SnapshotRow(msgspec.Struct, frozen=True):
    """A snapshot that is kept."""

    name: str
    team: str
    at: Instant  # in the team's time
    size: int


_Team = tuple[  # what a clock and the settings can be made of
    Annotated[int, Meta(ge=-LATEST, le=LATEST)], Annotated[int, Meta(ge=0, le=LATEST)] | None, dict[str, Any]
]


class Saving:
    """A snapshot on its way: its rows are written, its bytes are held by hard links."""

    def __init__(self, part: Path, target: Path, links: Path) -> None:
        self._part, self._target, self._links = part, target, links

    def finish(self) -> int:
        """Add the bytes and give the file its name; its size. Touches nothing that the loop owns: meant for a thread.

        Raises OSError when the disk is full.
        """
        try:
            with closing(open_part(self._part)) as file, file:
                for entry in sorted(os.scandir(self._links), key=lambda entry: entry.name):
                    put_blob(file, Path(entry.path))
            size = self._part.stat().st_size
            os.replace(self._part, self._target)
            return size
        except sqlite3.Error as error:
            raise told(error) from error
        finally:
            self._part.unlink(missing_ok=True)
            shutil.rmtree(self._links, ignore_errors=True)


class Opened(msgspec.Struct, frozen=True):
    """A snapshot that can be restored: its bytes lie among the blobs already, each under a new name."""

    path: Path
    blobs: dict[str, str]  # from the name in the snapshot
    team: TeamRow


class Snapshots:
    """The snapshots of every team, below the data directory or the temporary one."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._db, self._blobs = database, blobs
        self._directory = blobs.directory / "snapshots"
        shutil.rmtree(self._directory / "parts", ignore_errors=True)  # left by a process that died

    # --- files

    def path(self, team: str, name: str) -> Path:
        """Where a snapshot lies, or would."""
        return self._directory / f"team-{team}" / f"{name}{_SUFFIX}"

    def names(self, team: str) -> list[str]:
        """The snapshots of a team, in order of name."""
        return sorted(path.name.removesuffix(_SUFFIX) for path in self.path(team, "").parent.glob(f"*{_SUFFIX}"))

    def describe(self, team: str, name: str) -> SnapshotRow:
        """What is known of a snapshot. Raises BadSnapshot."""
        path = self.path(team, name)
        with closing(open_whole(path)) as file:
            origin, at = file.execute("SELECT team, at FROM snapshot").fetchone()
            [size] = file.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").fetchone()
        return SnapshotRow(name, origin, at, size)

    def new_part(self) -> Path:
        """A place for a file that is not whole yet."""
        parts = self._directory / "parts"
        parts.mkdir(parents=True, exist_ok=True)
        return parts / ids.fresh_name()

    def take_in(self, part: Path, team: str, name: str) -> None:
        """Keep a file that was sent. Raises BadSnapshot for one that is none."""
        open_whole(part).close()
        target = self.path(team, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(part, target)

    def remove(self, team: str, name: str) -> None:
        """Forget a snapshot."""
        self.path(team, name).unlink(missing_ok=True)

    def remove_all(self, team: str) -> None:
        """Forget the snapshots of a team."""
        shutil.rmtree(self.path(team, "").parent, ignore_errors=True)

    # --- rows

    def save(self, team: str, target: Path, at: Instant, *, without: Iterable[str]) -> Saving:
        """Write the rows of a team as they are now, without some settings of its own; `finish` then adds the bytes."""
        part, links = self.new_part(), self.new_part()
        links.mkdir()
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._attached(part):
                self._write_rows(team, at, without)
            for name in self._blob_names(team):
                os.link(self._blobs.path(name), links / name)
        except BaseException:
            part.unlink(missing_ok=True)
            shutil.rmtree(links, ignore_errors=True)
            raise
        return Saving(part, target, links)

    def _write_rows(self, team: str, at: Instant, without: Iterable[str]) -> None:
        # The file is not whole before it is renamed, so there is nothing that a journal could save.
        for pragma in ("journal_mode=OFF", "synchronous=OFF", f"application_id={APPLICATION_ID}"):
            self._db.write(f"PRAGMA snapshot.{pragma}")
        self._db.write(f"PRAGMA snapshot.user_version={FORMAT_VERSION}")
        with self._db.transaction():
            self._db.write("CREATE TABLE snapshot.snapshot (schema_version INTEGER, team TEXT, at INTEGER)")
            self._db.write("INSERT INTO snapshot.snapshot VALUES (?, ?, ?)", (SCHEMA_VERSION, team, at))
            self._db.write("CREATE TABLE snapshot.blobs (name TEXT PRIMARY KEY, content BLOB NOT NULL)")
            # Left out as they are read: what is written once can be read in the file, even when it is changed after.
            paths = ", ".join(f"'$.{name}'" for name in without)
            read = {"overrides": f"json_remove(overrides, {paths}) AS overrides"}
            columns = [read.get(name, name) for name in self._columns("teams")]
            selected = f"SELECT {', '.join(columns)} FROM main.teams WHERE name = ?"
            self._db.write(f"CREATE TABLE snapshot.teams AS {selected}", (team,))
            for table in self._tables():
                self._db.write(f"CREATE TABLE snapshot.{table} AS SELECT * FROM main.{table} WHERE team = ?", (team,))

    def open(self, path: Path) -> Opened:
        """Take a snapshot's bytes among the blobs. Raises BadSnapshot. May run in a thread."""
        names: dict[str, str] = {}
        try:
            with closing(open_whole(path)) as file:
                row = file.execute("SELECT clock_offset, frozen_at, overrides FROM teams").fetchone()
                team = msgspec.convert((row[0], row[1], json.loads(row[2])), _Team)
                for rowid, name in file.execute("SELECT rowid, name FROM blobs"):
                    names[name] = take_blob(file, rowid, self._blobs)
        except BaseException as error:
            self._blobs.remove(names.values())
            if isinstance(error, sqlite3.Error | TypeError | json.JSONDecodeError | msgspec.ValidationError):
                raise BadSnapshot(f"the snapshot is damaged: {error}") from None
            raise
        return Opened(path, names, TeamRow(*team))

    @contextmanager
    def restoring(self, snapshot: Opened) -> Iterator[None]:
        """Have a snapshot at hand for `insert`; if that fails, its bytes are not kept. Encloses the transaction."""
        try:
            with self._attached(snapshot.path):
                yield
        except BaseException as error:
            self._blobs.remove(snapshot.blobs.values())
            if isinstance(error, sqlite3.Error):
                raise BadSnapshot(f"the snapshot does not fit: {error}") from None
            raise

    def insert(self, team: str, snapshot: Opened) -> None:
        """Give a team, which has nothing, the rows of the snapshot at hand."""
        self._db.write("PRAGMA defer_foreign_keys=ON")
        with self._without_triggers():
            self._rename_blobs(snapshot.blobs)
            shift = self._shift()
            for table in self._tables():
                self._insert_rows(table, team, shift)
            self._insert_team(team)
            self._db.write("DROP TABLE temp.blob_names")

    def _insert_rows(self, table: str, team: str, shift: int) -> None:
        columns = self._columns(table)
        unique = self._unique_beyond_teams(table)
        values, where = [], []
        for column in columns:
            taken = f"EXISTS (SELECT 1 FROM main.{table} AS other WHERE other.{column} = s.{column})"
            if column == "team":
                values.append("?1")
            elif column == "seq":
                values.append(f"seq + {shift}")
            elif unique.get(column):
                values.append(f"CASE WHEN {taken} THEN NULL ELSE {column} END")
            elif column in unique:
                values.append(column)
                where.append(f"NOT {taken}")
            elif _BLOB_COLUMN.fullmatch(column):
                values.append(f"(SELECT new FROM temp.blob_names WHERE old = s.{column})")
            else:
                values.append(column)
        self._db.write(
            f"INSERT INTO main.{table} ({', '.join(columns)}) SELECT {', '.join(values)} FROM snapshot.{table} AS s"
            + (f" WHERE {' AND '.join(where)}" if where else "")
            + (" ORDER BY seq" if "seq" in columns else ""),
            (team,),
        )

    def _insert_team(self, team: str) -> None:
        columns = [name for name in self._columns("teams") if name != "name"]
        self._db.write(
            f"UPDATE main.teams SET ({', '.join(columns)}) = (SELECT {', '.join(columns)} FROM snapshot.teams) "
            "WHERE name = ?",
            (team,),
        )

    def _unique_beyond_teams(self, table: str) -> dict[str, bool]:
        """The columns that are unique over all teams, and whether they may be null: tokens that lead to one team."""
        rows = self._db.rows(
            'SELECT c.name, NOT t."notnull" AND NOT t.pk FROM pragma_index_list(?1) AS i, '
            "pragma_index_info(i.name) AS c, pragma_table_info(?1) AS t "
            'WHERE i."unique" AND t.name = c.name AND (SELECT count(*) FROM pragma_index_info(i.name)) = 1',
            (table,),
        )
        return {name: bool(nullable) for name, nullable in rows if name != "team"}

    def _shift(self) -> int:
        """How much the insertion numbers have to grow so that none is taken; 0 keeps page tokens valid."""
        numbered = [table for table in self._tables() if self._is_numbered(table)]
        for table in numbered:
            if self._db.row(f"SELECT 1 FROM main.{table} JOIN snapshot.{table} USING (seq) LIMIT 1") is not None:
                row = self._db.row("SELECT max(seq) FROM main.sqlite_sequence")
                return int(row[0]) if row is not None else 0
        return 0

    def _is_numbered(self, table: str) -> bool:
        found = self._db.row("SELECT 1 FROM pragma_table_info(?) WHERE name = 'seq' AND pk", (table,))
        return found is not None

    def _tables(self) -> list[str]:
        """The tables whose rows belong to teams."""
        rows = self._db.rows(
            "SELECT m.name FROM main.sqlite_master AS m, pragma_table_info(m.name) AS c "
            "WHERE m.type = 'table' AND c.name = 'team' ORDER BY m.name"
        )
        return [row[0] for row in rows]

    def _columns(self, table: str) -> list[str]:
        return [row[0] for row in self._db.rows("SELECT name FROM pragma_table_info(?, 'main')", (table,))]

    def _blob_names(self, team: str) -> set[str]:
        names: set[str] = set()
        for table in self._tables():
            for column in self._columns(table):
                if _BLOB_COLUMN.fullmatch(column):
                    rows = self._db.rows(f"SELECT {column} FROM main.{table} WHERE team = ?", (team,))
                    names |= {row[0] for row in rows if row[0] is not None}
        return names

    def _rename_blobs(self, names: dict[str, str]) -> None:
        self._db.write("CREATE TEMP TABLE blob_names (old TEXT PRIMARY KEY, new TEXT NOT NULL)")
        for pair in names.items():
            self._db.write("INSERT INTO temp.blob_names VALUES (?, ?)", pair)

    @contextmanager
    def _attached(self, path: Path) -> Iterator[None]:
        self._db.write("ATTACH ? AS snapshot", (str(path),))
        try:
            yield
        finally:
            self._db.write("DETACH snapshot")

    @contextmanager
    def _without_triggers(self) -> Iterator[None]:
        """Nothing is counted: the counts come with the rows."""
        triggers = self._db.rows("SELECT name, sql FROM main.sqlite_master WHERE type = 'trigger'")
        for name, _ in triggers:
            self._db.write(f"DROP TRIGGER main.{name}")
        yield
        for _, sql in triggers:
            self._db.write(sql)
