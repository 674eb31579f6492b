"""What a search asks of the index of a collection, and what it answers."""

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

Accepts: TypeAlias = Callable[[str], bool]  # of a file id


class IndexQuery(msgspec.Struct, frozen=True):
    """What to rank by: keywords, and either the vector of an embedder or, for the stand-in, the text itself.

    `accepts` filters by file id; None accepts all.
    """

    keywords: KeywordQuery | None
    vector: NDArray[float32] | None
    metric: MetricSpace
    depth: int | None  # how many chunks of each ranking; None is all
    accepts: Accepts | None = None
    spelling: str | None = None


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
