"""A segment: the chunks that were indexed together, as inverted lists and vectors. It never changes.

An index is a few segments. New chunks become small segments, and small segments are merged into larger ones. A merge
drops the chunks of removed documents; until then searches skip them. So indexing a chunk costs the same for any number
of chunks, and removing a document costs almost nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy

from emulator.store.chunks import IndexRow
from emulator.store.index import bitmaps, postings
from emulator.store.index.analysis import FIELDS, fields_of
from emulator.store.index.bitmaps import NGrams
from emulator.store.index.ngrams import ngrams_of
from emulator.store.index.postings import CHUNKS_MAX, Postings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

_FORMER_STAND_IN = 1024  # dimensions: former versions stored n-gram vectors, which may have this number


class Vectors(msgspec.Struct, frozen=True, eq=False):
    """Vectors of an embedder: a row of float32 for each of some chunks."""

    places: Array
    rows: Array


class Segment(msgspec.Struct, frozen=True, eq=False):
    """Chunks, each identified by the slot of its document in the index and its ordinal in the document."""

    slots: Array
    ordinals: Array
    fields: tuple[Postings, ...]
    ngrams: NGrams
    vectors: Mapping[int, Vectors] = {}  # by dimensions
    name: str | None = None  # of the file from which it was read or to which it was saved

    def __len__(self) -> int:
        return len(self.slots)

    @property
    def bytes(self) -> int:
        """Return the memory that the arrays take."""
        lists = sum(field.bytes for field in self.fields) + self.ngrams.bytes
        return (
            lists + self.slots.nbytes + self.ordinals.nbytes + sum(each.rows.nbytes for each in self.vectors.values())
        )

    @property
    def arrays(self) -> dict[str, Array]:
        """Return every array by its name, from which `of_arrays` restores the segment."""
        named = {"slots": self.slots, "ordinals": self.ordinals}
        for number, field in enumerate(self.fields):
            named |= {f"{number}.{name}": array for name, array in field.arrays.items()}
        named |= {f"ngrams.{name}": array for name, array in self.ngrams.lists.arrays.items()}
        named |= {"frequent": self.ngrams.frequent, "bits": self.ngrams.bits}
        for dimensions, each in self.vectors.items():
            named |= {f"places.{dimensions}": each.places, f"rows.{dimensions}": each.rows}
        return named

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Array], name: str) -> Segment:
        """Return the segment of a file. Raises KeyError if an array is missing."""

        def lists(prefix: str) -> Postings:
            found = {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
            return Postings(**found)

        dimensions = [int(key.removeprefix("rows.")) for key in arrays if key.startswith("rows.")]
        return cls(
            arrays["slots"],
            arrays["ordinals"],
            tuple(lists(f"{number}.") for number in range(len(FIELDS))),
            NGrams(lists("ngrams."), arrays["frequent"], arrays["bits"]),
            {each: Vectors(arrays[f"places.{each}"], arrays[f"rows.{each}"]) for each in dimensions},
            name,
        )

    def without(self, kept: Array) -> Segment:
        """Return a segment of the chunks in a mask."""
        moved = numpy.cumsum(kept) - 1
        vectors = {}
        for dimensions, each in self.vectors.items():
            stays = kept[each.places]
            if stays.any():
                vectors[dimensions] = Vectors(moved[each.places[stays]].astype(numpy.uint16), each.rows[stays])
        return Segment(
            self.slots[kept],
            self.ordinals[kept],
            tuple(field.without(kept) for field in self.fields),
            self.ngrams.without(kept),
            vectors,
        )


def built(rows: Sequence[tuple[int, IndexRow]]) -> Segment:
    """Return a segment of chunks, each with the slot of its document."""
    texts = [row.text for _, row in rows]
    cut = [fields_of(text) for text in texts]
    fields = tuple(
        postings.of_terms([terms[number] for terms in cut], positions=field.positions)
        for number, field in enumerate(FIELDS)
    )
    compared = [text if _has_ngrams(row.vector) else "" for text, (_, row) in zip(texts, rows, strict=True)]
    vectors: dict[int, tuple[list[int], list[bytes]]] = {}
    for place, (_, row) in enumerate(rows):
        if row.vector:
            places, found = vectors.setdefault(len(row.vector) // 4, ([], []))
            places.append(place)
            found.append(row.vector)
    return Segment(
        numpy.fromiter((slot for slot, _ in rows), numpy.uint32, len(rows)),
        numpy.fromiter((row.ordinal for _, row in rows), numpy.uint32, len(rows)),
        fields,
        bitmaps.packed(postings.of_numbers(*ngrams_of(compared), len(rows))),
        {
            dimensions: Vectors(
                numpy.array(places, numpy.uint16), numpy.frombuffer(b"".join(found), "<f4").reshape(-1, dimensions)
            )
            for dimensions, (places, found) in vectors.items()
        },
    )


def merged(parts: Sequence[Segment]) -> Segment:
    """Return one segment of all chunks of several, in their order."""
    vectors: dict[int, list[Vectors]] = {}
    shift = 0
    for part in parts:
        for dimensions, each in part.vectors.items():
            vectors.setdefault(dimensions, []).append(Vectors(each.places + numpy.uint16(shift), each.rows))
        shift += len(part)
    assert shift <= CHUNKS_MAX, shift
    return Segment(
        numpy.concatenate([part.slots for part in parts]),
        numpy.concatenate([part.ordinals for part in parts]),
        tuple(postings.merged([part.fields[number] for part in parts]) for number in range(len(FIELDS))),
        bitmaps.merged([part.ngrams for part in parts]),
        {
            dimensions: Vectors(
                numpy.concatenate([each.places for each in found]), numpy.concatenate([each.rows for each in found])
            )
            for dimensions, found in vectors.items()
        },
    )


def _has_ngrams(vector: bytes) -> bool:
    """Return whether a chunk is compared by n-grams: it has no vector, or one that may be a stored n-gram vector."""
    return not vector or len(vector) == 4 * _FORMER_STAND_IN


def compared_by_ngrams(segment: Segment) -> Array | None:
    """Return a mask of the chunks that are compared by n-grams; None if all are."""
    others = [each.places for dimensions, each in segment.vectors.items() if dimensions != _FORMER_STAND_IN]
    if not others:
        return None
    mask = numpy.ones(len(segment), numpy.bool_)
    mask[numpy.concatenate(others)] = False
    return mask
