"""Authenticate the caller."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from emulator.domain import keys
from emulator.operations.base import Call
from emulator.pipeline.middleware import Next
from emulator.state.world import World


def authenticate(world: World, call: Call, call_next: Next) -> Awaitable[Any]:
    """Set the principal of a call. Raises ApiError for a missing or wrong key."""
    call.principal = keys.authenticate(call.credentials, call.operation.plane, world.auth_mode, world.keys)
    return call_next(world, call)
