"""Transactions, pages and versions: all or nothing, in order, and no other schema."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.core.errors import is_of_disk
from emulator.domain.files import File, PublicUrl, SortBy, UploadStatus
from emulator.domain.paging import Cursor
from emulator.store import DatabaseUnusable, LockTaken, Store
from emulator.store.blob_writers import BlobWriter
from emulator.store.database import BUSY_MILLISECONDS, SCHEMA_VERSION, Database
from emulator.store.teams import _MANY_FILES


class Interrupted(Exception):
    """What ends a transaction in these tests."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with one team."""
    store = Store(tmp_path)
    store.teams.insert("a")
    yield store
    store.close()


def add(store: Store, id: str, *, team: str = "a", name: str = "n", size: int = 1, created_at: int = 0) -> None:
    """Add a file with a blob of its own."""
    blob = BlobWriter(store.blobs.path(f"blob-{team}-{id}"))
    blob.write(b"x" * size)
    blob.keep()
    insert(store, id, team=team, name=name, size=size, created_at=created_at, blob=blob.name, hash=blob.digest())


def insert(
    store: Store,
    id: str,
    *,
    blob: str,
    hash: str = "",
    team: str = "a",
    name: str = "n",
    size: int = 0,
    created_at: int = 0,
) -> None:
    """Add the row of a file."""
    store.files.insert(
        team,
        File(
            id=id,
            filename=name,
            size=size,
            content_type="text/plain",
            hash=hash,
            blob=blob,
            created_at=created_at,
            expires_at=None,
            upload_status=UploadStatus.COMPLETE,
            open_for_chunks=False,
        ),
    )


def blobs(store: Store) -> set[str]:
    """What lies on disk."""
    return {path.name for path in (store.blobs.directory / "blobs").iterdir()}


def test_interrupted_transaction_is_rolled_back(store: Store) -> None:
    """Rows, counters and blobs are as they were when it is interrupted, at whatever depth."""
    add(store, "1", size=5)

    def interrupted() -> None:
        with store.transaction():
            store.remove_file("a", "1")
            with store.transaction():
                add(store, "2", size=7)
                store.jobs.add("a", "expire_file", "2", 9)
            assert store.files.usage("a") == (1, 7)
            raise Interrupted

    with pytest.raises(Interrupted):
        interrupted()
    assert store.files.usage("a") == (1, 5)
    assert store.files.get("a", "1", 0) is not None
    assert store.files.get("a", "2", 0) is None
    assert store.jobs.earliest("a") is None
    assert "blob-a-1" in blobs(store), "what was let go was not lost"


@pytest.mark.parametrize("end", ["commit", "roll back"])
def test_clearing_many_files_runs_no_trigger_for_each(store: Store, end: str) -> None:
    """They would count and note what goes as a whole. Before and after, and if it is undone, they count as ever."""
    with store.transaction():
        for number in range(_MANY_FILES):
            insert(store, str(number), blob=f"blob-{number}", size=2)
    before = store.database.rows_written
    with suppress(Interrupted), store.transaction():
        counts = store.clear("a")
        assert (counts["files"], store.files.usage("a")) == (_MANY_FILES, (0, 0))
        if end == "roll back":
            raise Interrupted
    assert store.database.rows_written - before < _MANY_FILES + 20
    left = 0 if end == "commit" else _MANY_FILES
    assert store.files.usage("a") == (left, 2 * left)
    insert(store, "new", blob="blob-new", size=3)
    assert store.files.usage("a") == (left + 1, 2 * left + 3)
    store.remove_file("a", "new")
    assert store.files.usage("a") == (left, 2 * left)
    assert store.files.position("a", "new", SortBy.FILENAME) is not None


def test_blob_is_removed_when_outermost_transaction_commits(store: Store) -> None:
    """Not before: what is inside may still be undone."""
    add(store, "1")
    with store.transaction():
        with store.transaction():
            store.remove_file("a", "1")
        assert blobs(store) == {"blob-a-1"}
    assert blobs(store) == set()


def test_blob_released_in_rolled_back_savepoint_stays(store: Store) -> None:
    """The blob stays also when the outer transaction continues."""
    add(store, "1")
    add(store, "2")
    with store.transaction():
        store.remove_file("a", "1")
        with pytest.raises(Interrupted):
            interrupted_release(store, "blob-a-2")
    assert blobs(store) == {"blob-a-2"}


def interrupted_release(store: Store, name: str) -> None:
    """Let a blob go in a transaction that does not end well."""
    with store.transaction():
        store.release_blob(name)
        raise Interrupted


def test_start_removes_orphaned_blobs(store: Store, tmp_path: Path) -> None:
    """An upload that was cut off, renamed or not; what is owned stays, and so does what was not made here."""
    add(store, "1")
    store.close()
    orphans = [f"xai-blob-{'0' * 32}", f"xai-blob-{'1' * 32}.part"]
    foreign = ["notes.txt", "0" * 32, f"xai-blob-{'0' * 32}.txt"]
    for name in (*orphans, *foreign):
        (tmp_path / "blobs" / name).write_bytes(b"x")
    again = Store(tmp_path)
    assert blobs(again) == {"blob-a-1", *foreign}
    again.close()


@pytest.mark.parametrize("name", ["blobs", "snapshots", "emulator.sqlite"])
def test_data_directory_with_linked_part_is_refused(store: Store, tmp_path: Path, name: str) -> None:
    """Another directory may have the same part, and each would sweep what the other one owns."""
    add(store, "1")
    store.close()
    other = tmp_path / "other"
    other.mkdir()
    (other / name).symlink_to(tmp_path / name)
    with pytest.raises(DatabaseUnusable, match=f"{other / name} is a symbolic link"):
        Store(other)
    assert {path.name for path in (tmp_path / "blobs").iterdir()} == {"blob-a-1"}


def test_temporary_directory_as_data_directory_is_refused(tmp_path: Path) -> None:
    """It goes when the process ends to which it belongs."""
    memory = Store(None)
    try:
        with pytest.raises(DatabaseUnusable, match="is a temporary directory of an xai-emulator"):
            Store(memory.blobs.directory)
    finally:
        memory.close()


def test_database_of_other_program_is_refused_and_unchanged(tmp_path: Path) -> None:
    """It may be called as ours is."""
    path = tmp_path / "emulator.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE games (name TEXT)")
    before = path.read_bytes()
    with pytest.raises(DatabaseUnusable, match="was not created by xai-emulator"):
        Store(tmp_path)
    assert path.read_bytes() == before


def modes(directory: Path) -> dict[str, int]:
    """The permissions of everything in a directory."""
    return {str(path.relative_to(directory)): path.stat().st_mode & 0o777 for path in directory.rglob("*")}


def test_new_data_directory_is_private(tmp_path: Path) -> None:
    """Directories 0700 and files 0600, whatever the umask; a directory that exists keeps its mode."""
    umask = os.umask(0)
    try:
        (tmp_path / "given").mkdir(0o755)
        for directory in (tmp_path / "made", tmp_path / "given"):
            store = Store(directory)
            store.teams.insert("a")
            blob = store.blobs.new()
            blob.write(b"x")
            blob.keep()
            insert(store, "1", blob=blob.name)
            store.snapshots.save("a", store.snapshots.kept.path("a", "s"), 0, without=("responder",)).finish()
            found = modes(directory)
            store.close()
            assert {"emulator.sqlite", "emulator.sqlite-wal", "lock", "blobs", f"blobs/{blob.name}"} <= set(found)
            assert "snapshots/team-a/s.xai-snapshot" in found
            assert {name: mode for name, mode in found.items() if mode not in (0o700, 0o600)} == {}
    finally:
        os.umask(umask)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("made", "given")] == [0o700, 0o755]


# --- a database that another program has locked


@pytest.fixture
def locked(store: Store, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """What locks the database of the store, as the shell of sqlite3 does after BEGIN IMMEDIATE."""
    with closing(sqlite3.connect(tmp_path / "emulator.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


def test_locked_database_refuses_writes_and_answers_reads(store: Store, locked: sqlite3.Connection) -> None:
    """An error of the disk, so that it is refused by its rule; after the lock all is as before."""
    with pytest.raises(OSError, match="locked") as refused:
        add(store, "1")
    assert is_of_disk(refused.value)
    assert store.teams.exists("a")
    locked.execute("ROLLBACK")
    add(store, "2")
    assert store.files.get("a", "2", 0) is not None


def test_locked_database_is_waited_for_once(store: Store, locked: sqlite3.Connection) -> None:
    """The event loop waits with the first statement that is refused; the others are refused at once."""

    def patience() -> int:
        row = store.database.row("PRAGMA busy_timeout")
        assert row is not None
        return int(row[0])

    assert patience() == BUSY_MILLISECONDS
    for write in (lambda: store.teams.next_id("a"), lambda: add(store, "1")):
        with pytest.raises(OSError, match="locked"):
            write()
        assert patience() == 0
    locked.execute("ROLLBACK")
    with store.transaction():
        assert patience() == BUSY_MILLISECONDS


def test_clearing_a_team_keeps_other_teams(store: Store) -> None:
    """Its rows and blobs go, and those of the others stay."""
    store.teams.insert("b")
    add(store, "1")
    add(store, "1", team="b")
    assert store.clear("a")["files"] == 1
    assert blobs(store) == {"blob-b-1"}
    assert (store.files.usage("a"), store.files.usage("b")) == ((0, 0), (1, 1))


def test_cursors_of_deleted_files_are_remembered(store: Store) -> None:
    """Those of the last 10,000 of a team, however many more are deleted, there or in other teams."""
    store.teams.insert("b")
    add(store, "first")
    add(store, "second", name="m")
    add(store, "only", team="b")
    for team, id in (("a", "first"), ("a", "second"), ("b", "only")):
        store.remove_file(team, id)
    places = {sort_by: store.files.position("a", "second", sort_by) for sort_by in SortBy}
    assert places[SortBy.FILENAME] == Cursor("m", 2)
    with store.transaction():
        for number in range(9_999):
            insert(store, str(number), blob=str(number))
            store.files.delete("a", str(number))
    assert store.files.position("a", "first", SortBy.SIZE) is None
    assert {sort_by: store.files.position("a", "second", sort_by) for sort_by in SortBy} == places
    assert store.files.position("b", "only", SortBy.SIZE) is not None


def test_seed_survives_restart(store: Store, tmp_path: Path) -> None:
    """Unless another one is given, which is kept from then on."""
    seeds = [store.seed]
    store.close()
    for wanted in (None, "7", None):
        again = Store(tmp_path, wanted)
        seeds.append(again.seed)
        again.close()
    assert seeds == [seeds[0], seeds[0], "7", "7"]


def test_public_url_token_is_unique(store: Store) -> None:
    """A token that two files had would show one team's bytes to another."""
    add(store, "1")
    add(store, "2")
    store.files.set_public_url("a", "1", PublicUrl("t", None))
    with pytest.raises(sqlite3.IntegrityError):
        store.files.set_public_url("a", "2", PublicUrl("t", None))


ROWS = st.lists(st.tuples(st.sampled_from(["a", "b", "é", "B"]), st.integers(0, 3), st.integers(0, 3)), max_size=12)


@given(ROWS, st.sampled_from(SortBy), st.booleans(), st.integers(1, 5))
def test_pages_are_the_list_in_order(
    rows: list[tuple[str, int, int]], sort_by: SortBy, descending: bool, limit: int
) -> None:
    """Page by page, each file once, by the column and then by age, as Python would sort them."""
    store = Store(None)
    try:
        store.teams.insert("a")
        for number, (name, size, created_at) in enumerate(rows):
            insert(store, str(number), name=name, size=size, created_at=created_at, blob=str(number))
        keys = {SortBy.FILENAME: 0, SortBy.SIZE: 1, SortBy.CREATED_AT: 2}
        order = sorted(range(len(rows)), key=lambda n: (rows[n][keys[sort_by]], n), reverse=descending)
        seen: list[int] = []
        after = None
        while True:
            page = store.files.page("a", 10, sort_by=sort_by, descending=descending, after=after, limit=limit)
            seen += [int(file.id) for file in page]
            if len(page) < limit:
                break
            after = store.files.cursor(page[-1], sort_by)
        assert seen == order
    finally:
        store.close()


def test_database_of_other_schema_version_is_refused(tmp_path: Path) -> None:
    """The sentence says which version there is, which is read, and what to do."""
    path = tmp_path / "emulator.sqlite"
    Database(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(DatabaseUnusable, match=f"has schema version {SCHEMA_VERSION + 1}, .*another --data-dir"):
        Store(tmp_path)
    Store(tmp_path / "other").close()


def test_store_that_fails_to_open_releases_its_lock(tmp_path: Path) -> None:
    """After a refusal, and after a close, another store may work there; while it is open none may."""
    (tmp_path / "emulator.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(DatabaseUnusable, match="cannot be opened"):
        Store(tmp_path)
    (tmp_path / "emulator.sqlite").unlink()
    store = Store(tmp_path)
    with pytest.raises(LockTaken):
        Store(tmp_path)
    store.close()
    Store(tmp_path).close()
