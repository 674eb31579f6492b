"""The Documents service: messages to requests, results to messages. It has no filter and no groups."""

from __future__ import annotations

from emulator.domain.search import Fusion, Mode, RankingMetric
from emulator.operations.search import Match, SearchDocuments
from emulator.rpc.messages import load
from emulator.rpc.requests import Message, Method, enum_value, optional

_message = load().message

_MODES = {
    None: Mode.HYBRID,
    "hybrid_retrieval": Mode.HYBRID,
    "semantic_retrieval": Mode.SEMANTIC,
    "keyword_retrieval": Mode.KEYWORD,
}
_METRICS = dict(enumerate(RankingMetric))


def read_search(message: Message) -> SearchDocuments:
    """Return the search of a request message."""
    mode = _MODES[message.WhichOneof("retrieval_mode")]
    hybrid, semantic, keyword = message.hybrid_retrieval, message.semantic_retrieval, message.keyword_retrieval
    return SearchDocuments(
        query=message.query,
        collection_ids=message.source.collection_ids,  # not copied: there may be millions
        limit=optional(message, "limit"),
        mode=mode,
        search_multiplier=optional(hybrid, "search_multiplier"),
        fusion=_fusion(hybrid),
        ranking_metric=enum_value("ranking_metric", _METRICS, message.ranking_metric),
        instructions=optional(message, "instructions"),
        reranker_model=any(
            (hybrid.HasField("reranker_model"), semantic.HasField("reranker"), keyword.HasField("reranker"))
        ),
    )


def _fusion(hybrid: Message) -> Fusion:
    """Read the weights. They have no presence in protobuf: a client that sets none sends both as 0."""
    default, given = Fusion(), hybrid.reciprocal_rank_fusion
    k = optional(given, "k")
    weights = given.embedding_weight, given.text_weight
    if not any(weights):
        weights = default.embedding_weight, default.text_weight
    return Fusion(default.k if k is None else k, *weights)


def write_matches(matches: list[Match]) -> Message:
    """Return the response message for the matches."""
    return _message("xai_api.SearchResponse")(
        matches=[
            _message("xai_api.SearchMatch")(
                file_id=match.document.file.id,
                chunk_id=match.chunk.id,
                chunk_content=match.chunk.content,
                score=match.score,
                collection_ids=[match.document.collection_id],
            )
            for match in matches
        ]
    )


METHODS = (Method("xai_api.Documents", "Search", "documents.search", read_search, write_matches),)
