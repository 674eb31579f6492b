"""An index of any history: however it is cut into segments, a ranking is that of the definition over what is left."""

from __future__ import annotations

import math

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from emulator.domain.collections import MetricSpace
from emulator.domain.search import keyword_query
from emulator.store.chunks import IndexRow
from emulator.store.index import bitmaps, live_index, postings, scoring, selection
from emulator.store.index.analysis import FIELDS, K1, B, Term, fields_of, idf, terms_of
from emulator.store.index.collection_index import Hit, IndexQuery, IndexResult
from emulator.store.index.live_index import LiveIndex, answer
from emulator.store.index.ngrams import ngrams_of, weights
from tests.examples import examples
from tests.store.index.building import index_of

WORDS = ["ash", "birch", "ash-birch", "cedar", "elmwood", "fir"]
TEXTS = st.lists(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join), max_size=14)
QUERIES = st.lists(st.sampled_from([*WORDS, '"ash birch"', "elmwod", "yew"]), min_size=1, max_size=4).map(" ".join)
Floats = NDArray[numpy.float64]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a handful of chunks have several segments, merges and bitmaps."""
    monkeypatch.setattr(live_index, "BUILT_AT_ONCE", 3)
    monkeypatch.setattr(live_index, "_FAN", 3)
    monkeypatch.setattr(bitmaps, "_CHUNKS_MIN", 4)
    monkeypatch.setattr(bitmaps, "_SHARE", 2)
    monkeypatch.setattr(postings, "_MOVED_AT_ONCE", 5)
    monkeypatch.setattr(selection, "_PART", 2)
    for name in ("_LONG", "_WORTHWHILE", "_LOOKUP", "_SPARED"):
        monkeypatch.setattr(scoring, name, 0)


def frequency(words: list[str], term: Term) -> int:
    """How often a term is in a field."""
    size = len(term.parts)
    return sum(tuple(words[at : at + size]) == term.parts for at in range(len(words) - size + 1))


def bm25(texts: list[str], query: str) -> list[float]:
    """The score of each text by the definition; 0 where it does not match."""
    cut, terms = [fields_of(text) for text in texts], terms_of(keyword_query(query))
    averages = [sum(len(fields[number]) for fields in cut) / max(len(cut), 1) for number in range(len(FIELDS))]
    scores = [0.0] * len(texts)
    for term in terms:
        found = [frequency(fields[term.field], term) for fields in cut]
        factor = term.weight * idf(sum(count > 0 for count in found), len(texts))
        for number, count in enumerate(found):
            if count:
                length = 1 - B + B * len(cut[number][term.field]) / averages[term.field]
                scores[number] += factor * count * (K1 + 1) / (count + K1 * length)
    required = [term for term in terms if term.required]
    has_all = [all(frequency(fields[term.field], term) for term in required) for fields in cut]
    return [score if whole else 0.0 for score, whole in zip(scores, has_all, strict=True)]


def cosines(texts: list[str], query: str) -> list[float]:
    """The cosine of each text by the definition."""
    grams = [set(ngrams_of([text])[1].tolist()) for text in texts]
    asked = sorted(set(ngrams_of([query])[1].tolist()))
    counts = numpy.array([sum(gram in each for each in grams) for gram in asked], numpy.int64)
    weight = dict(zip(asked, weights(counts, len(texts)).tolist(), strict=True))
    length = math.sqrt(sum(each * each for each in weight.values()))
    shared = [sum(weight[gram] for gram in asked if gram in each) for each in grams]
    sizes = [math.sqrt(len(each)) * length for each in grams]
    return [each / size if size else 0.0 for each, size in zip(shared, sizes, strict=True)]


def tidied(index: LiveIndex) -> LiveIndex:
    """The same index after a pause."""
    for parts in index.plan():
        index.replace(parts, index.merge(parts))
    return index


def seen(hits: list[Hit]) -> list[tuple[int, int, float]]:
    """The number of a text, its rank and its score."""
    return [(int(hit.version.file_id), hit.rank, hit.score) for hit in hits]


def asked_of(index: LiveIndex, query: str, depth: int | None = None) -> IndexResult:
    """Both rankings."""
    asked = IndexQuery(keyword_query(query), None, MetricSpace.COSINE, depth, None, query)
    return answer(index.view, asked)


@settings(max_examples=examples(80))
@given(TEXTS, QUERIES, st.integers(1, 5), st.sets(st.integers(0, 13)), st.booleans(), st.integers(1, 6))
def test_rankings_are_those_of_the_definition_after_any_history(
    texts: list[str], query: str, pieces: int, removed: set[int], is_tidied: bool, depth: int
) -> None:
    """Whatever was removed and merged: scores, ranks and the order of equals are those of the texts that are left."""
    index = index_of(texts, pieces=pieces)
    index.set_versions({}, [number for number in removed if number < len(texts)])
    if is_tidied:
        tidied(index)
    kept = [number for number in range(len(texts)) if number not in removed]
    left = [texts[number] for number in kept]
    found = asked_of(index, query)
    for hits, expected, above in ((found.keyword, bm25(left, query), 0.0), (found.vector, cosines(left, query), -1.0)):
        scores = {kept[place]: score for place, score in enumerate(expected) if score > above}
        assert {number: score for number, _, score in seen(hits)} == pytest.approx(scores, abs=2e-3)
        assert seen(hits) == sorted(seen(hits), key=lambda hit: (-hit[2], hit[0]))
        assert [rank for _, rank, _ in seen(hits)] == list(range(1, len(hits) + 1))
    fresh = asked_of(index_of(left), query)
    for hits, others in ((found.keyword, fresh.keyword), (found.vector, fresh.vector)):
        assert [(rank, score) for _, rank, score in seen(hits)] == [(rank, score) for _, rank, score in seen(others)]
    short = asked_of(index, query, depth)
    assert (short.keyword, short.vector) == (found.keyword[:depth], found.vector[:depth])


@given(TEXTS, st.integers(1, 4))
def test_chunks_of_another_embedder_are_not_compared_by_spelling(texts: list[str], dimensions: int) -> None:
    """They have a vector of their own, in which the stand-in sees nothing."""
    index = LiveIndex((), ["0", "1"])
    index.add([(0, IndexRow(0, text, b"")) for text in texts])
    index.add([(1, IndexRow(0, text, numpy.ones(dimensions, "<f4").tobytes())) for text in texts])
    index.set_versions({0: 1, 1: 2}, ())
    assert {hit.version.file_id for hit in tidied_answer(index, "ash")} == ({"0"} if texts else set())


def tidied_answer(index: LiveIndex, query: str) -> list[Hit]:
    """The ranking by spelling after a pause."""
    return asked_of(tidied(index), query).vector
