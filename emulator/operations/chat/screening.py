"""Checks of a model request that run before its key is checked."""

from __future__ import annotations

from typing import Any

from emulator.domain.chat.rules import require_model
from emulator.operations.base import Call


def screen_model(call: Call, name: str) -> None:
    """Refuse an unknown language model, unless the team accepts any name. Raises ApiError."""
    if call.team.models != "any":
        require_model(name)


def screen_request(call: Call, request: Any) -> None:
    """Refuse a conversation with an unknown model. Raises ApiError."""
    screen_model(call, request.request.model)
