"""Bytes on their way in: one upload in one request, chunked uploads, batch uploads, and new content for a file.

Every path streams into a blob first and touches the store once, at the end: an upload that is refused or cut off leaves
nothing behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Annotated

import msgspec

from emulator.core.errors import ApiError, Kind, invalid, not_found
from emulator.core.limits import Between, Chars, Confidence
from emulator.core.time_slices import TimeSlices
from emulator.domain import content_types
from emulator.domain.files import (
    File,
    UploadStatus,
    bytes_max,
    check_filename,
    check_quota,
    expiry,
    too_large,
)
from emulator.domain.keys import Plane
from emulator.operations import indexing
from emulator.operations.base import Bytes, Call, Operation
from emulator.operations.file_updates import set_content
from emulator.state.world import World
from emulator.store.blob_writers import BlobWriter
from emulator.store.blobs import READ_BYTES

Filename = Annotated[str, Chars("filename_chars_max")]
ExpiresAfter = Annotated[int | None, Between("expires_after_seconds_min", "expires_after_seconds_max")]


class UploadFile(msgspec.Struct, frozen=True):
    """A file and its bytes; `expires_after` is in seconds. `content` raises what the door refuses on the way."""

    filename: Filename
    content: AsyncIterator[Bytes]
    content_type: str | None = None
    expires_after: ExpiresAfter = None


class InitializeFile(msgspec.Struct, frozen=True):
    """The first step of a chunked upload."""

    name: Filename
    content_type: str | None
    expires_after: ExpiresAfter = None


class Chunk(msgspec.Struct, frozen=True):
    """A piece of a file that was initialized."""

    file_id: str
    data: Bytes


class UploadChunks(msgspec.Struct, frozen=True):
    """The chunks of one call, in order, all of one file."""

    chunks: AsyncIterator[Chunk]


class CreateBatchUpload(msgspec.Struct, frozen=True):
    """Several files to be uploaded in chunks and completed together."""

    files: list[InitializeFile]


class CompleteBatchUpload(msgspec.Struct, frozen=True):
    """The end of a batch upload."""

    batch_job_id: str


class BatchUpload(msgspec.Struct, frozen=True):
    """A batch upload and its files, in the order in which they were named."""

    batch_job_id: str
    files: list[File]
    complete: bool


async def upload(world: World, call: Call, request: UploadFile) -> File:
    """Store a new file. Its bytes are on disk and its row is committed before the answer."""
    limits = call.team.limits
    check_filename(request.filename)
    check_quota(*world.store.files.usage(call.team.name), 0, limits)
    file = InitializeFile(request.filename, request.content_type, request.expires_after)
    async with incoming(world, call, request.content, *bytes_max(request.filename, limits)) as blob:
        return insert_file(world, call, file, blob, UploadStatus.COMPLETE)


@asynccontextmanager
async def incoming(
    world: World, call: Call, content: AsyncIterator[Bytes], row: str, most: int | None, present: int = 0
) -> AsyncIterator[BlobWriter]:
    """All of some content as a blob, for a block that gives it an owner; if that fails, nothing is left behind.

    `present` are the bytes that its file has already.
    """
    blob = world.store.blobs.new()
    try:
        await receive(blob, content, row, most, present)
        blob.keep()
        yield blob
    except BaseException:
        blob.discard()
        raise


async def receive(
    blob: BlobWriter, content: AsyncIterator[Bytes], row: str, most: int | None, present: int = 0
) -> None:
    """Write content into a blob, and refuse it as soon as it is known to be too large."""
    # async generators are closed here, not by the garbage collector, so that the door can stop reading at once
    async with aclosing(content) as pieces:  # type: ignore[type-var]
        async for piece in pieces:
            if most is not None and present + blob.size + len(piece) > most:
                raise too_large(row, most)
            await _write(blob, piece)
            del piece  # before the next one is made: over gRPC it is a few megabytes


async def _write(blob: BlobWriter, piece: Bytes) -> None:
    """Write a piece in slices: one of megabytes, as a message can be, must not keep the loop from others."""
    view = memoryview(piece)
    for start in range(0, len(view), READ_BYTES):
        if start:
            await asyncio.sleep(0)
        blob.write(view[start : start + READ_BYTES])


def insert_file(world: World, call: Call, file: InitializeFile, blob: BlobWriter, status: UploadStatus) -> File:
    """Commit the row of a new file, with the job that ends it."""
    check_quota(*world.store.files.usage(call.team.name), blob.size, call.team.limits)
    with world.store.transaction():
        row = world.store.files.insert(
            call.team.name,
            id=world.new_id(call.team, "file"),
            filename=file.name,
            size=blob.size,
            content_type=content_types.choose(file.content_type, file.name),
            hash=blob.digest(),
            blob=blob.name,
            created_at=call.at,
            expires_at=expiry(call.at, file.expires_after),
            upload_status=status,
            open_for_chunks=status is UploadStatus.INITIALIZING,
        )
        if row.expires_at is not None:
            world.add_job(call.team, "expire_file", row.id, row.expires_at)
    return row


async def initialize(world: World, call: Call, request: InitializeFile) -> File:
    """Make a file without bytes, to be filled by `files:uploadChunks`."""
    async with _initialized(world, call, [request]) as files:
        return files[0]


@asynccontextmanager
async def _initialized(world: World, call: Call, files: list[InitializeFile]) -> AsyncIterator[list[File]]:
    """Files without bytes, all or none, in a transaction for a block that does the rest; if that fails, nothing is."""
    blobs: list[BlobWriter] = []
    slices = TimeSlices()
    try:
        for file in files:
            check_filename(file.name)
            blob = world.store.blobs.new()
            blobs.append(blob)
            blob.keep()
            await slices.pause()
        with world.store.transaction():
            yield [
                insert_file(world, call, file, blob, UploadStatus.INITIALIZING)
                for file, blob in zip(files, blobs, strict=True)
            ]
    except BaseException:
        for blob in blobs:
            blob.discard()
        raise


async def upload_chunks(world: World, call: Call, request: UploadChunks) -> File:
    """Append the chunks of one call to an initialized file; all of them appear at once, when the call ends."""
    async with aclosing(request.chunks) as chunks:  # type: ignore[type-var]
        first = await anext(chunks, None)
        if first is None:
            raise invalid("The body holds no chunk.", rule="chunk", param="chunk")
        file = get_file(world, call, first.file_id)
        if not file.open_for_chunks:
            raise ApiError(
                Kind.FAILED_PRECONDITION,
                f"{file.id} takes no chunks: it was not made by files:initialize, or its batch upload is complete.",
                rule="open_for_chunks",
            )

        async def content() -> AsyncIterator[Bytes]:
            yield first.data
            async for chunk in chunks:
                if chunk.file_id != file.id:
                    raise invalid("All chunks of one call belong to one file.", rule="chunk", param="file_id")
                yield chunk.data

        row, most = bytes_max(file.filename, call.team.limits)
        async with incoming(world, call, content(), row, most, file.size) as added:
            check_unchanged(world, call, file)
            async with world.store.blobs.appended(file.blob, file.size, added) as blob:
                check_unchanged(world, call, file)
                with world.store.transaction():
                    set_content(world, call, file, blob)
    await indexing.settled(world, call)
    return get_file(world, call, file.id)


def get_file(world: World, call: Call, id: str) -> File:
    """The living file of the calling team, or the refusal."""
    file = world.store.files.get(call.team.name, id, call.at)
    if file is None:
        raise not_found("File")
    return file


def check_unchanged(world: World, call: Call, file: File) -> None:
    """Refuse to go on with what was read of a file before its new bytes arrived, if it has others by now."""
    now = get_file(world, call, file.id)
    if (now.blob, now.size) != (file.blob, file.size):  # a blob that grew in place is longer
        raise ApiError(Kind.ABORTED, f"{file.id} was changed by another call meanwhile.", rule="concurrent_change")


async def create_batch_upload(world: World, call: Call, request: CreateBatchUpload) -> BatchUpload:
    """Initialize several files at once."""
    most = call.team.limits.batch_upload_files_max
    if not request.files:
        raise invalid("files: at least one file is needed.", rule="missing_file", param="files")
    if most is not None and len(request.files) > most:
        raise invalid(f"files: at most {most} files are allowed.", rule="batch_upload_files_max", param="files")
    async with _initialized(world, call, request.files) as files:
        id = world.new_id(call.team, "batch_upload")
        world.store.files.insert_batch_upload(call.team.name, id, [file.id for file in files], call.at)
    return BatchUpload(id, files, complete=False)


async def complete_batch_upload(world: World, call: Call, request: CompleteBatchUpload) -> BatchUpload:
    """Confirm that every file of a batch upload has its bytes; a second confirmation changes nothing."""
    found = world.store.files.batch_upload(call.team.name, request.batch_job_id)
    if found is None:
        raise not_found("Batch upload")
    file_ids, completed_at = found
    files = [file for id in file_ids if (file := world.store.files.get(call.team.name, id, call.at)) is not None]
    if completed_at is None:
        waiting = [file.id for file in files if file.upload_status is not UploadStatus.COMPLETE]
        if waiting:
            raise ApiError(
                Kind.FAILED_PRECONDITION,
                f"{len(waiting)} of {len(files)} files have no content yet, the first is {waiting[0]}.",
                rule="upload_status",
            )
        with world.store.transaction():
            for file in files:
                world.store.files.seal(call.team.name, file.id)
            world.store.files.complete_batch_upload(call.team.name, request.batch_job_id, call.at)
    return BatchUpload(request.batch_job_id, files, complete=True)


_NO_CONTRACT = "no contract is published; the shape follows the rest of the Files API"

OPERATIONS = (
    Operation("files.upload", Plane.INFERENCE, UploadFile, upload, "OpenAPI: POST /v1/files"),
    Operation(
        "files.initialize",
        Plane.INFERENCE,
        InitializeFile,
        initialize,
        "REST reference of March 2026; withdrawn since",
    ),
    Operation(
        "files.upload_chunks",
        Plane.INFERENCE,
        UploadChunks,
        upload_chunks,
        "REST reference of March 2026; withdrawn since; base64 is the protojson reading of bytes",
        Confidence.ASSUMED,
    ),
    Operation(
        "files.batch_upload",
        Plane.INFERENCE,
        CreateBatchUpload,
        create_batch_upload,
        _NO_CONTRACT,
        Confidence.ASSUMED,
    ),
    Operation(
        "files.complete_batch_upload",
        Plane.INFERENCE,
        CompleteBatchUpload,
        complete_batch_upload,
        _NO_CONTRACT,
        Confidence.ASSUMED,
    ),
)
