"""Upload a file in one request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import msgspec

from emulator.core.clock import Instant
from emulator.core.limits import Between, Chars
from emulator.domain import content_types
from emulator.domain.chaos import ChaosFlag, ChaosState
from emulator.domain.files import (
    File,
    UploadStatus,
    bytes_max,
    check_filename,
    check_quota,
    expiry,
)
from emulator.domain.keys import Plane
from emulator.operations.base import Bytes, Call, Operation
from emulator.operations.files.receive import receive_blob
from emulator.state.services import Services
from emulator.state.teams import Team
from emulator.store.blob_writers import BlobWriter

EXPIRY = Between("expires_after_seconds_min", "expires_after_seconds_max")
FILENAME = Chars("filename_chars_max")
Filename = Annotated[str, FILENAME]
ExpiresAfter = Annotated[int | None, EXPIRY]


class UploadFile(msgspec.Struct, frozen=True):
    """A file and its bytes; `expires_after` is in seconds. `content` may raise refusals of the transport."""

    filename: Filename
    content: AsyncIterator[Bytes]
    content_type: str | None = None
    expires_after: ExpiresAfter = None


class InitializeFile(msgspec.Struct, frozen=True):
    """The first step of a chunked upload."""

    name: Filename
    content_type: str | None
    expires_after: ExpiresAfter = None


async def upload(services: Services, call: Call, request: UploadFile) -> File:
    """Store a new file. Its bytes are on disk and its row is committed before the response."""
    limits = call.team.limits
    check_filename(request.filename)
    check_quota(*services.store.files.usage(call.team.name), 0, limits)
    file = InitializeFile(request.filename, request.content_type, request.expires_after)
    async with receive_blob(services, call, request.content, *bytes_max(request.filename, limits)) as blob:
        return insert_file(services, call.team, call.at, file, blob, UploadStatus.COMPLETE, chaos=call.chaos)


def insert_file(
    services: Services,
    team: Team,
    at: Instant,
    new: InitializeFile,
    blob: BlobWriter,
    status: UploadStatus,
    *,
    chaos: ChaosState | None = None,
) -> File:
    """Insert the row of a new file, and its expiry job."""
    check_quota(*services.store.files.usage(team.name), blob.size, team.limits)
    with services.store.transaction():
        file = File(
            id=services.ids.new(team, "file"),
            filename=new.name,
            size=blob.size,
            content_type=_content_type(new, chaos),
            hash=blob.digest(),
            blob=blob.name,
            created_at=at,
            expires_at=expiry(at, new.expires_after),
            upload_status=status,
            open_for_chunks=status is UploadStatus.INITIALIZING,
        )
        file = services.store.files.insert(team.name, file)
        if file.expires_at is not None:
            services.jobs.add(team, "expire_file", file.id, file.expires_at)
    return file


def _content_type(file: InitializeFile, chaos: ChaosState | None) -> str:
    if chaos is not None and chaos.has(ChaosFlag.SNIFFED_CONTENT_TYPES):
        return content_types.sniffed(file.name)
    return content_types.choose(file.content_type, file.name)


OPERATIONS = (Operation("files.upload", Plane.INFERENCE, UploadFile, upload, "OpenAPI: POST /v1/files"),)
