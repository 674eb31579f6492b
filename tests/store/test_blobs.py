"""Blobs: whole or not there, read as they were, whatever becomes of them meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from blake3 import blake3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.store.blobs import READ_BYTES, Blobs


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


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
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


def test_a_blob_is_there_when_it_is_whole(blobs: Blobs) -> None:
    """Under its own name only then; discarded it never was, before or after."""
    writer = blobs.new()
    writer.write(b"x")
    assert not blobs.path(writer.name).exists()
    writer.keep()
    assert blobs.path(writer.name).exists()
    writer.discard()
    blobs.new().discard()
    assert list((blobs.directory / "blobs").iterdir()) == []


def test_a_blob_that_is_removed_is_read_to_its_end(blobs: Blobs) -> None:
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


def test_a_name_is_used_once(blobs: Blobs) -> None:
    """Two writers never write one blob."""
    writers = [blobs.new() for _ in range(100)]
    assert len({writer.name for writer in writers}) == 100
    for writer in writers:
        writer.discard()
