"""What a change of a file changes with it: its documents, its public URL, its planned expiry."""

from __future__ import annotations

from emulator.domain import content_types
from emulator.domain.files import UPLOAD_TRANSITIONS, File, UploadStatus, check_filename, check_quota, expiry
from emulator.domain.transitions import step
from emulator.operations import indexing
from emulator.operations.base import Call
from emulator.state.world import World
from emulator.store.blob_writers import BlobWriter


def change_file(
    world: World,
    call: Call,
    file: File,
    *,
    filename: str | None = None,
    content_type: str | None = None,
    expires_after: int | None = None,
    blob: BlobWriter | None = None,
) -> bool:
    """Rename a file, say what it is, move its expiry (counted from now), give it new bytes; what is None stays.

    A new name or new bytes may change what can be found of its documents: they are indexed anew, and whether that is
    so is returned. In a transaction.
    """
    team, name = call.team.name, file.filename if filename is None else filename
    check_filename(name)
    kind = file.content_type
    if content_type is not None or name != file.filename:
        kind = content_types.choose(content_type, name)
    expires_at = file.expires_at if expires_after is None else expiry(call.at, expires_after)
    world.store.files.set_metadata(team, file.id, filename=name, content_type=kind, expires_at=expires_at)
    if expires_at is not None and expires_at != file.expires_at:
        world.store.jobs.cancel(team, "expire_file", file.id)
        world.add_job(call.team, "expire_file", file.id, expires_at)
    if file.public_url is not None and kind != file.content_type:
        world.store.files.set_public_url(team, file.id, None)
    if blob is not None:
        set_content(world, call, file, blob)
        return True
    changed = (name, kind) != (file.filename, file.content_type)
    if changed:
        indexing.begin_all(world, call, file.id)
    return changed


def set_content(world: World, call: Call, file: File, blob: BlobWriter) -> None:
    """Let a blob be the bytes of a file, and index its documents anew. In a transaction."""
    files, team = world.store.files, call.team.name
    count, total = files.usage(team)
    check_quota(count - 1, total - file.size, blob.size, call.team.limits)
    status = step(UPLOAD_TRANSITIONS, file.upload_status, UploadStatus.COMPLETE)
    files.set_content(team, file.id, size=blob.size, hash=blob.digest(), blob=blob.name, status=status)
    if blob.name != file.blob:  # else it grew in place
        world.store.release_blob(file.blob)
    indexing.begin_all(world, call, file.id)
