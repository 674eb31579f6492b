"""List and get files, and read their bytes or their text."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import msgspec

from emulator.core.errors import ApiError, Kind, invalid, not_found
from emulator.core.limits import PageSize
from emulator.domain import content_types
from emulator.domain.files import (
    ContentFormat,
    File,
    FileView,
    PublicUrl,
    SortBy,
    live_public_url,
    public_path,
)
from emulator.domain.keys import Plane
from emulator.domain.paging import Cursor, Page
from emulator.operations import pagination
from emulator.operations.base import Call, Content, Operation
from emulator.operations.list_filters import list_filter
from emulator.search.extraction.result import ExtractionError
from emulator.state.services import Services
from emulator.store.blobs import READ_BYTES


class ListFiles(msgspec.Struct, frozen=True):
    """A page of the team's files; `after` is a file id, for the pagination of OpenAI's clients."""

    limit: Annotated[int, PageSize()]
    descending: bool
    sort_by: SortBy
    pagination_token: str | None = None
    after: str | None = None
    filter: str | None = None


class FileId(msgspec.Struct, frozen=True):
    """One file."""

    file_id: str


class ReadFile(msgspec.Struct, frozen=True):
    """The bytes of a file, or the text extracted from it."""

    file_id: str
    format: ContentFormat = ContentFormat.ORIGINAL


def view(services: Services, call: Call, file: File) -> FileView:
    """Return a file as both transports show it."""
    url = live_public_url(file, call.at)
    return FileView(file) if url is None else FileView(file, address(services, call, file, url), url.expires_at)


def address(services: Services, call: Call, file: File, url: PublicUrl) -> str:
    """Return the address of a public URL: below the configured base, else at the origin of the caller's request."""
    base = services.settings.public_url or call.origin
    return f"{base}{public_path(file, url)}"


async def list_files(services: Services, call: Call, request: ListFiles) -> Page[FileView]:
    """Return a page of the team's files."""
    store, team, sort_by = services.store.files, call.team.name, request.sort_by
    after = None
    if request.after and not request.pagination_token:
        after = store.position(team, request.after, sort_by)
        if after is None:
            raise invalid(f"after: there is no file {request.after!r}.", rule="after", param="after")

    def fetch(after: Cursor | None, limit: int) -> list[FileView]:
        files = store.page(team, call.at, sort_by=sort_by, descending=request.descending, after=after, limit=limit)
        return [view(services, call, file) for file in files]

    return await pagination.page(
        fetch,
        lambda view: store.cursor(view.file, sort_by),
        query=("files", team, sort_by.value, request.descending, request.filter or ""),
        token=request.pagination_token,
        after=after,
        limit=request.limit,
        accepts=list_filter("files", request.filter, call.team.limits),
    )


async def get(services: Services, call: Call, request: FileId) -> FileView:
    """Return the metadata of one file."""
    return view(services, call, get_file(services, call, request.file_id))


async def read(services: Services, call: Call, request: ReadFile) -> Content:
    """Return the bytes of a file, or its text."""
    file = get_file(services, call, request.file_id)
    if request.format is ContentFormat.TEXT:
        return await text_of(services, file)
    return blob_content(services, file, content_types.UNKNOWN)


def blob_content(services: Services, file: File, content_type: str) -> Content:
    """Return the bytes of a file. A blob is immutable, so a file that is deleted meanwhile is still read whole.

    The file is opened with the first piece, which a transport awaits before it yields. Raises OSError if the file is
    lost.
    """
    services.store.blobs.require(file.blob, file.size)

    def read(start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        return services.store.blobs.read(file.blob, start, stop)

    return Content(file.size, content_type, read)


async def text_of(services: Services, file: File) -> Content:
    """Return the text of a file as content. Raises ApiError, with the message of the extraction, if it has none.

    Raises OSError if the file is lost.
    """
    services.store.blobs.require(file.blob, file.size)
    try:
        text = await _extract(services, file)
    except ExtractionError as error:
        sentence = f"Text extraction is not supported for this file. {error}"
        raise invalid(sentence, rule="format_text", param="format") from None
    except FileNotFoundError:  # deleted or replaced meanwhile
        raise not_found("File") from None

    async def read(start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        stop = len(text) if stop is None else stop
        for place in range(start, stop, READ_BYTES):
            yield text[place : min(place + READ_BYTES, stop)]

    return Content(len(text), content_types.UNKNOWN, read)  # OpenAPI: the content is octets in either format


async def _extract(services: Services, file: File) -> bytes:
    from emulator.search.extraction.extract import extract, is_large

    path, processes = services.store.blobs.path(file.blob), services.readers.processes
    large = is_large(file.size, file.content_type, file.filename)
    return await services.readers.run(
        lambda: extract(path, file.content_type, file.filename, processes=processes).text.encode(), large=large
    )


def get_file(services: Services, call: Call, id: str) -> File:
    """Return a file of the calling team. Raises ApiError if it does not exist or has expired."""
    file = services.store.files.get(call.team.name, id, call.at)
    if file is None:
        raise not_found("File")
    return file


def check_unchanged(services: Services, call: Call, file: File) -> None:
    """Raise ApiError if the file's content was changed by another call since `file` was read."""
    now = get_file(services, call, file.id)
    if (now.blob, now.size) != (file.blob, file.size):  # a blob that grew in place is longer
        raise ApiError(Kind.ABORTED, f"{file.id} was changed by another call meanwhile.", rule="concurrent_change")


OPERATIONS = (
    Operation("files.list", Plane.INFERENCE, ListFiles, list_files, "OpenAPI: GET /v1/files"),
    Operation("files.get", Plane.INFERENCE, FileId, get, "OpenAPI: GET /v1/files/{file_id}"),
    Operation("files.content", Plane.INFERENCE, ReadFile, read, "OpenAPI: GET /v1/files/{file_id}/content"),
)
