"""Runs jobs in due order: at once when a clock is moved, else when their time comes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from emulator.clock import MICROSECONDS, Instant
from emulator.jobs.expiry import expire_file
from emulator.store.jobs import Job
from emulator.world import Team, World

HANDLERS: dict[str, Callable[[World, Job], Awaitable[None]]] = {
    "expire_file": expire_file,
}

_LONGEST_SLEEP = 60.0  # seconds: the wall clock may be set while we sleep


async def run_due(world: World, team: Team, until: Instant) -> list[Job]:
    """Run the team's jobs that are due by `until`, one after the other in due order. Returns what ran."""
    ran: list[Job] = []
    while (job := world.store.jobs.next_due(team.name, until)) is not None:
        await HANDLERS[job.kind](world, job)
        ran.append(job)
    return ran


class Runner:
    """The loop that sleeps until the next job of any team whose clock runs."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._changed = asyncio.Event()
        self._running = asyncio.Lock()  # jobs of one team never run twice at once
        world.wake = self._changed.set

    async def run(self) -> None:
        """Run until cancelled."""
        for name in self._world.store.jobs.teams():
            self._world.team(name)
        while True:
            self._changed.clear()
            await self.run_all_due()
            try:
                await asyncio.wait_for(self._changed.wait(), self._seconds_to_next())
            except TimeoutError:
                continue

    async def run_all_due(self) -> None:
        """Run what is due now, in every team."""
        for team in list(self._world.teams.values()):
            await self.run_team(team)

    async def advance(self, team: Team, microseconds: int) -> list[Job]:
        """Move a team's clock forward and run what becomes due on the way; the jobs that ran, in order."""
        self._world.change_clock(team, lambda clock: clock.advance(microseconds))
        return await self.run_team(team)

    async def run_team(self, team: Team, until: Instant | None = None) -> list[Job]:
        """Run what is due in one team, by now or by `until`."""
        async with self._running:
            return await run_due(self._world, team, team.clock.now() if until is None else until)

    def _seconds_to_next(self) -> float:
        waits = [_LONGEST_SLEEP]
        for team in self._world.teams.values():
            due = None if team.clock.frozen else self._world.store.jobs.earliest(team.name)
            if due is not None:
                waits.append(max(0.0, (due - team.clock.now()) / MICROSECONDS))
        return min(waits)
