"""The index of one collection: a keyword index and a vector index that number the chunks alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from emulator.domain.collections import MetricSpace
from emulator.domain.search import KeywordQuery
from emulator.store.chunks import DocumentVersion, IndexRow
from emulator.store.index.keyword import KeywordIndex

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

    from emulator.store.index.vectors import VectorIndex


class IndexQuery(msgspec.Struct, frozen=True):
    """What to rank by: keywords, a vector, or both. `accepts` filters by file id; None accepts all."""

    keywords: KeywordQuery | None
    vector: NDArray[float32] | None
    metric: MetricSpace
    depth: int | None  # how many chunks of each ranking; None is all
    accepts: Callable[[str], bool] | None = None


class Hit(msgspec.Struct, frozen=True):
    """A chunk in one ranking. The rank, from 1, is that among all chunks, accepted or not: a filter never moves it."""

    version: DocumentVersion
    ordinal: int
    rank: int
    score: float


class IndexResult(msgspec.Struct, frozen=True):
    """The rankings asked for, best first."""

    keyword: list[Hit]
    vector: list[Hit]


class Index:
    """Both indexes of a collection, for use by one thread."""

    def __init__(self) -> None:
        self._keyword = KeywordIndex()
        self._vectors: VectorIndex | None = None  # while there is no chunk
        self._chunks: dict[int, tuple[DocumentVersion, int]] = {}  # by number, in the order in which they were indexed
        self._numbers: dict[DocumentVersion, list[int]] = {}
        self._next = 1

    def add(self, rows: list[IndexRow]) -> None:
        """Append chunks."""
        if not rows:
            return
        if self._vectors is None:
            from emulator.store.index.vectors import VectorIndex  # and with it numpy, in this thread

            self._vectors = VectorIndex()
        numbered = list(enumerate(rows, self._next))
        self._next += len(rows)
        self._keyword.add([(number, row.text) for number, row in numbered])
        self._vectors.add([(number, row.vector) for number, row in numbered])
        for number, row in numbered:
            self._chunks[number] = row.version, row.ordinal
            self._numbers.setdefault(row.version, []).append(number)

    def remove(self, versions: Iterable[DocumentVersion]) -> None:
        """Remove the chunks of versions; those that are not in the index are skipped."""
        numbers = [number for version in versions for number in self._numbers.pop(version, ())]
        if numbers and self._vectors is not None:
            self._keyword.remove(numbers)
            self._vectors.remove(numbers)
            for number in numbers:
                del self._chunks[number]

    def answer(self, query: IndexQuery) -> IndexResult:
        """Rank the chunks."""
        keyword: Iterator[tuple[int, float]] = iter(())
        vector: Iterator[tuple[int, float]] = iter(())
        depth = query.depth if query.accepts is None else None
        if query.keywords is not None:
            keyword = self._keyword.ranking(query.keywords, depth)
        if query.vector is not None and self._vectors is not None:
            vector = self._vectors.ranking(query.vector, query.metric, depth)
        return IndexResult(self._found(keyword, query), self._found(vector, query))

    def _found(self, ranking: Iterable[tuple[int, float]], query: IndexQuery) -> list[Hit]:
        found = (Hit(*self._chunks[number], rank, score) for rank, (number, score) in enumerate(ranking, 1))
        accepts = query.accepts
        return list(islice((f for f in found if accepts is None or accepts(f.version.file_id)), query.depth))

    def close(self) -> None:
        """Free the memory."""
        self._keyword.close()
