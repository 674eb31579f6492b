"""One ranking of what was found in one collection, by words and by vectors.

Keyword and vector scores mean nothing beside each other, nor beside those of another collection. Where they would stand
so, ranks are fused (Cormack, Clarke, Büttcher: Reciprocal Rank Fusion, SIGIR 2009).
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
    """A chunk that may be an answer: its place in each ranking of its collection, and what that gives."""

    collection: int  # the position of its collection in the request
    version: DocumentVersion
    ordinal: int
    keyword: Hit | None
    vector: Hit | None
    score: float
    fields: Fields  # empty where the search does not look at them

    @property
    def order(self) -> tuple[float, int, int, int]:
        """Best first; equal ones as they were named and indexed."""
        return -self.score, self.collection, self.version.number, self.ordinal


class Ranker(msgspec.Struct, frozen=True):
    """Ranks what was found in a collection. `by_rank` makes scores that can stand beside those of other collections."""

    mode: Mode
    fusion: Fusion
    group_by: GroupBy | None
    by_rank: bool

    @property
    def needs_all(self) -> bool:
        """Whether a filter has to wait for the ranking: the ranks of a fused ranking are not known before."""
        return self.by_rank and self.mode is Mode.HYBRID

    def rank(
        self, collection: int, answer: IndexResult, metadata: Metadata, accepts: Accepts | None
    ) -> list[Candidate]:
        """The candidates that are accepted, best first, the best of each group where groups are asked for."""
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
