"""Files that grow call by call: what is written, and what readers, snapshots and a death of the process find."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.domain.files import File
from emulator.jobs.runner import Runner
from emulator.operations.batches.lifecycle import CreateBatch
from emulator.operations.files.chunked_upload import Chunk, UploadChunks
from emulator.operations.files.read import FileId, ReadFile
from emulator.operations.files.upload import InitializeFile
from emulator.runtime.app import build_services
from emulator.state.services import Services
from emulator.state.settings import GUARDED, Settings
from emulator.store import blob_writers
from emulator.store import blobs as stored
from emulator.store.blob_writers import BlobWriter
from tests.examples import examples
from tests.operations.client import advance, blobs, bytes_of, refusal, rows, run, turns
from tests.rest.batch_helpers import chat_body
from tests.serving import PATIENCE_SECONDS

NEW = InitializeFile("a.txt", None)


async def chunks(id: str, *data: bytes) -> AsyncIterator[Chunk]:
    """The chunks of one call."""
    for each in data:
        yield Chunk(id, each)


async def initialized(services: Services, *parts: bytes) -> str:
    """The id of a file that some calls have brought bytes for."""
    id: str = (await run(services, "files.initialize", NEW)).id
    for part in parts:
        await append(services, id, part)
    return id


async def append(services: Services, id: str, *data: bytes) -> File:
    """The file after one call more."""
    file: File = await run(services, "files.upload_chunks", UploadChunks(chunks(id, *data)))
    return file


async def content(services: Services, id: str) -> bytes:
    """The bytes of a file."""
    return await bytes_of(await run(services, "files.content", ReadFile(id)))


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of bytes that are written into blobs."""
    sizes: list[int] = []
    write = BlobWriter.write

    def counted(self: BlobWriter, data: bytes | memoryview) -> None:
        sizes.append(len(data))
        write(self, data)

    monkeypatch.setattr(BlobWriter, "write", counted)
    return sizes


async def test_many_appends_write_at_most_twice_the_content(services: Services, written: list[int]) -> None:
    """Each call writes its chunks and moves them to the end of the file, whatever the file has already."""
    id = await initialized(services)
    for number in range(400):
        await append(services, id, b"%4d" % number * 200, b"%4d" % number * 50)
    assert 400 * 1000 <= sum(written) <= 2 * 400 * 1000
    assert await content(services, id) == b"".join(b"%4d" % number * 250 for number in range(400))
    assert blobs(services) == 1


async def test_append_after_read_copies_once(services: Services, written: list[int]) -> None:
    """A reader may still use the bytes; the copy grows from then on."""
    id = await initialized(services, b"x" * 1000)
    early = await run(services, "files.content", ReadFile(id))
    written.clear()
    for _ in range(3):
        await append(services, id, b"y")
    assert sum(written) == 1000 + 3 * 2
    assert await content(services, id) == b"x" * 1000 + b"yyy"
    with pytest.raises(FileNotFoundError):  # as for any file that is given other bytes before it is opened
        await bytes_of(early)


async def test_forgotten_growing_blob_is_copied(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hashes of only so many are held."""
    monkeypatch.setattr(blob_writers, "GROWING_MAX", 2)
    ids = [await initialized(services, b"a") for _ in range(4)]
    for id in ids:
        await append(services, id, b"b")
    assert len(services.store.blobs._growing._growing) == 2
    assert [await content(services, id) for id in ids] == [b"ab"] * 4


step = st.one_of(
    st.tuples(st.just("append"), st.binary(max_size=9)),
    st.tuples(st.just("cut off"), st.binary(max_size=9)),
    st.tuples(st.sampled_from(["read", "save", "restart"]), st.just(b"")),
)


@given(steps=st.lists(step, max_size=12))
@settings(max_examples=examples(60), deadline=None)
async def test_content_and_snapshots_are_what_was_acknowledged(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, bytes]]
) -> None:
    """In any order of calls, failed calls, readers, snapshots and restarts."""
    directory = tmp_path_factory.mktemp("data")

    def started() -> Services:
        services = build_services(Settings(data_dir=directory))
        Runner(services)
        return services

    services, whole, saved = started(), b"", []
    id = await initialized(services)
    try:
        for number, (what, data) in enumerate(steps):
            if what == "append":
                whole += data
                assert (await append(services, id, data)).size == len(whole)
            elif what == "cut off":
                assert await refusal(append_and_fail(services, id, data)) == ("chunk", "file_id")
            elif what == "read":
                assert await content(services, id) == whole
            elif what == "save":
                saved.append((save(services, str(number)), whole))
            else:
                services.store.close()
                services = started()
        assert await content(services, id) == whole
        for path, then in saved:
            services.teams.restore(services.teams.get("default"), services.store.snapshots.open(path))
            assert await content(services, id) == then
        assert blobs(services) == 1
    finally:
        services.store.close()


def save(services: Services, name: str) -> Path:
    """Where a new snapshot of the default team is."""
    snapshots, team = services.store.snapshots, services.teams.get("default")
    path = snapshots.kept.path(team.name, name)
    snapshots.save(team.name, path, team.clock.now(), without=GUARDED).finish()
    return path


async def append_and_fail(services: Services, id: str, data: bytes) -> None:
    """A call whose second chunk is of another file."""

    async def mixed() -> AsyncIterator[Chunk]:
        yield Chunk(id, data)
        yield Chunk("another", b"")

    await run(services, "files.upload_chunks", UploadChunks(mixed()))


@pytest.mark.parametrize("reader", ["content", "snapshot", "delete"])
async def test_reader_during_append_sees_acknowledged_bytes(
    services: Services, monkeypatch: pytest.MonkeyPatch, reader: str
) -> None:
    """Between any two pieces that are written to the end of the file; the call then ends as it should."""
    monkeypatch.setattr(stored, "READ_BYTES", 4)
    id = await initialized(services, b"0123")
    place = services.store.blobs.directory / "blobs" / rows(services, "SELECT blob FROM files")[0][0]
    sizes: list[int] = []
    saved: list[Path] = []

    def read() -> bytes | None:
        if len(sizes) != 2:  # the appended bytes are on their way
            sizes.append(place.stat().st_size if place.exists() else -1)
            return None
        sizes.append(place.stat().st_size)
        if reader == "delete":
            services.store.remove_file("default", id)
            return None
        if reader == "snapshot":
            saved.append(save(services, "one"))
            return None
        return services.store.blobs.require(place.name, 4).read_bytes()

    with turns(read) as had:
        call = append(services, id, b"456789abcdef")
        if reader == "delete":
            assert await refusal(call) == ("not_found", None)
        else:
            assert (await call).size == 16
    assert max(sizes[:3]) > 4, "nothing was appended in place"
    if reader == "delete":
        assert blobs(services) == 0
        return
    assert blobs(services) == 1
    if reader == "content":
        assert had[2] == b"0123"
    assert await content(services, id) == b"0123456789abcdef"
    if reader == "snapshot":
        services.teams.restore(services.teams.get("default"), services.store.snapshots.open(saved[0]))
        assert await content(services, id) == b"0123"


async def test_batch_reads_the_bytes_that_its_file_had(services: Services) -> None:
    """A file that grows after the batch was made does not change it."""
    lines = [
        json.dumps({"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": chat_body(id)}).encode()
        for id in ("a", "b")
    ]
    id = await initialized(services, lines[0])
    batch = await run(services, "batches.create", CreateBatch("b", id))
    await append(services, id, b"\n" + lines[1])
    runner = Runner(services)
    await runner.release(services.teams.get("default"))
    advance(services, 1)
    assert rows(services, f"SELECT id FROM batch_requests WHERE batch_id = '{batch.batch.id}'") == [("a",)]


DYING = """
import asyncio, os, sys
from pathlib import Path
from emulator.runtime.app import build_services
from emulator.jobs.runner import Runner
from emulator.operations.files import chunked_upload
from emulator.state.settings import GUARDED, Settings
from tests.operations.files.test_chunked_upload import append, initialized

def die(*_):
    os._exit(9)

async def main():
    services = build_services(Settings(data_dir=Path(sys.argv[1])))
    Runner(services)
    id = await initialized(services, b"one ", b"two ")
    print(id, flush=True)
    chunked_upload.set_content = die
    await append(services, id, b"never acknowledged")

asyncio.run(main())
"""


async def test_process_that_dies_during_append_loses_nothing(tmp_path: Path) -> None:
    """The bytes that no row claims are cut off by the next start, and the file can grow on."""
    directory = tmp_path / "data"
    command = [sys.executable, "-c", DYING, str(directory)]
    died = subprocess.run(
        command, cwd=os.getcwd(), capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert died.returncode == 9, died.stderr
    id = died.stdout.strip()
    assert max(path.stat().st_size for path in (directory / "blobs").iterdir()) > len(b"one two ")
    services = build_services(Settings(data_dir=directory))
    try:
        Runner(services)
        [blob] = (directory / "blobs").iterdir()
        assert blob.read_bytes() == b"one two "
        await append(services, id, b"three")
        assert await content(services, id) == b"one two three"
        assert (await run(services, "files.get", FileId(id))).file.size == 13
    finally:
        services.store.close()


async def test_lost_bytes_of_a_growing_file_are_not_appended_to(services: Services) -> None:
    """A blob that something else cut short is an error of the disk, as it is when it is read."""
    id = await initialized(services, b"0123")
    os.truncate(services.store.blobs.directory / "blobs" / rows(services, "SELECT blob FROM files")[0][0], 2)
    with pytest.raises(OSError, match="gone or cut short"):
        await append(services, id, b"4")
    assert blobs(services) == 1
