"""Rank the matches of a collection by words and by vectors.

Keyword and vector scores cannot be compared with each other, nor with those of another collection. Instead ranks are
fused (Cormack, Clarke, Büttcher: Reciprocal Rank Fusion, SIGIR 2009).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from emulator.domain.search import Fusion, GroupBy, Mode, grouped
from emulator.store.chunks import DocumentVersion
from emulator.store.index.collection_index import Hit, IndexResult

Fields = Mapping[str, str]
Metadata = Mapping[str, Fields]  # by file id
Accepts = Callable[[str], bool]  # of a file id


class Candidate(msgspec.Struct, frozen=True):
    """A chunk that may match: its place in each ranking of its collection, and its score."""

    collection: int  # the position of its collection in the request
    version: DocumentVersion
    ordinal: int
    keyword: Hit | None
    vector: Hit | None
    score: float
    fields: Fields  # empty if the search does not need them

    @property
    def order(self) -> tuple[float, int, int, int]:
        """The sort key: best first; ties in the order of the collections and of indexing."""
        return -self.score, self.collection, self.version.number, self.ordinal


class Ranker(msgspec.Struct, frozen=True):
    """Ranks the matches of a collection. `by_rank` makes scores that are comparable with those of other collections."""

    mode: Mode
    fusion: Fusion
    group_by: GroupBy | None
    by_rank: bool

    @property
    def needs_all(self) -> bool:
        """Return whether the filter must run after the ranking: fused ranks depend on all chunks."""
        return self.by_rank and self.mode is Mode.HYBRID

    def rank(
        self, collection: int, answer: IndexResult, metadata: Metadata, accepts: Accepts | None
    ) -> list[Candidate]:
        """Return the accepted candidates, best first; with grouping, the best of each group."""
        keyword = {(found.version, found.ordinal): found for found in answer.keyword}
        vector = {(found.version, found.ordinal): found for found in answer.vector}
        candidates = [
            Candidate(
                *(collection, *chunk, keyword.get(chunk), vector.get(chunk)),
                score=self._score(keyword.get(chunk), vector.get(chunk)),
                fields=metadata.get(chunk[0].file_id, {}),
            )
            for chunk in {**keyword, **vector}
        ]
        candidates.sort(key=lambda candidate: candidate.order)
        if self.needs_all:
            scores = [self.fusion.of_rank(rank) for rank in range(1, len(candidates) + 1)]
            candidates = [msgspec.structs.replace(c, score=score) for c, score in zip(candidates, scores, strict=True)]
        if accepts is not None:
            candidates = [candidate for candidate in candidates if accepts(candidate.version.file_id)]
        return candidates if self.group_by is None else grouped(candidates, self.group_by)

    def _score(self, keyword: Hit | None, vector: Hit | None) -> float:
        if self.mode is Mode.HYBRID:
            ranks = (None if found is None else found.rank for found in (keyword, vector))
            return self.fusion.score(*ranks)
        found = keyword or vector
        assert found is not None
        return self.fusion.of_rank(found.rank) if self.by_rank else found.score
