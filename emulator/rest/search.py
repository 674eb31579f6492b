"""The path of document search."""

from __future__ import annotations

from emulator.http import search_json as shapes
from emulator.rest.reading import FromJson
from emulator.rest.route import Route
from emulator.rest.writing import AsJson

ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/v1/documents/search",
        "documents.search",
        FromJson(shapes.SearchRequest, shapes.search),
        AsJson(shapes.SearchResponse, shapes.response),
    ),
)
