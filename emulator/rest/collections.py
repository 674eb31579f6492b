"""The paths of collections and their documents."""

from __future__ import annotations

from emulator.rest.protojson import FromProtoJson, FromProtoQuery
from emulator.rest.route import Route
from emulator.rest.shapes import collections as shapes
from emulator.rest.writing import AsJson

_COLLECTION = AsJson(shapes.CollectionJson, shapes.collection_json)
_COLLECTIONS = AsJson(shapes.CollectionsJson, shapes.collections_json)
_EMPTY = AsJson(shapes.EmptyJson, lambda result: shapes.EmptyJson())
_COLLECTION_ID = FromProtoQuery(shapes.TeamQuery, shapes.collection_id)

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
)
