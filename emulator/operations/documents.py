"""Documents: files in collections, with the metadata fields of the collection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Annotated

import msgspec

from emulator.core.errors import ApiError, Kind, not_found
from emulator.core.limits import Confidence, Items, PageSize
from emulator.core.profiles import Reaction
from emulator.core.time_slices import TimeSlices
from emulator.domain.collections import (
    Collection,
    check_fields_size,
    check_required,
    form_error,
    undefined_keys,
    unique_values,
    value_taken,
)
from emulator.domain.documents import Document, DocumentsSortBy
from emulator.domain.files import File, UploadStatus, check_filename
from emulator.domain.keys import Plane
from emulator.domain.paging import Cursor, Page
from emulator.operations import indexing, pagination
from emulator.operations.base import Bytes, Call, Operation
from emulator.operations.collections import get_collection
from emulator.operations.files.read import get_file
from emulator.operations.files.receive import receive_blob
from emulator.operations.files.update import change_file
from emulator.operations.files.upload import Filename, InitializeFile, insert_file
from emulator.operations.list_filters import list_filter
from emulator.state.services import Services
from emulator.store.blob_writers import BlobWriter

ADD_PERMISSION = "AddFileToCollection"  # Collections guide: the permission that adding documents needs


class AddDocument(msgspec.Struct, frozen=True):
    """Add an existing file to a collection."""

    collection_id: str
    file_id: str
    fields: Mapping[str, str] = msgspec.field(default_factory=dict)
    team_id: str | None = None


class DocumentHead(msgspec.Struct, frozen=True):
    """The metadata of an uploaded document."""

    name: Filename
    content_type: str | None
    fields: Mapping[str, str]


class UploadDocument(msgspec.Struct, frozen=True):
    """Upload a file and add it to a collection. `head` is available when `content` has ended."""

    collection_id: str
    content: AsyncIterator[Bytes]
    head: Callable[[], DocumentHead]
    team_id: str | None = None


class DocumentId(msgspec.Struct, frozen=True):
    """One document."""

    collection_id: str
    file_id: str
    team_id: str | None = None


class ListDocuments(msgspec.Struct, frozen=True):
    """A page of a collection's documents; `name` is the deprecated exact match."""

    collection_id: str
    limit: Annotated[int, PageSize()]
    descending: bool
    sort_by: DocumentsSortBy
    pagination_token: str | None = None
    name: str | None = None
    filter: str | None = None
    team_id: str | None = None


class BatchGetDocuments(msgspec.Struct, frozen=True):
    """Several documents of one collection."""

    collection_id: str
    file_ids: Annotated[Sequence[str], Items("batch_get_documents_max")]
    team_id: str | None = None


class UpdateDocument(msgspec.Struct, frozen=True):
    """Changes to a document. None, and absent fields, change nothing."""

    collection_id: str
    file_id: str
    name: Filename | None = None
    data: bytes | None = None
    content_type: str | None = None
    fields: Mapping[str, str] = msgspec.field(default_factory=dict)
    team_id: str | None = None


def get_document(services: Services, call: Call, collection: Collection, file_id: str) -> Document:
    """Return a document of a collection. Raises ApiError if it does not exist."""
    document = services.store.documents.get(call.team.name, collection.id, file_id, call.at)
    if document is None:
        raise not_found("Document")
    return document


def _put(services: Services, call: Call, collection: Collection, file: File, fields: Mapping[str, str]) -> None:
    """Insert a document with these fields. Raises ApiError for invalid fields. In a transaction."""
    store, team = services.store, call.team.name
    check_required(collection.field_definitions, fields)
    check_fields_size(collection.field_definitions, fields, call.team.limits)
    _react_to_undefined(call, undefined_keys(collection.field_definitions, fields))
    values = unique_values(collection.field_definitions, fields)
    for key, value in values.items():
        holder = store.documents.unique_owner(team, collection.id, key, value)
        if holder is not None and holder != file.id:
            if store.files.get(team, holder, call.at) is not None:
                raise value_taken(key, value)
            store.remove_file(
                team, holder
            )  # it has expired: its unique values are free, although its job has not run yet
    store.documents.put(team, collection.id, file, fields)
    store.documents.set_unique_values(team, collection.id, file.id, values)


def _react_to_undefined(call: Call, keys: list[str]) -> None:
    """Apply the profile to undefined fields: the reaction of the real service is not known."""
    reaction = call.team.profile.undefined_metadata_key
    if keys and reaction is Reaction.REFUSE:
        raise form_error(f"fields.{keys[0]}", "The collection does not define this field", "undefined-field")
    if keys and reaction is Reaction.WARN:
        call.warn(f"stored, but not defined by the collection: {', '.join(keys)[:200]}")


async def add(services: Services, call: Call, request: AddDocument) -> None:
    """Add a file to a collection. An existing document gets the new fields and is reindexed."""
    call.principal.require(ADD_PERMISSION)
    collection = get_collection(services, call, request)
    file = get_file(services, call, request.file_id)
    if file.upload_status is not UploadStatus.COMPLETE:
        raise ApiError(Kind.FAILED_PRECONDITION, f"The upload of {file.id} is not complete.", rule="upload_status")
    with services.store.transaction():
        _put(services, call, collection, file, request.fields)
        indexing.begin(services, call, collection.id, file.id)
    await indexing.wait_until_indexed(services, call)


async def upload(services: Services, call: Call, request: UploadDocument) -> Document:
    """Store a new file and add it to a collection, both or neither."""
    call.principal.require(ADD_PERMISSION)
    get_collection(services, call, request)
    limits = call.team.limits
    row = "collection_document_bytes_max"
    async with receive_blob(services, call, request.content, row, limits.collection_document_bytes_max) as blob:
        head = request.head()
        check_filename(head.name)
        collection = get_collection(services, call, request)  # again: it may have been deleted while the bytes arrived
        with services.store.transaction():
            new = InitializeFile(head.name, head.content_type)
            file = insert_file(services, call.team, call.at, new, blob, UploadStatus.COMPLETE, chaos=call.chaos)
            _put(services, call, collection, file, head.fields)
            indexing.begin(services, call, collection.id, file.id)
    await indexing.wait_until_indexed(services, call)
    return get_document(services, call, collection, file.id)


async def list_documents(services: Services, call: Call, request: ListDocuments) -> Page[Document]:
    """Return a page of a collection's documents."""
    collection = get_collection(services, call, request)
    store, team, sort_by = services.store.documents, call.team.name, request.sort_by

    def fetch(after: Cursor | None, limit: int) -> list[Document]:
        return store.page(
            *(team, collection.id, call.at),
            sort_by=sort_by,
            descending=request.descending,
            after=after,
            limit=limit,
            name=request.name or None,
        )

    query = ("documents", team, collection.id, sort_by.value, request.descending, request.name, request.filter or "")
    return await pagination.page(
        fetch,
        lambda document: store.cursor(document, sort_by),
        query=query,
        token=request.pagination_token,
        limit=request.limit,
        accepts=list_filter("documents", request.filter, call.team.limits),
    )


async def get(services: Services, call: Call, request: DocumentId) -> Document:
    """Return the metadata of one document."""
    return get_document(services, call, get_collection(services, call, request), request.file_id)


async def batch_get(services: Services, call: Call, request: BatchGetDocuments) -> list[Document]:
    """Return the metadata of several documents, in the order of the request, without missing ones."""
    collection = get_collection(services, call, request)
    found: list[Document] = []
    slices = TimeSlices()
    for id in request.file_ids:
        document = services.store.documents.get(call.team.name, collection.id, id, call.at)
        found += [] if document is None else [document]
        await slices.pause()
    return found


async def update(services: Services, call: Call, request: UpdateDocument) -> Document:
    """Change a document's fields, and the name, type or content of its file; reindex what that affects."""
    document = get_document(services, call, get_collection(services, call, request), request.file_id)
    data = request.data
    if data is None:
        _update(services, call, request, None)
    else:

        async def content() -> AsyncIterator[Bytes]:
            yield data

        most = call.team.limits.collection_document_bytes_max
        async with receive_blob(services, call, content(), "collection_document_bytes_max", most) as blob:
            _update(services, call, request, blob)
    await indexing.wait_until_indexed(services, call)
    return await get(services, call, DocumentId(document.collection_id, document.file.id))


def _update(services: Services, call: Call, request: UpdateDocument, blob: BlobWriter | None) -> None:
    """Apply all changes or none; `blob` has the new content."""
    collection = get_collection(services, call, request)
    document = get_document(services, call, collection, request.file_id)
    with services.store.transaction():
        begun = change_file(
            *(services, call, document.file), filename=request.name, content_type=request.content_type, blob=blob
        )
        file = get_file(services, call, document.file.id)
        _put(services, call, collection, file, {**document.fields, **request.fields})
        if not begun:
            indexing.begin(services, call, collection.id, file.id)


async def reindex(services: Services, call: Call, request: DocumentId) -> None:
    """Reindex a document with the current configuration and fields of the collection."""
    document = get_document(services, call, get_collection(services, call, request), request.file_id)
    with services.store.transaction():
        indexing.begin(services, call, document.collection_id, document.file.id)
    await indexing.wait_until_indexed(services, call)


async def remove(services: Services, call: Call, request: DocumentId) -> None:
    """Remove a document from its collection; the file stays."""
    document = get_document(services, call, get_collection(services, call, request), request.file_id)
    services.store.remove_document(call.team.name, document.collection_id, document.file.id)


_REFERENCE = "Collections reference"
_LIVE = "Collections reference; observed live, 2026-04"
_LIVE_UPLOAD = "Collections guide; observed live, 2026-10: the answer is a DocumentMetadata"
_PROTO = "collections.proto; xai-sdk; that fields are merged is assumed"
_M = Plane.MANAGEMENT

OPERATIONS = (
    Operation("documents.add", _M, AddDocument, add, _LIVE, Confidence.RECORDED),
    Operation("documents.upload", _M, UploadDocument, upload, _LIVE_UPLOAD, Confidence.RECORDED),
    Operation("documents.list", _M, ListDocuments, list_documents, _LIVE, Confidence.RECORDED),
    Operation("documents.get", _M, DocumentId, get, _REFERENCE),
    Operation("documents.batch_get", _M, BatchGetDocuments, batch_get, _LIVE, Confidence.RECORDED),
    Operation(
        "documents.update", _M, UpdateDocument, update, "collections.proto; xai-sdk; that fields are merged is assumed"
    ),
    Operation("documents.reindex", _M, DocumentId, reindex, _REFERENCE),
    Operation("documents.remove", _M, DocumentId, remove, _LIVE, Confidence.RECORDED),
)
