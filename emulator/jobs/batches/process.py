"""Jobs that answer the requests of a batch, in slices of a few milliseconds, and expire it.

The results of each slice are committed with it: a process that dies continues where it was, and nothing else waits
for long.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from emulator.core.clock import Instant
from emulator.core.errors import Kind
from emulator.domain.batches.batch import KINDS, PHASES, Batch, Failure, Phase, Request, finish
from emulator.domain.transitions import step
from emulator.jobs.batches.answers import Result, answer, outcome_of, responder_of
from emulator.jobs.batches.slices import SLICE_BYTES, go_on
from emulator.state.protocols import Responder
from emulator.state.teams import Team
from emulator.state.world import World
from emulator.store.batches import Cost
from emulator.store.jobs import Job


async def expire_batch(world: World, job: Job) -> None:
    """End a batch whose time has come; its results stay."""
    with world.store.transaction():
        world.store.jobs.done(job)
        batch = world.store.batches.get(job.team, job.subject)
        if batch is not None and not batch.closed:
            phase = step(PHASES, batch.phase, Phase.EXPIRED)
            world.store.batches.close(job.team, batch.id, phase, job.due_at)


async def process_batch(world: World, job: Job) -> None:
    """Answer a slice of what is due. What was cancelled while it was being answered stays cancelled."""
    team = world.teams.get(job.team)
    await asyncio.sleep(0)
    batch, responder = _alive(world, job), responder_of(world, team)
    careful = _careful(job, responder)
    limit = 1 if careful else responder.requests_max
    requests = _due(world, batch, job, limit)
    if batch is None or not requests:
        _plan_next(world, team, job)
        return
    answers = await answer(world, team, responder, batch, requests, job.due_at)
    _settle(world, team, job, list(zip(requests, answers, strict=True)), careful - 1)


async def fail_request(world: World, job: Job) -> None:
    """Let the request fail at which the process ended again and again, so that the others are answered."""
    team = world.teams.get(job.team)
    batch, careful = _alive(world, job), _careful(job, responder_of(world, team))
    failure = Failure(Kind.INTERNAL, f"the emulator ended {job.attempts} times while it answered this request")
    failed: list[tuple[Request, Result | Failure]] = [(request, failure) for request in _due(world, batch, job, 1)]
    _settle(world, team, job, failed, careful - 1)


def _careful(job: Job, responder: Responder) -> int:
    """How many requests are taken one by one from here on, because the process ended while a slice was answered."""
    return job.careful or (responder.requests_max if job.attempts else 0)


def _due(world: World, batch: Batch | None, job: Job, limit: int) -> list[Request]:
    if batch is None:
        return []
    return world.store.batch_requests.due(job.team, batch.id, job.due_at, limit=limit, bytes=SLICE_BYTES)


def _alive(world: World, job: Job) -> Batch | None:
    """The batch of a job, if there is still something to be done for it."""
    batch = world.store.batches.get(job.team, job.subject)
    return None if batch is None or (batch.closed and not batch.cancel_reverts) else batch


def _plan_next(world: World, team: Team, job: Job) -> None:
    """Go on when the next request is due."""
    with world.store.transaction():
        world.store.jobs.done(job)
        batch = _alive(world, job)
        due_at = None if batch is None else world.store.batch_requests.next_due(team.name, job.subject)
        if due_at is not None and not world.store.jobs.is_planned(team.name, job.kind, job.subject, due_at):
            world.jobs.add(team, job.kind, job.subject, due_at)


def _settle(world: World, team: Team, job: Job, answered: list[tuple[Request, Result | Failure]], careful: int) -> None:
    """Write down results and failures, count them, and plan the next slice."""
    batch = _alive(world, job)
    with world.store.transaction():
        world.store.jobs.done(job)
        if batch is not None:
            _finish(world, team, batch, job.due_at, answered)
        go_on(world, team, job, careful=max(0, careful))


def _finish(
    world: World, team: Team, batch: Batch, at: Instant, answered: list[tuple[Request, Result | Failure]]
) -> None:
    success = error = 0
    ticks: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for request, result in answered:
        outcome, cost = outcome_of(world, team, result, at)
        finish(batch, request, outcome)
        if not world.store.batch_requests.finish(request, outcome, at):
            continue
        if isinstance(outcome, Failure):
            error += 1
        else:
            success += 1
            endpoint = KINDS[request.kind].endpoint
            ticks[endpoint] += cost
            counts[endpoint] += 1
    world.store.batches.count(team.name, batch.id, success=success, error=error)
    for endpoint, count in counts.items():
        world.store.batches.add_cost(team.name, batch.id, Cost(endpoint, ticks[endpoint], count))
