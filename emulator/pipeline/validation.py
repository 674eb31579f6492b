"""Check a decoded request against the limits that its fields declare."""

from __future__ import annotations

import functools
import typing
from collections.abc import Hashable
from typing import Any

import msgspec

from emulator.core.errors import invalid
from emulator.core.limits import PageSize
from emulator.core.profiles import Reaction
from emulator.domain.bounds import Rule, check, rules
from emulator.domain.chaos import ChaosFlag
from emulator.operations.base import Call
from emulator.pipeline.chaos import has_flag
from emulator.pipeline.chaos.calls import SMALL_PAGE_ITEMS


def apply_limits(call: Call, request: Any) -> Any:
    """Return the request with the page size in force. Raises ApiError for a value beyond its limit."""
    limited, nested = _checked_fields(type(request))  # type: ignore[arg-type]  # a class is hashable
    changes: dict[str, Any] = {}
    for name, rule in limited:
        value = getattr(request, name)
        if isinstance(rule, PageSize) and has_flag(call, ChaosFlag.SMALL_PAGES):
            value = SMALL_PAGE_ITEMS  # whatever page size the client requested
        if value is None:
            continue
        if isinstance(rule, PageSize):
            changes[name] = page_size(call, name, value, rule)
        else:
            check(name, value, rule, call.team.limits)
    for name in nested:
        changes[name] = [apply_limits(call, item) for item in getattr(request, name)]
    return msgspec.structs.replace(request, **changes) if changes else request


@functools.cache
def _checked_fields(request: Hashable) -> tuple[tuple[tuple[str, Rule], ...], tuple[str, ...]]:
    """Return the fields to check, both kinds with one cache access per call."""
    return rules(request), lists(request)


@functools.cache
def lists(request: Hashable) -> tuple[str, ...]:
    """Return the fields of a request type that are lists of structs with rules of their own."""
    items = {name: typing.get_args(hint) for name, hint in typing.get_type_hints(request).items() if _is_list(hint)}
    return tuple(name for name, (item,) in items.items() if _is_struct(item) and rules(item))


def _is_struct(item: Any) -> bool:
    return isinstance(item, type) and issubclass(item, msgspec.Struct)


def _is_list(hint: Any) -> bool:
    return typing.get_origin(hint) is list


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
