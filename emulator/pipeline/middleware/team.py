"""Identify the team of a call."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from emulator.domain.keys import AuthMode, team_of
from emulator.operations.base import Call
from emulator.pipeline.middleware import Next
from emulator.state.services import Services


def identify_team(services: Services, call: Call, call_next: Next) -> Awaitable[Any]:
    """Set the team and the time of a call.

    A call without a key takes that of its connection where the transport offers one: on insecure channels xai-sdk sends
    no key with UploadFile.
    """
    if call.credentials is None and call.fallback_credentials is not None and services.auth_mode is not AuthMode.STRICT:
        call.credentials = call.fallback_credentials
        call.warn(f"the call carried no key; it was taken as one of team {team_of(call.credentials)}")
    call.team = services.teams.get(team_of(call.credentials))
    call.at = call.team.clock.now()
    return call_next(services, call)
