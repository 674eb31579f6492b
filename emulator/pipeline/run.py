"""One call from its door to its operation and back."""

from __future__ import annotations

import asyncio
from typing import Any

from emulator.domain.keys import AuthMode, authenticate, team_of
from emulator.errors import ApiError, CallerGone, Kind
from emulator.operations.base import Call
from emulator.pipeline.receive import receive
from emulator.world import World


async def perform(world: World, call: Call) -> Any:
    """Run one call. Every refusal leaves as ApiError; anything else is a defect and leaves as Kind.INTERNAL."""
    _fall_back(world, call)
    call.team = world.team(team_of(call.credentials))
    call.at = call.team.clock.now()
    entry = world.journal.begin(call)
    try:
        if call.operation.decode_first:
            call.request = await receive(call)
            _authenticate(world, call)
        else:
            _authenticate(world, call)
            call.request = await receive(call)
        return await call.operation.run(world, call, call.request)
    except ApiError as error:
        entry.refused(error)
        raise
    except (CallerGone, asyncio.CancelledError):
        entry.cancelled()
        raise
    except Exception as error:
        entry.failed(error)
        raise ApiError(Kind.INTERNAL, "Internal error", rule="defect") from error
    finally:
        entry.end()


def _fall_back(world: World, call: Call) -> None:
    """Let a call without a key act with the connection's: on insecure channels xai-sdk sends UploadFile so."""
    if call.credentials is None and call.fallback_credentials is not None and world.auth_mode is not AuthMode.STRICT:
        call.credentials = call.fallback_credentials
        call.warn(f"the call carried no key; it was taken as one of team {team_of(call.credentials)}")


def _authenticate(world: World, call: Call) -> None:
    call.principal = authenticate(call.credentials, call.operation.plane, world.auth_mode, world.keys)
