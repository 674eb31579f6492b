"""Indexes of texts or vectors, each a document of its own, to be ranked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy
from numpy.typing import NDArray

from emulator.store.chunks import IndexRow
from emulator.store.index.live_index import LiveIndex


def index_of_rows(rows: Mapping[int, IndexRow], *, pieces: int = 1) -> LiveIndex:
    """An index in so many segments; the documents have their numbers as ids, and versions in the same order."""
    index = LiveIndex((), list(map(str, rows)))
    slots = list(enumerate(rows.values()))
    size = max(-(-len(slots) // pieces), 1)
    for start in range(0, len(slots), size):
        index.add(slots[start : start + size])
    index.set_versions({slot: number + 1 for slot, number in enumerate(rows)}, ())
    return index


def index_of(texts: Sequence[str], *, pieces: int = 1) -> LiveIndex:
    """An index of texts, numbered from 0."""
    return index_of_rows({number: IndexRow(0, text, b"") for number, text in enumerate(texts)}, pieces=pieces)


def index_of_vectors(vectors: Mapping[int, NDArray[numpy.float32]], *, pieces: int = 1) -> LiveIndex:
    """An index of vectors by number."""
    rows = {number: IndexRow(0, "", vector.tobytes()) for number, vector in vectors.items()}
    return index_of_rows(rows, pieces=pieces)
