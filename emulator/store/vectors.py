"""Vector ranking by brute force: exact, without a build, and fast enough for what an emulator holds.

Rows stand in the order in which their documents were indexed, and removed ones leave no gap. So the same rows always
give the same matrix, and with it the same scores to the last bit, whatever had been there before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy

from emulator.domain.collections import MetricSpace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[numpy.float32]

DIGITS = 6  # scores that differ less are equal: a chunk's place in the matrix must not decide
_MOVED_ROWS = 4096  # at once: a copy of these is made
_QUIETLY = numpy.errstate(all="ignore")  # an embedder's numbers may be too large to multiply


class VectorIndex:
    """The vectors of one collection's chunks."""

    def __init__(self) -> None:
        self._count = 0  # of the rows that are in use
        self._clear(dimensions=0)

    def add(self, rows: Sequence[tuple[int, bytes]]) -> None:
        """Append the vectors of chunks. When another embedder made them, those of the former one are forgotten."""
        for number, vector in rows:
            self._append(number, numpy.frombuffer(vector, "<f4"))

    def remove(self, numbers: Collection[int]) -> None:
        """Forget chunks, and let the rows below move up."""
        kept = numpy.isin(self._numbers[: self._count], list(numbers), invert=True).nonzero()[0]
        moving = int((kept == numpy.arange(len(kept))).sum())  # the rows above the first gap stay
        for start in range(moving, len(kept), _MOVED_ROWS):
            rows = kept[start : start + _MOVED_ROWS]
            for array in (self._matrix, self._squares, self._numbers):
                array[start : start + len(rows)] = array[rows]
        self._count = len(kept)

    def ranking(self, query: Floats, metric: MetricSpace, depth: int | None) -> Iterator[tuple[int, float]]:
        """Numbers and similarities of the `depth` nearest chunks, or of all; equal ones in order of number."""
        if not self._count or len(query) != self._matrix.shape[1]:
            return
        matrix, squares = self._matrix[: self._count], self._squares[: self._count]
        scores = _similarities(matrix, squares, query, metric)
        best = _best(scores, depth)
        yield from zip(self._numbers[best].tolist(), scores[best].tolist(), strict=True)

    def _clear(self, dimensions: int) -> None:
        self._matrix: Floats = numpy.empty((0, dimensions), numpy.float32)
        self._squares: Floats = numpy.empty(0, numpy.float32)  # of each row's length
        self._numbers = numpy.empty(0, numpy.int64)
        self._count = 0

    @_QUIETLY
    def _append(self, number: int, vector: Floats) -> None:
        if len(vector) != self._matrix.shape[1]:
            self._clear(len(vector))
        if self._count == len(self._matrix):
            self._matrix, self._squares = _grown(self._matrix), _grown(self._squares)
            self._numbers = _grown(self._numbers)
        self._matrix[self._count] = vector
        self._squares[self._count] = vector @ vector
        self._numbers[self._count] = number
        self._count += 1


def _grown(array: NDArray[Any]) -> NDArray[Any]:
    """The same rows, and room for as many more."""
    grown = numpy.empty((max(16, 2 * len(array)), *array.shape[1:]), array.dtype)
    grown[: len(array)] = array
    return grown


@_QUIETLY
def _similarities(matrix: Floats, squares: Floats, query: Floats, metric: MetricSpace) -> Floats:
    """Higher is nearer, and every score is finite."""
    products: Floats = matrix @ query
    square = query @ query
    if metric is MetricSpace.EUCLIDEAN:
        distances = numpy.sqrt(numpy.maximum(squares + square - 2 * products, 0))
        products = numpy.reciprocal(1 + distances, dtype=numpy.float32)
    elif metric is not MetricSpace.INNER_PRODUCT:
        lengths = numpy.sqrt(squares * square)
        products = numpy.divide(products, lengths, out=numpy.zeros_like(products), where=lengths > 0)
    return numpy.nan_to_num(products.round(DIGITS))


def _best(scores: Floats, depth: int | None) -> NDArray[numpy.intp]:
    """The rows of the highest scores, in order; of equal ones the first."""
    rows = numpy.arange(len(scores))
    if depth is not None and depth < len(scores):
        lowest = numpy.partition(scores, len(scores) - depth)[len(scores) - depth]
        rows = numpy.flatnonzero(scores >= lowest)
    best: NDArray[numpy.intp] = rows[numpy.argsort(-scores[rows], kind="stable")][:depth]
    return best
