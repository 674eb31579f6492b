"""Scores of all chunks of a view: exact, each the sum over the terms of the query in their order.

The score of a chunk is computed from its own numbers and the counts of the collection, in the same steps in every
segment: the distribution of the chunks over segments changes no bit of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy

from emulator.domain.collections import MetricSpace
from emulator.store.index.analysis import FIELDS, K1, Term, idf
from emulator.store.index.bitmaps import NGrams
from emulator.store.index.ngrams import ngrams_of_query, weights
from emulator.store.index.postings import Postings, key_of, unique
from emulator.store.index.segments import compared_by_ngrams
from emulator.store.index.selection import reached
from emulator.store.index.view import View

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

DIGITS = 6  # vector scores that differ by less are equal, so that the order of additions does not matter
_ROWS = 4096  # vectors that are multiplied at once
_QUIETLY = numpy.errstate(all="ignore")  # an embedder's numbers may be too large to multiply
_WEIGHT_BITS = 12  # fraction bits
_LONG = 4096  # lists with fewer chunks are read without checking whether that is necessary
_WORTHWHILE = 16384  # chunks whose lists take as long to read as the check whether they can be skipped
_LOOKUP = 4  # chunks of a list that are read in the time of one look-up
_SPARED = 8  # if fewer than one in so many chunks are candidates, they are scored separately, else all are scored
_TOLERANCE = 4e-6  # of a cosine: rounded scores may be equal although they differ by less
_BELOW = 1 - 1e-9  # sums in another order may differ by less
_NOWHERE = numpy.zeros(0, numpy.intp)
_NONE = (numpy.zeros(0, numpy.uint16), numpy.zeros(0, numpy.uint8))


class Scores(NamedTuple):
    """The scores of all chunks of a view, or of the chunks, by their numbers, that can be among the best."""

    values: Array
    chunks: Array | None = None


class _Match(msgspec.Struct, frozen=True):
    """The occurrences of a term: in each segment the chunks, ascending, and how often they have it."""

    term: Term
    factor: float  # multiplied by the part of its frequency, which is below 1
    count: int  # of all chunks with the term
    found: Sequence[tuple[Array, Array]]


def by_terms(view: View, terms: Sequence[Term], depth: int | None = None) -> Scores:
    """Return BM25 of each chunk, at most 0 for those that do not match; with `depth`, perhaps only of the best ones."""
    matches = _matches(view, terms)
    required = sum(term.required for term in terms)
    chunks = None if depth is None or required else _candidates(view, matches, depth)
    if chunks is not None:
        return Scores(_among(view, matches, chunks), chunks)
    scores = numpy.zeros(len(view))
    for match in matches:
        _add(view, match, scores)
    if required:
        missing = numpy.full(len(view), required, numpy.uint8)
        for match in matches:
            for start, (places, _) in zip(view.starts, match.found if match.term.required else (), strict=False):
                missing[start + places.astype(numpy.intp)] -= 1
        scores[missing > 0] = 0
    return Scores(scores)


def _matches(view: View, terms: Sequence[Term]) -> list[_Match]:
    """Return the occurrences of terms, in the order of the terms, without terms that no chunk has."""
    found: list[list[tuple[Array, Array]]] = [[] for _ in terms]
    for field in range(len(FIELDS)):
        mine = [(term, found[number]) for number, term in enumerate(terms) if term.field == field]
        keys = numpy.array([key_of(part) for term, _ in mine for part in term.parts], numpy.uint64)
        for segment, alive in zip(view.segments, view.alive, strict=True):
            postings = segment.fields[field]
            lists = iter(postings.lists_of(keys))
            for term, parts in mine:
                parts.append(_found(postings, [next(lists) for _ in term.parts], alive))
    matches = []
    for term, parts in zip(terms, found, strict=True):
        count = sum(len(places) for places, _ in parts)
        if count:
            matches.append(_Match(term, term.weight * idf(count, view.count) * (K1 + 1), count, parts))
    return matches


def _add(view: View, match: _Match, scores: Array) -> None:
    """Add the score of a term to the scores of all chunks."""
    for start, normalisers, (places, counts) in zip(
        view.starts, view.normalisers[match.term.field], match.found, strict=False
    ):
        if len(places):
            places = places.astype(numpy.intp)  # converted once for both uses
            normaliser = normalisers.take(places)
            numpy.add.at(
                scores[start : start + len(normalisers)], places, match.factor * (counts / (counts + normaliser))
            )


def _candidates(view: View, matches: Sequence[_Match], depth: int) -> Array | None:
    """Return the chunks that can be among the best, ascending; None if scoring all is faster.

    Terms with the highest weights are read first. Once `depth` chunks have a score above the most that the remaining
    terms can add, a candidate needs at least the difference (MaxScore: Turtle and Flood, Query evaluation, 1995).
    """
    scores = numpy.zeros(len(view))
    rest, unread = sum(match.factor for match in matches), sum(match.count for match in matches)
    for match in sorted(matches, key=lambda match: match.factor, reverse=True):
        if match.count > _LONG and unread > _WORTHWHILE:
            floor = reached(scores, depth)
            if floor is None:
                return None
            if floor > rest:
                chunks = numpy.flatnonzero(scores >= (floor - rest) * _BELOW)
                if len(chunks) * len(matches) * _LOOKUP < unread:
                    return chunks
        _add(view, match, scores)
        rest -= match.factor
        unread -= match.count
    floor = reached(scores, depth)
    if floor is None:
        return None
    return numpy.flatnonzero(scores >= floor * _BELOW if floor > 0 else scores > 0)


def _among(view: View, matches: Sequence[_Match], chunks: Array) -> Array:
    """Return the scores of some chunks, ascending, computed in the same steps as those of all."""
    counts = numpy.zeros((len(matches), len(chunks)))
    normalisers = numpy.empty((len(FIELDS), len(chunks)))
    bounds = numpy.searchsorted(chunks, view.starts).tolist()
    for number, (start, (begin, end)) in enumerate(zip(view.starts, pairwise(bounds), strict=False)):
        mine = chunks[begin:end] - start
        places = mine.astype(numpy.uint16)
        for field in range(len(FIELDS)):
            view.normalisers[field][number].take(mine, out=normalisers[field, begin:end])
        for row, match in enumerate(matches):
            listed, found = match.found[number]
            if len(listed) and begin < end:
                at = listed.searchsorted(places)
                counts[row, begin:end] = found.take(at, mode="clip") * (listed.take(at, mode="clip") == places)
    scores = numpy.zeros(len(chunks))
    for match, count in zip(matches, counts, strict=True):
        scores += match.factor * (count / (count + normalisers[match.term.field]))
    return scores


def _found(field: Postings, lists: Sequence[int | None], alive: Array | None) -> tuple[Array, Array]:
    """Return the living chunks of a segment that have a term, and how often."""
    known = [each for each in lists if each is not None]
    if len(known) < len(lists) or not lists:
        return _NONE
    places, counts = (
        (field.places_of(known[0]), field.counts_of(known[0])) if len(known) == 1 else _phrase(field, known)
    )
    if alive is None:
        return places, counts
    kept = alive[places]
    return places[kept], counts[kept]


def _phrase(field: Postings, lists: Sequence[int]) -> tuple[Array, Array]:
    """Return the chunks with adjacent terms in this order, and how often; the rarest term is checked first."""
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
def by_spelling(view: View, text: str, metric: MetricSpace, depth: int | None = None) -> Scores:
    """Return the similarity of the n-grams of each chunk and a text; -inf for chunks that are not compared by n-grams.

    With `depth`, perhaps only of the best ones.
    """
    numbers = unique(ngrams_of_query(text))
    found = [_Shared(segment.ngrams, numbers, alive) for segment, alive in zip(view.segments, view.alive, strict=True)]
    counts = numpy.zeros(len(numbers), numpy.int64)
    for each in found:
        counts += each.counts
    weight = _whole(weights(counts, view.count))
    length = float(numpy.sqrt(weight.astype(numpy.float64) @ weight))
    rare = [each.sums(weight) for each in found]
    chosen = None
    if depth is not None and metric is not MetricSpace.EUCLIDEAN:
        chosen = _alike(view, found, rare, weight, length, depth)
    scores = []
    for number, (segment, each) in enumerate(zip(view.segments, found, strict=True)):
        places = None if chosen is None else chosen[number]
        sums, sizes = each.with_frequent(weight, rare[number], places), segment.ngrams.lengths
        if places is not None:
            sizes = sizes[places]
        products = numpy.divide(
            sums, length * numpy.sqrt(sizes, dtype=numpy.float64), out=numpy.zeros(len(sums)), where=sizes > 0
        )
        if metric is MetricSpace.EUCLIDEAN:
            products = _nearness(products, sizes > 0, 1.0 if len(numbers) else 0.0)
        products = products.astype(numpy.float32).round(DIGITS)
        for mask in (view.alive[number], compared_by_ngrams(segment)) if places is None else ():
            if mask is not None:
                products[~mask] = -numpy.inf
        scores.append(products)
    if chosen is None:
        return Scores(_joined(scores))
    chunks = [start + places for start, places in zip(view.starts, chosen, strict=False)]
    return Scores(_joined(scores), numpy.concatenate([_NOWHERE, *chunks]))


def _alike(
    view: View, found: Sequence[_Shared], rare: Sequence[Array], weight: Array, length: float, depth: int
) -> list[Array] | None:
    """Return the chunks of each segment that can be among the best, judged by rare n-grams; None if there are many."""
    scaled = numpy.empty(len(view), numpy.float32)
    parts = [scaled[start:end] for start, end in pairwise(view.starts)]
    for part, sums, scale in zip(parts, rare, view.ngram_scales, strict=True):
        numpy.multiply(sums, scale, out=part, casting="same_kind")
    floor = reached(scaled, depth)
    if floor is None or floor <= 0:
        return None
    exact = []
    for each, part, sums, scale in zip(found, parts, rare, view.ngram_scales, strict=True):
        top = numpy.flatnonzero(part >= floor)
        exact.append(each.with_frequent(weight, sums, top) * scale[top])
    best = _joined(exact)
    floor = float(numpy.partition(best, len(best) - depth)[len(best) - depth]) - _TOLERANCE * length
    chosen = [
        numpy.flatnonzero(part + scale * numpy.float32(each.frequent_weight(weight)) >= floor)
        for each, part, scale in zip(found, parts, view.ngram_scales, strict=True)
    ]
    return chosen if floor > 0 and sum(map(len, chosen)) * _SPARED < len(view) else None


def _whole(weight: Array) -> Array:
    """Return weights as integers in about the same ratios: their sums are exact in any order of addition."""
    digits = min(_WEIGHT_BITS, 31 - int(numpy.ceil(numpy.log2(max(float(weight.sum()), 1)))))
    whole: Array = numpy.rint(numpy.ldexp(weight, digits)).astype(numpy.uint32)
    return whole


class _Shared:
    """The n-grams of a query that a segment has."""

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
        """Return the sum of the weights of the shared rare n-grams for each chunk."""
        places = numpy.concatenate([_NONE[0], *self._places])
        sums: Array = numpy.bincount(places, numpy.repeat(weight[self._rare], self._sizes), len(self._ngrams.lengths))
        return sums

    def frequent_weight(self, weight: Array) -> int:
        """Return the maximum that frequent n-grams add to the sum of a chunk."""
        return int(weight[self._frequent].sum())

    def with_frequent(self, weight: Array, rare: Array, places: Array | None) -> Array:
        """Add the weights of the shared frequent n-grams to the sums of the rare ones, for all chunks or for some."""
        weight = weight[self._frequent]
        if places is not None:
            bits = self._ngrams.bits[self._rows[:, None], places >> 3] >> (7 - (places & 7)).astype(numpy.uint8) & 1
            some: Array = rare[places] + (bits * weight[:, None]).sum(axis=0, dtype=numpy.uint32)
            return some
        count = len(self._ngrams.lengths)
        sums, product = numpy.zeros(count, numpy.uint32), numpy.empty(count, numpy.uint32)
        for row, each in zip(self._rows.tolist(), weight, strict=True):
            numpy.multiply(self._ngrams.bits_of(row), each, out=product)
            numpy.add(sums, product, out=sums)
        return numpy.add(rare, sums, out=rare) if len(self._rows) else rare


def _both(keys: Array, numbers: Array) -> tuple[Array, Array]:
    """Return the indices of the equal elements of keys and numbers, both ascending."""
    if not len(keys):
        return _NOWHERE, _NOWHERE
    at = numpy.searchsorted(keys, numbers)
    known = numpy.flatnonzero(keys[numpy.minimum(at, len(keys) - 1)] == numbers)
    return at[known], known


@_QUIETLY
def by_vector(view: View, query: Array, metric: MetricSpace) -> Array:
    """Return the similarity of each chunk's vector and another one; -inf if it has no vector of this length."""
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
    """Return similarities; a higher one is nearer, and every one is finite."""
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
    """Return 1 / (1 + Euclidean distance), from the inner products and the squares of the lengths."""
    nearness: Array = numpy.reciprocal(1 + numpy.sqrt(numpy.maximum(squares + square - 2 * products, 0)))
    return nearness


def _joined(arrays: list[Array]) -> Array:
    return arrays[0] if len(arrays) == 1 else numpy.concatenate([numpy.zeros(0, numpy.float32), *arrays])
