"""Decode the request."""

from __future__ import annotations

from typing import Any

from emulator.operations.base import Call
from emulator.pipeline.middleware import Next
from emulator.state.services import Services


async def decode(call_next: Next, services: Services, call: Call) -> Any:
    """Set the request of a call, which waits for its body unless that is a stream of the operation's own."""
    call.request = await call.read(call)
    if call.operation.screen is not None:
        call.operation.screen(call)
    return await call_next(services, call)
