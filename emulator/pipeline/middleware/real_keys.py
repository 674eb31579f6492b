"""Warn the developer of a real xAI key."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from emulator.operations.base import Call
from emulator.pipeline.middleware import Next
from emulator.pipeline.redact import looks_real
from emulator.state.services import Services

REAL_KEY_HINT = (
    "A client sent a key that looks real. The emulator takes any key, so use xai-emulator instead: "
    "a real key that never gets here cannot leak from here."
)


def warn_of_real_key(call_next: Next, services: Services, call: Call) -> Awaitable[Any]:
    """Log a warning for the first key that looks real."""
    if call.secret is not None and not services.real_key_seen and looks_real(call.secret):
        services.real_key_seen = True
        services.log(REAL_KEY_HINT)
    return call_next(services, call)
