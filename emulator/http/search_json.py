"""Search in JSON (OpenAPI: SearchRequest, SearchResponse). Refusals contain the names of the structs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from emulator.domain.search import SCORE, Aggregate, Fusion, Mode, RagPipeline, RankingMetric
from emulator.domain.search import GroupBy as Grouping
from emulator.http.requests import Int32
from emulator.operations.search import Match, SearchDocuments

Path = Mapping[str, str]


class DocumentsSource(Struct):
    """Where to search. `file_ids` is not documented; the real service accepts it (observed live, 2026-10)."""

    collection_ids: list[str]
    rag_pipeline: RagPipeline | None = None
    file_ids: list[str] | None = None


class RerankerModel(Struct):
    """A model that reranks: accepted, without effect."""

    model: str | None = None
    instructions: str | None = None


class HybridRerankerModel(RerankerModel, tag_field="type", tag="reranker_model"):
    """The same model, with a `type` member."""


class ReciprocalRankFusion(Struct, tag_field="type", tag="rrf"):
    """How the rankings of a hybrid search are fused."""

    k: Int32 | None = None
    embedding_weight: float = 0.5
    text_weight: float = 0.5


class HybridRetrieval(Struct, tag_field="type", tag="hybrid"):
    """By keywords and by vectors."""

    search_multiplier: Int32 | None = None
    reranker: Annotated[HybridRerankerModel | ReciprocalRankFusion, Meta(title="HybridReranker")] | None = None


class SemanticRetrieval(Struct, tag_field="type", tag="semantic"):
    """By vectors."""

    reranker: RerankerModel | None = None


class KeywordRetrieval(Struct, tag_field="type", tag="keyword"):
    """By keywords."""

    reranker: RerankerModel | None = None


class GroupByOrder(Struct):
    """How many records to keep, and the keys to order them by."""

    keys: list[str]
    k: Int32


class GroupByAggregate(Struct):
    """Exactly one of the two."""

    min_k: GroupByOrder | None = None
    max_k: GroupByOrder | None = None

    def __post_init__(self) -> None:
        if (self.min_k is None) == (self.max_k is None):
            raise ValueError("neither or both")


_EITHER = [{"type": "object", "properties": {k: {"type": "object"}}, "required": [k]} for k in ("min_k", "max_k")]
ONE_OR_NONE = Meta(extra_json_schema={"oneOf": [*_EITHER, {"type": "null"}]})


class GroupBy(Struct):
    """Keep the best records of each group."""

    keys: list[str]
    aggregate: Annotated[GroupByAggregate | None, ONE_OR_NONE] = None


class SearchRequest(Struct):
    """The body of `POST /v1/documents/search`."""

    query: str
    source: DocumentsSource
    limit: Int32 | None = None
    filter: str | None = None
    instructions: str | None = None
    retrieval_mode: (
        Annotated[HybridRetrieval | SemanticRetrieval | KeywordRetrieval, Meta(title="RetrievalMode")] | None
    ) = None
    group_by: GroupBy | None = None
    ranking_metric: RankingMetric | None = None


class SearchMatch(Struct):
    """A matching chunk; its page is 0 if the document has no pages."""

    file_id: str
    chunk_id: str
    chunk_content: str
    score: float
    collection_ids: list[str]
    fields: dict[str, str]
    page_number: int


class SearchResponse(Struct):
    """The matches, best first."""

    matches: list[SearchMatch]


def search(path: Path, body: SearchRequest) -> SearchDocuments:
    """Return the search that a body describes."""
    mode = body.retrieval_mode or HybridRetrieval()
    fusion = Fusion()
    if isinstance(mode.reranker, ReciprocalRankFusion):
        given = mode.reranker
        k = fusion.k if given.k is None else given.k
        fusion = Fusion(k, given.embedding_weight, given.text_weight)
    return SearchDocuments(
        query=body.query,
        collection_ids=body.source.collection_ids,
        limit=body.limit,
        mode=_MODES[type(mode)],
        search_multiplier=mode.search_multiplier if isinstance(mode, HybridRetrieval) else None,
        fusion=fusion,
        filter=body.filter,
        group_by=None if body.group_by is None else _grouping(body.group_by),
        rag_pipeline=body.source.rag_pipeline,
        ranking_metric=body.ranking_metric,
        instructions=body.instructions,
        file_ids=body.source.file_ids or (),
        reranker_model=isinstance(mode.reranker, RerankerModel),
    )


_MODES = {HybridRetrieval: Mode.HYBRID, SemanticRetrieval: Mode.SEMANTIC, KeywordRetrieval: Mode.KEYWORD}


def _grouping(body: GroupBy) -> Grouping:
    keys = tuple(body.keys)
    if body.aggregate is None:
        return Grouping(keys)
    if body.aggregate.min_k is not None:
        order, aggregate = body.aggregate.min_k, Aggregate.MIN_K
    else:
        assert body.aggregate.max_k is not None
        order, aggregate = body.aggregate.max_k, Aggregate.MAX_K
    return Grouping(keys, aggregate, tuple(order.keys) or (SCORE,), order.k)


def response(matches: list[Match]) -> SearchResponse:
    """Return the response for the matches."""
    return SearchResponse([_match(match) for match in matches])


def _match(match: Match) -> SearchMatch:
    return SearchMatch(
        file_id=match.document.file.id,
        chunk_id=match.chunk.id,
        chunk_content=match.chunk.content,
        score=match.score,
        collection_ids=[match.document.collection_id],
        fields=match.fields,
        page_number=match.page_number,
    )
