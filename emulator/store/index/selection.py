"""The best chunks by their scores, and the rank of each among all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


def best(scores: Array, order: Array, above: float, depth: int | None, accepted: Array | None) -> tuple[Array, Array]:
    """The numbers of the best chunks with a score above a bound, best first, and their ranks.

    Equal scores stand as `order` says. `accepted` is a mask: what it leaves out is not returned, but keeps its rank.
    """
    found = numpy.flatnonzero(scores > above)
    if accepted is None:
        chosen = _first(scores, order, found, depth)
        return chosen, numpy.arange(1, len(chosen) + 1)
    chosen = _first(scores, order, found[accepted[found]], depth)
    return chosen, _ranks(scores, order, found, chosen)


def _first(scores: Array, order: Array, among: Array, depth: int | None) -> Array:
    """The first of some chunks, in their order."""
    if depth is not None and depth < len(among):
        values = scores[among]
        lowest = numpy.partition(values, len(values) - depth)[len(values) - depth]
        higher, equal = among[values > lowest], among[values == lowest]
        needed = depth - len(higher)
        if needed < len(equal):
            equal = equal[numpy.argpartition(order[equal], needed - 1)[:needed]]
        among = numpy.concatenate([higher, equal])
    sorted_chunks: Array = among[numpy.lexsort((order[among], -scores[among]))]
    return sorted_chunks


def _ranks(scores: Array, order: Array, among: Array, chosen: Array) -> Array:
    """The rank from 1 of the chosen among all that were found."""
    values = numpy.sort(scores[among])
    ends = numpy.searchsorted(values, scores[chosen], "right")
    ranks = len(values) - ends + 1
    ties = ends - numpy.searchsorted(values, scores[chosen], "left") > 1
    for value in numpy.unique(scores[chosen[ties]]):
        equal = numpy.sort(order[among[scores[among] == value]])
        mine = scores[chosen] == value
        ranks[mine] += numpy.searchsorted(equal, order[chosen[mine]])
    return ranks
