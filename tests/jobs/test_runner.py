"""The runner: due order within a team, independence between teams, and what a defect or a departure does to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from emulator.app import build_world
from emulator.clock import MICROSECONDS
from emulator.jobs import runner
from emulator.jobs.runner import Runner
from emulator.settings import Settings
from emulator.store.jobs import Job
from emulator.world import World
from tests.serving import PATIENCE_SECONDS


class Probe:
    """A handler that notes what runs, and waits where it is told to."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, str]] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.started = asyncio.Event()

    async def __call__(self, world: World, job: Job) -> None:
        self.started.set()
        if job.subject in self.gates:
            await self.gates[job.subject].wait()
        if job.subject == "defect":
            raise ZeroDivisionError
        world.store.jobs.done(job)
        self.ran.append((job.team, job.subject))


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Probe:
    probe = Probe()
    monkeypatch.setattr(runner, "LANES", {"one": {"probe": probe}, "other": {"other": probe}})
    return probe


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = build_world(Settings())
    yield world
    world.store.close()


async def test_jobs_of_a_team_run_in_due_order(world: World, probe: Probe) -> None:
    """What is due first runs first, whatever the order in which it was planned; equal times keep that order."""
    team, now = world.team("a"), world.team("a").clock.now()
    for subject, delay in (("third", 3), ("first", 1), ("second", 2), ("also third", 3), ("later", 99)):
        world.add_job(team, "probe", subject, now + delay * MICROSECONDS)
    ran = await Runner(world).advance(team, 5 * MICROSECONDS)
    assert [job.subject for job in ran] == ["first", "second", "third", "also third"]
    assert [subject for _, subject in probe.ran] == ["first", "second", "third", "also third"]


async def test_a_slow_team_delays_no_other(world: World, probe: Probe) -> None:
    """While a job of one team waits, jobs of another one run by themselves."""
    probe.gates["slow"] = asyncio.Event()
    teams = world.team("a"), world.team("b")
    loop = asyncio.create_task(Runner(world).run())
    world.add_job(teams[0], "probe", "slow", teams[0].clock.now())
    await probe.started.wait()
    world.add_job(teams[1], "probe", "quick", teams[1].clock.now())
    async with asyncio.timeout(PATIENCE_SECONDS):
        while probe.ran != [("b", "quick")]:
            await asyncio.sleep(0)
        probe.gates["slow"].set()
        while len(probe.ran) < 2:
            await asyncio.sleep(0)
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)


async def test_a_slow_job_delays_no_other_lane(world: World, probe: Probe) -> None:
    """While a job waits, one of another lane runs in the same team; one of its own lane waits for its turn."""
    probe.gates["slow"] = asyncio.Event()
    team, jobs = world.team("a"), Runner(world)
    for number, (kind, subject) in enumerate((("probe", "slow"), ("probe", "next"), ("other", "quick"))):
        world.add_job(team, kind, subject, team.clock.now() - 10 + number)
    running = asyncio.create_task(jobs.run_team(team))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while probe.ran != [("a", "quick")]:
            await asyncio.sleep(0)
    probe.gates["slow"].set()
    assert [job.subject for job in await running] == ["slow", "next", "quick"], "in due order"
    assert probe.ran == [("a", "quick"), ("a", "slow"), ("a", "next")]


def test_every_kind_has_one_lane() -> None:
    """No kind of job stands in two lanes, where it could run twice at once."""
    kinds = [kind for lane in runner.LANES.values() for kind in lane]
    assert len(kinds) == len(set(kinds))


async def test_a_job_never_runs_twice_at_once(world: World, probe: Probe) -> None:
    """Who asks for due jobs while one of them runs waits for it, and does not run it again."""
    probe.gates["only"] = asyncio.Event()
    team, jobs = world.team("a"), Runner(world)
    world.add_job(team, "probe", "only", team.clock.now())
    callers = [asyncio.create_task(jobs.run_team(team)) for _ in range(3)]
    await probe.started.wait()
    probe.gates["only"].set()
    assert sorted(len(ran) for ran in await asyncio.gather(*callers)) == [0, 0, 1]
    assert probe.ran == [("a", "only")]


async def test_a_caller_who_leaves_stops_nothing(world: World, probe: Probe) -> None:
    """A job goes on although the call that waited for it was cancelled."""
    probe.gates["kept"] = asyncio.Event()
    team, jobs = world.team("a"), Runner(world)
    world.add_job(team, "probe", "kept", team.clock.now())
    caller = asyncio.create_task(jobs.run_team(team))
    await probe.started.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    probe.gates["kept"].set()
    await jobs.run_team(team)
    assert probe.ran == [("a", "kept")]


async def test_a_defect_is_reported_and_dropped(world: World, probe: Probe) -> None:
    """A job that raises is told to the loop and not tried again; the jobs after it run."""
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
    team = world.team("a")
    for subject in ("defect", "next"):
        world.add_job(team, "probe", subject, team.clock.now())
    await Runner(world).run_team(team)
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]
    assert probe.ran == [("a", "next")]
    assert world.store.jobs.earliest("a") is None


async def test_a_held_job_waits_for_its_release(world: World, probe: Probe) -> None:
    """A job without a due time runs however late it gets only when it is released, at the instant of that."""
    team, jobs = world.team("a"), Runner(world)
    team.clock.freeze()
    world.add_job(team, "probe", "held", None)
    assert await jobs.advance(team, 10**6 * MICROSECONDS) == []
    assert [job.due_at for job in await jobs.release(team)] == [team.clock.now()]
    assert probe.ran == [("a", "held")]
