"""One call from its door to its operation and back."""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn

from emulator.domain.files import File
from emulator.domain.keys import AuthMode, authenticate, team_of
from emulator.errors import ApiError, CallerGone, Dropped, Kind, disk_unusable, is_of_disk
from emulator.operations.base import Call, Content
from emulator.pipeline import refusals
from emulator.pipeline.chaos.calls import alter_result, hide_new_object, reject_at_random
from emulator.pipeline.effects import Effect, uploads
from emulator.pipeline.receive import within_bounds
from emulator.pipeline.redact import looks_real
from emulator.pipeline.streams import wrap_content, wrap_request
from emulator.world import World

REAL_KEY_HINT = (
    "A client sent a key that looks real. The emulator takes any, so give it xai-emulator instead: "
    "a real key that is not here cannot leak from here."
)
CUT = "The connection was cut, as planned."


async def perform(world: World, call: Call) -> Any:
    """Run one call. Every refusal leaves as ApiError; anything else is a defect and leaves as Kind.INTERNAL.

    The door tells the journal what it answered; a caller who is not there any more is not answered.
    """
    _fall_back(world, call)
    call.team = world.team(team_of(call.credentials))
    call.at = call.team.clock.now()
    entry = call.entry = world.journal.begin(call)
    tickets = [] if call.envelope.is_internal else world.faults.take(call)
    try:
        return await (_run_with(world, call, tickets) if tickets else _run(world, call, None))
    except ApiError as error:
        entry.refused(error)
        raise
    except Dropped:
        entry.end("DROPPED")
        world.journal.replied(call, None, None)
        raise
    except (CallerGone, asyncio.CancelledError):
        entry.end("CANCELLED")
        world.journal.replied(call, None, None)
        raise
    except Exception as error:
        if isinstance(error, OSError) and is_of_disk(error):
            refusal = disk_unusable(error)
            entry.refused(refusal)
            raise refusal from error
        entry.end("INTERNAL")
        asyncio.get_running_loop().call_exception_handler(
            {"message": f"{call.operation.name} failed", "exception": error}
        )
        raise ApiError(Kind.INTERNAL, "Internal error", rule="defect") from error
    finally:
        entry.end()
        for ticket in tickets:
            ticket.end(entry.outcome)
        if call.secret is not None:
            _warn_of_real_key(world, call.secret)


async def _run(world: World, call: Call, effect: Effect | None) -> Any:
    chaos = call.chaos
    if chaos is not None:
        reject_at_random(world, call, chaos)
    if call.operation.decode_first:
        request = await call.read(call)
        _authenticate(world, call)
    else:
        _authenticate(world, call)
        request = await call.read(call)
    call.request = within_bounds(call, request)
    if chaos is not None:
        hide_new_object(call, chaos)
    if effect is not None:
        call.request = wrap_request(call.request, effect, lambda: _end(world, call, effect))
    result = await call.operation.run(world, call, call.request)
    if uploads(call.operation.request):
        call.upload_hash = _hash_of(result)
    return result if chaos is None else alter_result(call, chaos, result)


def _hash_of(result: Any) -> str | None:
    """The hash of the file that an upload made or changed, also where that is a member of the result."""
    file = result if isinstance(result, File) else getattr(result, "file", None)
    return file.hash if isinstance(file, File) else None


async def _run_with(world: World, call: Call, tickets: list[Any]) -> Any:
    """Run a call that meets a planned fault, or is at least counted by one."""
    ticket = next((each for each in tickets if each.effect is not None), None)
    if ticket is None:
        return await _run(world, call, None)
    effect = ticket.effect
    call.faults.append(ticket.label)
    call.behaviour = effect.behaviour
    if effect.delay_seconds is not None:
        await asyncio.sleep(effect.delay_seconds)
    if effect.cut_upload_after_bytes is None and (effect.drop == "before" or effect.refuses):
        _end(world, call, effect)
    result = await _run(world, call, effect)
    if effect.drop == "after":
        _end(world, call, effect)
    if isinstance(result, Content):
        return wrap_content(result, effect, lambda: _cut(call, ticket))
    return result


def _end(world: World, call: Call, effect: Effect) -> NoReturn:
    """End a call as its effect wants: with a refusal, else with its connection."""
    if effect.error is not None:
        error = refusals.by_name(effect.error, world, call)
    elif effect.status is not None:
        error = refusals.by_status(effect.status, call)
    else:
        call.envelope.drop()
        raise Dropped
    error.message = effect.message or error.message
    error.retry_after = effect.retry_after_seconds
    raise error


def _cut(call: Call, ticket: Any) -> NoReturn:
    """End content on its way out. Over gRPC that is a status, over REST nothing but the end of the connection."""
    call.entry.end("CUT")
    ticket.end("CUT")
    raise ApiError(Kind.UNAVAILABLE, CUT)


def _fall_back(world: World, call: Call) -> None:
    """Let a call without a key act with the connection's: on insecure channels xai-sdk sends UploadFile so."""
    if call.credentials is None and call.fallback_credentials is not None and world.auth_mode is not AuthMode.STRICT:
        call.credentials = call.fallback_credentials
        call.warn(f"the call carried no key; it was taken as one of team {team_of(call.credentials)}")


def _authenticate(world: World, call: Call) -> None:
    call.principal = authenticate(call.credentials, call.operation.plane, world.auth_mode, world.keys)


def _warn_of_real_key(world: World, secret: str) -> None:
    """Say once that a real key has no business here."""
    if not world.real_key_seen and looks_real(secret):
        world.real_key_seen = True
        world.log(REAL_KEY_HINT)
