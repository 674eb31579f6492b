"""Deferred completions: when they are ready, and when they expire."""

from __future__ import annotations

from emulator.state.world import World
from emulator.store.jobs import Job


async def complete_deferred(world: World, job: Job) -> None:
    """Let a deferred completion be fetched."""
    with world.store.transaction():
        world.store.jobs.done(job)
        world.store.deferred.set_ready(job.team, job.subject)


async def expire_deferred(world: World, job: Job) -> None:
    """Delete a deferred completion that was not fetched in time."""
    with world.store.transaction():
        world.store.jobs.done(job)
        world.store.deferred.delete(job.team, job.subject)
