"""Upload files in chunks: initialize, append, complete; one file or several together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import msgspec

from emulator.core.errors import ApiError, Kind, invalid, not_found
from emulator.core.limits import Confidence
from emulator.core.time_slices import TimeSlices
from emulator.domain.files import (
    File,
    UploadStatus,
    bytes_max,
    check_filename,
)
from emulator.domain.keys import Plane
from emulator.operations import indexing
from emulator.operations.base import Bytes, Call, Operation
from emulator.operations.files.read import check_unchanged, get_file
from emulator.operations.files.receive import receive_blob
from emulator.operations.files.update import set_content
from emulator.operations.files.upload import InitializeFile, insert_file
from emulator.state.services import Services
from emulator.store.blob_writers import BlobWriter


class Chunk(msgspec.Struct, frozen=True):
    """A chunk of an initialized file."""

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
    """A batch upload and its files, in the order of the request."""

    batch_job_id: str
    files: list[File]
    complete: bool


async def initialize(services: Services, call: Call, request: InitializeFile) -> File:
    """Create a file without bytes, for `files:uploadChunks`."""
    async with _initialized(services, call, [request]) as files:
        return files[0]


@asynccontextmanager
async def _initialized(services: Services, call: Call, files: list[InitializeFile]) -> AsyncIterator[list[File]]:
    """Create files without bytes, in a transaction that includes the `with` block: all of it succeeds or nothing."""
    blobs: list[BlobWriter] = []
    slices = TimeSlices()
    try:
        for file in files:
            check_filename(file.name)
            blob = services.store.blobs.new()
            blobs.append(blob)
            blob.keep()
            await slices.pause()
        with services.store.transaction():
            yield [
                insert_file(services, call.team, call.at, file, blob, UploadStatus.INITIALIZING, chaos=call.chaos)
                for file, blob in zip(files, blobs, strict=True)
            ]
    except BaseException:
        for blob in blobs:
            blob.discard()
        raise


async def upload_chunks(services: Services, call: Call, request: UploadChunks) -> File:
    """Append the chunks of one call to an initialized file; they become visible together, when the call ends."""
    async with aclosing(request.chunks) as chunks:  # type: ignore[type-var]
        first = await anext(chunks, None)
        if first is None:
            raise invalid("The body holds no chunk.", rule="chunk", param="chunk")
        file = get_file(services, call, first.file_id)
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
        async with receive_blob(services, call, content(), row, most, file.size) as added:
            check_unchanged(services, call, file)
            async with services.store.blobs.appended(file.blob, file.size, added) as blob:
                check_unchanged(services, call, file)
                with services.store.transaction():
                    set_content(services, call, file, blob)
    await indexing.wait_until_indexed(services, call)
    return get_file(services, call, file.id)


async def create_batch_upload(services: Services, call: Call, request: CreateBatchUpload) -> BatchUpload:
    """Initialize several files at once."""
    most = call.team.limits.batch_upload_files_max
    if not request.files:
        raise invalid("files: at least one file is needed.", rule="missing_file", param="files")
    if most is not None and len(request.files) > most:
        raise invalid(f"files: at most {most} files are allowed.", rule="batch_upload_files_max", param="files")
    async with _initialized(services, call, request.files) as files:
        id = services.ids.new(call.team, "batch_upload")
        services.store.files.insert_batch_upload(call.team.name, id, [file.id for file in files], call.at)
    return BatchUpload(id, files, complete=False)


async def complete_batch_upload(services: Services, call: Call, request: CompleteBatchUpload) -> BatchUpload:
    """Check that every file of a batch upload has its bytes; a second call changes nothing."""
    found = services.store.files.batch_upload(call.team.name, request.batch_job_id)
    if found is None:
        raise not_found("Batch upload")
    file_ids, completed_at = found
    files = [file for id in file_ids if (file := services.store.files.get(call.team.name, id, call.at)) is not None]
    if completed_at is None:
        waiting = [file.id for file in files if file.upload_status is not UploadStatus.COMPLETE]
        if waiting:
            raise ApiError(
                Kind.FAILED_PRECONDITION,
                f"{len(waiting)} of {len(files)} files have no content yet, the first is {waiting[0]}.",
                rule="upload_status",
            )
        with services.store.transaction():
            for file in files:
                services.store.files.seal(call.team.name, file.id)
            services.store.files.complete_batch_upload(call.team.name, request.batch_job_id, call.at)
    return BatchUpload(request.batch_job_id, files, complete=True)


_NO_CONTRACT = "no contract is published; the shape follows the rest of the Files API"


OPERATIONS = (
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
