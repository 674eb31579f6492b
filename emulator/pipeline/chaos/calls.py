"""Chaos during a call: rejected calls, new objects that are not found at first, slow downloads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import msgspec

from emulator.core.errors import not_found
from emulator.domain.chaos import ChaosFlag, ChaosState
from emulator.domain.keys import Plane
from emulator.operations.base import Call, Content, Reader, Stream
from emulator.pipeline import error_catalog
from emulator.pipeline.chaos import report
from emulator.state.services import Services

SMALL_PAGE_ITEMS = 3
ONE_IN_REJECTED = 7
RETRY_AFTER_SECONDS = 1
DRIPS = 40  # the number of small pieces at the start of a download; the rest comes at full speed
DRIP_BYTES_MAX = 700
DRIP_SECONDS = 0.002

# Operations that create an object: the operation that reads it, and the name of the object in a 404.
LAGGING: dict[str, tuple[str, str]] = {
    "files.upload": ("files.get", "File"),
    "collections.create": ("collections.get", "Collection"),
    "batches.create": ("batches.get", "Batch"),
}
_OBJECT_BY_READER = dict(LAGGING.values())


def reject_at_random(services: Services, call: Call, state: ChaosState) -> None:
    """Count a call, and refuse about one of seven calls with 429, but never two in a row."""
    state.calls += 1
    if not state.has(ChaosFlag.RATE_LIMITS) or call.operation.plane is Plane.PUBLIC:
        return
    if state.random("reject", ONE_IN_REJECTED) == 0 and state.rejected != state.calls - 1:
        state.rejected = state.calls
        report(call, ChaosFlag.RATE_LIMITS)
        error = error_catalog.by_name("rate_limited", services, call)
        error.retry_after = RETRY_AFTER_SECONDS
        raise error


def hide_new_object(call: Call, request: Any, state: ChaosState) -> None:
    """Refuse the first call that reads a new object with 404."""
    if not state.hidden or call.operation.name not in _OBJECT_BY_READER:
        return
    object_id = getattr(request, request.__struct_fields__[0])  # in each of these requests
    if object_id in state.hidden:
        state.hidden.discard(object_id)
        report(call, ChaosFlag.LAG)
        raise not_found(_OBJECT_BY_READER[call.operation.name], object_id)


def alter_result(call: Call, state: ChaosState, result: Any) -> Any:
    """Return the result, with a slow download; remember a new object, to hide it from the next call."""
    if state.has(ChaosFlag.LAG) and call.operation.name in LAGGING:
        state.hidden.add(result.id)
    if state.has(ChaosFlag.KEY_LAG) and call.operation.name == "keys.create":
        state.new_keys.add(result.key.id)
    if state.has(ChaosFlag.DRIPS) and isinstance(result, Content):
        report(call, ChaosFlag.DRIPS)
        return msgspec.structs.replace(result, read=_dripping(result.read, state))
    if state.has(ChaosFlag.DRIPS) and isinstance(result, Stream):
        report(call, ChaosFlag.DRIPS)
        return msgspec.structs.replace(result, read=_dripping_deltas(result.read))
    return result


def _dripping_deltas(read: Callable[[], AsyncIterator[Any]]) -> Callable[[], AsyncIterator[Any]]:
    async def dripping() -> AsyncIterator[Any]:
        left = DRIPS
        async with aclosing(read()) as deltas:  # type: ignore[type-var]
            async for delta in deltas:
                if left:
                    left -= 1
                    await asyncio.sleep(DRIP_SECONDS)
                yield delta

    return dripping


def _dripping(read: Reader, state: ChaosState) -> Reader:
    sizes = [1 + state.random(f"drip {number}", DRIP_BYTES_MAX) for number in range(DRIPS)]

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
