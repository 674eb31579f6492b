"""Snapshots: all data of a team in one file that can be stored, copied and restored into another team.

The file is an SQLite database with the rows of every table that has a column `team`. For the bytes of the blobs see
`directory`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from emulator.core.clock import LATEST, Instant
from emulator.core.lazy_pattern import lazy_pattern
from emulator.store.blobs import Blobs, clone
from emulator.store.database import Database, translate_error
from emulator.store.snapshots.directory import SnapshotDirectory, remove_links
from emulator.store.snapshots.files import (
    APPLICATION_ID,
    FORMAT_VERSION,
    SCHEMA_VERSION,
    BadSnapshot,
    linked,
    links_of,
    name_links,
    open_part,
    open_whole,
    take_blob,
)
from emulator.store.teams import TeamRow

NAME = lazy_pattern(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
# Excludes rows of incomplete additions: see `operations.batches.additions`.
_ADMITTED = {
    "batch_requests": " AND NOT EXISTS (SELECT 1 FROM main.batch_additions AS addition WHERE owner = team "
    "AND addition.batch_id = batch_requests.batch_id AND seq >= first)"
}
_BLOB_COLUMN = lazy_pattern(r"(?:.*_)?blob")  # contains the name of a blob


_Team = tuple[  # the clock and the settings
    Annotated[int, Meta(ge=-LATEST, le=LATEST)], Annotated[int, Meta(ge=0, le=LATEST)] | None, dict[str, Any]
]


class SnapshotWriter:
    """A snapshot that is being written: its rows are complete, and its blobs are held until it is finished."""

    def __init__(self, kept: SnapshotDirectory, blobs: Blobs, part: Path, target: Path, names: set[str]) -> None:
        self._kept, self._blobs, self._part, self._target, self._names = kept, blobs, part, target, names
        blobs.hold(names)

    def finish(self, bytes_max: int | None = None) -> int:
        """Link the bytes and rename the file to its final name; return the bytes of the snapshot.

        Meant for a thread: uses nothing that the event loop owns.
        Raises OSError when the disk is full, and NoSpace if the team's snapshots would exceed `bytes_max`.
        """
        links: Path | None = None
        try:
            paths = [self._blobs.path(name) for name in sorted(self._names)]
            size = sum(path.stat().st_size for path in paths)
            # Before a copy fills the disk.
            self._kept.check_space(self._target, size + self._part.stat().st_size, bytes_max)
            links = self._kept.new_links()
            for path in paths:
                clone(path, links / path.name)
            with closing(open_part(self._part)) as file, file:
                name_links(file, links.name, size)
            return self._kept.keep(self._part, self._target, bytes_max)
        except BaseException as error:
            self._part.unlink(missing_ok=True)
            if links is not None:
                remove_links(links)
            if isinstance(error, sqlite3.Error):
                raise translate_error(error) from error
            raise
        finally:
            self._blobs.let_go(self._names)


class LoadedSnapshot(msgspec.Struct, frozen=True):
    """A snapshot that can be restored: its bytes are blobs already, each under a new name."""

    path: Path
    blobs: dict[str, str]  # from the name in the snapshot
    team: TeamRow


class Snapshots:
    """The snapshots of every team."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._db, self._blobs = database, blobs
        self.kept = SnapshotDirectory(blobs.directory)

    def save(self, team: str, target: Path, at: Instant, *, without: Iterable[str]) -> SnapshotWriter:
        """Write the current rows of a team, without some of its settings; `finish` then links the bytes."""
        names, part = self._blob_names(team), self.kept.new_part()
        try:
            with self._attached(part):
                self._write_rows(team, at, without, names)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return SnapshotWriter(self.kept, self._blobs, part, target, names)

    def _write_rows(self, team: str, at: Instant, without: Iterable[str], blobs: Iterable[str]) -> None:
        # No journal is needed, because the file is renamed only when it is complete.
        for pragma in ("journal_mode=OFF", "synchronous=OFF", f"application_id={APPLICATION_ID}"):
            self._db.write(f"PRAGMA snapshot.{pragma}")
        self._db.write(f"PRAGMA snapshot.user_version={FORMAT_VERSION}")
        with self._db.transaction():
            self._db.write("CREATE TABLE snapshot.snapshot (schema_version INTEGER, team TEXT, at INTEGER)")
            self._db.write("INSERT INTO snapshot.snapshot VALUES (?, ?, ?)", (SCHEMA_VERSION, team, at))
            self._db.write("CREATE TABLE snapshot.blobs (name TEXT PRIMARY KEY, content BLOB)")  # null: linked
            self._db.write_many("INSERT INTO snapshot.blobs VALUES (?, NULL)", [(name,) for name in blobs])
            # Excluded from the query: data that is written and then deleted could still be read in the file.
            paths = ", ".join(f"'$.{name}'" for name in without)
            read = {"overrides": f"json_remove(overrides, {paths}) AS overrides"}
            columns = [read.get(name, name) for name in self._columns("teams")]
            selected = f"SELECT {', '.join(columns)} FROM main.teams WHERE name = ?"
            self._db.write(f"CREATE TABLE snapshot.teams AS {selected}", (team,))
            for table in self._tables():
                admitted = _ADMITTED.get(table, "")
                self._db.write(
                    f"CREATE TABLE snapshot.{table} AS SELECT * FROM main.{table} WHERE team = ?{admitted}", (team,)
                )
            self._db.write("CREATE TABLE snapshot.chunks AS SELECT * FROM main.placed_chunks WHERE team = ?", (team,))

    def open(self, path: Path) -> LoadedSnapshot:
        """Import the bytes of a snapshot as blobs. Raises BadSnapshot. May run in a thread."""
        names: dict[str, str] = {}
        try:
            with closing(open_whole(path)) as file:
                row = file.execute("SELECT clock_offset, frozen_at, overrides FROM teams").fetchone()
                team = msgspec.convert((row[0], row[1], json.loads(row[2])), _Team)
                links = links_of(file)
                for rowid, name in file.execute("SELECT rowid, name FROM blobs"):
                    if links is None:
                        names[name] = take_blob(file, rowid, self._blobs)
                    else:
                        names[name] = self._blobs.adopt(linked(self.kept.links / links, name))
        except BaseException as error:
            self._blobs.remove(names.values())
            if isinstance(error, sqlite3.Error | TypeError | json.JSONDecodeError | msgspec.ValidationError):
                raise BadSnapshot(f"the snapshot is damaged: {error}") from None
            raise
        return LoadedSnapshot(path, names, TeamRow(*team))

    @contextmanager
    def restoring(self, snapshot: LoadedSnapshot) -> Iterator[None]:
        """Attach a snapshot for `insert`; if that fails, remove its blobs. Encloses the transaction."""
        try:
            with self._attached(snapshot.path):
                yield
        except BaseException as error:
            self._blobs.remove(snapshot.blobs.values())
            if isinstance(error, sqlite3.Error):
                raise BadSnapshot(f"the snapshot does not fit: {error}") from None
            raise

    def insert(self, team: str, snapshot: LoadedSnapshot) -> None:
        """Insert the rows of the attached snapshot for an empty team."""
        self._db.write("PRAGMA defer_foreign_keys=ON")
        with self._db.without_triggers():  # the counts are in the rows of the snapshot
            self._rename_blobs(snapshot.blobs)
            shift = self._shift()
            saved = {row[0] for row in self._db.rows("SELECT name FROM snapshot.sqlite_master WHERE type = 'table'")}
            for table in self._tables():
                if table in saved:  # older snapshots do not have newer tables
                    self._insert_rows(table, team, shift)
            self._insert_chunks(team)
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

    def _insert_chunks(self, team: str) -> None:
        """Insert rows of the view `placed_chunks`, which is a table in a snapshot."""
        self._db.write(
            "INSERT INTO main.chunk_owners (owner, collection_id, file_id) "
            "SELECT DISTINCT ?, collection_id, file_id FROM snapshot.chunks",
            (team,),
        )
        self._db.write(
            "INSERT INTO main.chunks SELECT number << 31 | ordinal, id, content, indexed_text, page_number, vector "
            "FROM snapshot.chunks AS s JOIN main.chunk_owners AS place "
            "ON owner = ? AND place.collection_id = s.collection_id AND place.file_id = s.file_id "
            "WHERE ordinal BETWEEN 0 AND 0x7fffffff ORDER BY 1",  # others would belong to another document
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
        """Return the columns that are unique over all teams, such as tokens, and whether they may be null."""
        rows = self._db.rows(
            'SELECT c.name, NOT t."notnull" AND NOT t.pk FROM pragma_index_list(?1) AS i, '
            "pragma_index_info(i.name) AS c, pragma_table_info(?1) AS t "
            'WHERE i."unique" AND t.name = c.name AND (SELECT count(*) FROM pragma_index_info(i.name)) = 1',
            (table,),
        )
        return {name: bool(nullable) for name, nullable in rows if name != "team"}

    def _shift(self) -> int:
        """Return the offset of insertion numbers that avoids conflicts; 0 keeps page tokens valid."""
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
        """Return the tables whose rows belong to teams."""
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
        self._db.write_many("INSERT INTO temp.blob_names VALUES (?, ?)", names.items())

    @contextmanager
    def _attached(self, path: Path) -> Iterator[None]:
        self._db.write("ATTACH ? AS snapshot", (str(path),))
        try:
            yield
        finally:
            self._db.write("DETACH snapshot")
