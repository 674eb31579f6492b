"""Rename files, change their expiry, replace their content, delete them; and update their documents."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from emulator.core.limits import Confidence
from emulator.domain import content_types
from emulator.domain.files import (
    UPLOAD_TRANSITIONS,
    File,
    FileView,
    UploadStatus,
    bytes_max,
    check_filename,
    check_quota,
    expiry,
)
from emulator.domain.keys import Plane
from emulator.domain.transitions import step
from emulator.operations import indexing
from emulator.operations.base import Bytes, Call, Operation
from emulator.operations.files.read import FileId, check_unchanged, get_file, view
from emulator.operations.files.receive import receive_blob
from emulator.operations.files.upload import ExpiresAfter, Filename
from emulator.state.services import Services
from emulator.store.blob_writers import BlobWriter


class UpdateFile(msgspec.Struct, frozen=True):
    """Changes to a file; None changes nothing. New content keeps the name unless a name is given too."""

    file_id: str
    filename: Filename | None = None
    expires_after: ExpiresAfter = None
    content_type: str | None = None
    content: AsyncIterator[Bytes] | None = None


async def update(services: Services, call: Call, request: UpdateFile) -> FileView:
    """Rename a file, change its expiry (counted from now), or replace its content."""
    file = get_file(services, call, request.file_id)
    if request.content is None:
        _update(services, call, request, file, None)
    else:
        filename = request.filename or file.filename
        check_filename(filename)
        async with receive_blob(services, call, request.content, *bytes_max(filename, call.team.limits)) as blob:
            check_unchanged(services, call, file)
            _update(services, call, request, file, blob)
    await indexing.wait_until_indexed(services, call)
    return view(services, call, get_file(services, call, file.id))


def _update(services: Services, call: Call, request: UpdateFile, file: File, blob: BlobWriter | None) -> None:
    with services.store.transaction():
        change_file(
            *(services, call, file),
            filename=request.filename,
            content_type=request.content_type,
            expires_after=request.expires_after,
            blob=blob,
        )


async def delete(services: Services, call: Call, request: FileId) -> str:
    """Delete a file with its documents, public URL and jobs; return its id."""
    file = get_file(services, call, request.file_id)
    services.store.remove_file(call.team.name, file.id)
    return file.id


def change_file(
    services: Services,
    call: Call,
    file: File,
    *,
    filename: str | None = None,
    content_type: str | None = None,
    expires_after: int | None = None,
    blob: BlobWriter | None = None,
) -> bool:
    """Change a file's name, type, expiry (counted from now) and bytes; None changes nothing.

    A new name or new bytes may change the chunks of its documents, which are then reindexed. Return whether they are.
    In a transaction.
    """
    team, name = call.team.name, file.filename if filename is None else filename
    check_filename(name)
    kind = file.content_type
    if content_type is not None or name != file.filename:
        kind = content_types.choose(content_type, name)
    expires_at = file.expires_at if expires_after is None else expiry(call.at, expires_after)
    services.store.files.set_metadata(team, file.id, filename=name, content_type=kind, expires_at=expires_at)
    if expires_at is not None and expires_at != file.expires_at:
        services.store.jobs.cancel(team, "expire_file", file.id)
        services.jobs.add(call.team, "expire_file", file.id, expires_at)
    if file.public_url is not None and kind != file.content_type:
        services.store.files.set_public_url(team, file.id, None)
    if blob is not None:
        set_content(services, call, file, blob)
        return True
    changed = (name, kind) != (file.filename, file.content_type)
    if changed:
        indexing.begin_all(services, call, file.id)
    return changed


def set_content(services: Services, call: Call, file: File, blob: BlobWriter) -> None:
    """Replace the bytes of a file by a blob, and reindex its documents. In a transaction."""
    files, team = services.store.files, call.team.name
    count, total = files.usage(team)
    check_quota(count - 1, total - file.size, blob.size, call.team.limits)
    status = step(UPLOAD_TRANSITIONS, file.upload_status, UploadStatus.COMPLETE)
    files.set_content(team, file.id, size=blob.size, hash=blob.digest(), blob=blob.name, status=status)
    if blob.name != file.blob:  # otherwise it grew in place
        services.store.release_blob(file.blob)
    indexing.begin_all(services, call, file.id)


OPERATIONS = (
    Operation(
        "files.update",
        Plane.INFERENCE,
        UpdateFile,
        update,
        "listed among the endpoints, no contract is published",
        Confidence.ASSUMED,
    ),
    Operation("files.delete", Plane.INFERENCE, FileId, delete, "OpenAPI: DELETE /v1/files/{file_id}"),
)
