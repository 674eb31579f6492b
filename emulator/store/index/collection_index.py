"""The query to the index of a collection, and its result."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from emulator.domain.collections import MetricSpace
from emulator.domain.search import KeywordQuery
from emulator.store.chunks import DocumentVersion

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

Accepts: TypeAlias = Callable[[str], bool]  # takes a file id


class IndexQuery(msgspec.Struct, frozen=True):
    """The query of a ranking: keywords, and either the vector of an embedder or, for n-grams, the text itself.

    `accepts` filters by file id; None accepts all.
    """

    keywords: KeywordQuery | None
    vector: NDArray[float32] | None
    metric: MetricSpace
    depth: int | None  # the number of chunks of each ranking; None for all
    accepts: Accepts | None = None
    spelling: str | None = None


class Hit(msgspec.Struct, frozen=True):
    """A chunk in one ranking. The rank, from 1, is that among all chunks: a filter does not change it."""

    version: DocumentVersion
    ordinal: int
    rank: int
    score: float


class IndexResult(msgspec.Struct, frozen=True):
    """The requested rankings, best first."""

    keyword: list[Hit]
    vector: list[Hit]
