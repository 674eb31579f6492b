"""Explain a search: for each match its place in every ranking."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from emulator.control.route import Answer, ControlError, ControlRequest, ControlRoute
from emulator.core.errors import ApiError, Kind
from emulator.domain.keys import INFERENCE_KEY
from emulator.http import search_json as shapes
from emulator.operations import OPERATIONS
from emulator.operations.base import Call, Envelope
from emulator.operations.search import Match, search
from emulator.pipeline.begin import begin
from emulator.pipeline.validation import apply_limits
from emulator.store.index.collection_index import Hit


class Place(Struct):
    """The rank and score of a chunk in one ranking of its collection."""

    rank: int
    score: float


class ExplainedMatch(Struct):
    """A match as the API returns it, and its places; null if it is not among the candidates of a ranking."""

    rank: int
    score: float
    keyword: Place | None
    vector: Place | None
    collection_id: str
    file_id: str
    filename: str
    fields: dict[str, str]
    chunk_id: str
    chunk_number: int
    chunk_content: str


class SearchReport(Answer):
    """An explained search. The score is that of the keywords, that of the vectors, or the fusion of both ranks."""

    mode: str
    warnings: list[str]
    matches: list[ExplainedMatch]


async def explain(request: ControlRequest) -> SearchReport:
    """Run a search, with the body of `POST /v1/documents/search`, and return the ranks and scores behind each match."""
    call = begin(
        request.services,
        OPERATIONS["documents.search"],
        "rest",
        credentials=f"{INFERENCE_KEY}@{request.team.name}",
        origin=request.services.address.origin,
        read=_nothing_to_read,
        envelope=Envelope(is_internal=True),
    )
    try:
        search_request = apply_limits(call, shapes.search({}, request.body))
        matches = await search(request.services, call, search_request)
    except ApiError as error:
        raise ControlError(404 if error.kind is Kind.NOT_FOUND else 422, error.message) from None
    explained = [_explained(rank, match) for rank, match in enumerate(matches, 1)]
    return SearchReport(mode=search_request.mode.value, warnings=call.warnings, matches=explained)


async def _nothing_to_read(call: Call) -> Any:
    raise AssertionError("the body was read before")


def _explained(rank: int, match: Match) -> ExplainedMatch:
    document, candidate = match.document, match.candidate
    return ExplainedMatch(
        rank=rank,
        score=match.score,
        keyword=_place(candidate.keyword),
        vector=_place(candidate.vector),
        collection_id=document.collection_id,
        file_id=document.file.id,
        filename=document.file.filename,
        fields=match.fields,
        chunk_id=match.chunk.id,
        chunk_number=candidate.ordinal,
        chunk_content=match.chunk.content,
    )


def _place(found: Hit | None) -> Place | None:
    return None if found is None else Place(found.rank, found.score)


ROUTES = (
    ControlRoute("POST", "/search", explain, SearchReport, body=shapes.SearchRequest, reads=True, refusals=(404, 422)),
)
