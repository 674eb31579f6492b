"""Check the decoded request against the limits of its team."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from emulator.operations.base import Call
from emulator.pipeline.middleware import NextDecoded
from emulator.pipeline.validation import apply_limits
from emulator.state.services import Services


def check_limits(call_next: NextDecoded, services: Services, call: Call, request: Any) -> Awaitable[Any]:
    """Refuse a value beyond its limit, and apply the page size."""
    return call_next(services, call, apply_limits(call, request))
