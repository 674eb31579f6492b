"""Apply the planned faults that a call matches."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, NoReturn

from emulator.core.errors import ApiError, Dropped, Kind
from emulator.operations.base import Call, Content, Stream
from emulator.pipeline import error_catalog
from emulator.pipeline.faults.effects import Effect
from emulator.pipeline.faults.plan import FaultMatch
from emulator.pipeline.middleware import Next
from emulator.pipeline.outcomes import outcome_of
from emulator.pipeline.streams import wrap_content, wrap_request, wrap_stream
from emulator.state.services import Services

CUT = "The connection was cut, as planned."


def apply_planned_faults(call_next: Next, services: Services, call: Call) -> Awaitable[Any]:
    """Match a call with the planned faults of its team, and apply the first effect. Internal calls match none."""
    matches = [] if call.envelope.is_internal else services.faults.take(call)
    return _count(call_next, services, call, matches) if matches else call_next(services, call)


async def _count(call_next: Next, services: Services, call: Call, matches: list[FaultMatch]) -> Any:
    """Apply the first effect, if any, and record the outcome in every match."""
    outcome = "ok"
    try:
        for match in matches:
            if match.effect is not None:
                return await _apply(call_next, services, call, match, match.effect)
        return await call_next(services, call)
    except BaseException as error:
        outcome = outcome_of(error)
        raise
    finally:
        for match in matches:
            match.end(outcome)


async def _apply(call_next: Next, services: Services, call: Call, match: FaultMatch, effect: Effect) -> Any:
    """Run a call with an effect: before the operation, on its upload, after it, or on its download."""
    call.faults.append(match.label)
    call.behaviour = effect.behaviour
    if effect.delay_seconds is not None:
        await asyncio.sleep(effect.delay_seconds)
    if effect.cut_upload_after_bytes is None and (effect.drop == "before" or effect.refuses):
        _end(services, call, effect)
    _wrap_upload(services, call, effect)
    result = await call_next(services, call)
    if effect.drop == "after":
        _end(services, call, effect)
    if isinstance(result, Content):
        return wrap_content(result, effect, lambda: _cut(call, match))
    if isinstance(result, Stream):
        return wrap_stream(result, effect, lambda: _cut(call, match))
    return result


def _wrap_upload(services: Services, call: Call, effect: Effect) -> None:
    """Slow down or cut the upload that the decoded request will carry."""
    read = call.read

    async def read_wrapped(call: Call) -> Any:
        return wrap_request(await read(call), effect, lambda: _end(services, call, effect))

    call.read = read_wrapped


def _end(services: Services, call: Call, effect: Effect) -> NoReturn:
    """End a call with the refusal of an effect, or else by resetting the connection."""
    if effect.error is not None:
        error = error_catalog.by_name(effect.error, services, call)
    elif effect.status is not None:
        error = error_catalog.by_status(effect.status, call)
    else:
        call.envelope.drop()
        raise Dropped
    error.message = effect.message or error.message
    error.retry_after = effect.retry_after_seconds
    raise error


def _cut(call: Call, match: FaultMatch) -> NoReturn:
    """End a download midway: over gRPC with a status, over REST with the end of the connection only."""
    call.entry.end("CUT")
    match.end("CUT")
    raise ApiError(Kind.UNAVAILABLE, CUT)
