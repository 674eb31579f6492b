"""Files once they are stored: list, get, read, change, delete, and their public URLs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import msgspec

from emulator.core.errors import invalid, not_found
from emulator.core.limits import Confidence, PageSize
from emulator.domain import content_types
from emulator.domain.files import (
    ContentFormat,
    File,
    FileView,
    PublicUrl,
    SortBy,
    bytes_max,
    check_filename,
    check_public_url,
    check_public_url_quota,
    live_public_url,
    public_name,
    public_path,
    public_url_expiry,
)
from emulator.domain.keys import Plane
from emulator.domain.paging import Cursor, Page
from emulator.operations import filters, indexing, pagination
from emulator.operations.base import Bytes, Call, Content, Operation
from emulator.operations.file_text import text_of
from emulator.operations.file_updates import change_file
from emulator.operations.uploads import ExpiresAfter, Filename, check_unchanged, get_file, incoming
from emulator.state.world import World
from emulator.store.blob_writers import BlobWriter


class ListFiles(msgspec.Struct, frozen=True):
    """A page of the team's files; `after` is a file id, as OpenAI's clients page."""

    limit: Annotated[int, PageSize()]
    descending: bool
    sort_by: SortBy
    pagination_token: str | None = None
    after: str | None = None
    filter: str | None = None


class FileId(msgspec.Struct, frozen=True):
    """One file."""

    file_id: str


class UpdateFile(msgspec.Struct, frozen=True):
    """Changes to a file; what is None stays. New content keeps the name unless that is given too."""

    file_id: str
    filename: Filename | None = None
    expires_after: ExpiresAfter = None
    content_type: str | None = None
    content: AsyncIterator[Bytes] | None = None


class ReadFile(msgspec.Struct, frozen=True):
    """The bytes of a file, or the text extracted from it."""

    file_id: str
    format: ContentFormat = ContentFormat.ORIGINAL


class CreatePublicUrl(msgspec.Struct, frozen=True):
    """A URL that needs no key; `expires_after` is in seconds."""

    file_id: str
    expires_after: ExpiresAfter = None


class ReadPublicUrl(msgspec.Struct, frozen=True):
    """What a public URL asks for: `/_files-cdn/<token>/<name>`."""

    token: str
    name: str


class RevokedPublicUrl(msgspec.Struct, frozen=True):
    """The answer to a revocation; `public_url` is the one that died, if there was one."""

    file_id: str
    public_url: str | None


def view(world: World, call: Call, file: File) -> FileView:
    """A file as both doors show it."""
    url = live_public_url(file, call.at)
    return FileView(file) if url is None else FileView(file, address(world, call, file, url), url.expires_at)


def address(world: World, call: Call, file: File, url: PublicUrl) -> str:
    """Where a public URL is served: below the configured base, else where the caller reaches the emulator."""
    base = world.settings.public_url or call.origin
    return f"{base}{public_path(file, url)}"


async def list_files(world: World, call: Call, request: ListFiles) -> Page[FileView]:
    """One page of the team's files."""
    store, team, sort_by = world.store.files, call.team.name, request.sort_by
    after = None
    if request.after and not request.pagination_token:
        after = store.position(team, request.after, sort_by)
        if after is None:
            raise invalid(f"after: there is no file {request.after!r}.", rule="after", param="after")

    def fetch(after: Cursor | None, limit: int) -> list[FileView]:
        files = store.page(team, call.at, sort_by=sort_by, descending=request.descending, after=after, limit=limit)
        return [view(world, call, file) for file in files]

    return await pagination.page(
        fetch,
        lambda view: store.cursor(view.file, sort_by),
        query=("files", team, sort_by.value, request.descending, request.filter or ""),
        token=request.pagination_token,
        after=after,
        limit=request.limit,
        accepts=filters.FILES.accepts(request.filter, call.team.limits),
    )


async def get(world: World, call: Call, request: FileId) -> FileView:
    """The metadata of one file."""
    return view(world, call, get_file(world, call, request.file_id))


async def update(world: World, call: Call, request: UpdateFile) -> FileView:
    """Rename a file, move its expiry (counted from now), or give it new content."""
    file = get_file(world, call, request.file_id)
    if request.content is None:
        _update(world, call, request, file, None)
    else:
        filename = request.filename or file.filename
        check_filename(filename)
        async with incoming(world, call, request.content, *bytes_max(filename, call.team.limits)) as blob:
            check_unchanged(world, call, file)
            _update(world, call, request, file, blob)
    await indexing.settled(world, call)
    return view(world, call, get_file(world, call, file.id))


def _update(world: World, call: Call, request: UpdateFile, file: File, blob: BlobWriter | None) -> None:
    with world.store.transaction():
        change_file(
            *(world, call, file),
            filename=request.filename,
            content_type=request.content_type,
            expires_after=request.expires_after,
            blob=blob,
        )


async def delete(world: World, call: Call, request: FileId) -> str:
    """Delete a file and all that hangs on it; its id is the answer."""
    file = get_file(world, call, request.file_id)
    world.store.remove_file(call.team.name, file.id)
    return file.id


async def read(world: World, call: Call, request: ReadFile) -> Content:
    """The bytes of a file, or its text."""
    file = get_file(world, call, request.file_id)
    if request.format is ContentFormat.TEXT:
        return await text_of(world, file)
    return blob_content(world, file, content_types.UNKNOWN)


def blob_content(world: World, file: File, content_type: str) -> Content:
    """The bytes of a file as content; a blob is immutable, so a file deleted meanwhile is still read whole.

    It is opened with the first piece. A door asks for that before it lets others go on. Raises OSError where the disk
    has lost it.
    """
    world.store.blobs.present(file.blob, file.size)

    def read(start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        return world.store.blobs.read(file.blob, start, stop)

    return Content(file.size, content_type, read)


async def create_public_url(world: World, call: Call, request: CreatePublicUrl) -> FileView:
    """Give a file its public URL; asked again, the same URL, with a new expiry where one is given."""
    file = get_file(world, call, request.file_id)
    check_public_url(file, call.team.limits)
    present = live_public_url(file, call.at)
    expires_at = public_url_expiry(file, present, call.at, request.expires_after)
    if present is None:
        check_public_url_quota(world.store.files.active_public_urls(call.team.name, call.at), call.team.limits)
        url = PublicUrl(world.new_url_token(call.team), expires_at)
    else:
        url = PublicUrl(present.token, expires_at)
    world.store.files.set_public_url(call.team.name, file.id, url)
    return FileView(file, address(world, call, file, url), url.expires_at)


async def revoke_public_url(world: World, call: Call, request: FileId) -> RevokedPublicUrl:
    """Take a file's public URL away. Nothing to take, not even a file, is no error (Public URL guide)."""
    file = world.store.files.get(call.team.name, request.file_id, call.at)
    url = None if file is None else live_public_url(file, call.at)
    if file is None or url is None:
        return RevokedPublicUrl(request.file_id, None)
    world.store.files.set_public_url(call.team.name, file.id, None)
    return RevokedPublicUrl(file.id, address(world, call, file, url))


async def read_public_url(world: World, call: Call, request: ReadPublicUrl) -> Content:
    """What a public URL shows, to anybody; the team and its time are those of the file, not of the caller."""
    found = world.store.files.by_public_url(request.token)
    if found is not None:
        team, file = found
        now = world.team(team).clock.now()
        if file.alive(now) and live_public_url(file, now) is not None and request.name == public_name(file):
            return blob_content(world, file, file.content_type)
    raise not_found("File")


_GUIDE = "Public URL guide"

OPERATIONS = (
    Operation("files.list", Plane.INFERENCE, ListFiles, list_files, "OpenAPI: GET /v1/files"),
    Operation("files.get", Plane.INFERENCE, FileId, get, "OpenAPI: GET /v1/files/{file_id}"),
    Operation(
        "files.update",
        Plane.INFERENCE,
        UpdateFile,
        update,
        "listed among the endpoints, no contract is published",
        Confidence.ASSUMED,
    ),
    Operation("files.delete", Plane.INFERENCE, FileId, delete, "OpenAPI: DELETE /v1/files/{file_id}"),
    Operation("files.content", Plane.INFERENCE, ReadFile, read, "OpenAPI: GET /v1/files/{file_id}/content"),
    Operation("files.create_public_url", Plane.INFERENCE, CreatePublicUrl, create_public_url, _GUIDE),
    Operation("files.revoke_public_url", Plane.INFERENCE, FileId, revoke_public_url, _GUIDE),
    Operation("files.public_content", Plane.PUBLIC, ReadPublicUrl, read_public_url, _GUIDE),
)
