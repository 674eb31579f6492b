"""Which route was meant by a request that fits none: those that differ from it by the fewest letters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

_PARAMETER = re.compile(r"\{\w+\}")
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
    """A route that a request almost fits; `distance` counts letters, a wrong method counts one."""

    method: str
    path: str
    operation: str
    distance: int


def near_misses(method: str, target: str, routes: Sequence[ApiRoute], limit: int = 3) -> list[NearMiss]:
    """The routes that a request may have meant, the nearest first."""
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
    """A route's path with its parameters taken from a request, as far as that has segments in their places."""
    given = path.split("/")
    segments = template.split("/")
    for index, segment in enumerate(segments):
        if index < len(given) and _PARAMETER.match(segment):
            value, colon, _ = given[index].rpartition(":")
            segments[index] = _PARAMETER.sub(lambda _, text=value if colon else given[index]: text, segment)  # type: ignore[misc]
    return "/".join(segments)


def edits(one: str, other: str, most: int) -> int:
    """The number of letters to insert, delete or replace to make one text of the other, or one that is over the most.

    Levenshtein's, of whose table only the cells are filled in that can lead to so few.
    """
    over = most + 1
    if abs(len(one) - len(other)) > most:
        return over
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        first, last = max(1, i - most), min(len(other), i + most)
        previous, row[first - 1] = row[first - 1], i if first == 1 else over
        for j in range(first, last + 1):
            left_out = row[j] if j < i + most else over  # beyond the cells that the row above has
            previous, row[j] = row[j], min(left_out + 1, row[j - 1] + 1, previous + (a != other[j - 1]))
        if min(row[first - 1 : last + 1]) > most:
            return over
    return min(row[-1], over)
