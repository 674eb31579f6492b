"""Apply chaos to a call; `pipeline/chaos/` has the behaviours."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from emulator.domain.chaos import ChaosState
from emulator.operations.base import Call
from emulator.pipeline.chaos.calls import alter_result, hide_new_object, reject_at_random
from emulator.pipeline.chaos.observed import alter_matches, alter_request
from emulator.pipeline.middleware import Next, NextDecoded
from emulator.state.services import Services


def apply_chaos(call_next: Next, services: Services, call: Call) -> Awaitable[Any]:
    """Reject a call at random, or alter its result."""
    state = call.chaos
    return call_next(services, call) if state is None else _apply(call_next, services, call, state)


async def _apply(call_next: Next, services: Services, call: Call, state: ChaosState) -> Any:
    reject_at_random(services, call, state)
    return alter_result(call, state, await call_next(services, call))


def apply_chaos_to_request(call_next: NextDecoded, services: Services, call: Call, request: Any) -> Awaitable[Any]:
    """Refuse the first read of a new object, or alter the request or the matches of a search."""
    state = call.chaos
    if state is None:
        return call_next(services, call, request)
    return _apply_to_request(call_next, services, call, request, state)


async def _apply_to_request(
    call_next: NextDecoded, services: Services, call: Call, request: Any, state: ChaosState
) -> Any:
    request = alter_request(call, request, state)
    hide_new_object(call, request, state)
    result = await call_next(services, call, request)
    return alter_matches(call, request, state, result) if call.operation.name == "documents.search" else result
