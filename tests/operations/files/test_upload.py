"""Uploads, call by call: what is refused before and after bytes arrive, and what is left of those that fail."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import blake3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.core.clock import MICROSECONDS
from emulator.core.errors import ApiError, CallerGone, Kind
from emulator.domain.files import File, UploadStatus
from emulator.jobs.runner import Runner
from emulator.operations.collections import CreateCollection
from emulator.operations.documents import AddDocument, DocumentId
from emulator.operations.files import receive as receive_module
from emulator.operations.files.chunked_upload import Chunk, CompleteBatchUpload, CreateBatchUpload, UploadChunks
from emulator.operations.files.read import FileId, ReadFile
from emulator.operations.files.receive import receive
from emulator.operations.files.upload import InitializeFile, UploadFile
from emulator.runtime.app import build_world
from emulator.state.settings import Settings
from emulator.state.world import World
from emulator.store import blobs as stored
from tests.operations.client import (
    advance,
    blobs,
    bytes_of,
    end_slices_after,
    pieces,
    planned,
    refusal,
    rows,
    run,
    turns,
    uploaded,
)

HOUR = 3600
NEW = InitializeFile("a.txt", None)


async def chunks(id: str, *data: bytes) -> AsyncIterator[Chunk]:
    """The chunks of one call."""
    for each in data:
        yield Chunk(id, each)


async def gone() -> AsyncIterator[bytes]:
    """A client that leaves with its first byte."""
    raise CallerGone
    yield b""


async def content(world: World, id: str) -> bytes:
    """The bytes of a file."""
    return await bytes_of(await run(world, "files.content", ReadFile(id)))


# --- one file


@given(st.lists(st.binary(max_size=9), max_size=5), st.booleans())
@settings(max_examples=20)
async def test_a_file_is_its_pieces(parts: list[bytes], in_chunks: bool) -> None:
    """One after the other, in one call or in a call for each; its size and its hash are of all of them."""
    world = build_world(Settings())
    Runner(world)
    if in_chunks:
        id = (await run(world, "files.initialize", NEW)).id
        for part in parts:
            await run(world, "files.upload_chunks", UploadChunks(chunks(id, part[:3], part[3:])))
    else:
        id = (await run(world, "files.upload", UploadFile("a.txt", pieces(*parts)))).id
    file: File = (await run(world, "files.get", FileId(id))).file
    whole = b"".join(parts)
    assert await content(world, id) == whole
    assert (file.size, file.hash) == (len(whole), blake3.blake3(whole).hexdigest())
    assert file.upload_status is (UploadStatus.COMPLETE if parts or not in_chunks else UploadStatus.INITIALIZING)
    assert file.open_for_chunks is in_chunks
    assert blobs(world) == 1
    world.store.close()


@pytest.mark.parametrize("most", [3, None])
async def test_a_file_has_as_many_bytes_as_the_limit_allows(world: World, most: int | None) -> None:
    """However they come; without a limit as many as there are."""
    world.teams.set_limits(world.teams.get("default"), {"file_bytes_max": most})
    for parts in ((b"123",), (b"1", b"23"), (b"1234",), (b"123", b"4")):
        upload = run(world, "files.upload", UploadFile("a.txt", pieces(*parts)))
        if most is not None and sum(map(len, parts)) > most:
            assert await refusal(upload) == ("file_bytes_max", "file")
        else:
            await upload
    assert blobs(world) == len(rows(world, "SELECT 1 FROM files"))


async def test_a_team_that_is_full_is_told_before_bytes_are_read(world: World) -> None:
    """Or, where it was not full by then, when they have come."""
    team = world.teams.get("default")
    world.teams.set_limits(team, {"files_per_team_max": 1})
    with pytest.raises(CallerGone):
        await run(world, "files.upload", UploadFile("a.txt", gone()))

    async def meanwhile() -> AsyncIterator[bytes]:
        yield b"slow"
        await uploaded(world, "b.txt", b"quick")

    late = run(world, "files.upload", UploadFile("a.txt", meanwhile()))
    assert await refusal(late) == ("files_per_team_max", None)
    assert await refusal(run(world, "files.upload", UploadFile("a.txt", gone()))) == ("files_per_team_max", None)
    world.teams.set_limits(team, {"files_per_team_max": None, "total_bytes_per_team_max": 8})
    assert await refusal(run(world, "files.upload", UploadFile("a.txt", pieces(b"1234")))) == (
        *("total_bytes_per_team_max", None),
    )
    await run(world, "files.upload", UploadFile("a.txt", pieces(b"123")))
    await run(world, "files.upload", UploadFile("a.txt", pieces(b"")))  # which takes no room
    assert await refusal(run(world, "files.upload", UploadFile("..", gone()))) == ("filename", "filename")
    assert blobs(world) == len(rows(world, "SELECT 1 FROM files")) == 3


@pytest.mark.parametrize("made_by", ["files.upload", "files.initialize", "files.batch_upload"])
async def test_a_file_ends_when_it_was_said_to(world: World, made_by: str) -> None:
    """And has a job for that only if it ends."""
    for expires_after in (None, HOUR):
        new = InitializeFile("a.txt", "text/html", expires_after)
        requests: dict[str, Any] = {
            "files.upload": UploadFile("a.txt", pieces(b"x"), "text/html", expires_after),
            "files.initialize": new,
            "files.batch_upload": CreateBatchUpload([new]),
        }
        made = await run(world, made_by, requests[made_by])
        file: File = made.files[0] if made_by == "files.batch_upload" else made
        assert file.content_type == "text/html"
        assert file.expires_at == (None if expires_after is None else file.created_at + HOUR * MICROSECONDS)
        assert planned(world, "expire_file") == (0 if expires_after is None else 1)


# --- chunks


@pytest.mark.parametrize("speed", ["manual", "instant"])
async def test_a_document_follows_the_chunks_of_its_file(world: World, speed: str) -> None:
    """It is indexed anew with each call that brings some; at the instant speed by the time of the answer."""
    id = (await run(world, "files.initialize", NEW)).id
    await run(world, "files.upload_chunks", UploadChunks(chunks(id, b"one")))
    collection = (await run(world, "collections.create", CreateCollection("c"))).id
    world.teams.get("default").configure(world.settings, {"indexing": "instant"})
    await run(world, "documents.add", AddDocument(collection, id))
    world.teams.get("default").configure(world.settings, {"indexing": speed})
    answer = await run(world, "files.upload_chunks", UploadChunks(chunks(id, b" two")))
    assert answer == (await run(world, "files.get", FileId(id))).file
    document = await run(world, "documents.get", DocumentId(collection, id))
    assert document.status.name == ("PROCESSED" if speed == "instant" else "PROCESSING")


async def test_chunks_that_fail_leave_the_file_as_it_was(world: World) -> None:
    """A client that vanishes, a chunk of another file, one byte too many, and a file that others change meanwhile."""
    world.teams.set_limits(world.teams.get("default"), {"file_bytes_max": 5})
    id, other = [(await run(world, "files.initialize", NEW)).id for _ in range(2)]
    await run(world, "files.upload_chunks", UploadChunks(chunks(id, b"kept")))

    async def vanishing() -> AsyncIterator[Chunk]:
        yield Chunk(id, b"1")
        raise CallerGone

    async def mixed() -> AsyncIterator[Chunk]:
        yield Chunk(id, b"1")
        yield Chunk(other, b"2")

    async def overtaken() -> AsyncIterator[Chunk]:
        yield Chunk(id, b"1")
        await run(world, "files.upload_chunks", UploadChunks(chunks(id, b"!")))

    with pytest.raises(CallerGone):
        await run(world, "files.upload_chunks", UploadChunks(vanishing()))
    assert await refusal(run(world, "files.upload_chunks", UploadChunks(mixed()))) == ("chunk", "file_id")
    too_many = run(world, "files.upload_chunks", UploadChunks(chunks(id, b"1", b"2")))
    assert await refusal(too_many) == ("file_bytes_max", "file")
    assert (await content(world, id), await content(world, other)) == (b"kept", b"")
    assert await refusal(run(world, "files.upload_chunks", UploadChunks(overtaken()))) == ("concurrent_change", None)
    assert await content(world, id) == b"kept!"
    assert blobs(world) == 2


async def test_others_have_their_turn_while_a_file_grows(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the pieces of what is added, and of what it was, which is copied after it has been read."""
    id = (await run(world, "files.initialize", NEW)).id
    await run(world, "files.upload_chunks", UploadChunks(chunks(id, b"01")))
    monkeypatch.setattr(stored, "READ_BYTES", 4)
    with turns(lambda: None) as had:
        await run(world, "files.upload_chunks", UploadChunks(chunks(id, b"23456789")))
    assert (len(had), await content(world, id)) == (2, b"0123456789")
    with turns(lambda: None) as had:
        await run(world, "files.upload_chunks", UploadChunks(chunks(id, b"!")))
    assert (len(had), await content(world, id)) == (4, b"0123456789!")


async def test_large_piece_is_written_in_slices(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other calls have their turn between the slices, as a document that gets new content in one message needs it."""
    monkeypatch.setattr(receive_module, "READ_BYTES", 4)
    blob = world.store.blobs.new()
    with turns(lambda: blob.size) as had:
        await receive(blob, pieces(b"0123456789"), "file_bytes_max", None)
    assert (had, blob.size) == ([4, 8], 10)
    blob.discard()


# --- several files


async def test_batch_upload_yields_between_its_files(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has bytes of its own on the disk, and there may be a thousand; their rows appear at once."""
    end_slices_after(1, monkeypatch)
    with turns(lambda: (blobs(world), len(rows(world, "SELECT 1 FROM files")))) as had:
        await run(world, "files.batch_upload", CreateBatchUpload([NEW] * 3))
    assert had == [(1, 0), (2, 0), (3, 0)]


async def test_a_batch_upload_is_all_or_nothing(world: World) -> None:
    """A name that is none, or one file too many for the team, and nothing is made."""
    team = world.teams.get("default")
    world.teams.set_limits(team, {"files_per_team_max": 2, "batch_upload_files_max": 2})
    bad = CreateBatchUpload([NEW, InitializeFile("..", None)])
    assert await refusal(run(world, "files.batch_upload", bad)) == ("filename", "filename")
    three = CreateBatchUpload([NEW] * 3)
    assert await refusal(run(world, "files.batch_upload", three)) == ("batch_upload_files_max", "files")
    world.teams.set_limits(team, {"batch_upload_files_max": None})
    assert await refusal(run(world, "files.batch_upload", three)) == ("files_per_team_max", None)
    assert (blobs(world), rows(world, "SELECT 1 FROM files"), planned(world, "expire_file")) == (0, [], 0)
    made = await run(world, "files.batch_upload", CreateBatchUpload([NEW, NEW]))
    assert (len(made.files), made.complete, blobs(world)) == (2, False, 2)
    assert re.fullmatch("batch_upload_[0-9a-f-]{36}", made.batch_job_id)


async def test_a_batch_upload_is_complete_when_its_files_are(world: World) -> None:
    """Those that are left; from then on they take no more, and to say it again changes nothing."""
    new = [NEW, InitializeFile("b.txt", None, HOUR), NEW]
    upload = await run(world, "files.batch_upload", CreateBatchUpload(new))
    first, second, third = (file.id for file in upload.files)
    complete = CompleteBatchUpload(upload.batch_job_id)
    await run(world, "files.upload_chunks", UploadChunks(chunks(first, b"1")))
    with pytest.raises(ApiError) as refused:
        await run(world, "files.complete_batch_upload", complete)
    assert refused.value.kind is Kind.FAILED_PRECONDITION
    assert refused.value.message == f"2 of 3 files have no content yet, the first is {second}."
    await run(world, "files.upload_chunks", UploadChunks(chunks(first, b"2")))
    advance(world, HOUR)
    await run(world, "files.upload_chunks", UploadChunks(chunks(third, b"3")))
    answer = await run(world, "files.complete_batch_upload", complete)
    assert ([file.id for file in answer.files], answer.complete) == ([first, third], True)
    before = rows(world, "SELECT completed_at FROM file_batch_uploads")
    assert before == [(world.teams.get("default").clock.now(),)]
    for id in (first, third):
        assert await refusal(run(world, "files.upload_chunks", UploadChunks(chunks(id, b"4")))) == (
            *("open_for_chunks", None),
        )
    advance(world, 1)
    again = await run(world, "files.complete_batch_upload", complete)
    assert (again.batch_job_id, again.complete) == (upload.batch_job_id, True)
    assert rows(world, "SELECT completed_at FROM file_batch_uploads") == before
    assert await content(world, first) == b"12"
