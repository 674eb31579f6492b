"""Check a decoded request against the limits that its fields declare."""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Hashable, Sequence
from typing import Any

import msgspec

from emulator.core.errors import invalid
from emulator.core.limits import Between, Chars, Items, Limits, PageSize
from emulator.core.profiles import Reaction
from emulator.domain.chaos import ChaosFlag
from emulator.operations.base import Call
from emulator.pipeline.chaos import has_flag
from emulator.pipeline.chaos.calls import SMALL_PAGE_ITEMS

Rule = Between | Chars | Items | PageSize


def apply_limits(call: Call, request: Any) -> Any:
    """Return the request with the page size in force. Raises ApiError for a value beyond its limit."""
    limited, nested = _checked_fields(type(request))  # type: ignore[arg-type]  # a class is hashable
    changes: dict[str, Any] = {}
    for name, rule in limited:
        value = getattr(request, name)
        if isinstance(rule, PageSize) and has_flag(call, ChaosFlag.SMALL_PAGES):
            value = SMALL_PAGE_ITEMS  # whatever the client asked for
        if value is None:
            continue
        if isinstance(rule, Between):
            check_between(name, value, rule, call.team.limits)
        elif isinstance(rule, Chars):
            check_chars(name, value, rule, call.team.limits)
        elif isinstance(rule, Items):
            check_items(name, value, rule, call.team.limits)
        else:
            changes[name] = page_size(call, name, value, rule)
    for name in nested:
        changes[name] = [apply_limits(call, item) for item in getattr(request, name)]
    return msgspec.structs.replace(request, **changes) if changes else request


@functools.cache
def _checked_fields(request: Hashable) -> tuple[tuple[tuple[str, Rule], ...], tuple[str, ...]]:
    """Return the fields to check, both kinds with one cache access per call."""
    return rules(request), lists(request)


@functools.cache
def rules(request: Hashable) -> tuple[tuple[str, Rule], ...]:
    """Return the rules that a request type declares, with the names of their fields."""
    found: list[tuple[str, Rule]] = []
    for name, hint in typing.get_type_hints(request, include_extras=True).items():
        found += [(name, mark) for mark in _marks(hint) if isinstance(mark, Rule)]
    return tuple(found)


@functools.cache
def lists(request: Hashable) -> tuple[str, ...]:
    """Return the fields of a request type that are lists of structs with rules of their own."""
    items = {name: typing.get_args(hint) for name, hint in typing.get_type_hints(request).items() if _is_list(hint)}
    return tuple(name for name, (item,) in items.items() if _is_struct(item) and rules(item))


def _is_struct(item: Any) -> bool:
    return isinstance(item, type) and issubclass(item, msgspec.Struct)


def _is_list(hint: Any) -> bool:
    return typing.get_origin(hint) is list


def _marks(hint: Any) -> tuple[Any, ...]:
    if typing.get_origin(hint) is typing.Annotated:
        return tuple(hint.__metadata__)
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return tuple(mark for part in typing.get_args(hint) for mark in _marks(part))
    return ()


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


def page_size(call: Call, name: str, value: int, rule: PageSize) -> int:
    """Return the page size in force: the default for 0 or less (files.proto); over the maximum the profile decides."""
    limits = call.team.limits
    most: int | None = getattr(limits, rule.high)
    if value <= 0:
        return rule.default(limits)
    if most is None or value <= most:
        return value
    reaction = call.team.profile.page_limit_above_max
    if reaction is Reaction.REFUSE:
        raise invalid(f"{name} must be at most {most}, got {value}.", rule=rule.high, param=name)
    if reaction is Reaction.WARN:
        call.warn(f"{name}={value} was clamped to {most} ({rule.high})")
    return most
