"""What each operation refuses: by which rule, because of which field, and in which words where a thing is missing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from emulator.core.errors import ApiError, Kind
from emulator.domain.batches.batch import NewRequest, RequestKind
from emulator.domain.collections import CollectionsSortBy, FieldDefinition
from emulator.domain.documents import DocumentsSortBy
from emulator.domain.files import ContentFormat, SortBy
from emulator.operations import OPERATIONS
from emulator.operations.batches.lifecycle import BatchId, CreateBatch
from emulator.operations.batches.requests import AddRequests, ListRequests, ListResults
from emulator.operations.batches.results import ReadMedium, RequestId
from emulator.operations.collections import CollectionId, CreateCollection, ListCollections, UpdateCollection
from emulator.operations.documents import (
    AddDocument,
    BatchGetDocuments,
    DocumentHead,
    DocumentId,
    ListDocuments,
    UpdateDocument,
    UploadDocument,
)
from emulator.operations.files.chunked_upload import Chunk, CompleteBatchUpload, CreateBatchUpload, UploadChunks
from emulator.operations.files.public_urls import CreatePublicUrl, ReadPublicUrl
from emulator.operations.files.read import FileId, ListFiles, ReadFile
from emulator.operations.files.update import UpdateFile
from emulator.operations.files.upload import InitializeFile, UploadFile
from emulator.operations.search import SearchDocuments
from emulator.state.services import Services
from tests.operations.client import pieces, run, uploaded

NEW = InitializeFile("new.txt", "text/plain")
MISSING = "of nothing"


class Things(SimpleNamespace):
    """The ids of a few things of a team."""

    @classmethod
    async def made(cls, services: Services) -> Things:
        """Files with and without bytes, a batch upload, a collection with a document, and two batches."""
        things = cls()
        things.file = await uploaded(services, "a.txt")
        things.picture = await uploaded(services, "a.png", b"\x89PNG")
        things.empty = (await run(services, "files.initialize", NEW)).id
        upload = await run(services, "files.batch_upload", CreateBatchUpload([NEW, NEW]))
        things.upload, things.waiting = upload.batch_job_id, [file.id for file in upload.files]
        definitions = [FieldDefinition("isbn", unique=True), FieldDefinition("author", required=True)]
        asked = CreateCollection("c", field_definitions=definitions)
        things.collection = (await run(services, "collections.create", asked)).id
        fields = {"isbn": "1", "author": "x"}
        await run(services, "documents.add", AddDocument(things.collection, things.picture, fields))
        things.batch = (await run(services, "batches.create", CreateBatch("b"))).id
        things.cancelled = (await run(services, "batches.create", CreateBatch("b"))).id
        await run(services, "batches.add_requests", AddRequests(things.batch, [request("there")]))
        await run(services, "batches.cancel", BatchId(things.cancelled))
        return things


def request(id: str, **body: Any) -> NewRequest:
    return NewRequest(id, RequestKind.CHAT, {"messages": [], **body})


async def chunks(*pairs: tuple[str, bytes]) -> AsyncIterator[Chunk]:
    for id, data in pairs:
        yield Chunk(id, data)


def listed(**changes: Any) -> ListFiles:
    return ListFiles(10, True, SortBy.CREATED_AT, **changes)


def document(things: Things, **fields: str) -> AddDocument:
    return AddDocument(things.collection, things.file, fields)


def head(name: str, **fields: str) -> Callable[[], DocumentHead]:
    return lambda: DocumentHead(name, None, fields)


# Filters by what each list always has: nothing there is null, so who asks for it has mistaken something.
NEVER_NULL = {
    "files.list": ("size_bytes", "created_at"),
    "collections.list": ("created_at", "documents_count"),
    "documents.list": ("size_bytes", "created_at", "status"),
}
NULLABLE = {"files.list": "expires_at", "documents.list": "name"}


@pytest.mark.parametrize(("name", "field"), [(name, field) for name, all in NEVER_NULL.items() for field in all])
async def test_null_comparison_of_required_field_is_refused(services: Services, name: str, field: str) -> None:
    """A filter that can never match is refused."""
    things = await Things.made(services)

    def listing(filter: str) -> Any:
        requests = {
            "files.list": ListFiles(10, True, SortBy.CREATED_AT, filter=filter),
            "collections.list": ListCollections(10, True, CollectionsSortBy.NAME, filter=filter),
            "documents.list": ListDocuments(things.collection, 10, True, DocumentsSortBy.NAME, filter=filter),
        }
        return run(services, name, requests[name])

    with pytest.raises(ApiError) as refused:
        await listing(f"{field} = null")
    assert (refused.value.rule, refused.value.param) == ("filter", "filter")
    if name in NULLABLE:
        await listing(f"{NULLABLE[name]} = null")


Asked = Callable[[Things], tuple[str, Any]]
REFUSED: dict[str, tuple[Asked, Kind, str, str | None]] = {
    # files
    "after": (
        lambda t: ("files.list", listed(after=MISSING)),
        *(Kind.INVALID_ARGUMENT, "after", "after"),
    ),
    "a filter": (
        lambda t: ("files.list", listed(filter="name =")),
        *(Kind.INVALID_ARGUMENT, "filter", "filter"),
    ),
    "a filter of another list": (
        lambda t: ("files.list", listed(filter="documents_count = 1")),
        *(Kind.INVALID_ARGUMENT, "filter", "filter"),
    ),
    "a filter that is too deep": (
        lambda t: ("files.list", listed(filter="(" * 100 + "name=1" + ")" * 100)),
        *(Kind.INVALID_ARGUMENT, "filter_depth_max", "filter"),
    ),
    "a token": (
        lambda t: ("files.list", listed(pagination_token="x")),
        *(Kind.INVALID_ARGUMENT, "pagination_token", "pagination_token"),
    ),
    "the text of a picture": (
        lambda t: ("files.content", ReadFile(t.picture, ContentFormat.TEXT)),
        *(Kind.INVALID_ARGUMENT, "format_text", "format"),
    ),
    "a filename": (
        lambda t: ("files.upload", UploadFile("..", pieces(b"x"))),
        *(Kind.INVALID_ARGUMENT, "filename", "filename"),
    ),
    "a new filename beside bytes": (
        lambda t: ("files.update", UpdateFile(t.file, "..", content=pieces(b"x"))),
        *(Kind.INVALID_ARGUMENT, "filename", "filename"),
    ),
    "no chunk": (
        lambda t: ("files.upload_chunks", UploadChunks(chunks())),
        *(Kind.INVALID_ARGUMENT, "chunk", "chunk"),
    ),
    "chunks of two files": (
        lambda t: ("files.upload_chunks", UploadChunks(chunks((t.empty, b"x"), (t.waiting[0], b"x")))),
        *(Kind.INVALID_ARGUMENT, "chunk", "file_id"),
    ),
    "a chunk for a file that is complete": (
        lambda t: ("files.upload_chunks", UploadChunks(chunks((t.file, b"x")))),
        *(Kind.FAILED_PRECONDITION, "open_for_chunks", None),
    ),
    "a batch upload of nothing": (
        lambda t: ("files.batch_upload", CreateBatchUpload([])),
        *(Kind.INVALID_ARGUMENT, "missing_file", "files"),
    ),
    "a batch upload of too many": (
        lambda t: ("files.batch_upload", CreateBatchUpload([NEW] * 1001)),
        *(Kind.INVALID_ARGUMENT, "batch_upload_files_max", "files"),
    ),
    "a batch upload that has not its bytes": (
        lambda t: ("files.complete_batch_upload", CompleteBatchUpload(t.upload)),
        *(Kind.FAILED_PRECONDITION, "upload_status", None),
    ),
    # collections and documents
    "a document without its bytes": (
        lambda t: ("documents.add", AddDocument(t.collection, t.empty, {})),
        *(Kind.FAILED_PRECONDITION, "upload_status", None),
    ),
    "a document that lacks a field": (
        lambda t: ("documents.add", document(t, isbn="2")),
        *(Kind.INVALID_ARGUMENT, "required", "fields.author"),
    ),
    "a document with a value of another": (
        lambda t: ("documents.add", document(t, isbn="1", author="x")),
        *(Kind.INVALID_ARGUMENT, "unique", "fields.isbn"),
    ),
    "an uploaded document without a name": (
        lambda t: ("documents.upload", UploadDocument(t.collection, pieces(b"x"), head(".."))),
        *(Kind.INVALID_ARGUMENT, "filename", "filename"),
    ),
    # search
    "a query": (
        lambda t: ("documents.search", SearchDocuments(" ", [t.collection])),
        *(Kind.INVALID_ARGUMENT, "query", "query"),
    ),
    "no collection": (
        lambda t: ("documents.search", SearchDocuments("x", [])),
        *(Kind.INVALID_ARGUMENT, "collection_ids", "source"),
    ),
    "a filter of a search": (
        lambda t: ("documents.search", SearchDocuments("x", [t.collection], filter="isbn =")),
        *(Kind.INVALID_ARGUMENT, "filter", "filter"),
    ),
    # batches
    "requests for a batch that has ended": (
        lambda t: ("batches.add_requests", AddRequests(t.cancelled, [request("a")])),
        *(Kind.PERMISSION_DENIED, "closed_batch", None),
    ),
    "an id for two requests": (
        lambda t: ("batches.add_requests", AddRequests(t.batch, [request("a"), request("a", n=1)])),
        *(Kind.FAILED_PRECONDITION, "batch_request_id", None),
    ),
    "an id that is there": (
        lambda t: ("batches.add_requests", AddRequests(t.batch, [request("there", n=1)])),
        *(Kind.FAILED_PRECONDITION, "batch_request_id", None),
    ),
    "a model": (
        lambda t: ("batches.add_requests", AddRequests(t.batch, [request("a", model="grok-4.5")])),
        *(Kind.INVALID_ARGUMENT, "batch_model", "model"),
    ),
}

FILE, COLLECTION, DOCUMENT, BATCH = "File", "Collection", "Document", "Batch"
NOT_FOUND: dict[str, list[tuple[str, Asked]]] = {
    FILE: [
        *(
            (name, lambda t, name=name: (name, FileId(MISSING)))  # type: ignore[misc]  # mypy infers no default
            for name in ("files.get", "files.delete")
        ),
        ("files.update", lambda t: ("files.update", UpdateFile(MISSING, "b"))),
        ("files.content", lambda t: ("files.content", ReadFile(MISSING))),
        ("files.create_public_url", lambda t: ("files.create_public_url", CreatePublicUrl(MISSING))),
        ("files.upload_chunks", lambda t: ("files.upload_chunks", UploadChunks(chunks((MISSING, b"x"))))),
        ("files.public_content", lambda t: ("files.public_content", ReadPublicUrl(MISSING, "a"))),
        ("documents.add", lambda t: ("documents.add", AddDocument(t.collection, MISSING))),
        ("batches.create", lambda t: ("batches.create", CreateBatch("b", MISSING))),
    ],
    "Batch upload": [
        ("files.complete_batch_upload", lambda t: ("files.complete_batch_upload", CompleteBatchUpload(MISSING))),
    ],
    COLLECTION: [
        *(
            (name, lambda t, name=name: (name, CollectionId(MISSING)))  # type: ignore[misc]
            for name in ("collections.get", "collections.delete", "collections.describe")
        ),
        ("collections.update", lambda t: ("collections.update", UpdateCollection(MISSING))),
        ("documents.add", lambda t: ("documents.add", AddDocument(MISSING, t.file))),
        ("documents.batch_get", lambda t: ("documents.batch_get", BatchGetDocuments(MISSING, [t.file]))),
        ("documents.upload", lambda t: ("documents.upload", UploadDocument(MISSING, pieces(b"x"), head("a")))),
        (
            "documents.list",
            lambda t: ("documents.list", ListDocuments(MISSING, 10, False, DocumentsSortBy.NAME)),
        ),
        ("documents.search", lambda t: ("documents.search", SearchDocuments("x", [t.collection, MISSING]))),
    ],
    DOCUMENT: [
        *(
            (name, lambda t, name=name: (name, DocumentId(t.collection, t.file)))  # type: ignore[misc]
            for name in ("documents.get", "documents.remove", "documents.reindex")
        ),
        ("documents.update", lambda t: ("documents.update", UpdateDocument(t.collection, t.file, "b.txt"))),
    ],
    BATCH: [
        *(
            (name, lambda t, name=name: (name, BatchId(MISSING)))  # type: ignore[misc]
            for name in ("batches.get", "batches.cancel")
        ),
        ("batches.add_requests", lambda t: ("batches.add_requests", AddRequests(MISSING, []))),
        ("batches.list_requests", lambda t: ("batches.list_requests", ListRequests(MISSING, 10))),
        ("batches.list_results", lambda t: ("batches.list_results", ListResults(MISSING, 10))),
        ("batches.get_request", lambda t: ("batches.get_request", RequestId(MISSING, "there"))),
    ],
    "Batch request": [("batches.get_request", lambda t: ("batches.get_request", RequestId(t.batch, MISSING)))],
    "Media": [("batches.media", lambda t: ("batches.media", ReadMedium(MISSING, "a.png")))],
}
ABSENT = [(what, name, asked) for what, calls in NOT_FOUND.items() for name, asked in calls]


async def refused(services: Services, asked: Asked) -> ApiError:
    """How a call is refused."""
    name, request = asked(await Things.made(services))
    with pytest.raises(ApiError) as refused:
        await run(services, name, request)
    return refused.value


@pytest.mark.parametrize("case", REFUSED)
async def test_refusal_has_rule_and_field(services: Services, case: str) -> None:
    """The error kind decides the status; headers have the rule and the field."""
    asked, *expected = REFUSED[case]
    error = await refused(services, asked)
    assert [error.kind, error.rule, error.param] == expected


@pytest.mark.parametrize(("what", "name", "asked"), ABSENT, ids=[f"{name}: {what}" for what, name, _ in ABSENT])
async def test_not_found_refusal_names_kind_of_object(services: Services, what: str, name: str, asked: Asked) -> None:
    """And nothing else is said of it, nor of the id."""
    error = await refused(services, asked)
    assert (error.kind, error.rule, error.message) == (Kind.NOT_FOUND, "not_found", f"{what} not found")


def test_whatever_takes_an_id_is_tried_with_one_of_nothing() -> None:
    """Every operation that is about a thing, but for the revocation of a public URL, which takes any (its guide)."""
    ids = {"file_id", "collection_id", "batch_id", "batch_job_id", "token"}
    takes = {name for name, each in OPERATIONS.items() if ids & set(each.request.__struct_fields__)}
    assert takes - {"files.revoke_public_url"} <= {name for _, name, _ in ABSENT}
