"""The clock of a team: read it, freeze it, advance it by a duration or until a condition is met."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from emulator.control.conditions import Condition, Transition, Until, condition_of
from emulator.control.route import Answer, ControlError, ControlRequest, ControlRoute
from emulator.control.server import JobShown, job_shown
from emulator.core.clock import MICROSECONDS, Clock, Instant, from_datetime, rfc3339
from emulator.store.jobs import HELD, Job

YEAR_SECONDS = 365 * 86_400
STEPS_MAX = 100_000  # jobs that `until` runs through; more means that it does not end

Seconds = Annotated[float, Meta(ge=0, lt=1e12)]


class ClockShown(Answer):
    """A team's time. `offset_seconds` is how far a running clock is ahead of the wall clock."""

    now: str
    frozen: bool
    offset_seconds: float


class Freeze(Struct, forbid_unknown_fields=True):
    """The time at which to freeze the clock, in RFC 3339 with a zone; by default the current one."""

    at: datetime | None = None


class Advance(Struct, forbid_unknown_fields=True):
    """How far to advance: by `seconds`, or `until` a condition is met, but at most by `within_seconds`."""

    seconds: Seconds | None = None
    until: Until | None = None
    within_seconds: Seconds = YEAR_SECONDS


class Advanced(ClockShown):
    """The new time, the jobs that ran, and the state changes of the condition."""

    jobs: list[JobShown]
    transitions: list[Transition]


async def read(request: ControlRequest) -> ClockShown:
    """Read a team's time."""
    clock = request.team.clock
    return ClockShown(now=rfc3339(clock.now()), frozen=clock.frozen, offset_seconds=clock.offset / MICROSECONDS)


async def advance(request: ControlRequest) -> Advanced:
    """Move a team's clock forward, and run the jobs that become due.

    With `until` the clock moves from one planned job to the next, until a file has expired, a document is indexed (or
    has failed) or a batch is done. 409 if no planned job leads to that; the clock then stays at the time of the last
    job.
    """
    body: Advance = request.body
    if (body.seconds is None) == (body.until is None):
        raise ControlError(422, "give either seconds or until")
    try:
        if body.until is None:
            ran = await request.parts.runner.advance(request.team, round((body.seconds or 0) * MICROSECONDS))
            return await _advanced(request, ran, [])
        condition = condition_of(request.services, request.team, body.until)
        ran = await _walk(request, condition, request.team.clock.now() + round(body.within_seconds * MICROSECONDS))
        return await _advanced(request, ran, condition.transitions)
    except ValueError as error:
        raise ControlError(422, str(error)) from None


async def _advanced(request: ControlRequest, ran: list[Job], transitions: list[Transition]) -> Advanced:
    now = await read(request)
    return Advanced(
        now=now.now,
        frozen=now.frozen,
        offset_seconds=now.offset_seconds,
        jobs=[job_shown(job) for job in ran],
        transitions=transitions,
    )


async def _walk(request: ControlRequest, condition: Condition, end: Instant) -> list[Job]:
    """Advance from one due time to the next until the condition is met; return the jobs that ran."""
    services, team, ran = request.services, request.team, list[Job]()
    for _ in range(STEPS_MAX):
        ran += await request.parts.runner.run_team(team)
        condition.look()
        if condition.met:
            return ran
        due = services.store.jobs.earliest(team.name)
        if due is None or due == HELD:
            raise ControlError(409, f"{condition}, and no planned job will change that")
        if due > end:
            raise ControlError(409, f"{condition}, and the next planned job is later than within_seconds")
        services.teams.change_clock(team, lambda clock: _move(clock, due))  # noqa: B023 - called at once
    raise ControlError(409, f"{condition} after {STEPS_MAX} steps")


def _move(clock: Clock, instant: Instant) -> None:
    """Move a clock to an instant, unless it is past that already."""
    clock.advance(max(0, instant - clock.now()))


async def freeze(request: ControlRequest) -> ClockShown:
    """Stop a team's clock, now or at a given time, which may be in the past."""
    body: Freeze = request.body
    if body.at is not None and body.at.tzinfo is None:
        raise ControlError(422, "at needs a time zone, such as the Z of 2026-01-01T00:00:00Z")
    at = None if body.at is None else from_datetime(body.at)
    try:
        request.services.teams.change_clock(request.team, lambda clock: clock.freeze(at))
    except ValueError as error:
        raise ControlError(422, str(error)) from None
    return await read(request)


async def resume(request: ControlRequest) -> ClockShown:
    """Resume a team's clock from where it stopped."""
    request.services.teams.change_clock(request.team, lambda clock: clock.resume())
    return await read(request)


async def reset(request: ControlRequest) -> ClockShown:
    """Set a team's clock to the wall clock."""
    request.services.teams.change_clock(request.team, lambda clock: clock.reset())
    return await read(request)


ROUTES = (
    ControlRoute("GET", "/clock", read, ClockShown),
    ControlRoute("POST", "/clock/advance", advance, Advanced, Advance, refusals=(404, 409, 422)),
    ControlRoute("POST", "/clock/freeze", freeze, ClockShown, Freeze, optional_body=True, refusals=(422,)),
    ControlRoute("POST", "/clock/resume", resume, ClockShown),
    ControlRoute("POST", "/clock/reset", reset, ClockShown),
)
