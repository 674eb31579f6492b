"""Jobs that complete and expire deferred completions, and expire stored responses."""

from __future__ import annotations

from emulator.core.clock import MICROSECONDS, later
from emulator.state.services import Services
from emulator.store.jobs import Job


async def complete_deferred(services: Services, job: Job) -> None:
    """Make a deferred completion available."""
    with services.store.transaction():
        services.store.jobs.done(job)
        services.store.deferred.set_ready(job.team, job.subject)


async def expire_deferred(services: Services, job: Job) -> None:
    """Delete an answer that was not fetched in time. For the same time again it is reported as expired."""
    team = services.teams.get(job.team)
    with services.store.transaction():
        services.store.jobs.done(job)
        services.store.deferred.empty(job.team, job.subject)
        due = later(job.due_at, team.limits.deferred_completion_seconds * MICROSECONDS)
        services.jobs.add(team, "forget_deferred", job.subject, due)


async def forget_deferred(services: Services, job: Job) -> None:
    """Delete a deferred completion that has expired."""
    with services.store.transaction():
        services.store.jobs.done(job)
        services.store.deferred.delete(job.team, job.subject)


async def expire_response(services: Services, job: Job) -> None:
    """Delete a stored response that has expired."""
    with services.store.transaction():
        services.store.jobs.done(job)
        services.store.responses.delete(job.team, job.subject)
