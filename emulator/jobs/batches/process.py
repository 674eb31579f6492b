"""Jobs that answer the requests of a batch, in slices of a few milliseconds, and expire it.

The results of each slice are committed with it, so a new process continues after the last slice, and other calls run in
between.
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
from emulator.state.services import Services
from emulator.state.teams import Team
from emulator.store.batches import Cost
from emulator.store.jobs import Job


async def expire_batch(services: Services, job: Job) -> None:
    """Expire a batch; its results stay."""
    with services.store.transaction():
        services.store.jobs.done(job)
        batch = services.store.batches.get(job.team, job.subject)
        if batch is not None and not batch.closed:
            phase = step(PHASES, batch.phase, Phase.EXPIRED)
            services.store.batches.close(job.team, batch.id, phase, job.due_at)


async def process_batch(services: Services, job: Job) -> None:
    """Answer a slice of the due requests. Requests that were cancelled meanwhile stay cancelled."""
    team = services.teams.get(job.team)
    await asyncio.sleep(0)
    batch, responder = _alive(services, job), responder_of(services, team)
    careful = _careful(job, responder)
    limit = 1 if careful else responder.requests_max
    requests = _due(services, batch, job, limit)
    if batch is None or not requests:
        _plan_next(services, team, job)
        return
    answers = await answer(services, team, responder, batch, requests, job.due_at)
    _settle(services, team, job, list(zip(requests, answers, strict=True)), careful - 1)


async def fail_request(services: Services, job: Job) -> None:
    """Fail the request that ended the process repeatedly, so that the others are answered."""
    team = services.teams.get(job.team)
    batch, careful = _alive(services, job), _careful(job, responder_of(services, team))
    failure = Failure(Kind.INTERNAL, f"the emulator ended {job.attempts} times while it answered this request")
    failed: list[tuple[Request, Result | Failure]] = [(request, failure) for request in _due(services, batch, job, 1)]
    _settle(services, team, job, failed, careful - 1)


def _careful(job: Job, responder: Responder) -> int:
    """Return how many requests to answer one by one, because the process died while it answered a slice."""
    return job.careful or (responder.requests_max if job.attempts else 0)


def _due(services: Services, batch: Batch | None, job: Job, limit: int) -> list[Request]:
    if batch is None:
        return []
    return services.store.batch_requests.due(job.team, batch.id, job.due_at, limit=limit, bytes=SLICE_BYTES)


def _alive(services: Services, job: Job) -> Batch | None:
    """Return the batch of a job, if it still has requests to answer."""
    batch = services.store.batches.get(job.team, job.subject)
    return None if batch is None or (batch.closed and not batch.cancel_reverts) else batch


def _plan_next(services: Services, team: Team, job: Job) -> None:
    """Plan the next slice for when its first request is due."""
    with services.store.transaction():
        services.store.jobs.done(job)
        batch = _alive(services, job)
        due_at = None if batch is None else services.store.batch_requests.next_due(team.name, job.subject)
        if due_at is not None and not services.store.jobs.is_planned(team.name, job.kind, job.subject, due_at):
            services.jobs.add(team, job.kind, job.subject, due_at)


def _settle(
    services: Services, team: Team, job: Job, answered: list[tuple[Request, Result | Failure]], careful: int
) -> None:
    """Store results and failures, count them, and plan the next slice."""
    batch = _alive(services, job)
    with services.store.transaction():
        services.store.jobs.done(job)
        if batch is not None:
            _finish(services, team, batch, job.due_at, answered)
        go_on(services, team, job, careful=max(0, careful))


def _finish(
    services: Services, team: Team, batch: Batch, at: Instant, answered: list[tuple[Request, Result | Failure]]
) -> None:
    success = error = 0
    ticks: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for request, result in answered:
        outcome, cost = outcome_of(services, team, result, at)
        finish(batch, request, outcome)
        if not services.store.batch_requests.finish(request, outcome, at):
            continue
        if isinstance(outcome, Failure):
            error += 1
        else:
            success += 1
            endpoint = KINDS[request.kind].endpoint
            ticks[endpoint] += cost
            counts[endpoint] += 1
    services.store.batches.count(team.name, batch.id, success=success, error=error)
    for endpoint, count in counts.items():
        services.store.batches.add_cost(team.name, batch.id, Cost(endpoint, ticks[endpoint], count))
