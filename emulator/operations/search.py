"""Search: rank the chunks of collections by words and by vectors, filter, fuse the rankings, group."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import msgspec

from emulator.core.clock import Instant
from emulator.core.errors import ApiError, Kind, invalid, not_found
from emulator.core.limits import Between, Chars, Items, Limits, utf8_bytes
from emulator.core.profiles import Reaction
from emulator.core.time_slices import TimeSlices
from emulator.domain.collections import Collection
from emulator.domain.documents import Document, DocumentStatus
from emulator.domain.keys import Plane
from emulator.domain.search import Fusion, GroupBy, Mode, RagPipeline, RankingMetric, keyword_query
from emulator.operations.base import Call, Operation
from emulator.operations.list_filters import metadata_filter
from emulator.operations.ranking import Accepts, Candidate, Fields, Metadata, Ranker
from emulator.search.embedding.error import EmbedderError
from emulator.state.embedding import embed_texts
from emulator.state.services import Services
from emulator.state.teams import Team
from emulator.store.chunks import StoredChunk
from emulator.store.index.collection_index import IndexQuery

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

    from emulator.operations.filters import MetadataFilter

_DEPTH_MAX = 2**31  # of a ranking without limits: more than any number of chunks
_KEPT = 2  # candidates for each match, as substitutes for those that are removed meanwhile
_SLICE = 200  # documents whose fields are read at once


class SearchDocuments(msgspec.Struct, frozen=True):
    """A search. `limit` counts chunks."""

    query: Annotated[str, Chars("search_query_chars_max")]
    collection_ids: Annotated[Sequence[str], Items("search_collections_max")]
    limit: Annotated[int | None, Between("search_limit_min", "search_limit_max")] = None
    mode: Mode = Mode.HYBRID
    search_multiplier: Annotated[int | None, Between("search_multiplier_min", "search_multiplier_max")] = None
    fusion: Fusion = Fusion()
    filter: str | None = None
    group_by: GroupBy | None = None
    rag_pipeline: RagPipeline | None = None
    ranking_metric: RankingMetric | None = None
    instructions: str | None = None
    reranker_model: bool = False
    file_ids: Annotated[Sequence[str], Items("search_files_max")] = ()  # only these documents; empty for all


class Match(msgspec.Struct, frozen=True):
    """A matching chunk, and its rank. A higher score is better; scores can be above 1.

    `page_number` is 0 if the document has no pages.
    """

    candidate: Candidate
    chunk: StoredChunk
    document: Document
    team_id: str
    page_number: int = 0

    @property
    def score(self) -> float:
        """The relevance, rounded to the digits that the 32-bit float of the wire distinguishes."""
        return float(f"{self.candidate.score:.7g}")

    @property
    def fields(self) -> dict[str, str]:
        """Return the document's fields, and two of the service that filters ignore (observed live, 2026-04 to 10).

        A field of the document overrides one of the service with the same name.
        """
        file = self.document.file
        uri = f"teams/{self.team_id}/files/{file.id}"
        return {"title": file.filename, "chroma:uri": uri, **self.document.fields}


async def search(services: Services, call: Call, request: SearchDocuments) -> list[Match]:
    """Return the best chunks of some collections, best first."""
    ignored = {
        "instructions": request.instructions,
        "reranker_model": request.reranker_model,
        "ranking_metric": request.ranking_metric not in (None, RankingMetric.UNKNOWN),
    }
    if any(ignored.values()) and call.team.profile.unread_fields is Reaction.WARN:
        names = ", ".join(name for name, given in ignored.items() if given)
        call.warn(f"accepted, but without effect on the ranking: {names}")
    return await find(services, call.team, call.at, request)


async def find(services: Services, team: Team, at: Instant, request: SearchDocuments) -> list[Match]:
    """Return the matches for `search`."""
    _check(request, team.limits)
    passes = metadata_filter(request.filter, team.limits)
    collections = await _collections(services, team, at, request.collection_ids)
    asked = request.limit or 0
    limit = asked if asked > 0 else team.limits.search_limit_default
    vector = None if request.mode is Mode.KEYWORD else await _embed(team, request.query)
    ranker = Ranker(request.mode, request.fusion, request.group_by, by_rank=len(collections) > 1)
    candidates: list[Candidate] = []
    for position, collection in enumerate(collections):
        metadata, accepts = await _accepted(services, team, at, collection, request, passes)
        query = IndexQuery(
            keywords=None if request.mode is Mode.SEMANTIC else keyword_query(request.query),
            vector=vector,
            spelling=request.query if vector is None and request.mode is not Mode.KEYWORD else None,
            metric=collection.metric_space,
            depth=_depth(request, limit),
            accepts=accepts,
        )
        if accepts is not None and ranker.needs_all:
            query = msgspec.structs.replace(query, depth=None, accepts=None)
        answer = await services.store.indexes.search(team.name, collection.id, query)
        ranked = await asyncio.to_thread(ranker.rank, position, answer, metadata, accepts)
        candidates += ranked[:limit]
        if len(candidates) > _KEPT * limit:
            candidates = heapq.nsmallest(_KEPT * limit, candidates, key=lambda candidate: candidate.order)
    candidates.sort(key=lambda candidate: candidate.order)
    return await _matches(services, team, at, collections, candidates, limit)


def _check(request: SearchDocuments, limits: Limits) -> None:
    if not request.query.strip():
        raise invalid("query must not be empty.", rule="query", param="query")
    if not request.collection_ids:
        raise invalid("source.collection_ids must name a collection.", rule="collection_ids", param="source")
    request.fusion.check()
    if request.group_by is not None:
        request.group_by.check(limits.group_by_keys_max)


async def _collections(services: Services, team: Team, at: Instant, ids: Sequence[str]) -> list[Collection]:
    """Return the collections of a search, each once. Raises ApiError if one does not exist."""
    found: list[Collection] = []
    slices = TimeSlices()
    for id in dict.fromkeys(ids):
        collection = services.store.collections.get(team.name, id, at)
        if collection is None:
            raise not_found("Collection")
        found.append(collection)
        await slices.pause()
    return found


async def _embed(team: Team, query: str) -> NDArray[float32] | None:
    """Return the vector of a query; None if the built-in embedder compares the text itself."""
    try:
        vectors = await embed_texts(team, [query])
    except EmbedderError as error:
        raise ApiError(Kind.UNAVAILABLE, str(error), rule="embedder") from None
    if vectors is None:
        return None
    vector: NDArray[float32] = vectors[0]
    return vector


def _depth(request: SearchDocuments, limit: int) -> int | None:
    """Return how many chunks of each ranking to consider; groups may need any of them."""
    if request.group_by is not None:
        return None
    return min(limit * max(1, request.search_multiplier or 1), _DEPTH_MAX)


async def _accepted(
    services: Services,
    team: Team,
    at: Instant,
    collection: Collection,
    request: SearchDocuments,
    passes: MetadataFilter | None,
) -> tuple[Metadata, Accepts | None]:
    """Return the fields of documents, as far as needed, and the documents that match the filter; None for all."""
    wanted = frozenset(request.file_ids)
    if passes is None and request.group_by is None:
        expired = frozenset(services.store.documents.expired(team.name, collection.id, at))
        if wanted:
            return {}, (wanted - expired).__contains__
        return {}, (lambda file_id: file_id not in expired) if expired else None
    if passes is not None and request.group_by is None and not wanted:
        accepted = await passes.select(services.store.fields, team.name, collection.id)
        return {}, accepted.difference(services.store.documents.expired(team.name, collection.id, at)).__contains__
    found: dict[str, Fields] = {}
    after = ""
    slices = TimeSlices()
    while rows := services.store.documents.fields(team.name, collection.id, at, after, _SLICE):
        for file_id, fields in rows:
            if (not wanted or file_id in wanted) and (passes is None or passes(fields)):
                found[file_id] = fields
            await slices.pause()
        after = rows[-1][0]
    return found, found.__contains__


async def _matches(
    services: Services, team: Team, at: Instant, collections: list[Collection], candidates: list[Candidate], limit: int
) -> list[Match]:
    """Return the chunks of the best candidates, without those that were removed during the ranking."""
    matches: list[Match] = []
    budget = team.limits.search_response_bytes_max
    team_id = services.ids.of_team(team)
    slices = TimeSlices()
    for candidate in candidates:
        if len(matches) == limit:
            break
        collection_id, file_id = collections[candidate.collection].id, candidate.version.file_id
        chunk = services.store.chunks.get(team.name, collection_id, candidate.version, candidate.ordinal)
        document = services.store.documents.get(team.name, collection_id, file_id, at)
        if chunk is not None and document is not None and document.status is DocumentStatus.PROCESSED:
            budget = _budget_after(chunk, document, budget, team.limits)
            page = (chunk.page_number or 0) if team.profile.pdf_page_numbers else 0
            matches.append(Match(candidate, chunk, document, team_id, page))
        await slices.pause()
    return matches


def _budget_after(chunk: StoredChunk, document: Document, budget: int | None, limits: Limits) -> int | None:
    """Return how many bytes of the response are left after a match. Refuses a response that would be too large."""
    if budget is None:
        return None
    budget -= utf8_bytes(chunk.content) + sum(
        utf8_bytes(key) + utf8_bytes(value) for key, value in document.fields.items()
    )
    if budget < 0:
        most = limits.search_response_bytes_max
        raise invalid(
            f"The matches have more than {most} bytes together: ask for fewer.",
            rule="search_response_bytes_max",
            param="limit",
        )
    return budget


OPERATIONS = (
    Operation(
        "documents.search",
        Plane.INFERENCE,
        SearchDocuments,
        search,
        "OpenAPI: POST /v1/documents/search",
        decode_first=True,  # observed live: a misshapen body without a key is 422
    ),
)
