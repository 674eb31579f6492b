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
from emulator.runtime.app import build_services
from emulator.state.services import Services
from emulator.state.settings import Settings
from emulator.store import blobs as stored
from tests.examples import examples
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


async def content(services: Services, id: str) -> bytes:
    """The bytes of a file."""
    return await bytes_of(await run(services, "files.content", ReadFile(id)))


# --- one file


@given(st.lists(st.binary(max_size=9), max_size=5), st.booleans())
@settings(max_examples=examples(20))
async def test_file_is_the_concatenation_of_its_pieces(parts: list[bytes], in_chunks: bool) -> None:
    """One after the other, in one call or in a call for each; its size and its hash are of all of them."""
    services = build_services(Settings())
    Runner(services)
    if in_chunks:
        id = (await run(services, "files.initialize", NEW)).id
        for part in parts:
            await run(services, "files.upload_chunks", UploadChunks(chunks(id, part[:3], part[3:])))
    else:
        id = (await run(services, "files.upload", UploadFile("a.txt", pieces(*parts)))).id
    file: File = (await run(services, "files.get", FileId(id))).file
    whole = b"".join(parts)
    assert await content(services, id) == whole
    assert (file.size, file.hash) == (len(whole), blake3.blake3(whole).hexdigest())
    assert file.upload_status is (UploadStatus.COMPLETE if parts or not in_chunks else UploadStatus.INITIALIZING)
    assert file.open_for_chunks is in_chunks
    assert blobs(services) == 1
    services.store.close()


@pytest.mark.parametrize("most", [3, None])
async def test_file_over_size_limit_is_refused(services: Services, most: int | None) -> None:
    """However they come; without a limit as many as there are."""
    services.teams.set_limits(services.teams.get("default"), {"file_bytes_max": most})
    for parts in ((b"123",), (b"1", b"23"), (b"1234",), (b"123", b"4")):
        upload = run(services, "files.upload", UploadFile("a.txt", pieces(*parts)))
        if most is not None and sum(map(len, parts)) > most:
            assert await refusal(upload) == ("file_bytes_max", "file")
        else:
            await upload
    assert blobs(services) == len(rows(services, "SELECT 1 FROM files"))


async def test_full_team_is_refused_before_body_is_read(services: Services) -> None:
    """Or, where it was not full by then, when they have come."""
    team = services.teams.get("default")
    services.teams.set_limits(team, {"files_per_team_max": 1})
    with pytest.raises(CallerGone):
        await run(services, "files.upload", UploadFile("a.txt", gone()))

    async def meanwhile() -> AsyncIterator[bytes]:
        yield b"slow"
        await uploaded(services, "b.txt", b"quick")

    late = run(services, "files.upload", UploadFile("a.txt", meanwhile()))
    assert await refusal(late) == ("files_per_team_max", None)
    assert await refusal(run(services, "files.upload", UploadFile("a.txt", gone()))) == ("files_per_team_max", None)
    services.teams.set_limits(team, {"files_per_team_max": None, "total_bytes_per_team_max": 8})
    assert await refusal(run(services, "files.upload", UploadFile("a.txt", pieces(b"1234")))) == (
        *("total_bytes_per_team_max", None),
    )
    await run(services, "files.upload", UploadFile("a.txt", pieces(b"123")))
    await run(services, "files.upload", UploadFile("a.txt", pieces(b"")))  # which takes no room
    assert await refusal(run(services, "files.upload", UploadFile("..", gone()))) == ("filename", "filename")
    assert blobs(services) == len(rows(services, "SELECT 1 FROM files")) == 3


@pytest.mark.parametrize("made_by", ["files.upload", "files.initialize", "files.batch_upload"])
async def test_file_with_expiry_has_expiry_job(services: Services, made_by: str) -> None:
    """And has a job for that only if it ends."""
    for expires_after in (None, HOUR):
        new = InitializeFile("a.txt", "text/html", expires_after)
        requests: dict[str, Any] = {
            "files.upload": UploadFile("a.txt", pieces(b"x"), "text/html", expires_after),
            "files.initialize": new,
            "files.batch_upload": CreateBatchUpload([new]),
        }
        made = await run(services, made_by, requests[made_by])
        file: File = made.files[0] if made_by == "files.batch_upload" else made
        assert file.content_type == "text/html"
        assert file.expires_at == (None if expires_after is None else file.created_at + HOUR * MICROSECONDS)
        assert planned(services, "expire_file") == (0 if expires_after is None else 1)


# --- chunks


@pytest.mark.parametrize("speed", ["manual", "instant"])
async def test_document_is_reindexed_after_each_chunk_upload(services: Services, speed: str) -> None:
    """Each call with bytes reindexes the document; at the instant speed before the call returns."""
    id = (await run(services, "files.initialize", NEW)).id
    await run(services, "files.upload_chunks", UploadChunks(chunks(id, b"one")))
    collection = (await run(services, "collections.create", CreateCollection("c"))).id
    services.teams.get("default").configure(services.settings, {"indexing": "instant"})
    await run(services, "documents.add", AddDocument(collection, id))
    services.teams.get("default").configure(services.settings, {"indexing": speed})
    answer = await run(services, "files.upload_chunks", UploadChunks(chunks(id, b" two")))
    assert answer == (await run(services, "files.get", FileId(id))).file
    document = await run(services, "documents.get", DocumentId(collection, id))
    assert document.status.name == ("PROCESSED" if speed == "instant" else "PROCESSING")


async def test_failed_chunk_upload_leaves_file_unchanged(services: Services) -> None:
    """A client that vanishes, a chunk of another file, one byte too many, and a file that others change meanwhile."""
    services.teams.set_limits(services.teams.get("default"), {"file_bytes_max": 5})
    id, other = [(await run(services, "files.initialize", NEW)).id for _ in range(2)]
    await run(services, "files.upload_chunks", UploadChunks(chunks(id, b"kept")))

    async def vanishing() -> AsyncIterator[Chunk]:
        yield Chunk(id, b"1")
        raise CallerGone

    async def mixed() -> AsyncIterator[Chunk]:
        yield Chunk(id, b"1")
        yield Chunk(other, b"2")

    async def overtaken() -> AsyncIterator[Chunk]:
        yield Chunk(id, b"1")
        await run(services, "files.upload_chunks", UploadChunks(chunks(id, b"!")))

    with pytest.raises(CallerGone):
        await run(services, "files.upload_chunks", UploadChunks(vanishing()))
    assert await refusal(run(services, "files.upload_chunks", UploadChunks(mixed()))) == ("chunk", "file_id")
    too_many = run(services, "files.upload_chunks", UploadChunks(chunks(id, b"1", b"2")))
    assert await refusal(too_many) == ("file_bytes_max", "file")
    assert (await content(services, id), await content(services, other)) == (b"kept", b"")
    assert await refusal(run(services, "files.upload_chunks", UploadChunks(overtaken()))) == ("concurrent_change", None)
    assert await content(services, id) == b"kept!"
    assert blobs(services) == 2


async def test_others_have_their_turn_while_a_file_grows(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the pieces of what is added, and of what it was, which is copied after it has been read."""
    id = (await run(services, "files.initialize", NEW)).id
    await run(services, "files.upload_chunks", UploadChunks(chunks(id, b"01")))
    monkeypatch.setattr(stored, "READ_BYTES", 4)
    with turns(lambda: None) as had:
        await run(services, "files.upload_chunks", UploadChunks(chunks(id, b"23456789")))
    assert (len(had), await content(services, id)) == (2, b"0123456789")
    with turns(lambda: None) as had:
        await run(services, "files.upload_chunks", UploadChunks(chunks(id, b"!")))
    assert (len(had), await content(services, id)) == (4, b"0123456789!")


async def test_large_piece_is_written_in_slices(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other calls have their turn between the slices, as a document that gets new content in one message needs it."""
    monkeypatch.setattr(receive_module, "READ_BYTES", 4)
    blob = services.store.blobs.new()
    with turns(lambda: blob.size) as had:
        await receive(blob, pieces(b"0123456789"), "file_bytes_max", None)
    assert (had, blob.size) == ([4, 8], 10)
    blob.discard()


# --- several files


async def test_batch_upload_yields_between_its_files(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has bytes of its own on the disk, and there may be a thousand; their rows appear at once."""
    end_slices_after(1, monkeypatch)
    with turns(lambda: (blobs(services), len(rows(services, "SELECT 1 FROM files")))) as had:
        await run(services, "files.batch_upload", CreateBatchUpload([NEW] * 3))
    assert had == [(1, 0), (2, 0), (3, 0)]


async def test_batch_upload_with_one_bad_file_creates_none(services: Services) -> None:
    """A name that is none, or one file too many for the team, and nothing is made."""
    team = services.teams.get("default")
    services.teams.set_limits(team, {"files_per_team_max": 2, "batch_upload_files_max": 2})
    bad = CreateBatchUpload([NEW, InitializeFile("..", None)])
    assert await refusal(run(services, "files.batch_upload", bad)) == ("filename", "filename")
    three = CreateBatchUpload([NEW] * 3)
    assert await refusal(run(services, "files.batch_upload", three)) == ("batch_upload_files_max", "files")
    services.teams.set_limits(team, {"batch_upload_files_max": None})
    assert await refusal(run(services, "files.batch_upload", three)) == ("files_per_team_max", None)
    assert (blobs(services), rows(services, "SELECT 1 FROM files"), planned(services, "expire_file")) == (0, [], 0)
    made = await run(services, "files.batch_upload", CreateBatchUpload([NEW, NEW]))
    assert (len(made.files), made.complete, blobs(services)) == (2, False, 2)
    assert re.fullmatch("batch_upload_[0-9a-f-]{36}", made.batch_job_id)


async def test_batch_upload_is_complete_when_all_files_are(services: Services) -> None:
    """Those that are left; from then on they take no more, and to say it again changes nothing."""
    new = [NEW, InitializeFile("b.txt", None, HOUR), NEW]
    upload = await run(services, "files.batch_upload", CreateBatchUpload(new))
    first, second, third = (file.id for file in upload.files)
    complete = CompleteBatchUpload(upload.batch_job_id)
    await run(services, "files.upload_chunks", UploadChunks(chunks(first, b"1")))
    with pytest.raises(ApiError) as refused:
        await run(services, "files.complete_batch_upload", complete)
    assert refused.value.kind is Kind.FAILED_PRECONDITION
    assert refused.value.message == f"2 of 3 files have no content yet, the first is {second}."
    await run(services, "files.upload_chunks", UploadChunks(chunks(first, b"2")))
    advance(services, HOUR)
    await run(services, "files.upload_chunks", UploadChunks(chunks(third, b"3")))
    answer = await run(services, "files.complete_batch_upload", complete)
    assert ([file.id for file in answer.files], answer.complete) == ([first, third], True)
    before = rows(services, "SELECT completed_at FROM file_batch_uploads")
    assert before == [(services.teams.get("default").clock.now(),)]
    for id in (first, third):
        assert await refusal(run(services, "files.upload_chunks", UploadChunks(chunks(id, b"4")))) == (
            *("open_for_chunks", None),
        )
    advance(services, 1)
    again = await run(services, "files.complete_batch_upload", complete)
    assert (again.batch_job_id, again.complete) == (upload.batch_job_id, True)
    assert rows(services, "SELECT completed_at FROM file_batch_uploads") == before
    assert await content(services, first) == b"12"
