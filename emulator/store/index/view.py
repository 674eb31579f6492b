"""An index as one search sees it: segments, a mask of their living chunks, and the counts that scores need.

It does not change during a search; the next change of the collection makes another view of the same segments.
"""

from __future__ import annotations

from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy

from emulator.store.index.analysis import FIELDS, K1, B
from emulator.store.index.segments import Segment, compared_by_ngrams

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


class View:
    """A list of segments: their chunks are numbered consecutively, and so are the slots of their documents."""

    def __init__(self, segments: tuple[Segment, ...], numbers: Array, file_ids: list[str]) -> None:
        """Make a view. `numbers` has a version number for each slot: at most 0 for a document that cannot be found."""
        self.segments = segments
        self.numbers = numbers
        self.file_ids = file_ids
        self.alive: list[Array | None] = []  # of each segment, as a mask; None if all are
        for segment in segments:
            alive = numbers[segment.slots] > 0
            self.alive.append(None if alive.all() else alive)

    def __len__(self) -> int:
        return sum(map(len, self.segments))

    @cached_property
    def count(self) -> int:
        """Return the number of living chunks."""
        pairs = zip(self.segments, self.alive, strict=True)
        return sum(len(segment) if alive is None else int(alive.sum()) for segment, alive in pairs)

    @cached_property
    def starts(self) -> list[int]:
        """Return the number of the first chunk of each segment, and the number of chunks."""
        return [0, *accumulate(map(len, self.segments))]

    @cached_property
    def slots(self) -> Array:
        """Return the slot of each chunk's document."""
        return _joined([segment.slots for segment in self.segments])

    @cached_property
    def order(self) -> Array:
        """Return the order of chunks with equal scores: by their document's version, then by ordinal."""
        ordinals = _joined([segment.ordinals for segment in self.segments])
        order: Array = self.numbers[self.slots] << 31 | ordinals
        return order

    @cached_property
    def ngram_scales(self) -> list[Array]:
        """Return the factors of the weight sums of the chunks' n-grams; 0 for chunks that cannot be found by them."""
        scales = []
        for segment, alive in zip(self.segments, self.alive, strict=True):
            lengths = segment.ngrams.lengths
            scale = numpy.where(lengths > 0, numpy.maximum(lengths, 1) ** -0.5, 0).astype(numpy.float32)
            for mask in (alive, compared_by_ngrams(segment)):
                if mask is not None:
                    scale[~mask] = 0
            scales.append(scale)
        return scales

    @cached_property
    def normalisers(self) -> list[list[Array]]:
        """Return the length normalisation of BM25 for each field and segment."""
        return [self._normalisers_of(field) for field in range(len(FIELDS))]

    def _normalisers_of(self, field: int) -> list[Array]:
        lengths = [segment.fields[field].lengths for segment in self.segments]
        total = sum(
            int(each.sum() if alive is None else each[alive].sum())
            for each, alive in zip(lengths, self.alive, strict=True)
        )
        average = total / max(self.count, 1)
        return [K1 * (1 - B + B * each / average) if average else numpy.full(len(each), K1) for each in lengths]


def _joined(arrays: list[Array]) -> Array:
    return arrays[0] if len(arrays) == 1 else numpy.concatenate([numpy.zeros(0, numpy.uint32), *arrays])
