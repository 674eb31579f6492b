"""The best chunks by their scores, and the rank of each among all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


_PART = 64  # scores in a group, of which the highest is used


def best(scores: Array, order: Array, above: float, depth: int | None, accepted: Array | None) -> tuple[Array, Array]:
    """Return the numbers of the best chunks with a score above a bound, best first, and their ranks.

    `order` breaks ties. `accepted` is a mask: other chunks are not returned, but keep their ranks.
    """
    if accepted is None:
        chosen = _first(scores, order, _high(scores, above, depth), depth)
        return chosen, numpy.arange(1, len(chosen) + 1)
    found = numpy.flatnonzero(scores > above)
    chosen = _first(scores, order, found[accepted[found]], depth)
    return chosen, _ranks(scores, order, found, chosen)


def _high(scores: Array, above: float, depth: int | None) -> Array:
    """Return the chunks with a score above a bound; with `depth`, without most chunks below the first `depth`."""
    lowest = None if depth is None else reached(scores, depth)
    if lowest is not None and lowest > above:
        return numpy.flatnonzero(scores >= lowest)
    return numpy.flatnonzero(scores > above)


def reached(scores: Array, depth: int) -> float | None:
    """Return a score, as high as possible, that `depth` chunks reach; None if there are few chunks.

    The scores are divided into more than `depth` groups. The `depth`-th highest of their maxima is such a score.
    """
    parts = len(scores) // _PART
    if parts <= depth:
        return None
    highest = scores[: parts * _PART].reshape(_PART, parts).max(axis=0)
    return float(numpy.partition(highest, parts - depth)[parts - depth])


def _first(scores: Array, order: Array, among: Array, depth: int | None) -> Array:
    """Return the first `depth` of some chunks, in their order."""
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
    """Return the ranks, from 1, of the chosen chunks among all that were found."""
    values = numpy.sort(scores[among])
    ends = numpy.searchsorted(values, scores[chosen], "right")
    ranks = len(values) - ends + 1
    ties = ends - numpy.searchsorted(values, scores[chosen], "left") > 1
    for value in numpy.unique(scores[chosen[ties]]):
        equal = numpy.sort(order[among[scores[among] == value]])
        mine = scores[chosen] == value
        ranks[mine] += numpy.searchsorted(equal, order[chosen[mine]])
    return ranks
