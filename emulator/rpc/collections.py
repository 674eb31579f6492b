"""The Collections service: messages to requests, results to messages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from emulator.domain.chunk_configurations import (
    DEFAULT_ENCODING,
    STRATEGIES,
    ChunkConfiguration,
    Strategy,
    wire_key,
)
from emulator.domain.collections import (
    Collection,
    CollectionsSortBy,
    FieldDefinition,
    FieldDefinitionOperation,
    FieldDefinitionUpdate,
    MetricSpace,
    one_strategy,
)
from emulator.domain.documents import Document, DocumentsSortBy, DocumentStatus
from emulator.domain.paging import Page
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
from emulator.rpc.messages import load
from emulator.rpc.requests import Message, Method, enum_value, optional, to_timestamp

_message = load().message

# The members of these enums are declared in the order of their numbers.
_SORT_BY = dict(enumerate(CollectionsSortBy))
_METRIC_SPACE = dict(enumerate(MetricSpace))
_DOCUMENTS_SORT_BY = dict(enumerate(DocumentsSortBy))
_STATUS = {status: number for number, status in enumerate(DocumentStatus)}
_OPERATION = dict(enumerate(FieldDefinitionOperation))
_DESCENDING = {0: True, 1: False, 2: True}  # an unknown ordering is the default, which is descending

# The service has three strategies (collections.proto); the other ones exist only in REST.
_STRATEGIES = (Strategy.CHARS, Strategy.TOKENS, Strategy.BYTES)


def _read_create(message: Message) -> CreateCollection:
    return CreateCollection(
        collection_name=message.collection_name,
        collection_description=optional(message, "collection_description"),
        model_name=message.index_configuration.model_name,
        chunk_configuration=_read_configuration(message),
        metric_space=enum_value("metric_space", _METRIC_SPACE, message.metric_space),
        field_definitions=[_read_definition(each) for each in message.field_definitions],
        team_id=optional(message, "team_id"),
    )


def _read_list(message: Message) -> ListCollections:
    return ListCollections(
        limit=message.limit,
        descending=enum_value("order", _DESCENDING, message.order),
        sort_by=enum_value("sort_by", _SORT_BY, message.sort_by),
        pagination_token=optional(message, "pagination_token"),
        filter=optional(message, "filter"),
        team_id=optional(message, "team_id"),
    )


def _read_update(message: Message) -> UpdateCollection:
    return UpdateCollection(
        collection_id=message.collection_id,
        collection_name=optional(message, "collection_name"),
        collection_description=optional(message, "collection_description"),
        chunk_configuration=_read_configuration(message),
        field_definition_updates=[
            FieldDefinitionUpdate(
                _read_definition(each.field_definition), enum_value("operation", _OPERATION, each.operation)
            )
            for each in message.field_definition_updates
        ],
        team_id=optional(message, "team_id"),
    )


def _read_collection_id(message: Message) -> CollectionId:
    return CollectionId(message.collection_id, optional(message, "team_id"))


def _read_definition(message: Message) -> FieldDefinition:
    return FieldDefinition(
        key=message.key,
        required=message.required,
        inject_into_chunk=message.inject_into_chunk,
        unique=message.unique,
        description=optional(message, "description"),
    )


def _read_configuration(message: Message) -> ChunkConfiguration | None:
    configuration = optional(message, "chunk_configuration")
    if configuration is None:
        return None
    key = configuration.WhichOneof("config")
    if key is None:
        raise one_strategy(_STRATEGIES)
    strategy = next(each for each in _STRATEGIES if wire_key(each) == key)
    row, part = STRATEGIES[strategy], getattr(configuration, key)
    return ChunkConfiguration(
        strategy=strategy,
        max_size=getattr(part, row.size_field),
        overlap=getattr(part, row.overlap_field) if row.overlap_field else 0,
        encoding_name=(part.encoding_name or DEFAULT_ENCODING) if row.takes_encoding else None,
        strip_whitespace=configuration.strip_whitespace,
        inject_name_into_chunks=configuration.inject_name_into_chunks,
    )


def _write_configuration(configuration: ChunkConfiguration) -> Message:
    strategy, row = configuration.strategy, STRATEGIES[configuration.strategy]
    parts: dict[str, Any] = {}
    if strategy in _STRATEGIES:
        values = {
            row.size_field: configuration.max_size,
            row.overlap_field: configuration.overlap,
            "encoding_name": configuration.encoding_name,
        }
        parts[wire_key(strategy)] = {name: values[name] for name in row.fields}
    return _message("rag.ChunkConfiguration")(
        **parts,
        strip_whitespace=configuration.strip_whitespace,
        inject_name_into_chunks=configuration.inject_name_into_chunks,
    )


def _write_collection(collection: Collection) -> Message:
    return _message("collections.CollectionMetadata")(
        collection_id=collection.id,
        collection_name=collection.name,
        created_at=to_timestamp(collection.created_at),
        index_configuration={"model_name": collection.model_name},
        chunk_configuration=_write_configuration(collection.chunk_configuration),
        documents_count=collection.documents_count,
        field_definitions=[
            {
                "key": each.key,
                "required": each.required,
                "inject_into_chunk": each.inject_into_chunk,
                "unique": each.unique,
                "description": each.description,
            }
            for each in collection.field_definitions
        ],
        collection_description=collection.description,
        total_file_size=collection.total_file_size,
    )


def _write_page(page: Page[Collection]) -> Message:
    return _message("collections.ListCollectionsResponse")(
        collections=[_write_collection(each) for each in page.items],
        pagination_token=page.token_if_more,
    )


def _write_empty(result: None) -> Message:
    return _message("google.protobuf.Empty")()


# --- documents


def _read_add(message: Message) -> AddDocument:
    return AddDocument(message.collection_id, message.file_id, dict(message.fields), optional(message, "team_id"))


def _read_upload(message: Message) -> UploadDocument:
    async def content() -> AsyncIterator[bytes]:
        yield message.data

    head = DocumentHead(message.name, message.content_type or None, dict(message.fields))
    return UploadDocument(message.collection_id, content(), lambda: head, optional(message, "team_id"))


def _read_document_id(message: Message) -> DocumentId:
    return DocumentId(message.collection_id, message.file_id, optional(message, "team_id"))


def _read_list_documents(message: Message) -> ListDocuments:
    return ListDocuments(
        collection_id=message.collection_id,
        limit=message.limit,
        descending=enum_value("order", _DESCENDING, message.order),
        sort_by=enum_value("sort_by", _DOCUMENTS_SORT_BY, message.sort_by),
        pagination_token=optional(message, "pagination_token"),
        name=optional(message, "name"),
        filter=optional(message, "filter"),
        team_id=optional(message, "team_id"),
    )


def _read_update_document(message: Message) -> UpdateDocument:
    return UpdateDocument(
        collection_id=message.collection_id,
        file_id=message.file_id,
        name=optional(message, "name"),
        data=optional(message, "data"),
        content_type=optional(message, "content_type"),
        fields=dict(message.fields),
        team_id=optional(message, "team_id"),
    )


def _write_document(document: Document) -> Message:
    file = document.file
    return _message("collections.DocumentMetadata")(
        file_metadata=_message("collections.FileMetadata")(
            file_id=file.id,
            name=file.filename,
            size_bytes=file.size,
            content_type=file.content_type,
            created_at=to_timestamp(file.created_at),
            expires_at=to_timestamp(file.expires_at),
            hash=file.hash,
            upload_status=file.upload_status.value,
            processing_status="Complete",
            file_path="",
        ),
        fields=document.fields,
        status=_STATUS[document.status],
        error_message=document.error_message,
        last_indexed_at=to_timestamp(document.last_indexed_at),
        chunk_count=document.chunk_count,
        chunks_processed_count=document.chunks_processed_count,
    )


def _write_documents(page: Page[Document]) -> Message:
    return _message("collections.ListDocumentsResponse")(
        documents=[_write_document(each) for each in page.items],
        pagination_token=page.token_if_more,
    )


def _write_batch(documents: list[Document]) -> Message:
    return _message("collections.BatchGetDocumentsResponse")(documents=[_write_document(each) for each in documents])


_SERVICE = "collections.Collections"

METHODS = (
    Method(_SERVICE, "CreateCollection", "collections.create", _read_create, _write_collection),
    Method(_SERVICE, "ListCollections", "collections.list", _read_list, _write_page),
    Method(_SERVICE, "GetCollectionMetadata", "collections.get", _read_collection_id, _write_collection),
    Method(_SERVICE, "UpdateCollection", "collections.update", _read_update, _write_collection),
    Method(_SERVICE, "DeleteCollection", "collections.delete", _read_collection_id, _write_empty),
    Method(
        _SERVICE,
        "GenerateCollectionDescription",
        "collections.describe",
        lambda message: CollectionId(message.collection_id),
        lambda text: _message("collections.GenerateCollectionDescriptionResponse")(collection_description=text),
    ),
    Method(_SERVICE, "AddDocumentToCollection", "documents.add", _read_add, _write_empty),
    Method(_SERVICE, "UploadDocument", "documents.upload", _read_upload, _write_document),
    Method(_SERVICE, "ListDocuments", "documents.list", _read_list_documents, _write_documents),
    Method(_SERVICE, "GetDocumentMetadata", "documents.get", _read_document_id, _write_document),
    Method(
        _SERVICE,
        "BatchGetDocuments",
        "documents.batch_get",
        lambda message: BatchGetDocuments(message.collection_id, message.file_ids, optional(message, "team_id")),
        _write_batch,
    ),
    Method(_SERVICE, "UpdateDocument", "documents.update", _read_update_document, _write_document),
    Method(_SERVICE, "ReIndexDocument", "documents.reindex", _read_document_id, _write_empty),
    Method(_SERVICE, "RemoveDocumentFromCollection", "documents.remove", _read_document_id, _write_empty),
)
