"""Documents in JSON, as the management plane writes them (observed live): unset fields are omitted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from emulator.core.clock import rfc3339
from emulator.core.errors import invalid
from emulator.domain.documents import Document, DocumentsSortBy, DocumentStatus
from emulator.domain.paging import Page
from emulator.http.requests import Request
from emulator.operations.base import Bytes, Call
from emulator.operations.documents import (
    AddDocument,
    BatchGetDocuments,
    DocumentHead,
    DocumentId,
    ListDocuments,
    UploadDocument,
)
from emulator.pipeline.validation import apply_limits
from emulator.rest import multipart, protojson
from emulator.rest.schemas.collections import Ordering, TeamQuery

Path = Mapping[str, str]


class DocumentFileJson(Struct):
    """The file of a document. An int64 is a string; `processing_status` is independent of the indexing."""

    file_id: str
    name: str
    size_bytes: str
    content_type: str
    created_at: str
    expires_at: str | None
    hash: str
    upload_status: str
    processing_status: str = "Complete"
    file_path: str = ""


class DocumentJson(Struct):
    """A document, with the keys that the live service sends."""

    file_metadata: DocumentFileJson
    fields: dict[str, str]
    status: DocumentStatus
    last_indexed_at: str | None
    chunk_count: int
    chunks_processed_count: str
    error_message: str | UnsetType = UNSET


class DocumentsJson(Struct):
    """A page of documents; no token on the last one."""

    documents: list[DocumentJson]
    pagination_token: str | UnsetType = UNSET


def document_json(document: Document) -> DocumentJson:
    """Return the JSON of a document."""
    file, indexed_at = document.file, document.last_indexed_at
    return DocumentJson(
        file_metadata=DocumentFileJson(
            file_id=file.id,
            name=file.filename,
            size_bytes=str(file.size),
            content_type=file.content_type,
            created_at=rfc3339(file.created_at),
            expires_at=None if file.expires_at is None else rfc3339(file.expires_at),
            hash=file.hash,
            upload_status=file.upload_status.value,
        ),
        fields=dict(document.fields),
        status=document.status,
        last_indexed_at=None if indexed_at is None else rfc3339(indexed_at),
        chunk_count=document.chunk_count,
        chunks_processed_count=str(document.chunks_processed_count),
        error_message=document.error_message or UNSET,
    )


def documents_json(page: Page[Document]) -> DocumentsJson:
    """Return a page of documents."""
    token = page.token_if_more
    return DocumentsJson([document_json(each) for each in page.items], token or UNSET)


def batch_json(documents: list[Document]) -> DocumentsJson:
    """Return the documents that were requested by id."""
    return DocumentsJson([document_json(each) for each in documents])


# --- requests


class AddDocumentBody(Struct):
    """The body of `POST /v1/collections/{collection_id}/documents/{file_id}`, which may be missing.

    Some clients repeat the ids of the path, which the live service tolerates (observed 2026-07): the path has priority.
    """

    fields: dict[str, str] = {}
    team_id: str | None = None
    collection_id: str | None = None
    file_id: str | None = None


class DocumentsQuery(Struct):
    """The query of `GET /v1/collections/{collection_id}/documents`."""

    limit: int | None = None
    order: Ordering = Ordering.UNKNOWN
    sort_by: DocumentsSortBy = DocumentsSortBy.NAME
    pagination_token: str | None = None
    name: str | None = None
    filter: str | None = None
    team_id: str | None = None


class BatchGetQuery(Struct):
    """The query of `GET /v1/collections/{collection_id}/documents:batchGet`."""

    file_ids: list[str] = []
    team_id: str | None = None


# Collections guide: the form of an upload in one step.
UPLOAD_FORM: dict[str, Any] = {
    "type": "object",
    "required": ["data"],
    "properties": {
        "name": {"type": "string", "description": "The name; without it, the filename of data."},
        "data": {"type": "string", "format": "binary"},
        "content_type": {"type": "string", "description": "Without it, the type of data."},
        "fields": {"type": "string", "description": "A JSON object of texts."},
        "team_id": {"type": "string"},
    },
}


def add(path: Path, body: AddDocumentBody) -> AddDocument:
    """Return a request to add the file in the path as a document."""
    return AddDocument(path["collection_id"], path["file_id"], body.fields, body.team_id)


def document_id(path: Path, query: TeamQuery) -> DocumentId:
    """Return a request for the document in the path."""
    return DocumentId(path["collection_id"], path["file_id"], query.team_id)


def list_documents(path: Path, query: DocumentsQuery) -> ListDocuments:
    """Return a request for a page of documents."""
    return ListDocuments(
        collection_id=path["collection_id"],
        limit=query.limit or 0,
        descending=query.order is not Ordering.ASCENDING,
        sort_by=query.sort_by,
        pagination_token=query.pagination_token,
        name=query.name,
        filter=query.filter,
        team_id=query.team_id,
    )


def batch_get(path: Path, query: BatchGetQuery) -> BatchGetDocuments:
    """Return a request for the documents with the ids in the query."""
    return BatchGetDocuments(path["collection_id"], query.file_ids, query.team_id)


async def upload(request: Request, call: Call) -> UploadDocument:
    """Read a document in a form. In the guide's example fields follow the bytes, so they are known at the end only."""
    boundary = multipart.boundary_of(request.header(b"content-type") or "")
    form = multipart.Form(request.stream(), boundary, call.team.limits)
    query = protojson.query(request.scope["query_string"], TeamQuery, call.team.limits)
    fields: dict[str, str] = {}
    data = await _read_fields(form, fields)
    if data is None:
        raise invalid("The form has no part named `data`.", rule="missing_data", param="data")

    async def content() -> AsyncIterator[Bytes]:
        async for piece in form.data():
            yield piece
        if await _read_fields(form, fields) is not None:
            raise invalid("The form has two parts named `data`.", rule="multipart", param="data")

    def head() -> DocumentHead:
        said = DocumentHead(
            name=fields.get("name") or data.filename or "",
            content_type=fields.get("content_type") or data.content_type,
            fields=_metadata(fields.get("fields", ""), call),
        )
        apply_limits(call, said)
        return said

    return UploadDocument(request.path_params["collection_id"], content(), head, fields.get("team_id") or query.team_id)


async def _read_fields(form: multipart.Form, fields: dict[str, str]) -> multipart.Part | None:
    """Read plain fields up to the part named `data`, and return its headers; None at the end of the form."""
    while (part := await form.next_part()) is not None:
        if part.name == "data":
            return part
        if part.name in fields:
            raise invalid(f"{part.name}: the field is given twice.", rule="multipart", param=part.name)
        fields[part.name] = await form.text(part.name)
    return None


def _metadata(text: str, call: Call) -> dict[str, str]:
    """The part named `fields`: a JSON object of texts."""
    if not text.strip():
        return {}
    value = protojson.parse(text.encode(), call.team.limits)
    return protojson.convert({"fields": value}, AddDocumentBody).fields
