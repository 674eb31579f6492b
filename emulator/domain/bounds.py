"""The bounds that fields of requests declare (`Annotated[str, Chars(...)]`), and their checks."""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Hashable, Sequence
from typing import Any

from emulator.core.errors import invalid
from emulator.core.limits import Between, Chars, Items, Limits, PageSize

Rule = Between | Chars | Items | PageSize


@functools.cache
def rules(request: Hashable) -> tuple[tuple[str, Rule], ...]:
    """Return the rules that a request type declares, with the names of their fields."""
    found: list[tuple[str, Rule]] = []
    for name, hint in typing.get_type_hints(request, include_extras=True).items():
        found += [(name, mark) for mark in _marks(hint) if isinstance(mark, Rule)]
    return tuple(found)


def _marks(hint: Any) -> tuple[Any, ...]:
    if typing.get_origin(hint) is typing.Annotated:
        return tuple(hint.__metadata__)
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return tuple(mark for part in typing.get_args(hint) for mark in _marks(part))
    return ()


def check(name: str, value: Any, rule: Between | Chars | Items, limits: Limits) -> None:
    """Refuse a value of a field that is beyond its bound. Raises ApiError."""
    if isinstance(rule, Between):
        check_between(name, value, rule, limits)
    elif isinstance(rule, Chars):
        check_chars(name, value, rule, limits)
    else:
        check_items(name, value, rule, limits)


def check_between(name: str, value: int, rule: Between, limits: Limits) -> None:
    """Refuse a number outside its two limits."""
    low, high = getattr(limits, rule.low), getattr(limits, rule.high)
    outside = rule.low if low is not None and value < low else rule.high if high is not None and value > high else None
    if outside:
        bounds = " and ".join(
            words for words in (low is not None and f"at least {low}", high is not None and f"at most {high}") if words
        )
        raise invalid(f"{name} must be {bounds}, got {value}.", rule=outside, param=name)


def check_chars(name: str, value: str, rule: Chars, limits: Limits) -> None:
    """Refuse a text that is longer than its limit."""
    most = getattr(limits, rule.high)
    if most is not None and len(value) > most:
        raise invalid(f"{name} must have at most {most} characters, got {len(value)}.", rule=rule.high, param=name)


def check_items(name: str, value: Sequence[Any], rule: Items, limits: Limits) -> None:
    """Refuse a list that is longer than its limit."""
    most = getattr(limits, rule.high)
    if most is not None and len(value) > most:
        raise invalid(f"{name} must have at most {most} items, got {len(value)}.", rule=rule.high, param=name)
