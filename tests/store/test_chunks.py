"""Chunks: rows of an older data directory, of a snapshot, and of many documents that are removed in steps."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy
import pytest

from emulator.domain.documents import IndexedChunk
from emulator.store import Store, chunks

TEAM, COLLECTION = "team", "collection"
_VERSION_2 = """
CREATE TABLE former (
    team          TEXT NOT NULL,
    collection_id TEXT NOT NULL,
    file_id       TEXT NOT NULL,
    ordinal       INTEGER NOT NULL,
    id            TEXT NOT NULL,
    content       TEXT NOT NULL,
    indexed_text  TEXT,
    page_number   INTEGER,
    vector        BLOB NOT NULL,
    UNIQUE (team, collection_id, file_id, ordinal)
);
INSERT INTO former SELECT * FROM placed_chunks;
DROP VIEW placed_chunks;
DROP TABLE chunk_owners;
DROP TABLE chunks;
ALTER TABLE former RENAME TO chunks;
PRAGMA user_version = 2;
"""


def chunk(file_id: str, ordinal: int) -> IndexedChunk:
    """A chunk that says whose it is; every other one is indexed as another text."""
    text = f"{file_id} {ordinal}"
    return IndexedChunk(f"id {text}", ordinal, text, f"name {text}" if ordinal % 2 else text, ordinal or None)


def put(store: Store, team: str, collection: str, file_id: str, count: int = 3) -> None:
    """Index a document."""
    given = [chunk(file_id, ordinal) for ordinal in range(count)]
    store.chunks.replace(team, collection, file_id, given, numpy.ones((count, 2), numpy.float32))


def found(store: Store, team: str, collection: str, file_id: str) -> list[IndexedChunk]:
    """The chunks of a document, after the first one."""
    return store.chunks.of_document(team, collection, file_id, 0, 100)


@pytest.fixture
def places() -> list[tuple[str, str, str]]:
    """Documents whose keys must not meet."""
    return [(team, collection, file) for team in ("a", "b") for collection in ("c", "d") for file in ("e", "f")]


def test_data_directory_of_schema_version_2_is_read(tmp_path: Path, places: list[tuple[str, str, str]]) -> None:
    """Each chunk is in the document that it was in, and can be removed with it."""
    store = Store(tmp_path)
    for place in places:
        put(store, *place)
    store.close()
    with closing(sqlite3.connect(tmp_path / "emulator.sqlite")) as connection:
        connection.executescript(_VERSION_2)
    store = Store(tmp_path)
    for team, collection, file_id in places:
        assert found(store, team, collection, file_id) == [chunk(file_id, 1), chunk(file_id, 2)]
        version = store.chunks.version(team, collection, file_id)
        assert version is not None
        rows = store.chunks.rows(team, collection, version, 1, 100)
        assert [(row.ordinal, row.vector) for row in rows] == [(2, numpy.ones(2, "<f4").tobytes())]
    store.chunks.remove(*places[0])
    assert store.database.count("chunks") == 3 * len(places) - 3
    store.close()


def test_cleared_team_leaves_the_chunks_of_others(tmp_path: Path, places: list[tuple[str, str, str]]) -> None:
    """The rows go with their documents, and are counted."""
    store = Store(tmp_path)
    store.teams.insert("a")
    for place in places:
        put(store, *place)
    assert store.clear("a")["chunks"] == 12
    assert store.database.count("chunk_owners") == 4
    for team, collection, file_id in places:
        assert len(found(store, team, collection, file_id)) == (0 if team == "a" else 2)
    store.close()


def test_collection_of_many_documents_is_deleted_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """No step deletes more rows than it may, of chunks or of documents, and none is left."""
    monkeypatch.setattr(chunks, "DELETED_AT_ONCE", 10)
    store = Store(None)
    for number in range(20):
        put(store, TEAM, COLLECTION, str(number), 1 + number % 3)
    put(store, TEAM, "other", "0")
    before = (store.database.count("chunks"), store.database.count("chunk_owners"))
    store.chunks.remove_collection(TEAM, COLLECTION)
    more = True
    while more:
        after = (store.database.count("chunks"), store.database.count("chunk_owners"))
        assert all(there - left <= 10 for there, left in zip(before, after, strict=True))
        before, more = after, store.chunks.discard(TEAM, COLLECTION, None)
    assert (store.database.count("chunks"), store.database.count("chunk_owners")) == (3, 1)
    store.close()
