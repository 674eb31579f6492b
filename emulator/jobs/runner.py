"""Runs jobs in due order: at once when a clock is moved, else when their time comes."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from emulator.clock import MICROSECONDS, Instant
from emulator.jobs.batches import expire_batch, process_batch, read_batch_file
from emulator.jobs.expiry import expire_file
from emulator.jobs.indexing import index_document
from emulator.store.jobs import Job
from emulator.world import Team, World

T = TypeVar("T")

HANDLERS: dict[str, Callable[[World, Job], Awaitable[None]]] = {
    "expire_file": expire_file,
    "index_document": index_document,
    "read_batch_file": read_batch_file,
    "process_batch": process_batch,
    "expire_batch": expire_batch,
}

_LONGEST_SLEEP = 60.0  # seconds: the wall clock may be set while we sleep


class Runner:
    """Runs the jobs of each team one after the other, and those of different teams side by side."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._changed = asyncio.Event()
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._busy: set[str] = set()  # teams whose due jobs are being run because their time has come
        self._tasks: set[asyncio.Task[Any]] = set()
        world.wake = self._changed.set
        world.run_due = self.run_team

    async def run(self) -> None:
        """Sleep until the next job of any team is due, and run it; until cancelled."""
        for name in self._world.store.jobs.teams():
            self._world.team(name)
        try:
            while True:
                self._changed.clear()
                self._start_due()
                # not wait_for: Python 3.11's loses a cancellation that comes together with the event
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._seconds_to_next()):
                        await self._changed.wait()
        finally:
            for task in self._tasks:
                task.cancel()

    async def advance(self, team: Team, microseconds: int) -> list[Job]:
        """Move a team's clock forward and run what becomes due on the way; the jobs that ran, in order."""
        self._world.change_clock(team, lambda clock: clock.advance(microseconds))
        return await self.run_team(team)

    async def release(self, team: Team) -> list[Job]:
        """Run what waits in a team to be released, and what is due; the jobs that ran, in order."""
        self._world.store.jobs.release(team.name, team.clock.now())
        return await self.run_team(team)

    async def run_team(self, team: Team, until: Instant | None = None) -> list[Job]:
        """Run what is due in one team, by now or by `until`. Who leaves while waiting does not stop it."""
        return await asyncio.shield(self._task(self._run(team, until)))

    async def _run(self, team: Team, until: Instant | None) -> list[Job]:
        ran: list[Job] = []
        async with self._locks[team.name]:  # jobs of one team never run twice at once
            until = team.clock.now() if until is None else until
            while (job := self._world.store.jobs.next_due(team.name, until)) is not None:
                await self._run_job(job)
                ran.append(job)
        return ran

    async def _run_job(self, job: Job) -> None:
        try:
            await HANDLERS[job.kind](self._world, job)
        except Exception as error:
            # A defect. The job is dropped: trying again for ever would keep the team's other jobs from running.
            self._world.store.jobs.done(job)
            message = f"the job {job.kind} of {job.subject} failed"
            asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})

    def _start_due(self) -> None:
        for team in self._world.teams.values():
            due = self._world.store.jobs.earliest(team.name)
            if team.name not in self._busy and due is not None and due <= team.clock.now():
                self._busy.add(team.name)
                self._task(self._run(team, None)).add_done_callback(partial(self._finished, team.name))

    def _finished(self, team: str, task: asyncio.Task[Any]) -> None:
        self._busy.discard(team)
        self._changed.set()

    def _task(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _seconds_to_next(self) -> float:
        waits = [_LONGEST_SLEEP]
        for team in self._world.teams.values():
            if team.clock.frozen or team.name in self._busy:
                continue
            due = self._world.store.jobs.earliest(team.name)
            if due is not None:
                waits.append(max(0.0, (due - team.clock.now()) / MICROSECONDS))
        return min(waits)
