"""What a value must look like. Each check returns the reason why it does not, or None, so that it can be asked again.

An expectation is a plain value, or:
- a word that starts with `$`: a kind of value (`$file_id`, `$null`, `$absent`; see KINDS);
- a table with one key that starts with `$`: a relation (`{"$contains": "x"}`; see RELATIONS);
- a table: an object that has at least these members; a list: exactly these items.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

ABSENT: Any = type("Absent", (), {"__repr__": lambda self: "nothing"})()
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_CLOCK_SKEW_SECONDS_MAX = 86_400  # of this machine and the server's


def _matching(pattern: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


KINDS: dict[str, Callable[[Any], bool]] = {
    "$any": lambda value: value is not ABSENT,
    "$absent": lambda value: value is ABSENT,
    "$null": lambda value: value is None,
    "$text": lambda value: isinstance(value, str) and value != "",
    "$whole": _is_integer,
    "$number": lambda value: _is_integer(value) or isinstance(value, float),
    "$int64": _matching(r"-?\d+"),  # the JSON of protobuf writes it as a string
    "$uuid": _matching(UUID),
    "$file_id": _matching(f"file_{UUID}"),
    "$collection_id": _matching(f"collection_{UUID}"),
    "$batch_id": _matching(f"batch_{UUID}"),
    "$batch_request_id": _matching(f"batch_request_{UUID}"),
    "$blake3": _matching("[0-9a-f]{64}"),
    "$timestamp": _matching(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"),
    "$date": _matching(r"\d{4}-\d\d-\d\d"),
    "$unix_now": lambda value: _is_integer(value) and abs(value - time.time()) < _CLOCK_SKEW_SECONDS_MAX,
}


def _seconds_between(start: Any, end: Any) -> int | None:
    """The whole seconds between two Unix times, dates or timestamps; None where one of them is something else."""
    try:
        first, last = (each if _is_integer(each) else datetime.fromisoformat(each).timestamp() for each in (start, end))
    except (TypeError, ValueError):
        return None
    return round(last - first)


def _is_sum(value: Any, total: str, *parts: str) -> bool:
    """Whether a member is the sum of other ones, each named by a path; one that is missing counts nothing."""

    def member(path: str) -> Any:
        found = value
        for name in path.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        return found or 0

    return bool(member(total) == sum(map(member, parts)))


def _each(value: Any, expected: Any) -> bool:
    return isinstance(value, list) and all(mismatch(item, expected) is None for item in value)


def _some(value: Any, expected: Any) -> bool:
    return isinstance(value, list) and any(mismatch(item, expected) is None for item in value)


RELATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "$is": lambda value, other: bool(value == other),
    "$not": lambda value, expected: mismatch(value, expected) is not None,
    "$in": lambda value, others: value in others,
    "$contains": lambda value, part: isinstance(value, str | list | dict) and part in value,
    "$starts": lambda value, start: isinstance(value, str) and value.startswith(start),
    "$matches": lambda value, pattern: isinstance(value, str) and re.search(pattern, value) is not None,
    "$after": lambda value, since: _seconds_between(since[0], value) in (since[1] - 1, since[1], since[1] + 1),
    "$sums": lambda value, paths: _is_sum(value, *paths),
    "$above": lambda value, low: isinstance(value, int | float) and value > low,
    "$length": lambda value, length: isinstance(value, str | list | dict) and len(value) == length,
    "$each": _each,
    "$some": _some,
    "$keys": lambda value, keys: isinstance(value, dict) and set(value) == set(keys),
}


def mismatch(value: Any, expected: Any, where: str = "") -> str | None:
    """Why a value is not as expected, or None."""
    here = where or "the value"
    if isinstance(expected, str) and expected in KINDS:
        return None if KINDS[expected](value) else f"{here} is {value!r}, not {expected}"
    if isinstance(expected, str) and expected.startswith("$"):
        raise ValueError(f"{expected} is no kind of value; known are {', '.join(KINDS)}")
    if isinstance(expected, Mapping):
        relation = next((key for key in expected if key.startswith("$")), None)
        if relation is not None:
            return _relation_mismatch(value, relation, expected[relation], here)
        return _object_mismatch(value, expected, where)
    if isinstance(expected, list):
        return _list_mismatch(value, expected, where)
    if value == expected and isinstance(value, bool) == isinstance(expected, bool):
        return None
    return f"{here} is {value!r}, not {expected!r}"


def _relation_mismatch(value: Any, relation: str, other: Any, here: str) -> str | None:
    if relation not in RELATIONS:
        raise ValueError(f"{relation} is no relation; known are {', '.join(RELATIONS)}")
    return None if RELATIONS[relation](value, other) else f"{here} is {value!r}, which fails {relation} {other!r}"


def _object_mismatch(value: Any, expected: Mapping[str, Any], where: str) -> str | None:
    if not isinstance(value, dict):
        return f"{where or 'the value'} is {value!r}, not an object"
    for key, wanted in expected.items():
        reason = mismatch(value.get(key, ABSENT), wanted, f"{where}.{key}".lstrip("."))
        if reason is not None:
            return reason
    return None


def _list_mismatch(value: Any, expected: list[Any], where: str) -> str | None:
    here = where or "the value"
    if not isinstance(value, list) or len(value) != len(expected):
        return f"{here} is {value!r}, not a list of {len(expected)}"
    for number, (item, wanted) in enumerate(zip(value, expected, strict=True)):
        reason = mismatch(item, wanted, f"{where}[{number}]")
        if reason is not None:
            return reason
    return None


def check(value: Any, expected: Any, what: str = "") -> None:
    """Fail with the reason where a value is not as expected."""
    reason = mismatch(value, expected, what)
    assert reason is None, reason


def wait_until(ask: Callable[[], Any], expected: Any, *, within_seconds: float, what: str = "") -> Any:
    """Ask again and again until the answer is as expected, and return it; fail with the last reason."""
    pause, end = 0.02, time.monotonic() + within_seconds
    while True:
        value = ask()
        reason = mismatch(value, expected, what)
        if reason is None:
            return value
        assert time.monotonic() < end, f"after {within_seconds:g} seconds {reason}"
        time.sleep(pause)
        pause = min(pause * 1.5, 5)
