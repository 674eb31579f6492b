"""Authenticate the caller."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from emulator.core.errors import ApiError
from emulator.operations.base import Call
from emulator.pipeline.api_keys import check_key
from emulator.pipeline.middleware import Next, NextDecoded
from emulator.pipeline.middleware.inference_keys import accept_for_now, may_satisfy_contract
from emulator.state.services import Services


def authenticate(call_next: Next, services: Services, call: Call) -> Awaitable[Any]:
    """Check the key of a call. Raises ApiError for a missing or wrong key, and beyond the rates of a key."""
    _check(services, call)
    return call_next(services, call)


def authenticate_decoded(call_next: NextDecoded, services: Services, call: Call, request: Any) -> Awaitable[Any]:
    """Check the key of a call of which the real service reads the body first."""
    _check(services, call)
    return call_next(services, call, request)


def _check(services: Services, call: Call) -> None:
    try:
        check_key(services, call, call.operation.plane)
    except ApiError:
        if not may_satisfy_contract(services, call):
            raise
        accept_for_now(services, call)
