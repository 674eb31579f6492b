"""The parameters of a search, the terms of its query, and the grouping of its matches."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

import msgspec

from emulator.core.errors import invalid
from emulator.core.lazy_pattern import lazy_pattern

WEIGHT_MAX = 1e38  # the sum of two is still a 32-bit float, the type of scores over gRPC
SCORE = "#score"  # the relevance, if a group is ordered by metadata keys (OpenAPI: GroupByAggregate)

_PHRASE = lazy_pattern(r'"([^"]*)"')
# The separators of terms. Hyphens, dots, slashes, colons and a comma between digits do not separate: INV-99812, 3.14,
# 10/12/2026, 12:30 and 1,250 are one term each, which matches their parts in this order.
_BETWEEN = lazy_pattern(r'(?:[\s;!?()\[\]{}<>|"]|(?<!\d),|,(?!\d))+')


class Mode(enum.Enum):
    """The modes of document search; the values are those of `retrieval_mode.type`."""

    HYBRID = "hybrid"
    SEMANTIC = "semantic"
    KEYWORD = "keyword"


class RagPipeline(enum.Enum):
    """The search pipelines of the real service. Accepted; the emulator has only one."""

    CHROMA_DB = "chroma_db"
    ES = "es"


class RankingMetric(enum.Enum):
    """Deprecated and accepted: the metric is the collection's (OpenAPI: SearchRequest)."""

    UNKNOWN = "RANKING_METRIC_UNKNOWN"
    L2_DISTANCE = "RANKING_METRIC_L2_DISTANCE"
    COSINE_SIMILARITY = "RANKING_METRIC_COSINE_SIMILARITY"


class Aggregate(enum.Enum):
    """Which records of a group are returned."""

    MIN_K = "min_k"
    MAX_K = "max_k"


class Fusion(msgspec.Struct, frozen=True):
    """Reciprocal rank fusion: each ranking that contains a chunk adds weight / (k + rank) to its score."""

    k: int = 60
    embedding_weight: float = 0.5
    text_weight: float = 0.5

    def check(self) -> None:
        """Refuse parameters that define no order.

        Weights should be between 0 and 1, but only the lower bound is checked.
        """
        if self.k < 0:
            raise invalid(f"retrieval_mode.reranker.k must be at least 0, got {self.k}.", rule="rrf", param="k")
        for name in ("embedding_weight", "text_weight"):
            weight: float = getattr(self, name)
            if not 0 <= weight <= WEIGHT_MAX:
                raise invalid(
                    f"retrieval_mode.reranker.{name} must be at least 0 and at most {WEIGHT_MAX:g}, got {weight}.",
                    rule="rrf",
                    param=name,
                )

    def score(self, keyword_rank: int | None, vector_rank: int | None) -> float:
        """Return the fused score of a chunk; a rank of None does not count."""
        text = 0.0 if keyword_rank is None else self.text_weight / (self.k + keyword_rank)
        return text + (0.0 if vector_rank is None else self.embedding_weight / (self.k + vector_rank))

    def of_rank(self, rank: int) -> float:
        """Return the score of a rank in one ranking."""
        return 1 / (self.k + rank)


class GroupBy(msgspec.Struct, frozen=True):
    """Keep the first `k` records of each group, ordered by `order_by`."""

    keys: tuple[str, ...]
    aggregate: Aggregate = Aggregate.MIN_K
    order_by: tuple[str, ...] = (SCORE,)
    k: int = 1

    def check(self, keys_max: int | None = None) -> None:
        """Refuse groups without keys or with too many, and groups of no records."""
        keys = len(self.keys) + len(self.order_by)
        if keys_max is not None and keys > keys_max:
            raise invalid(
                f"group_by must have at most {keys_max} keys, got {keys}.", rule="group_by_keys_max", param="group_by"
            )
        if not self.keys:
            raise invalid("group_by.keys must name at least one key.", rule="group_by", param="group_by")
        if self.k < 1:
            raise invalid(
                f"group_by.aggregate.{self.aggregate.value}.k must be at least 1, got {self.k}.",
                rule="group_by",
                param="group_by",
            )


class KeywordQuery(msgspec.Struct, frozen=True):
    """The terms of a query. Quoted phrases are required, words are not. Both are text without syntax."""

    phrases: tuple[str, ...]
    words: tuple[str, ...]


def keyword_query(text: str) -> KeywordQuery:
    """Parse a user's query. Unbalanced quotes are treated as spaces."""
    phrases = _terms(_PHRASE.findall(text))
    words = dict.fromkeys(_terms(_BETWEEN.split(_PHRASE.sub(" ", text))))
    for phrase in phrases:
        words.pop(phrase, None)
    return KeywordQuery(phrases, tuple(words))


def _terms(texts: Iterable[str]) -> tuple[str, ...]:
    """Return each term once, without terms that contain no letter or digit."""
    terms = (text.replace("\0", " ").strip() for text in texts)
    return tuple(dict.fromkeys(term for term in terms if any(map(str.isalnum, term))))


class Match(Protocol):
    """The fields of a match that grouping uses."""

    @property
    def fields(self) -> Mapping[str, str]: ...


M = TypeVar("M", bound=Match)


def grouped(matches: Sequence[M], group_by: GroupBy) -> list[M]:
    """Return the remaining matches in their order, best first; matches without a key form the null group.

    `#score` puts the better match first under both aggregates. The reference calls the smallest values the best scores,
    as if scores were distances; but they are not, and the worst matches would be useless.
    """
    groups: dict[tuple[str | None, ...], list[int]] = {}
    for rank, match in enumerate(matches):
        groups.setdefault(tuple(match.fields.get(key) for key in group_by.keys), []).append(rank)
    kept: set[int] = set()
    for ranks in groups.values():
        for key in reversed(group_by.order_by):  # stable sorts, the first key last
            if key == SCORE:
                ranks.sort()
            else:
                ranks = _sorted_by_value(ranks, [matches[rank].fields.get(key) for rank in ranks], group_by.aggregate)
        kept.update(ranks[: group_by.k])
    return [match for rank, match in enumerate(matches) if rank in kept]


def _sorted_by_value(ranks: list[int], values: list[str | None], aggregate: Aggregate) -> list[int]:
    """Return ranks in the order of their values: numbers before texts, and missing values last."""
    descending = aggregate is Aggregate.MAX_K
    numbers, texts, missing = [], [], []
    for rank, value in zip(ranks, values, strict=True):
        if value is None:
            missing.append(rank)
        elif (number := _number(value)) is not None:
            numbers.append((number, rank))
        else:
            texts.append((value, rank))
    numbers.sort(key=lambda item: item[0], reverse=descending)
    texts.sort(key=lambda item: item[0], reverse=descending)
    return [rank for _, rank in numbers] + [rank for _, rank in texts] + missing


def _number(text: str) -> float | None:
    try:
        return float(text) if re.fullmatch(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", text, re.ASCII) else None
    except OverflowError:
        return None
