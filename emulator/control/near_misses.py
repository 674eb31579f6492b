"""Which route was meant by a request that fits none: those that differ from it by the fewest letters."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from emulator.rest.route import Route

_PARAMETER = re.compile(r"\{\w+\}")
DISTANCE_MAX = 8
LETTERS_PER_MISTAKE = 3
TARGET_CHARS_MAX = 300


class NearMiss(Struct):
    """A route that a request almost fits; `distance` counts letters, a wrong method counts one."""

    method: str
    path: str
    operation: str
    distance: int


def near_misses(method: str, target: str, routes: Sequence[Route], limit: int = 3) -> list[NearMiss]:
    """The routes that a request may have meant, the nearest first."""
    path = target.partition("?")[0][:TARGET_CHARS_MAX]
    found = [
        NearMiss(
            route.method, route.path, route.operation, edits(path, _filled(route.path, path)) + (route.method != method)
        )
        for route in routes
    ]
    near = [each for each in found if each.distance <= min(DISTANCE_MAX, len(path) // LETTERS_PER_MISTAKE)]
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


def edits(one: str, other: str) -> int:
    """The number of letters to insert, delete or replace to make one text of the other (Levenshtein)."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]
