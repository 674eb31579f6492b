"""Decode the request."""

from __future__ import annotations

from typing import Any

from emulator.operations.base import Call
from emulator.pipeline.middleware import NextDecoded
from emulator.state.services import Services


async def decode(call_next: NextDecoded, services: Services, call: Call) -> Any:
    """Decode the request of a call. This waits for the body, unless the operation reads it as a stream."""
    request = await call.read(call)
    if call.operation.screen is not None:
        call.operation.screen(call, request)
    return await call_next(services, call, request)
