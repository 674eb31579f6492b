"""Blobs: whole or not there, read as they were, whatever becomes of them meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from blake3 import blake3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.domain.files import File, UploadStatus
from emulator.store import Store
from emulator.store.blobs import READ_BYTES, REMOVED_AT_ONCE, Blobs
from tests.serving import until


@pytest.fixture
def blobs() -> Iterator[Blobs]:
    """A directory of blobs."""
    blobs = Blobs(None)
    yield blobs
    blobs.close()
    assert not blobs.directory.exists()


def read(blobs: Blobs, name: str, start: int = 0, stop: int | None = None) -> bytes:
    """The bytes of a blob."""

    async def collect() -> list[bytes]:
        return [piece async for piece in blobs.read(name, start, stop)]

    pieces = asyncio.run(collect())
    assert all(0 < len(piece) <= READ_BYTES for piece in pieces)
    return b"".join(pieces)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(pieces=st.lists(st.binary(max_size=50)), start=st.integers(0, 60), length=st.integers(0, 60))
def test_bytes_come_back_as_they_went(blobs: Blobs, pieces: list[bytes], start: int, length: int) -> None:
    """All of them or a part, with their size and their hash."""
    content = b"".join(pieces)
    writer = blobs.new()
    for piece in pieces:
        writer.write(memoryview(piece))
    assert (writer.size, writer.digest()) == (len(content), blake3(content).hexdigest())
    writer.keep()
    assert read(blobs, writer.name) == content
    assert read(blobs, writer.name, start, start + length) == content[start : start + length]
    blobs.remove([writer.name, writer.name])


def test_large_blobs_come_in_pieces(blobs: Blobs) -> None:
    """None is held in memory as a whole."""
    writer = blobs.new()
    writer.write(bytes(3 * READ_BYTES + 1))
    writer.keep()
    assert len(read(blobs, writer.name)) == 3 * READ_BYTES + 1


def test_blob_is_visible_only_when_complete(blobs: Blobs) -> None:
    """Under its own name only then; discarded it never was, before or after."""
    writer = blobs.new()
    writer.write(b"x")
    assert not blobs.path(writer.name).exists()
    writer.keep()
    assert blobs.path(writer.name).exists()
    writer.discard()
    blobs.new().discard()
    assert list((blobs.directory / "blobs").iterdir()) == []


def test_removed_blob_can_be_read_to_its_end(blobs: Blobs) -> None:
    """Who has begun to read gets all of it."""
    writer = blobs.new()
    writer.write(bytes(2 * READ_BYTES))
    writer.keep()

    async def interrupted() -> int:
        size = 0
        async for piece in blobs.read(writer.name):
            blobs.remove([writer.name])
            size += len(piece)
        return size

    assert asyncio.run(interrupted()) == 2 * READ_BYTES


def test_blob_names_are_unique(blobs: Blobs) -> None:
    """Two writers never write one blob."""
    writers = [blobs.new() for _ in range(100)]
    assert len({writer.name for writer in writers}) == 100
    for writer in writers:
        writer.discard()


@pytest.mark.parametrize(("count", "here"), [(REMOVED_AT_ONCE, True), (REMOVED_AT_ONCE + 1, False)])
def test_many_blobs_are_removed_in_a_thread(
    blobs: Blobs, monkeypatch: pytest.MonkeyPatch, count: int, here: bool
) -> None:
    """A few are gone at once; the caller does not wait for many. What is held stays in both cases."""
    writers = [blobs.new() for _ in range(count)]
    for writer in writers:
        writer.keep()
    threads = set[threading.Thread]()
    remove = blobs._remove

    def noted(name: str) -> None:
        threads.add(threading.current_thread())
        remove(name)

    monkeypatch.setattr(blobs, "_remove", noted)
    blobs.hold([writers[0].name])
    blobs.remove([writer.name for writer in writers])
    until(lambda: sum(blobs.path(writer.name).exists() for writer in writers) == 1)
    assert threads == {threading.current_thread()} if here else threading.current_thread() not in threads
    blobs.let_go([writers[0].name])
    assert not blobs.path(writers[0].name).exists()


def test_reset_of_team_with_many_files_removes_no_blob_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """And asks the database once which of them batches read."""
    store = Store(None)
    store.teams.insert("a")
    for number in range(3 * REMOVED_AT_ONCE):
        blob = store.blobs.new()
        blob.keep()
        store.files.insert(
            "a",
            File(
                id=f"f{number}",
                filename="n",
                size=0,
                content_type="text/plain",
                hash="",
                blob=blob.name,
                created_at=0,
                expires_at=None,
                upload_status=UploadStatus.COMPLETE,
                open_for_chunks=False,
            ),
        )
    asked, threads, remove = list[str](), set[threading.Thread](), store.blobs._remove

    def noted(name: str) -> None:
        threads.add(threading.current_thread())
        remove(name)

    monkeypatch.setattr(store.batches, "reads", asked.append)
    monkeypatch.setattr(store.blobs, "_remove", noted)
    assert store.clear("a")["files"] == 3 * REMOVED_AT_ONCE
    until(lambda: not any(store.blobs._blobs.iterdir()))
    assert asked == []
    assert threading.current_thread() not in threads
    store.close()
