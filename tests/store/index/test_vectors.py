"""Vector ranking: the order of the metric, ties, removal, and vectors of other lengths."""

from __future__ import annotations

import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from emulator.domain.collections import MetricSpace
from emulator.store.index.collection_index import IndexQuery
from emulator.store.index.live_index import LiveIndex, answer
from tests.store.index.building import index_of_vectors as index_of

Floats = NDArray[numpy.float32]
numbers = st.floats(-4, 4, width=16)
vectors = st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=20)


def array(values: object) -> Floats:
    """Values as they are stored."""
    return numpy.asarray(values, "<f4")


def ranked(index: LiveIndex, query: Floats, metric: MetricSpace, depth: int | None = None) -> list[tuple[int, float]]:
    """The numbers and scores of a ranking."""
    hits = answer(index.view, IndexQuery(None, query, metric, depth)).vector
    return [(int(hit.version.file_id), hit.score) for hit in hits]


def similarity(a: Floats, b: Floats, metric: MetricSpace) -> float:
    """By the definition, one pair at a time."""
    if metric is MetricSpace.INNER_PRODUCT:
        return math.fsum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True))
    if metric is MetricSpace.EUCLIDEAN:
        return 1 / (1 + math.dist(a, b))
    lengths = math.hypot(*a) * math.hypot(*b)
    return math.fsum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True)) / lengths if lengths else 0.0


@given(vectors, st.tuples(numbers, numbers, numbers), st.sampled_from(MetricSpace))
def test_scores_are_those_of_the_metric(
    rows: list[tuple[float, ...]], query: tuple[float, ...], metric: MetricSpace
) -> None:
    """Each row has the similarity of its definition; the best come first, and an unknown metric is the cosine."""
    index = index_of({number: array(row) for number, row in enumerate(rows)})
    ranking = ranked(index, array(query), metric)
    expected = {number: similarity(array(row), array(query), metric) for number, row in enumerate(rows)}
    assert dict(ranking) == pytest.approx(expected, abs=2e-3)
    assert ranking == sorted(ranking, key=lambda item: (-item[1], item[0]))


@given(st.lists(st.lists(numbers, min_size=16, max_size=16), min_size=1, max_size=20), st.data())
def test_zeros_in_a_query_change_no_score(rows: list[list[float]], data: st.DataObject) -> None:
    """A query in few dimensions of many, for which only those are read, has the scores of the definition too."""
    query = numpy.zeros(16, "<f4")
    query[data.draw(st.lists(st.integers(0, 15), max_size=3))] = data.draw(numbers)
    index = index_of({number: array(row) for number, row in enumerate(rows)})
    for metric in MetricSpace:
        expected = {number: similarity(array(row), query, metric) for number, row in enumerate(rows)}
        assert dict(ranked(index, query, metric)) == pytest.approx(expected, abs=2e-3)


@given(vectors, st.tuples(numbers, numbers, numbers), st.integers(1, 25))
def test_ranking_with_depth_is_prefix_of_full_ranking(
    rows: list[tuple[float, ...]], query: tuple[float, ...], depth: int
) -> None:
    """Also where the cut goes through rows that are equal."""
    index = index_of({number: array(row) for number, row in enumerate(rows)})
    whole = ranked(index, array(query), MetricSpace.COSINE)
    assert ranked(index, array(query), MetricSpace.COSINE, depth) == whole[:depth]


@pytest.mark.parametrize("metric", MetricSpace)
def test_scores_are_finite(metric: MetricSpace) -> None:
    """Zero vectors and enormous ones are ranked, not infected with NaN."""
    huge = float(numpy.finfo(numpy.float32).max)
    index = index_of({1: array([0, 0]), 2: array([huge, huge]), 3: array([-huge, huge]), 4: array([1, 1])})
    for query in ([0, 0], [huge, huge], [1, 0]):
        ranking = ranked(index, array(query), metric)
        assert len(ranking) == 4
        assert all(math.isfinite(score) for _, score in ranking)


def test_query_is_compared_with_vectors_of_its_length_only() -> None:
    """Those of another embedder are not found, however many there are."""
    index = index_of({1: array([1, 0]), 2: array([1, 0, 0])})
    assert ranked(index, array([1, 0, 0]), MetricSpace.COSINE) == [(2, 1.0)]
    assert ranked(index, array([1, 0]), MetricSpace.COSINE) == [(1, 1.0)]
    assert ranked(index, array([1]), MetricSpace.COSINE) == []
