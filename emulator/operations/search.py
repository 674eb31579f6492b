"""Search: rank the chunks of collections by words and by vectors, filter, fuse the rankings, group."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from emulator.clock import Instant
from emulator.domain.collections import Collection
from emulator.domain.documents import Document, DocumentStatus
from emulator.domain.keys import Plane
from emulator.domain.search import Fusion, GroupBy, Mode, RagPipeline, RankingMetric, grouped, keyword_query
from emulator.errors import ApiError, Kind, invalid, not_found
from emulator.limits import Between, Chars
from emulator.operations import filters
from emulator.operations.base import Call, Operation
from emulator.profiles import Reaction
from emulator.search.embedders import EmbedderError
from emulator.store.chunks import Edition, StoredChunk
from emulator.store.index import Answer, Found, Question
from emulator.world import Team, World

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

Fields = Mapping[str, str]
Metadata = Mapping[str, Fields]  # by file id

_SLICE = 200  # rows read between two chances for other calls


@dataclass(frozen=True, slots=True)
class SearchDocuments:
    """What to look for, where and how. `limit` counts chunks."""

    query: Annotated[str, Chars("search_query_chars_max")]
    collection_ids: Sequence[str]
    limit: Annotated[int | None, Between("search_limit_min", "search_limit_max")] = None
    mode: Mode = Mode.HYBRID
    search_multiplier: Annotated[int | None, Between("search_multiplier_min", "search_multiplier_max")] = None
    fusion: Fusion = Fusion()  # noqa: RUF009 - frozen
    filter: str | None = None
    group_by: GroupBy | None = None
    rag_pipeline: RagPipeline | None = None
    ranking_metric: RankingMetric | None = None
    instructions: str | None = None
    reranker_model: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk that may be an answer: its place in each ranking of its collection, and what that gives."""

    collection: int  # the position of its collection in the request
    edition: Edition
    ordinal: int
    keyword: Found | None
    vector: Found | None
    score: float
    fields: Fields  # empty where the search does not look at them

    @property
    def order(self) -> tuple[float, int, int, int]:
        """Best first; equal ones as they were named and indexed."""
        return -self.score, self.collection, self.edition.number, self.ordinal


@dataclass(frozen=True, slots=True)
class Match:
    """A chunk that answers, and how it was ranked. A higher score is better; none is bounded by 1."""

    candidate: Candidate
    chunk: StoredChunk
    document: Document

    @property
    def score(self) -> float:
        """The relevance, in as many digits as the wire's 32-bit float can tell apart."""
        return float(f"{self.candidate.score:.7g}")


async def search(world: World, call: Call, request: SearchDocuments) -> list[Match]:
    """The best chunks of some collections, best first."""
    ignored = {
        "instructions": request.instructions,
        "reranker_model": request.reranker_model,
        "ranking_metric": request.ranking_metric not in (None, RankingMetric.UNKNOWN),
    }
    if any(ignored.values()) and call.team.profile.unread_fields is Reaction.WARN:
        names = ", ".join(name for name, given in ignored.items() if given)
        call.warn(f"accepted, but without effect on the ranking: {names}")
    return await find(world, call.team, call.at, request)


async def find(world: World, team: Team, at: Instant, request: SearchDocuments) -> list[Match]:
    """What `search` answers."""
    if not request.query.strip():
        raise invalid("query must not be empty.", rule="query", param="query")
    if not request.collection_ids:
        raise invalid("source.collection_ids must name a collection.", rule="collection_ids", param="source")
    request.fusion.check()
    if request.group_by is not None:
        request.group_by.check()
    passes = filters.metadata(request.filter, team.limits)
    collections = [_collection(world, team, at, id) for id in dict.fromkeys(request.collection_ids)]
    limit = request.limit if request.limit and request.limit > 0 else team.limits.search_limit_default
    vector = None if request.mode is Mode.KEYWORD else await _embed(world, team, request.query)
    candidates: list[Candidate] = []
    for position, collection in enumerate(collections):
        metadata: Metadata = {}
        accepts = _alive(world, team, at, collection)
        if passes is not None or request.group_by is not None:
            metadata = await _metadata(world, team, at, collection, passes)
            accepts = metadata.__contains__
        question = Question(
            keywords=None if request.mode is Mode.SEMANTIC else keyword_query(request.query),
            vector=vector,
            metric=collection.metric_space,
            depth=_depth(request, limit),
            accepts=accepts,
        )
        answer = await world.store.indexes.search(team.name, collection.id, question)
        rank = Ranker(request, position, metadata, by_rank=len(collections) > 1)
        candidates += (await asyncio.to_thread(rank, answer))[:limit]
    candidates.sort(key=lambda candidate: candidate.order)
    return await _matches(world, team, at, collections, candidates, limit)


def _collection(world: World, team: Team, at: Instant, id: str) -> Collection:
    collection = world.store.collections.get(team.name, id, at)
    if collection is None:
        raise not_found("Collection")
    return collection


async def _embed(world: World, team: Team, query: str) -> NDArray[float32]:
    try:
        vectors = await world.embed(team, [query])
    except EmbedderError as error:
        raise ApiError(Kind.UNAVAILABLE, str(error), rule="embedder") from None
    vector: NDArray[float32] = vectors[0]
    return vector


def _depth(request: SearchDocuments, limit: int) -> int | None:
    """How many chunks of each ranking to look at; a group may need any of them."""
    if request.group_by is not None:
        return None
    return limit * max(1, request.search_multiplier or 1) if request.mode is Mode.HYBRID else limit


def _alive(world: World, team: Team, at: Instant, collection: Collection) -> Callable[[str], bool] | None:
    """The test for documents whose files have not expired; None where that is all of them."""
    expired = frozenset(world.store.documents.expired(team.name, collection.id, at))
    return (lambda file_id: file_id not in expired) if expired else None


async def _metadata(
    world: World, team: Team, at: Instant, collection: Collection, passes: Callable[[Fields], bool] | None
) -> Metadata:
    """The fields of the documents that pass a filter, by file id."""
    found: dict[str, Fields] = {}
    after = 0
    while rows := world.store.chunks.metadata(team.name, collection.id, at, after, _SLICE):
        found |= {file_id: fields for _, file_id, fields in rows if passes is None or passes(fields)}
        after = rows[-1][0]
        await asyncio.sleep(0)
    return found


@dataclass(frozen=True, slots=True)
class Ranker:
    """Makes one ranking of what was found in one collection.

    Keyword and vector scores mean nothing beside each other, nor beside those of another collection. Where they would
    stand so, ranks are fused (Cormack, Clarke, Büttcher: Reciprocal Rank Fusion, SIGIR 2009).
    """

    request: SearchDocuments
    collection: int
    metadata: Metadata
    by_rank: bool

    def __call__(self, answer: Answer) -> list[Candidate]:
        keyword = {(found.edition, found.ordinal): found for found in answer.keyword}
        vector = {(found.edition, found.ordinal): found for found in answer.vector}
        candidates = [
            Candidate(
                *(self.collection, *chunk, keyword.get(chunk), vector.get(chunk)),
                score=self._score(keyword.get(chunk), vector.get(chunk)),
                fields=self.metadata.get(chunk[0].file_id, {}),
            )
            for chunk in {**keyword, **vector}
        ]
        candidates.sort(key=lambda candidate: candidate.order)
        return candidates if self.request.group_by is None else grouped(candidates, self.request.group_by)

    def _score(self, keyword: Found | None, vector: Found | None) -> float:
        fusion = self.request.fusion
        if self.request.mode is Mode.HYBRID:
            return fusion.score(
                None if keyword is None else keyword.rank,
                None if vector is None else vector.rank,
            )
        found = keyword or vector
        assert found is not None
        return fusion.of_rank(found.rank) if self.by_rank else found.score


async def _matches(
    world: World, team: Team, at: Instant, collections: list[Collection], candidates: list[Candidate], limit: int
) -> list[Match]:
    """The chunks of the best candidates. What was removed while they were ranked is left out."""
    matches: list[Match] = []
    for number, candidate in enumerate(candidates):
        if len(matches) == limit:
            break
        collection_id, file_id = collections[candidate.collection].id, candidate.edition.file_id
        chunk = world.store.chunks.get(team.name, collection_id, candidate.edition, candidate.ordinal)
        document = world.store.documents.get(team.name, collection_id, file_id, at)
        if chunk is not None and document is not None and document.status is DocumentStatus.PROCESSED:
            matches.append(Match(candidate, chunk, document))
        if number % _SLICE == _SLICE - 1:
            await asyncio.sleep(0)
    return matches


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
