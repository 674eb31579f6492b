"""Deferred completions: when they are ready, and when they expire."""

from __future__ import annotations

from emulator.state.services import Services
from emulator.store.jobs import Job


async def complete_deferred(services: Services, job: Job) -> None:
    """Let a deferred completion be fetched."""
    with services.store.transaction():
        services.store.jobs.done(job)
        services.store.deferred.set_ready(job.team, job.subject)


async def expire_deferred(services: Services, job: Job) -> None:
    """Delete a deferred completion that was not fetched in time."""
    with services.store.transaction():
        services.store.jobs.done(job)
        services.store.deferred.delete(job.team, job.subject)
