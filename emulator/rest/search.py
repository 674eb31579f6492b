"""The path of document search."""

from __future__ import annotations

from emulator.http import search_json as shapes
from emulator.rest.requests import FromJson
from emulator.rest.responses import AsJson
from emulator.rest.route import Route

ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/v1/documents/search",
        "documents.search",
        FromJson(shapes.SearchRequest, shapes.search),
        AsJson(shapes.SearchResponse, shapes.response),
    ),
)
