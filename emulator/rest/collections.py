"""The paths of collections and their documents."""

from __future__ import annotations

from emulator.rest.protojson import FromProtoJson, FromProtoQuery
from emulator.rest.requests import FromStream
from emulator.rest.responses import AsJson
from emulator.rest.route import Route
from emulator.rest.schemas import collections as shapes
from emulator.rest.schemas import documents

_COLLECTION = AsJson(shapes.CollectionJson, shapes.collection_json)
_COLLECTIONS = AsJson(shapes.CollectionsJson, shapes.collections_json)
_EMPTY = AsJson(shapes.EmptyJson, lambda result: shapes.EmptyJson())
_COLLECTION_ID = FromProtoQuery(shapes.TeamQuery, shapes.collection_id)
_DOCUMENT = AsJson(documents.DocumentJson, documents.document_json)
_DOCUMENTS = AsJson(documents.DocumentsJson, documents.documents_json)
_DOCUMENT_ID = FromProtoQuery(shapes.TeamQuery, documents.document_id)
_ALL = "/v1/collections/{collection_id}/documents"
_ONE = "/v1/collections/{collection_id}/documents/{file_id}"

ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/v1/collections",
        "collections.create",
        FromProtoJson(shapes.CreateCollectionBody, shapes.create),
        _COLLECTION,
    ),
    Route(
        "GET",
        "/v1/collections",
        "collections.list",
        FromProtoQuery(shapes.CollectionsQuery, shapes.list_collections),
        _COLLECTIONS,
    ),
    Route("GET", "/v1/collections/{collection_id}", "collections.get", _COLLECTION_ID, _COLLECTION),
    Route(
        "PUT",
        "/v1/collections/{collection_id}",
        "collections.update",
        FromProtoJson(shapes.UpdateCollectionBody, shapes.update),
        _COLLECTION,
    ),
    Route("DELETE", "/v1/collections/{collection_id}", "collections.delete", _COLLECTION_ID, _EMPTY),
    # Documents
    Route(
        "POST",
        _ALL,
        "documents.upload",
        FromStream(documents.upload, "multipart/form-data", documents.UPLOAD_FORM),
        _DOCUMENT,
    ),
    Route(
        "GET", _ALL, "documents.list", FromProtoQuery(documents.DocumentsQuery, documents.list_documents), _DOCUMENTS
    ),
    Route("POST", _ONE, "documents.add", FromProtoJson(documents.AddDocumentBody, documents.add, True), _EMPTY),
    Route("GET", _ONE, "documents.get", _DOCUMENT_ID, _DOCUMENT),
    Route("PATCH", _ONE, "documents.reindex", _DOCUMENT_ID, _EMPTY),
    Route("DELETE", _ONE, "documents.remove", _DOCUMENT_ID, _EMPTY),
    Route(
        "GET",
        f"{_ALL}:batchGet",
        "documents.batch_get",
        FromProtoQuery(documents.BatchGetQuery, documents.batch_get),
        AsJson(documents.DocumentsJson, documents.batch_json),
    ),
)
