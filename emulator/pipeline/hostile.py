"""Hostile mode at work: the traps that are set for a call, and what they do to its answer.

A trap is chosen by the seed and by the number of the call, so the same calls meet the same traps. What was done to a
call is told in `x-emulator-fault`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, TypeVar

import msgspec

from emulator.domain.hostility import Mischief, Switch
from emulator.domain.keys import Plane
from emulator.errors import not_found
from emulator.operations.base import Call, Content, Reader
from emulator.pipeline import refusals
from emulator.world import World

T = TypeVar("T")

SMALL_PAGE_ITEMS = 3
ONE_IN_REFUSED = 7
ONE_IN_UNKNOWN = 4
RETRY_AFTER_SECONDS = 1
DRIPS = 40  # pieces of a download that come slowly; the rest comes at once
DRIP_BYTES_MAX = 700
DRIP_SECONDS = 0.002

# What makes a thing, what asks for it, and what is said while it cannot be seen yet.
LAGGING: dict[str, tuple[str, str]] = {
    "files.upload": ("files.get", "File"),
    "collections.create": ("collections.get", "Collection"),
    "batches.create": ("batches.get", "Batch"),
}
_READERS = dict(LAGGING.values())
# Lists that no document gives an order.
UNORDERED = frozenset({"acls", "field_definitions"})
# Words that a later version may add to.
OPEN_WORDS = frozenset({"processing_status", "state", "status", "upload_status", "zdr_status"})
THE_CALLERS_OWN = frozenset({"fields"})  # holds names and values that the caller chose
UNKNOWN_WORD = "UNHEARD_OF"
UNKNOWN_FIELD = "x_unheard_of"


def traps(call: Call, switch: Switch) -> bool:
    """Whether a trap is set for a call."""
    return call.mischief is not None and call.mischief.has(switch)


def has_small_pages(call: Call) -> bool:
    """Whether lists come in small pages."""
    return traps(call, Switch.SMALL_PAGES)


def refuse(world: World, call: Call) -> None:
    """Refuse a call now and then for coming too fast, but never two in a row."""
    mischief = call.mischief
    if mischief is None:
        return
    mischief.calls += 1
    if not mischief.has(Switch.RATE_LIMITS) or call.operation.plane is Plane.PUBLIC:
        return
    if mischief.roll("refuse", ONE_IN_REFUSED) == 0 and mischief.refused != mischief.calls - 1:
        mischief.refused = mischief.calls
        tell(call, Switch.RATE_LIMITS)
        error = refusals.by_name("rate_limited", world, call)
        error.retry_after = RETRY_AFTER_SECONDS
        raise error


def hide(call: Call) -> None:
    """Let the first call that asks for a new thing not find it."""
    mischief = call.mischief
    if mischief is None or not mischief.hidden or call.operation.name not in _READERS:
        return
    asked_for = getattr(call.request, call.request.__struct_fields__[0])  # the id, in each of these requests
    if asked_for in mischief.hidden:
        mischief.hidden.discard(asked_for)
        tell(call, Switch.LAG)
        raise not_found(_READERS[call.operation.name])


def afterwards(call: Call, result: Any) -> Any:
    """The result of a call, its content slowed down; what was made stays hidden for a while."""
    mischief = call.mischief
    if mischief is None:
        return result
    if mischief.has(Switch.LAG) and call.operation.name in LAGGING:
        mischief.hidden.add(result.id)
    if mischief.has(Switch.DRIPS) and isinstance(result, Content):
        tell(call, Switch.DRIPS)
        return msgspec.structs.replace(result, read=_dripping(result.read, mischief))
    return result


def _dripping(read: Reader, mischief: Mischief) -> Reader:
    sizes = [1 + mischief.roll(f"drip {number}", DRIP_BYTES_MAX) for number in range(DRIPS)]

    async def dripping(start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        left = list(sizes)
        async with aclosing(read(start, stop)) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                while left and piece:
                    size = left.pop()
                    await asyncio.sleep(DRIP_SECONDS)
                    yield piece[:size]
                    piece = piece[size:]
                if piece:
                    yield piece

    return dripping


def has_unknown_words(call: Call) -> bool:
    """Whether the words of this answer are to be ones that nobody knows."""
    mischief = call.mischief
    return mischief is not None and mischief.has(Switch.UNKNOWN_VALUES) and mischief.roll("words", ONE_IN_UNKNOWN) == 0


def mangle(call: Call, value: Any) -> Any:
    """The JSON of an answer, with all that a client must not stumble over."""
    mischief = call.mischief
    if mischief is None:
        return value
    if has_unknown_words(call):
        value = _with_unknown_words(call, value)
    if mischief.has(Switch.UNKNOWN_FIELDS):
        tell(call, Switch.UNKNOWN_FIELDS)
        value = _with_unknown_fields(value)
    if mischief.has(Switch.SHUFFLED):
        tell(call, Switch.SHUFFLED)
        value = _shuffled(mischief, value)
    return value


def _with_unknown_words(call: Call, value: Any) -> Any:
    if isinstance(value, list):
        return [_with_unknown_words(call, item) for item in value]
    if not isinstance(value, dict):
        return value
    changed: dict[str, Any] = {}
    for name, item in value.items():
        if name in OPEN_WORDS and isinstance(item, str):
            tell(call, Switch.UNKNOWN_VALUES)
            changed[name] = UNKNOWN_WORD
        else:
            changed[name] = item if name in THE_CALLERS_OWN else _with_unknown_words(call, item)
    return changed


def _with_unknown_fields(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_unknown_fields(item) for item in value]
    if not isinstance(value, dict):
        return value
    changed = {name: item if name in THE_CALLERS_OWN else _with_unknown_fields(item) for name, item in value.items()}
    return {**changed, UNKNOWN_FIELD: {"since": "tomorrow"}}


def _shuffled(mischief: Mischief, value: Any, name: str = "") -> Any:
    if isinstance(value, list):
        items = [_shuffled(mischief, item) for item in value]
        return _in_another_order(mischief, items, name) if name in UNORDERED else items
    if not isinstance(value, dict):
        return value
    members = [(key, _shuffled(mischief, item, key)) for key, item in value.items()]
    return dict(_in_another_order(mischief, members, "members"))


def _in_another_order(mischief: Mischief, items: list[T], purpose: str) -> list[T]:
    """The items in an order that the seed decides (Fisher and Yates)."""
    items = list(items)
    for last in range(len(items) - 1, 0, -1):
        other = mischief.roll(f"{purpose} {last}", last + 1)
        items[last], items[other] = items[other], items[last]
    return items


def tell(call: Call, switch: Switch) -> None:
    """Let the caller know of a trap."""
    label = f"hostile:{switch.word}"
    if label not in call.faults:
        call.faults.append(label)
