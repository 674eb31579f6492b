"""The ranking of one collection, made of what its indexes have found."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.domain.search import Fusion, GroupBy, Mode
from emulator.operations.ranking import Candidate, Ranker
from emulator.store.chunks import DocumentVersion
from emulator.store.index.collection_index import Hit, IndexResult

FUSION = Fusion(k=3, embedding_weight=0.25, text_weight=0.75)
FILES = [DocumentVersion(number, f"file_{number % 5}") for number in range(8)]
CHUNKS = [(version, ordinal) for version in FILES for ordinal in range(2)]


def found(chunks: Sequence[int], start: int = 1) -> list[Hit]:
    """A ranking of some chunks, best first."""
    return [Hit(*CHUNKS[chunk], rank, 100.0 - rank) for rank, chunk in enumerate(chunks, start)]


def rank(mode: Mode, answer: IndexResult, *, by_rank: bool, accepted: set[str] | None = None) -> list[Candidate]:
    accepts = None if accepted is None else accepted.__contains__
    return Ranker(mode, FUSION, None, by_rank).rank(0, answer, {}, accepts)


rankings = st.lists(st.integers(0, len(CHUNKS) - 1), unique=True).map(found)


@given(rankings, st.booleans())
def test_single_ranking_keeps_its_scores(ranking: list[Hit], by_words: bool) -> None:
    """Alone it keeps its scores; beside other collections a place gives the score, whatever lies between places."""
    mode = Mode.KEYWORD if by_words else Mode.SEMANTIC
    ranking = ranking[1::2]  # as a filter leaves them: their ranks are those among all
    answer = IndexResult(ranking, []) if by_words else IndexResult([], ranking)
    for by_rank in (False, True):
        ranked = rank(mode, answer, by_rank=by_rank)
        assert [(each.keyword if by_words else each.vector) for each in ranked] == ranking
        assert [(each.vector if by_words else each.keyword) for each in ranked] == [None] * len(ranking)
        expected = [FUSION.of_rank(each.rank) if by_rank else each.score for each in ranking]
        assert [each.score for each in ranked] == expected


@given(rankings, rankings, st.sets(st.sampled_from([version.file_id for version in FILES])))
def test_rankings_are_fused_by_weight_and_rank(keyword: list[Hit], vector: list[Hit], accepted: set[str]) -> None:
    """Each gives its weight over k plus the rank; equal ones stand as they were indexed.

    Beside other collections the place in the fused ranking is the score. A filter takes away, and moves nothing.
    """
    fused = rank(Mode.HYBRID, IndexResult(keyword, vector), by_rank=False)
    for each in fused:
        terms = [(0.75, each.keyword), (0.25, each.vector)]
        assert each.score == pytest.approx(sum(weight / (3 + place.rank) for weight, place in terms if place))
    assert {(each.version, each.ordinal) for each in fused} == {(f.version, f.ordinal) for f in keyword + vector}
    assert [each.order for each in fused] == sorted(each.order for each in fused)
    beside = rank(Mode.HYBRID, IndexResult(keyword, vector), by_rank=True)
    assert [each.version for each in beside] == [each.version for each in fused]
    assert [each.score for each in beside] == [1 / (3 + place) for place in range(1, len(fused) + 1)]
    for by_rank, whole in ((False, fused), (True, beside)):
        filtered = rank(Mode.HYBRID, IndexResult(keyword, vector), by_rank=by_rank, accepted=accepted)
        assert filtered == [each for each in whole if each.version.file_id in accepted]


def test_groups_are_made_of_what_is_accepted() -> None:
    """The best of each, by the fields of their documents."""
    metadata = {f"file_{number}": {"parity": f"{number % 2}"} for number in range(5)}
    ranker = Ranker(Mode.KEYWORD, FUSION, GroupBy(("parity",)), by_rank=False)
    answer = IndexResult(found(range(len(CHUNKS))), [])
    ranked = ranker.rank(7, answer, metadata, {"file_1", "file_2", "file_3"}.__contains__)
    assert [(each.collection, each.version.file_id, each.fields) for each in ranked] == [
        (7, "file_1", {"parity": "1"}),
        (7, "file_2", {"parity": "0"}),
    ]


@pytest.mark.parametrize(("by_rank", "mode"), [(True, Mode.HYBRID), (True, Mode.KEYWORD), (False, Mode.HYBRID)])
def test_filter_is_applied_after_fusion_only_where_needed(by_rank: bool, mode: Mode) -> None:
    """Which is only known when all is ranked."""
    assert Ranker(mode, FUSION, None, by_rank).needs_all is (by_rank and mode is Mode.HYBRID)
