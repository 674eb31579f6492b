"""Vector ranking by brute force: exact, without a build, and fast enough for what an emulator holds.

Vectors stand side by side in the order in which their documents were indexed, and removed ones leave no gap. So the
same vectors always give the same matrix, and with it the same scores to the last bit, whatever had been there before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy

from emulator.domain.collections import MetricSpace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[numpy.float32]

DIGITS = 6  # scores that differ less are equal: a chunk's place in the matrix must not decide
_COLUMNS = 16_384  # multiplied at once: what is read of them fits a processor's cache
_QUIETLY = numpy.errstate(all="ignore")  # an embedder's numbers may be too large to multiply


class VectorIndex:
    """The vectors of one collection's chunks."""

    def __init__(self) -> None:
        self._count = 0  # of the rows that are in use
        self._clear(dimensions=0)

    def add(self, rows: Sequence[tuple[int, bytes]]) -> None:
        """Append the vectors of chunks. Vectors of another size, of a former embedder, are removed."""
        for size, alike in groupby(rows, key=lambda row: len(row[1])):
            numbers, vectors = zip(*alike, strict=True)
            self._append(numbers, numpy.frombuffer(b"".join(vectors), "<f4").reshape(len(numbers), size // 4))

    def remove(self, numbers: Collection[int]) -> None:
        """Remove chunks; those behind them move up."""
        kept = numpy.isin(self._numbers[: self._count], list(numbers), invert=True).nonzero()[0]
        for row in (self._numbers, self._squares, *self._matrix):
            row[: len(kept)] = row[kept]
        self._count = len(kept)

    def ranking(self, query: Floats, metric: MetricSpace, depth: int | None) -> Iterator[tuple[int, float]]:
        """Numbers and similarities of the `depth` nearest chunks, or of all; equal ones in order of number."""
        if not self._count or len(query) != len(self._matrix):
            return
        matrix, squares = self._matrix[:, : self._count], self._squares[: self._count]
        scores = _similarities(matrix, squares, query, metric)
        best = _best(scores, depth)
        yield from zip(self._numbers[best].tolist(), scores[best].tolist(), strict=True)

    def _clear(self, dimensions: int) -> None:
        # A column for each vector: few dimensions count in the stand-in's vector of a query, and the rows of others are
        # not read then (measured at 100,000 chunks: 2 ms instead of 20).
        self._matrix: Floats = numpy.empty((dimensions, 0), numpy.float32)
        self._squares: Floats = numpy.empty(0, numpy.float32)  # of each vector's length
        self._numbers = numpy.empty(0, numpy.int64)
        self._count = 0

    @_QUIETLY
    def _append(self, numbers: Sequence[int], vectors: Floats) -> None:
        if vectors.shape[1] != len(self._matrix):
            self._clear(vectors.shape[1])
        start, self._count = self._count, self._count + len(vectors)
        if self._count > len(self._numbers):
            capacity = self._count * 3 // 2
            self._matrix, self._squares = _grown(self._matrix, capacity), _grown(self._squares, capacity)
            self._numbers = _grown(self._numbers, capacity)
        self._matrix[:, start : self._count] = vectors.T
        self._squares[start : self._count] = (vectors * vectors).sum(axis=1)
        self._numbers[start : self._count] = numbers


def _grown(array: NDArray[Any], capacity: int) -> NDArray[Any]:
    """The same columns, with more capacity."""
    grown = numpy.empty((*array.shape[:-1], capacity), array.dtype)
    grown[..., : array.shape[-1]] = array
    return grown


def _products(matrix: Floats, query: Floats) -> Floats:
    """The inner product of a vector with each column. Where it is mostly zeros, only the other rows are read."""
    used: Any = query.nonzero()[0]
    if len(used) > len(query) // 4:
        used = slice(None)
    products: Floats = numpy.empty(matrix.shape[1], numpy.float32)
    for start in range(0, len(products), _COLUMNS):
        columns = slice(start, start + _COLUMNS)
        products[columns] = query[used] @ matrix[used, columns]
    return products


@_QUIETLY
def _similarities(matrix: Floats, squares: Floats, query: Floats, metric: MetricSpace) -> Floats:
    """Higher is nearer, and every score is finite."""
    products = _products(matrix, query)
    square = query @ query
    if metric is MetricSpace.EUCLIDEAN:
        distances = numpy.sqrt(numpy.maximum(squares + square - 2 * products, 0))
        products = numpy.reciprocal(1 + distances, dtype=numpy.float32)
    elif metric is not MetricSpace.INNER_PRODUCT:
        lengths = numpy.sqrt(squares * square)
        products = numpy.divide(products, lengths, out=numpy.zeros_like(products), where=lengths > 0)
    return numpy.nan_to_num(products.round(DIGITS))


def _best(scores: Floats, depth: int | None) -> NDArray[numpy.intp]:
    """The places of the highest scores, in order; of equal ones the first."""
    places = numpy.arange(len(scores))
    if depth is not None and depth < len(scores):
        lowest = numpy.partition(scores, len(scores) - depth)[len(scores) - depth]
        places = numpy.flatnonzero(scores >= lowest)
    best: NDArray[numpy.intp] = places[numpy.argsort(-scores[places], kind="stable")][:depth]
    return best
