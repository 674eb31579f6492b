"""What is refused of a model request before its key is looked at."""

from __future__ import annotations

from typing import Any

from emulator.domain.chat.rules import require_model
from emulator.operations.base import Call


def screen_model(call: Call, name: str) -> None:
    """Refuse a language model that is not there, unless the team accepts any name. Raises ApiError."""
    if call.team.models != "any":
        require_model(name)


def screen_request(call: Call, request: Any) -> None:
    """Refuse a conversation for a model that is not there. Raises ApiError."""
    screen_model(call, request.request.model)
