"""Suggest routes for a request that matches none: those with the smallest edit distance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from emulator.core.lazy_pattern import lazy_pattern

_PARAMETER = lazy_pattern(r"\{\w+\}")
DISTANCE_MAX = 8
LETTERS_PER_MISTAKE = 3
TARGET_CHARS_MAX = 300


class ApiRoute(Protocol):
    """A route of the REST API."""

    @property
    def method(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def operation(self) -> str: ...


class NearMiss(Struct):
    """A route that a request nearly matches; `distance` counts letters, and 1 for a wrong method."""

    method: str
    path: str
    operation: str
    distance: int


def near_misses(method: str, target: str, routes: Sequence[ApiRoute], limit: int = 3) -> list[NearMiss]:
    """Return the routes that a request may have meant, nearest first."""
    path = target.partition("?")[0][:TARGET_CHARS_MAX]
    most = min(DISTANCE_MAX, len(path) // LETTERS_PER_MISTAKE)
    found = [
        NearMiss(
            *(route.method, route.path, route.operation),
            edits(path, _filled(route.path, path), most) + (route.method != method),
        )
        for route in routes
    ]
    near = [each for each in found if each.distance <= most]
    return sorted(near, key=lambda each: (each.distance, each.path, each.method))[:limit]


def _filled(template: str, path: str) -> str:
    """Return a route's path with its parameters replaced by the segments of a request in the same places."""
    given = path.split("/")
    segments = template.split("/")
    for index, segment in enumerate(segments):
        if index < len(given) and _PARAMETER.match(segment):
            value, colon, _ = given[index].rpartition(":")
            segments[index] = _PARAMETER.sub(lambda _, text=value if colon else given[index]: text, segment)  # type: ignore[misc]
    return "/".join(segments)


def edits(one: str, other: str, most: int) -> int:
    """Return the Levenshtein distance of two texts, or any number above `most` if it is larger than that.

    Only the cells of the table that can lead to a distance of at most `most` are computed.
    """
    over = most + 1
    if abs(len(one) - len(other)) > most:
        return over
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        first, last = max(1, i - most), min(len(other), i + most)
        previous, row[first - 1] = row[first - 1], i if first == 1 else over
        for j in range(first, last + 1):
            left_out = row[j] if j < i + most else over  # outside the computed cells of the row above
            previous, row[j] = row[j], min(left_out + 1, row[j - 1] + 1, previous + (a != other[j - 1]))
        if min(row[first - 1 : last + 1]) > most:
            return over
    return min(row[-1], over)
