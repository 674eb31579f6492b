"""Apply chaos in the course of a call; `pipeline/chaos/` has the behaviours."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from emulator.domain.chaos import ChaosState
from emulator.operations.base import Call
from emulator.pipeline.chaos.calls import alter_result, hide_new_object, reject_at_random
from emulator.pipeline.chaos.observed import alter_request
from emulator.pipeline.middleware import Next
from emulator.state.services import Services


def apply_chaos(call_next: Next, services: Services, call: Call) -> Awaitable[Any]:
    """Reject a call at random, or alter its result."""
    state = call.chaos
    return call_next(services, call) if state is None else _apply(call_next, services, call, state)


async def _apply(call_next: Next, services: Services, call: Call, state: ChaosState) -> Any:
    reject_at_random(services, call, state)
    return alter_result(call, state, await call_next(services, call))


def hide_new_objects(call_next: Next, services: Services, call: Call) -> Awaitable[Any]:
    """Refuse the first read of a new object, or alter the request. This needs the decoded request."""
    state = call.chaos
    if state is not None:
        alter_request(call, state)
        hide_new_object(call, state)
    return call_next(services, call)
