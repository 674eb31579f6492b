"""Queries of the journal: find matching calls, and check their number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from itertools import takewhile
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from emulator.pipeline.journal.journal import Entry, Ring
from emulator.pipeline.journal.views import request_json

Pattern = Annotated[str, Meta(max_length=2000, description="May hold `*` and `?`.")]
Count = Annotated[int, Meta(ge=0, le=2**31)]


class CallQuery(Struct, forbid_unknown_fields=True, kw_only=True):
    """Selects the calls that match every given field."""

    operation: Pattern | None = None
    transport: Literal["rest", "grpc"] | None = None
    method: Pattern | None = None
    target: Pattern | None = None  # path and query, as received
    outcome: Annotated[str, Meta(description='"ok", "refused", or a kind such as "NOT_FOUND".')] | None = None
    status: int | str | None = None  # of HTTP, or the name of a gRPC code
    fault: Pattern | None = None
    body: Annotated[Any, Meta(description="Values that the JSON of the request contains.")] | UnsetType = UNSET
    after: Annotated[Count, Meta(description="Only calls with a greater number.")] = 0


class Expectation(CallQuery, forbid_unknown_fields=True, kw_only=True):
    """How many calls are expected to match: a number or a range; at least one if nothing is given."""

    times: Count | None = None
    at_least: Count | None = None
    at_most: Count | None = None

    @property
    def range(self) -> tuple[int, int | None]:
        """Return the minimum and the maximum number of calls; None is no maximum."""
        if self.times is not None:
            return self.times, self.times
        if self.at_least is None and self.at_most is None:
            return 1, None
        return self.at_least or 0, self.at_most


class Inconclusive(Exception):
    """The calls that could decide were evicted from the journal."""


def find(ring: Ring, query: CallQuery, limit: int | None = None) -> list[Entry]:
    """Return the calls that match, oldest first; the last ones if there are more than the limit."""
    given, found = _given(query), list[Entry]()
    for entry in _after(ring, query):
        if len(found) == limit:
            break
        if not any(_differences(entry, given)):
            found.append(entry)
    return found[::-1]


def holds(ring: Ring, expected: Expectation, found: int) -> bool:
    """Return whether the number of calls is as expected. Raises Inconclusive if evicted calls could change that."""
    low, high = expected.range
    most = found + ring.evicted_since(expected.after)
    if found >= low and (high is None or most <= high):
        return True
    if most < low or (high is not None and found > high):
        return False
    raise Inconclusive


def nearest(ring: Ring, query: CallQuery, limit: int) -> list[tuple[Entry, list[str]]]:
    """Return the calls that nearly match, the fewest differences first, each with the fields that differ."""
    given = _given(query)
    candidates = [(entry, wrong) for entry in _after(ring, query) if (wrong := list(_differences(entry, given)))]
    return sorted(candidates, key=lambda pair: (len(pair[1]), -pair[0].number))[:limit]


def _after(ring: Ring, query: CallQuery) -> Iterator[Entry]:
    """Return the entries that a query is about, newest first: of a full journal most queries are about the last few."""
    return takewhile(lambda entry: entry.number > query.after, reversed(ring.entries))


def _given(query: CallQuery) -> dict[str, Any]:
    """Return the values of a query by the names of their tests."""
    values = {name: getattr(query, name) for name in _TESTS}
    return {name: wanted for name, wanted in values.items() if wanted is not None and wanted is not UNSET}


def _differences(entry: Entry, given: dict[str, Any]) -> Iterator[str]:
    """Yield the names of the fields that do not match."""
    for name, wanted in given.items():
        if not _TESTS[name](entry, wanted):
            yield name


def _contains(value: Any, wanted: Any) -> bool:
    """Return whether a JSON value contains another: objects may have more members, all else must be equal."""
    if isinstance(wanted, dict) and isinstance(value, dict):
        return all(name in value and _contains(value[name], item) for name, item in wanted.items())
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)


def _outcome(entry: Entry, wanted: str) -> bool:
    if wanted == "refused":
        return entry.outcome not in ("ok", None)
    return entry.outcome == wanted


_TESTS: dict[str, Callable[[Entry, Any], bool]] = {
    "operation": lambda entry, glob: fnmatchcase(entry.operation or "", glob),
    "transport": lambda entry, transport: entry.transport == transport,
    "method": lambda entry, glob: fnmatchcase(entry.method, glob),
    "target": lambda entry, glob: fnmatchcase(entry.target, glob),
    "outcome": _outcome,
    "status": lambda entry, status: entry.status == status,
    "fault": lambda entry, glob: any(fnmatchcase(fault, glob) for fault in entry.faults),
    "body": lambda entry, wanted: _contains(request_json(entry), wanted),
}
