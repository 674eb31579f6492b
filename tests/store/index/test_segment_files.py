"""Indexes in files: there again after a restart, gone with their collection, and never the reason of a wrong answer."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from emulator.domain.collections import MetricSpace
from emulator.domain.documents import IndexedChunk
from emulator.domain.search import keyword_query
from emulator.store import Store
from emulator.store.chunks import index_rows
from emulator.store.index import live_index
from emulator.store.index.collection_index import Hit, IndexQuery

TEAM, COLLECTION = "team", "collection"
QUERY = IndexQuery(keyword_query("ash birch cedar"), None, MetricSpace.COSINE, None, None, "ash birhc cedra")
DOCUMENTS = {"a": ["ash birch", "cedar"], "b": ["birch birch"], "c": ["cedar elm", "ash", "elm"]}


async def put(store: Store, file_id: str, *texts: str) -> None:
    """Index texts as the chunks of a document, as a job does."""
    chunks = [IndexedChunk(f"{file_id}/{n}", n, text, text, None) for n, text in enumerate(texts)]
    store.chunks.remove(TEAM, COLLECTION, file_id)
    store.chunks.add(TEAM, COLLECTION, file_id, chunks, None)
    await store.indexes.stage(TEAM, COLLECTION, file_id, index_rows(chunks, None))
    store.chunks.publish(TEAM, COLLECTION, file_id)


async def ranked(store: Store) -> object:
    """Both rankings."""
    answer = await store.indexes.search(TEAM, COLLECTION, QUERY)

    def seen(found: list[Hit]) -> list[tuple[str, int, int, float]]:
        return [(each.version.file_id, each.ordinal, each.rank, each.score) for each in found]

    return seen(answer.keyword), seen(answer.vector)


@pytest.fixture
async def directory(tmp_path: Path) -> Path:
    """A data directory with an index in files."""
    store = Store(tmp_path / "data")
    for file_id, texts in DOCUMENTS.items():
        await put(store, file_id, *texts)
    await ranked(store)
    store.close()
    return tmp_path / "data"


async def built_from_rows(directory: Path) -> object:
    """What a search answers where there is no file."""
    other = directory.with_name("without")
    shutil.copytree(directory, other)
    for path in files(other):
        path.unlink()
    store = Store(other)
    try:
        return await ranked(store)
    finally:
        store.close()
        shutil.rmtree(other)


def files(directory: Path) -> list[Path]:
    """The files of indexes."""
    return sorted((directory / "index").glob("*"))


async def test_index_is_read_from_files_after_restart(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No text is read again, the rankings are the same, and documents can be added."""
    expected = await built_from_rows(directory)
    store = Store(directory)
    read: list[object] = []
    rows = store.chunks.rows
    monkeypatch.setattr(store.chunks, "rows", lambda *what: (read.extend(found := rows(*what)), found)[1])
    assert await ranked(store) == expected
    assert not read
    await put(store, "d", "cedar")
    assert len((await store.indexes.search(TEAM, COLLECTION, QUERY)).vector) == 7
    store.close()


@pytest.mark.parametrize("pieces", [1, 256])
async def test_changes_since_the_save_are_found_after_a_kill(
    directory: Path, pieces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A removed document is not found and a reindexed one is found with its new text, whatever the files contain."""
    monkeypatch.setattr(live_index, "BUILT_AT_ONCE", pieces)
    store = Store(directory)
    store.chunks.remove(TEAM, COLLECTION, "a")
    await put(store, "b", "ash", "elm")
    await put(store, "e", "birch")
    killed = directory.with_name("killed")
    shutil.copytree(directory, killed)
    store.close()
    for path in (killed, directory):
        again = Store(path)
        found = await ranked(again)
        again.close()
        assert found == await built_from_rows(path)


def flipped(content: bytes, at: int) -> bytes:
    """The same with one byte changed."""
    return content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: flipped(content, 0),
        lambda content: flipped(content, 12),
        lambda content: flipped(content, 30),
        lambda content: flipped(content, len(content) - 1),
        lambda content: b"another file",
    ],
    ids=["empty", "half", "short", "magic", "version", "header", "array", "other"],
)
async def test_damaged_file_is_replaced_from_rows(directory: Path, damage: Callable[[bytes], bytes]) -> None:
    """A search answers as if it had not been there."""
    expected = await built_from_rows(directory)
    for path in files(directory):
        path.write_bytes(damage(path.read_bytes()))
    for _ in range(2):
        store = Store(directory)
        assert await ranked(store) == expected
        store.close()


async def test_file_of_another_analysis_is_not_used(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version of the emulator that cuts texts in another way builds its own."""
    expected = await built_from_rows(directory)
    before = files(directory)
    monkeypatch.setattr(live_index, "ANALYSIS_VERSION", -1)
    store = Store(directory)
    assert await ranked(store) == expected
    store.close()
    assert not set(before) & set(files(directory))


async def test_document_that_is_not_whole_in_the_files_is_read_from_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of the files that hold its chunks is gone."""
    monkeypatch.setattr(live_index, "BUILT_AT_ONCE", 1)
    store = Store(tmp_path / "data")
    for file_id, texts in DOCUMENTS.items():
        await put(store, file_id, *texts)
    expected = await ranked(store)
    store.close()
    assert len(files(tmp_path / "data")) == 6
    for number in range(6):
        copy = tmp_path / f"copy{number}"
        shutil.copytree(tmp_path / "data", copy)
        files(copy)[number].unlink()
        store = Store(copy)
        assert await ranked(store) == expected
        store.close()


async def test_files_go_with_their_collection(directory: Path) -> None:
    """After the transaction; one that is rolled back keeps them."""
    store = Store(directory)
    held = files(directory)
    assert held
    with suppress(ZeroDivisionError), store.transaction():
        store.chunks.remove_collection(TEAM, COLLECTION)
        raise ZeroDivisionError
    await asyncio.sleep(0)
    assert files(directory) == held
    with store.transaction():
        store.chunks.remove_collection(TEAM, COLLECTION)
    await asyncio.sleep(0)
    assert not files(directory)
    assert await ranked(store) == ([], [])
    store.close()


async def test_files_go_with_their_team(directory: Path) -> None:
    """A team that is cleared leaves none."""
    store = Store(directory)
    store.clear(TEAM)
    await asyncio.sleep(0)
    assert not files(directory)
    store.close()


def test_unknown_file_is_removed_at_start(tmp_path: Path) -> None:
    """What a process that died was writing, but nothing that another program made."""
    Store(tmp_path / "data").close()
    (tmp_path / "data" / "index").mkdir(exist_ok=True)
    for name in (f"xai-index-{'0' * 32}", f"xai-index-{'1' * 32}.part", "mine"):
        (tmp_path / "data" / "index" / name).write_bytes(b"")
    Store(tmp_path / "data").close()
    assert files(tmp_path / "data") == [tmp_path / "data" / "index" / "mine"]


async def test_index_is_tidied_and_saved_after_a_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a search and without an end of the process."""
    monkeypatch.setattr("emulator.store.index.index_cache.PAUSE_SECONDS", 0)
    monkeypatch.setattr("emulator.store.index.index_cache.BUFFERED_MAX", 1)
    store = Store(tmp_path / "data")
    for file_id, texts in DOCUMENTS.items():
        await put(store, file_id, *texts)
    while len(store.indexes._files.names(TEAM, COLLECTION)) != 1:
        await asyncio.sleep(0.001)
    expected = await ranked(store)
    store.close()
    store = Store(tmp_path / "data")
    assert await ranked(store) == expected
    store.close()
