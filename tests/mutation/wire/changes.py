"""What can be wrong about a value of the wire, by its kind."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

Json = Any
Path = tuple[str, ...]  # names of members; EACH stands for the items of a list, ANY for the members of a map

EACH, ANY = "[]", "*"
_MAPS = {"fields", "metadata", "values"}  # members whose own members have no fixed names
_IDS = ("id", "file_id", "collection_id", "batch_id", "batch_request_id", "chunk_id", "api_key_id", "name")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})")


def kind_of(value: Json) -> str:
    """Return the kind of a value: a text may be a number, a time, a date or an id."""
    if isinstance(value, str):
        for kind, pattern in (("time", _TIME), ("date", _DATE), ("numeral", re.compile(r"-?\d+"))):
            if pattern.fullmatch(value):
                return kind
        return "id" if _UUID.search(value) else "text"
    return "null" if value is None else type(value).__name__


def _empty(value: Json) -> Json:
    if isinstance(value, str):
        return {"time": "1970-01-01T00:00:00Z", "date": "1970-01-01", "numeral": "0"}.get(kind_of(value), "")
    return value if value is None else type(value)()


def _later(seconds: int) -> Callable[[str], str]:
    def change(value: str) -> str:
        moment = datetime.fromisoformat(value) + timedelta(seconds=seconds)
        return moment.date().isoformat() if kind_of(value) == "date" else moment.isoformat().replace("+00:00", "Z")

    return change


_TEXTS, _NUMBERS = ("text", "id"), ("int", "float")
# Name, kinds of values, and the change.
_BY_VALUE: tuple[tuple[str, tuple[str, ...], Callable[[Any], Json]], ...] = (
    ("empty", ("text", "id", "numeral", "time", "date", "int", "float", "bool", "list"), _empty),
    ("longer", _TEXTS, lambda value: value + "x"),
    ("lower-case", _TEXTS, str.lower),
    ("ascii", _TEXTS, lambda value: value.encode("ascii", "replace").decode()),
    ("cut", ("text",), lambda value: value[:20]),
    ("stripped", _TEXTS, str.strip),
    ("other-id", ("id",), lambda value: _UUID.sub(r"01234567\1", value)),
    ("plus-one", ("numeral",), lambda value: str(int(value) + 1)),
    ("plus-one", ("int",), lambda value: value + 1),
    ("plus-one", ("float",), lambda value: value * 1.01),
    ("minus-one", ("int",), lambda value: value - 1),
    ("double", _NUMBERS, lambda value: value * 2),
    ("rounded", ("float",), lambda value: round(value, 2)),
    ("at-most-one", ("float",), lambda value: min(value, 1.0)),
    ("later", ("time",), _later(2)),
    ("day-later", ("time", "date"), _later(86400)),
    ("seconds", ("time",), lambda value: re.sub(r"\.\d+", "", value)),
    ("milliseconds", ("time",), lambda value: re.sub(r"(\.\d{3})\d*", r"\1", value)),
    ("offset", ("time",), lambda value: value.replace("Z", "+00:00")),
    ("not", ("bool",), lambda value: not value),
    ("as-text", ("int", "float", "bool"), lambda value: json.dumps(value)),
    ("as-number", ("numeral",), int),
    ("reversed", ("list",), lambda value: value[::-1]),
    ("without-last", ("list",), lambda value: value[:-1]),
    ("without-first", ("list",), lambda value: value[1:]),
    ("last-twice", ("list",), lambda value: value + value[-1:]),
    ("sorted", ("list",), lambda value: sorted(value, key=json.dumps)),
    ("null", ("text", "id", "numeral", "time", "date", "int", "float", "bool", "list", "dict"), lambda value: None),
)
_REST_ONLY = {"null", "offset", "as-text", "as-number"}  # which no message of gRPC can express
# What a server may do that keeps a value too long: the first of all, of the answer before, the first of this object.
_BY_MEMORY = ("first", "previous", "first-of-object")
_OF_REQUESTS = {"drop", "lower-case", "cut", "stripped", "plus-one", "minus-one", "not", "reversed", "without-last"}
_OF_REQUESTS |= {"without-first"}


class Seen(NamedTuple):
    """What was seen at one place of one call: some values, and the cases during which they came."""

    samples: list[Json]
    cases: set[str]


def flatten(value: Json, path: Path = ()) -> Iterator[tuple[Path, Json]]:
    """Generate every value inside a value with its path."""
    if path:
        yield path, value
    if isinstance(value, dict):
        is_map = bool(path) and path[-1] in _MAPS
        for name, member in value.items():
            yield from flatten(member, (*path, ANY if is_map else name))
    elif isinstance(value, list):
        for item in value:
            yield from flatten(item, (*path, EACH))


def names_of(seen: Seen, path: Path, siblings: dict[str, Seen], *, is_grpc: bool, is_request: bool) -> Iterator[str]:
    """Generate the names of the changes that change one of the values seen. `siblings` are of the same object."""
    if any(not is_grpc or sample not in (0, "", "0", False, None) for sample in seen.samples):
        yield "drop"
    scalars = [sample for sample in seen.samples if not isinstance(sample, list | dict)]
    names = dict.fromkeys(name for name, _, _ in _BY_VALUE if not (is_grpc and name in _REST_ONLY))
    for name in names:
        if (name in _OF_REQUESTS or not is_request) and any(changed(name, each) != each for each in seen.samples):
            yield name
    if is_request or path[-1] == ANY:
        return
    if len(scalars) > 1:
        yield from _BY_MEMORY
    kinds = {kind_of(sample) for sample in scalars if sample is not None}
    alike = [name for name, other in sorted(siblings.items()) if kinds & {kind_of(each) for each in other.samples}]
    yield from (f"like-{name}" for name in alike[:3] if scalars and path[-1] != EACH)


def changed(name: str, value: Json) -> Json:
    """The value after a change that depends on nothing else."""
    for known, kinds, change in _BY_VALUE:
        if known == name and kind_of(value) in kinds:
            return change(value)
    return value


class Changer:
    """Applies one change at one path, and remembers values for the changes that repeat old ones."""

    def __init__(self, name: str, path: Path, *, is_grpc: bool) -> None:
        self.count = 0  # values that were changed
        self._name, self._path, self._is_grpc = name, path, is_grpc
        self._memory: dict[Any, Json] = {}

    def forget(self) -> None:
        """Begin a case."""
        self._memory.clear()

    def apply(self, value: Json) -> bool:
        """Change a value in place; return whether anything is different."""
        before = self.count
        self._walk(value, self._path, ())
        return self.count > before

    def _walk(self, value: Json, path: Path, above: tuple[Json, ...]) -> None:
        head, rest = path[0], path[1:]
        keys: list[Any] = []
        if isinstance(value, list):
            keys = [*range(len(value))] if head == EACH else []
        elif isinstance(value, dict):
            keys = [*value] if head == ANY else [head] if head in value else []
        for key in reversed(keys) if self._name == "drop" else keys:
            if rest:
                self._walk(value[key], rest, (*above, value))
            else:
                self._change(value, key, (*above, value))

    def _change(self, parent: Json, key: Any, above: tuple[Json, ...]) -> None:
        old = parent[key]
        if self._name == "drop":
            if not self._is_grpc or old not in (0, "", "0", False, None, [], {}):
                del parent[key]
                self.count += 1
            return
        new = self._new(parent, key, above)
        if json.dumps(new) != json.dumps(old):
            parent[key] = copy.deepcopy(new)
            self.count += 1

    def _new(self, parent: Json, key: Any, above: tuple[Json, ...]) -> Json:
        old = parent[key]
        if self._name.startswith("like-"):
            return parent.get(self._name.removeprefix("like-"), old) if isinstance(parent, dict) else old
        if self._name == "previous":
            new, self._memory["previous"] = self._memory.get("previous", old), copy.deepcopy(old)
            return new
        if self._name in _BY_MEMORY:
            owner = _owner(above, key) if self._name == "first-of-object" else None
            return self._memory.setdefault(owner, copy.deepcopy(old))
        return changed(self._name, old)


def _owner(above: tuple[Json, ...], changing: Any) -> Json:
    """The id of the object in which a member is."""
    for level, parent in enumerate(reversed(above)):
        for name in _IDS if isinstance(parent, dict) else ():
            if isinstance(parent.get(name), str) and (level or name != changing):
                return parent[name]
    return None
