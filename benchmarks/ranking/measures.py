"""Mean reciprocal rank and recall of answers, for kinds of questions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from benchmarks.ranking.corpus import Question

DEPTH = 10  # matches that are looked at


class Quality(NamedTuple):
    """The mean of 1 / rank of the right passage, and how often it is among the first."""

    questions: int
    mrr: float
    recall_1: float
    recall_3: float
    recall_10: float


def rank_of(question: Question, matches: Iterable[str]) -> int | None:
    """The rank of the first match that holds the answer, or None."""
    return next((rank for rank, text in enumerate(matches, 1) if question.answer in text), None)


def quality(ranks: Sequence[int | None]) -> Quality:
    """Measure the ranks of answers."""
    total = max(len(ranks), 1)
    found = [rank for rank in ranks if rank is not None and rank <= DEPTH]
    recalls = (sum(rank <= most for rank in found) / total for most in (1, 3, 10))
    return Quality(len(ranks), sum(1 / rank for rank in found) / total, *recalls)


def by(key: Callable[[Question], str], ranks: dict[Question, int | None]) -> dict[str, Quality]:
    """Measure questions by what `key` says of them, and all together."""
    groups: dict[str, list[int | None]] = {}
    for question, rank in ranks.items():
        groups.setdefault(key(question), []).append(rank)
    return {**{name: quality(group) for name, group in groups.items()}, "all": quality(list(ranks.values()))}
