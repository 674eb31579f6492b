"""Inverted lists in flat arrays: which chunks of a segment have a term, how often, and where.

They are built once and never change, so any thread can read them, and they can be saved and memory-mapped. A chunk is
identified by its place in the segment, which has at most CHUNKS_MAX chunks, so that a place takes two bytes. Terms are
identified by keys: numbers of n-grams, or 64-bit hashes of words, of which two collide in less than one of a billion
vocabularies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
import numpy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

CHUNKS_MAX = 1 << 16  # of a segment
_KEYS_KEPT = 1 << 14  # the keys of recent words that are cached
_MOVED_AT_ONCE = 1 << 18  # numbers that are copied at once in a merge, to limit its memory
_EMPTY = numpy.zeros(0, numpy.uint16)


class Postings(msgspec.Struct, frozen=True, eq=False):
    """The lists of one field. List `i` belongs to `keys[i]`: `places[starts[i]:starts[i + 1]]`, ascending."""

    keys: Array  # ascending
    starts: Array
    places: Array
    lengths: Array  # of each chunk, in terms
    counts: Array | None = None  # how often the term is in the chunk; None if it counts once
    position_starts: Array | None = None  # of each list
    positions: Array | None = None  # of the terms of a list; as many for each chunk as `counts` says

    @property
    def bytes(self) -> int:
        """Return the memory that the arrays take."""
        return sum(array.nbytes for array in self.arrays.values())

    @property
    def arrays(self) -> dict[str, Array]:
        """Return every array by its name."""
        named = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return {name: array for name, array in named if array is not None}

    def lists_of(self, keys: Array) -> list[int | None]:
        """Return the number of each key's list, or None."""
        if not len(self.keys):
            return [None] * len(keys)
        found = numpy.searchsorted(self.keys, keys)
        known = self.keys.take(found, mode="clip") == keys
        return [at if is_known else None for at, is_known in zip(found.tolist(), known.tolist(), strict=True)]

    def places_of(self, number: int) -> Array:
        """Return the chunks of a list."""
        return self.places[self.starts[number] : self.starts[number + 1]]

    def counts_of(self, number: int) -> Array:
        """Return how often the term is in each chunk of a list."""
        assert self.counts is not None
        return self.counts[self.starts[number] : self.starts[number + 1]]

    def located(self, number: int) -> Array:
        """Return each occurrence of a term as one number: upper half the chunk, lower half the position."""
        assert self.position_starts is not None
        assert self.positions is not None
        where = self.positions[self.position_starts[number] : self.position_starts[number + 1]]
        chunks = numpy.repeat(self.places_of(number).astype(numpy.int64), self.counts_of(number))
        located: Array = chunks << 32 | where
        return located

    def without(self, kept: Array) -> Postings:
        """Return the lists of the chunks in the mask `kept`, which are renumbered."""
        stays = kept[self.places]
        moved = (numpy.cumsum(kept, dtype=numpy.int64) - 1).astype(numpy.uint16)
        # No list was empty, so each sum is that of one list.
        left = numpy.add.reduceat(stays, self.starts[:-1], dtype=numpy.int64) if len(self.keys) else _EMPTY
        lists = left > 0
        counts = position_starts = positions = None
        if self.counts is not None:
            counts = self.counts[stays]
        if self.positions is not None and self.counts is not None:
            positions = self.positions[numpy.repeat(stays, self.counts)]
            position_starts = _starts(_sums(counts, left[lists]))
        return Postings(
            self.keys[lists],
            _starts(left[lists]),
            moved[self.places[stays]],
            self.lengths[kept],
            counts,
            position_starts,
            positions,
        )


@lru_cache(_KEYS_KEPT)
def key_of(term: str) -> int:
    """Return the key of a word: the same in every process and on every machine."""
    digest = hashlib.blake2b(term.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def of_terms(chunks: Sequence[Sequence[str]], *, positions: bool) -> Postings:
    """Return the lists of chunks that are given as their terms."""
    lengths = numpy.fromiter(map(len, chunks), numpy.int64, len(chunks))
    total = int(lengths.sum())
    keys = numpy.fromiter((key_of(term) for terms in chunks for term in terms), numpy.uint64, total)
    # Stable: a list keeps the order of the chunks, and a chunk that of its terms.
    order = numpy.argsort(keys, kind="stable")
    keys, places = keys[order], numpy.repeat(numpy.arange(len(chunks)), lengths)[order]
    is_first = _changes(keys)
    is_new = is_first | _changes(places)
    at = numpy.flatnonzero(is_new)
    first = numpy.flatnonzero(is_first)
    where = position_starts = None
    if positions:
        where = narrow((numpy.arange(total) - numpy.repeat(_starts(lengths)[:-1], lengths))[order])
        position_starts = narrow(numpy.append(first, total))
    return Postings(
        keys[first],
        narrow(numpy.append(numpy.searchsorted(at, first), len(at))),
        places[at].astype(numpy.uint16),
        narrow(lengths),
        narrow(numpy.diff(at, append=total)),
        position_starts,
        where,
    )


def of_numbers(places: Array, numbers: Array, count: int) -> Postings:
    """Return the lists of numbers in chunks, of which there are `count`; a number counts once in each chunk."""
    pairs = numpy.unique(numbers.astype(numpy.uint64) << numpy.uint64(16) | places)
    found, places = (
        (pairs >> numpy.uint64(16)).astype(numpy.uint32),
        (pairs & numpy.uint64(0xFFFF)).astype(numpy.uint16),
    )
    first = numpy.flatnonzero(_changes(found))
    return Postings(
        found[first],
        narrow(numpy.append(first, len(found))),
        places,
        narrow(numpy.bincount(places, minlength=count)),
    )


def merged(parts: Sequence[Postings]) -> Postings:
    """Return the lists of all parts, whose chunks are numbered consecutively."""
    keys = numpy.concatenate([part.keys for part in parts])
    order = numpy.argsort(keys, kind="stable")
    keys = keys[order]
    first = numpy.flatnonzero(_changes(keys))
    shifts = _starts(numpy.array([len(part.lengths) for part in parts]))[:-1]
    sizes = numpy.concatenate([numpy.diff(part.starts) for part in parts])
    places = numpy.concatenate([part.places + numpy.uint16(at) for part, at in zip(parts, shifts, strict=True)])
    starts = _starts(sizes[order])
    counts = position_starts = positions = None
    if parts[0].counts is not None:
        counts = _rearranged(numpy.concatenate([part.counts for part in parts]), sizes, order)
    if parts[0].positions is not None:
        begins = [part.position_starts for part in parts if part.position_starts is not None]
        occurrences = numpy.concatenate([numpy.diff(each) for each in begins])
        positions = _rearranged(numpy.concatenate([part.positions for part in parts]), occurrences, order)
        position_starts = narrow(_starts(occurrences[order])[numpy.append(first, len(order))])
    return Postings(
        keys[first],
        narrow(starts[numpy.append(first, len(order))]),
        _rearranged(places, sizes, order),
        numpy.concatenate([part.lengths for part in parts]),
        counts,
        position_starts,
        positions,
    )


def unique(values: Array) -> Array:
    """Return the sorted distinct values: many times faster than `numpy.unique`, which hashes."""
    ascending = numpy.sort(values)
    found: Array = ascending[_changes(ascending)]
    return found


def narrow(array: Array) -> Array:
    """Return the same numbers, none negative, in the smallest type that can represent them."""
    return array.astype(numpy.min_scalar_type(int(array.max(initial=0))))


def _rearranged(values: Array, sizes: Array, order: Array) -> Array:
    """Return runs of values of these sizes, in another order."""
    result = numpy.empty_like(values)
    begins, sizes, at = _starts(sizes)[:-1][order], sizes[order].astype(numpy.int64), 0
    for runs in _pieces(sizes):
        ends = numpy.cumsum(sizes[runs])
        total = int(ends[-1])
        source = numpy.arange(total) + numpy.repeat(begins[runs] - ends + sizes[runs], sizes[runs])
        numpy.take(values, source, out=result[at : at + total])
        at += total
    return result


def _pieces(sizes: Array) -> Iterator[slice]:
    """Yield slices of runs whose total size is at most what is copied at once, or of a single run."""
    ends = numpy.cumsum(sizes)
    start = 0
    while start < len(sizes):
        before = int(ends[start - 1]) if start else 0
        end = max(int(numpy.searchsorted(ends, before + _MOVED_AT_ONCE, "right")), start + 1)
        yield slice(start, end)
        start = end


def _starts(sizes: Array) -> Array:
    """Return the start of each run of these sizes, and the end of the last one."""
    starts = numpy.zeros(len(sizes) + 1, numpy.int64)
    numpy.cumsum(sizes, out=starts[1:])
    return starts


def _sums(values: Array | None, sizes: Array) -> Array:
    """Return the sum of each run of values."""
    assert values is not None
    if not len(sizes):
        return numpy.zeros(0, numpy.int64)
    sums: Array = numpy.add.reduceat(values, _starts(sizes)[:-1], dtype=numpy.int64)
    return sums


def _changes(values: Array) -> Array:
    """Return a mask of the values that differ from the previous one, including the first."""
    changes = numpy.ones(len(values), numpy.bool_)
    numpy.not_equal(values[1:], values[:-1], out=changes[1:])
    return changes
