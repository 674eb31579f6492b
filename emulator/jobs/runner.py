"""Run jobs in due order: at once when a clock is moved, otherwise when they are due.

Guarantees:

- The jobs of one lane of one team run one after the other, in due order. Lanes and teams run side by side.
- A job whose process ended while it ran is started again by the next process, ATTEMPTS_MAX times at most; then its
  entry in GIVE_UP runs instead.
- A job that fails with a defect is dropped and reported to the event loop. One that fails because of the disk is
  retried every second.
- An idle emulator reads nothing: a poll looks only at teams that changed or whose next job is due.

`_agenda` is a heap of due times by the wall clock, `_due` the valid entry of each team. An outdated entry stays
in the heap until it reaches the top or outdated entries prevail.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress
from functools import partial
from importlib import import_module
from typing import Any

import msgspec

from emulator.core.clock import MICROSECONDS, Clock, Instant
from emulator.core.errors import disk_unusable, is_of_disk
from emulator.state.services import Services
from emulator.state.teams import Team
from emulator.store.jobs import ATTEMPTS_MAX, Job, JobCancelled

Handler = Callable[[Services, Job], Awaitable[None]]


class LazyHandler(msgspec.Struct, frozen=True):
    """A handler whose module, below `emulator.jobs`, is imported with its first job, to keep the start fast."""

    module: str
    name: str

    def load(self) -> Handler:
        """Return the function itself."""
        handler: Handler = getattr(import_module(f"emulator.jobs.{self.module}"), self.name)
        return handler

    async def __call__(self, services: Services, job: Job) -> None:
        await self.load()(services, job)


# Every kind of job. Those of one lane run one after the other, so a slow one (an embedder or a responder that is called
# over the network) delays only jobs of its own lane.
LANES: dict[str, dict[str, Handler]] = {
    "files": {"expire_file": LazyHandler("expiry", "expire_file")},
    "documents": {"index_document": LazyHandler("indexing", "index_document")},
    "removals": {
        "remove_chunks": LazyHandler("chunks", "remove_chunks"),
        "remove_addition": LazyHandler("batches.additions", "remove_addition"),
    },
    "batches": {
        "read_batch_file": LazyHandler("batches.input_files", "read_batch_file"),
        "process_batch": LazyHandler("batches.process", "process_batch"),
        "expire_batch": LazyHandler("batches.process", "expire_batch"),
    },
    "chat": {
        "complete_deferred": LazyHandler("chat", "complete_deferred"),
        "expire_deferred": LazyHandler("chat", "expire_deferred"),
        "forget_deferred": LazyHandler("chat", "forget_deferred"),
        "expire_response": LazyHandler("chat", "expire_response"),
    },
    "videos": {
        "complete_video": LazyHandler("videos", "complete_video"),
        "delete_video": LazyHandler("videos", "delete_video"),
    },
}

# Handlers that run instead of a job that was begun ATTEMPTS_MAX times and never ended. Kinds that are missing here only
# write rows, so nothing that a client sends can make them end the process.
GIVE_UP: dict[str, Handler] = {
    "index_document": LazyHandler("indexing", "fail_indexing"),
    "read_batch_file": LazyHandler("batches.input_files", "reject_batch_file"),
    "process_batch": LazyHandler("batches.process", "fail_request"),
}

_DISK_PAUSE = 1.0  # seconds until a job that failed because of the disk is retried
_STALE_MAX = 1_000  # outdated entries of the agenda, beyond the number of current ones
_LONGEST_SLEEP = 60.0  # seconds: the wall clock may be set while we sleep


class Runner:
    """Runs the jobs of each lane of each team in due order; lanes and teams run side by side."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._changed = asyncio.Event()
        self._locks: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._busy: set[tuple[str, str]] = set()  # lanes that run because a job is due
        self._paused: set[tuple[str, str]] = set()  # lanes that failed because of the disk, and are retried
        self._suspected = (
            asyncio.Lock()
        )  # held by the running job that did not end in an earlier attempt; one at a time
        self._tasks: set[asyncio.Task[list[Job]]] = set()
        self._knows_teams = False  # whether the teams of an earlier process with pending jobs are loaded
        self._unreadable = False  # whether the last poll could not read the database
        self._wall = Clock(0, None)
        self._touched: set[str] = set()  # teams whose jobs or clocks changed since they were looked at
        self._due: dict[str, Instant] = {}  # when the next job of a team is due, by the wall clock
        self._agenda: list[tuple[Instant, str]] = []  # a heap of the same, with outdated entries
        services.jobs.attach(self)

    async def run(self) -> None:
        """Sleep until the next job of any team is due, and run it; until cancelled."""
        try:
            while True:
                self._changed.clear()
                seconds = self._poll()
                # not wait_for: Python 3.11's loses a cancellation that comes together with the event
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await self._changed.wait()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)  # none may find the store closed

    async def advance(self, team: Team, microseconds: int) -> list[Job]:
        """Move the clock of a team forward and run what becomes due; return the jobs that ran, in order."""
        self._services.teams.change_clock(team, lambda clock: clock.advance(microseconds))
        return await self.run_team(team)

    async def release(self, team: Team) -> list[Job]:
        """Run the jobs of a team that wait for release, and the due ones; return the jobs that ran, in order."""
        self._services.store.jobs.release(team.name, team.clock.now())
        return await self.run_team(team)

    async def run_team(self, team: Team) -> list[Job]:
        """Run the due jobs of a team, and those that they add for now; return the jobs that ran, in order."""
        until, ran = team.clock.now(), list[Job]()
        while True:
            lanes = await asyncio.shield(asyncio.gather(*(self._start(team, lane, until) for lane in LANES)))
            if not any(lanes):
                return sorted(ran, key=lambda job: (job.due_at, job.seq))
            ran += itertools.chain.from_iterable(lanes)

    async def run_lane(self, team: Team, lane: str, until: Instant) -> list[Job]:
        """Run the jobs of one lane of a team that are due at `until`. Cancelling the wait does not stop them."""
        return await asyncio.shield(self._start(team, lane, until))

    def _start(self, team: Team, lane: str, until: Instant) -> asyncio.Task[list[Job]]:
        task = asyncio.get_running_loop().create_task(self._run(team, lane, until))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _run(self, team: Team, lane: str, until: Instant) -> list[Job]:
        ran: list[Job] = []
        async with self._locks[team.name, lane]:  # no job runs twice at once
            try:
                while (job := self._services.store.jobs.next_due(team.name, LANES[lane], until)) is not None:
                    await self._run_job(LANES[lane][job.kind], job)
                    ran.append(job)
                    await asyncio.sleep(0)  # thousands may be due at once, and many never wait
                self._paused.discard((team.name, lane))
            except OSError as error:  # the write may succeed once there is free space
                if (team.name, lane) not in self._paused:
                    self._services.log(
                        f"Jobs for the {lane} of team {team.name} are delayed: {disk_unusable(error).message}"
                    )
                self._paused.add((team.name, lane))
        return ran

    async def _run_job(self, handle: Handler, job: Job) -> None:
        # Jobs that did not end before run one at a time: if the process dies again, the running one is the cause.
        async with self._suspected if job.attempts else nullcontext():
            if job.attempts >= ATTEMPTS_MAX:
                self._services.log(f"The job {job.kind} of {job.subject} is dropped: it did not end in any attempt.")
                await self._run_handler(GIVE_UP[job.kind], job)
                return
            if job.kind in GIVE_UP:
                self._services.store.jobs.begin(job)
            await self._run_handler(handle, job)

    async def _run_handler(self, handle: Handler, job: Job) -> None:
        try:
            await handle(self._services, job)
        except JobCancelled:
            pass
        except asyncio.CancelledError:
            with suppress(OSError):
                self._services.store.jobs.interrupt(job)
            raise
        except Exception as error:
            if isinstance(error, OSError) and is_of_disk(error):
                with suppress(OSError):
                    self._services.store.jobs.interrupt(job)
                raise
            # A defect. The job is dropped: retrying forever would keep the lane's other jobs from running.
            with suppress(JobCancelled):
                self._services.store.jobs.done(job)
            message = f"the job {job.kind} of {job.subject} failed"
            asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})

    def on_change(self, name: str) -> None:
        """Mark a team whose jobs or clock changed."""
        self._touched.add(name)
        self._changed.set()

    def _poll(self) -> float:
        """Start due jobs; return the seconds until the next poll. A database that cannot be read is polled again."""
        try:
            if not self._knows_teams:
                self._touched.update(self._services.store.jobs.teams())
                self._knows_teams = True
            seconds, self._unreadable = self._start_due(), False
        except OSError as error:
            if not self._unreadable:
                self._services.log(f"All jobs are delayed: {disk_unusable(error).message}")
            seconds, self._unreadable = _DISK_PAUSE, True
        return seconds

    def _start_due(self) -> float:
        """Start every lane with a due job; return the seconds until the next one has.

        Only teams that changed, or whose next job is due, are read: the others are in the agenda.
        """
        now = self._wall.now()
        while self._agenda and self._agenda[0][0] <= now:
            due, name = heapq.heappop(self._agenda)
            if self._due.get(name) == due:
                del self._due[name]
                self._touched.add(name)
        while self._touched:
            name = next(iter(self._touched))
            self._start_lanes(name)
            self._touched.discard(name)  # only now: if reading failed, the team is read again
        if len(self._agenda) > 2 * len(self._due) + _STALE_MAX:
            self._agenda = [(due, name) for name, due in self._due.items()]
            heapq.heapify(self._agenda)
        while self._agenda and self._due.get(self._agenda[0][1]) != self._agenda[0][0]:
            heapq.heappop(self._agenda)
        if not self._agenda:
            return _LONGEST_SLEEP
        return max(0.0, min(_LONGEST_SLEEP, (self._agenda[0][0] - now) / MICROSECONDS))

    def _start_lanes(self, name: str) -> None:
        """Start the lanes of a team that have a due job, and record when the next job is due."""
        team = self._services.teams.with_jobs(name)
        upcoming: list[Instant] = []
        for lane, kinds in LANES.items() if team is not None else ():
            assert team is not None
            now = team.clock.now()
            due = None if (name, lane) in self._busy else self._services.store.jobs.earliest(name, kinds)
            if due is not None and due <= now:
                self._busy.add((name, lane))
                self._start(team, lane, now).add_done_callback(partial(self._finished, (name, lane)))
            elif due is not None and not team.clock.frozen:
                upcoming.append(due - team.clock.offset)
        before = self._due.pop(name, None)
        if upcoming:
            self._due[name] = min(upcoming)
            if self._due[name] != before:
                heapq.heappush(self._agenda, (self._due[name], name))

    def _finished(self, lane: tuple[str, str], task: asyncio.Task[Any]) -> None:
        if lane in self._paused:
            asyncio.get_running_loop().call_later(_DISK_PAUSE, self._free, lane)
        else:
            self._free(lane)

    def _free(self, lane: tuple[str, str]) -> None:
        self._busy.discard(lane)
        self.on_change(lane[0])
