"""The n-grams of a segment: lists of chunks, and for frequent n-grams a bit for each chunk of the segment.

A bitmap takes less memory than a list of more than a sixteenth of the chunks, and is added to the scores faster. Half
of the n-grams of a text are among the thousand frequent ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy

from emulator.store.index import postings
from emulator.store.index.postings import Postings, narrow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

_CHUNKS_MIN = 2048  # minimum chunks of a segment with bitmaps: a small segment is merged soon
_SHARE = 16  # a list with more than one in this many chunks becomes a bitmap


class NGrams(msgspec.Struct, frozen=True, eq=False):
    """Lists of the rare n-grams, and a row of bits for each of the frequent ones."""

    lists: Postings
    frequent: Array  # n-grams, ascending
    bits: Array  # a row for each, eight chunks in a byte

    @property
    def lengths(self) -> Array:
        """Return the number of n-grams of each chunk."""
        return self.lists.lengths

    @property
    def bytes(self) -> int:
        """Return the memory that the arrays take."""
        return self.lists.bytes + self.frequent.nbytes + self.bits.nbytes

    def bits_of(self, row: int) -> Array:
        """Return a one or a zero for each chunk."""
        return numpy.unpackbits(self.bits[row], count=len(self.lengths))

    def without(self, kept: Array) -> NGrams:
        """Return the n-grams of the chunks in a mask."""
        return packed(_unpacked(self).without(kept))


def merged(parts: Sequence[NGrams]) -> NGrams:
    """Return the n-grams of all parts, whose chunks are numbered consecutively."""
    return packed(postings.merged([_unpacked(part) for part in parts]))


def packed(lists: Postings) -> NGrams:
    """Return the same n-grams with the long lists as bitmaps."""
    count = len(lists.lengths)
    sizes = numpy.diff(lists.starts).astype(numpy.int64)
    is_long = sizes * _SHARE > count if count >= _CHUNKS_MIN else numpy.zeros(len(sizes), numpy.bool_)
    long = numpy.flatnonzero(is_long)
    bits = numpy.zeros((len(long), (count + 7) // 8), numpy.uint8)
    for row, number in enumerate(long.tolist()):
        flags = numpy.zeros(count, numpy.bool_)
        flags[lists.places_of(number)] = True
        bits[row] = numpy.packbits(flags)
    rare = ~is_long
    places = lists.places[numpy.repeat(rare, sizes)] if len(long) else lists.places
    starts = narrow(numpy.concatenate([[0], numpy.cumsum(sizes[rare], dtype=numpy.int64)]))
    return NGrams(Postings(lists.keys[rare], starts, places, lists.lengths), lists.keys[long], bits)


def _unpacked(ngrams: NGrams) -> Postings:
    """Return all n-grams as lists."""
    lists = ngrams.lists
    if not len(ngrams.frequent):
        return lists
    frequent = [numpy.flatnonzero(ngrams.bits_of(row)).astype(numpy.uint16) for row in range(len(ngrams.frequent))]
    sizes = numpy.array([len(each) for each in frequent], numpy.int64)
    starts = numpy.concatenate([[0], numpy.cumsum(sizes)])
    long = Postings(ngrams.frequent, starts, numpy.concatenate(frequent), lists.lengths[:0])
    return postings.merged([long, lists])  # the first has no chunks, so the numbers of the second stay
