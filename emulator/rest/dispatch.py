"""From a raw path to its route. Segments are decoded after the path was split, so an id may hold any character.

`batch_1%3Acancel` is an id; `team%2Fbatch:cancel` is the id `team/batch` and the verb `cancel` (as the official
TypeScript SDK sends it).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec

from emulator.rest.reading import path_segment

R = TypeVar("R")
_PARAMETER = re.compile(r"\{(\w+)\}(:\w+)?")


@dataclass
class _Node(Generic[R]):
    literals: dict[str, _Node[R]] = field(default_factory=dict)
    verbs: dict[str, tuple[str, _Node[R]]] = field(default_factory=dict)  # `:verb` -> parameter, node
    parameter: tuple[str, _Node[R]] | None = None
    methods: dict[str, R] = field(default_factory=dict)


class Match(msgspec.Struct, Generic[R], frozen=True):
    """What a path leads to: the routes by method, and the decoded parameters."""

    methods: dict[str, R]
    parameters: dict[str, str]


class Dispatch(Generic[R]):
    """All routes as a tree of path segments: the cost of a look-up does not grow with the number of routes."""

    def __init__(self) -> None:
        self._root: _Node[R] = _Node()

    def add(self, method: str, path: str, route: R) -> None:
        """Add one route."""
        node = self._root
        for segment in path.split("/")[1:]:
            found = _PARAMETER.fullmatch(segment)
            if found is None:
                node = node.literals.setdefault(segment, _Node())
            elif found[2]:
                node = node.verbs.setdefault(found[2], (found[1], _Node()))[1]
            else:
                if node.parameter is None:
                    node.parameter = (found[1], _Node())
                assert node.parameter[0] == found[1], f"{path}: the same parameter has two names"
                node = node.parameter[1]
        assert method not in node.methods, f"{method} {path} stands twice in the table"
        node.methods[method] = route

    def find(self, raw_path: str) -> Match[R] | None:
        """The routes of a raw (still percent-encoded) path."""
        node, parameters = self._root, {}
        for segment in raw_path.split("/")[1:]:
            literal = node.literals.get(segment)
            if literal is not None:
                node = literal
                continue
            value, colon, verb = segment.rpartition(":")
            if colon and value and colon + verb in node.verbs:
                name, node = node.verbs[colon + verb]
            elif node.parameter is not None and segment:
                (name, node), value = node.parameter, segment
            else:
                return None
            parameters[name] = path_segment(value)
        return Match(node.methods, parameters) if node.methods else None
