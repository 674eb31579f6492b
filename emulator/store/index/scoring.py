"""Scores of all chunks of a view: exact, each the sum over the terms of the query in their order.

A chunk's score is computed from its own numbers and the counts of the collection, in the same steps wherever it stands:
how the chunks are spread over segments moves no bit of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy

from emulator.domain.collections import MetricSpace
from emulator.store.index.analysis import K1, Term, idf
from emulator.store.index.bitmaps import NGrams
from emulator.store.index.ngrams import ngrams_of_query, weights
from emulator.store.index.postings import Postings, unique
from emulator.store.index.postings import key_of as _key_of
from emulator.store.index.segments import compared_by_ngrams
from emulator.store.index.view import View

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

DIGITS = 6  # scores of vectors that differ less are equal: the order of additions must not decide
_ROWS = 4096  # vectors multiplied at once
_QUIETLY = numpy.errstate(all="ignore")  # an embedder's numbers may be too large to multiply
_WEIGHT_BITS = 12  # behind the point
_NOWHERE = numpy.zeros(0, numpy.intp)
_NONE = (numpy.zeros(0, numpy.uint16), numpy.zeros(0, numpy.uint8))


def by_terms(view: View, terms: Sequence[Term]) -> Array:
    """BM25 of each chunk; at most 0 where it does not match."""
    scores = [numpy.zeros(len(segment)) for segment in view.segments]
    required = sum(term.required for term in terms)
    missing = [numpy.full(len(segment), required, numpy.uint8) for segment in view.segments] if required else []
    for term in terms:
        found = [_found(view, number, term) for number in range(len(view.segments))]
        count = sum(len(places) for places, _ in found)
        if not count:
            continue
        factor = term.weight * idf(count, view.count) * (K1 + 1)
        for number, (places, counts) in enumerate(found):
            if len(places):
                places = places.astype(numpy.intp)  # once, for all that follows
                normaliser = view.normalisers[term.field][number].take(places)
                numpy.add.at(scores[number], places, factor * (counts / (counts + normaliser)))
                if term.required:
                    missing[number][places] -= 1
    for number, lacks in enumerate(missing):
        scores[number][lacks > 0] = 0
    return _joined(scores)


def _found(view: View, number: int, term: Term) -> tuple[Array, Array]:
    """The living chunks of a segment that have a term, and how often."""
    field, alive = view.segments[number].fields[term.field], view.alive[number]
    lists = [field.list_of(key) for key in map(_key_of, term.parts)]
    if None in lists or not lists:
        return _NONE
    known = [each for each in lists if each is not None]
    places, counts = (
        (field.places_of(known[0]), field.counts_of(known[0])) if len(known) == 1 else _phrase(field, known)
    )
    if alive is None:
        return places, counts
    kept = alive[places]
    return places[kept], counts[kept]


def _phrase(field: Postings, lists: Sequence[int]) -> tuple[Array, Array]:
    """The chunks in which terms follow each other, and how often; the rarest term is looked at first."""
    sizes = [int(field.starts[each + 1] - field.starts[each]) for each in lists]
    rarest = sizes.index(min(sizes))
    begins = field.located(lists[rarest]) - rarest
    for offset, each in enumerate(lists):
        if offset != rarest and len(begins):
            located = field.located(each)
            at = numpy.searchsorted(located, begins + offset)
            begins = begins[located[numpy.minimum(at, len(located) - 1)] == begins + offset]
    places, counts = numpy.unique(begins >> 32, return_counts=True)
    return places, counts


@_QUIETLY
def by_spelling(view: View, text: str, metric: MetricSpace) -> Array:
    """The similarity of each chunk's n-grams to those of a text; -inf where it is not compared by them."""
    numbers = unique(ngrams_of_query(text))
    found = [_Shared(segment.ngrams, numbers, alive) for segment, alive in zip(view.segments, view.alive, strict=True)]
    counts = numpy.zeros(len(numbers), numpy.int64)
    for each in found:
        counts += each.counts
    weight = _whole(weights(counts, view.count))
    length = float(numpy.sqrt(weight.astype(numpy.float64) @ weight))
    scores = []
    for segment, alive, each in zip(view.segments, view.alive, found, strict=True):
        size = segment.ngrams.lengths
        sums = each.sums(weight)
        products = numpy.divide(
            sums, length * numpy.sqrt(size, dtype=numpy.float64), out=numpy.zeros(len(segment)), where=size > 0
        )
        if metric is MetricSpace.EUCLIDEAN:
            products = _nearness(products, size > 0, 1.0 if len(numbers) else 0.0)
        products = products.astype(numpy.float32).round(DIGITS)
        for mask in (alive, compared_by_ngrams(segment)):
            if mask is not None:
                products[~mask] = -numpy.inf
        scores.append(products)
    return _joined(scores)


def _whole(weight: Array) -> Array:
    """Weights as whole numbers in about the same ratios: sums of them are exact, in whatever order they are added."""
    digits = min(_WEIGHT_BITS, 31 - int(numpy.ceil(numpy.log2(max(float(weight.sum()), 1)))))
    whole: Array = numpy.rint(numpy.ldexp(weight, digits)).astype(numpy.uint32)
    return whole


class _Shared:
    """Which of the n-grams of a query a segment has."""

    def __init__(self, ngrams: NGrams, numbers: Array, alive: Array | None) -> None:
        self._ngrams = ngrams
        lists, self._rare = _both(ngrams.lists.keys, numbers)
        self._rows, self._frequent = _both(ngrams.frequent, numbers)
        self._places = [ngrams.lists.places_of(each) for each in lists.tolist()]
        self._sizes = numpy.fromiter(map(len, self._places), numpy.int64, len(self._places))
        self.counts = numpy.zeros(len(numbers), numpy.int64)  # of living chunks, for each n-gram of the query
        bits = ngrams.bits[self._rows]
        if alive is None:
            self.counts[self._rare] = self._sizes
        else:
            self.counts[self._rare] = [int(alive[places].sum()) for places in self._places]
            bits = bits & numpy.packbits(alive)
        self.counts[self._frequent] = numpy.bitwise_count(bits).sum(axis=1)

    def sums(self, weight: Array) -> Array:
        """The sum of the weights of the shared n-grams for each chunk."""
        count = len(self._ngrams.lengths)
        sums: Array = numpy.bincount(
            numpy.concatenate([_NONE[0], *self._places]), numpy.repeat(weight[self._rare], self._sizes), count
        )
        frequent, product = numpy.zeros(count, numpy.uint32), numpy.empty(count, numpy.uint32)
        for row, each in zip(self._rows.tolist(), weight[self._frequent], strict=True):
            numpy.multiply(self._ngrams.bits_of(row), each, out=product)
            numpy.add(frequent, product, out=frequent)
        return numpy.add(sums, frequent, out=sums) if len(self._rows) else sums


def _both(keys: Array, numbers: Array) -> tuple[Array, Array]:
    """Where keys and numbers, both ascending, hold the same: places in the one and in the other."""
    if not len(keys):
        return _NOWHERE, _NOWHERE
    at = numpy.searchsorted(keys, numbers)
    known = numpy.flatnonzero(keys[numpy.minimum(at, len(keys) - 1)] == numbers)
    return at[known], known


@_QUIETLY
def by_vector(view: View, query: Array, metric: MetricSpace) -> Array:
    """The similarity of each chunk's vector to another one; -inf where it has none of this length."""
    scores = []
    square = query @ query
    for segment, alive in zip(view.segments, view.alive, strict=True):
        result = numpy.full(len(segment), -numpy.inf, numpy.float32)
        vectors = segment.vectors.get(len(query))
        if vectors is not None:
            for start in range(0, len(vectors.places), _ROWS):
                rows = vectors.rows[start : start + _ROWS]
                result[vectors.places[start : start + _ROWS]] = _similarities(rows, query, square, metric)
        if alive is not None:
            result[~alive] = -numpy.inf
        scores.append(result)
    return _joined(scores)


def _similarities(rows: Array, query: Array, square: Array, metric: MetricSpace) -> Array:
    """Higher is nearer, and every score is finite."""
    products = rows @ query
    squares = numpy.einsum("ij,ij->i", rows, rows)
    if metric is MetricSpace.EUCLIDEAN:
        products = _nearness(products, squares, square)
    elif metric is not MetricSpace.INNER_PRODUCT:
        lengths = numpy.sqrt(squares * square)
        products = numpy.divide(products, lengths, out=numpy.zeros_like(products), where=lengths > 0)
    finite: Array = numpy.nan_to_num(products.round(DIGITS))
    return finite


def _nearness(products: Array, squares: Array, square: Any) -> Array:
    """1 / (1 + Euclidean distance), of the inner products and the squares of the lengths."""
    nearness: Array = numpy.reciprocal(1 + numpy.sqrt(numpy.maximum(squares + square - 2 * products, 0)))
    return nearness


def _joined(arrays: list[Array]) -> Array:
    return arrays[0] if len(arrays) == 1 else numpy.concatenate([numpy.zeros(0, numpy.float32), *arrays])
