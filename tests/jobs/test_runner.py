"""The runner: due order within a team, independence between teams, and what a defect or a departure does to it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from emulator.core.clock import MICROSECONDS
from emulator.jobs import runner
from emulator.jobs.runner import Runner
from emulator.runtime.app import build_world
from emulator.state.settings import Settings
from emulator.state.world import World
from emulator.store.jobs import Job
from tests.operations.client import turns, uploaded
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
    team, now = world.teams.get("a"), world.teams.get("a").clock.now()
    for subject, delay in (("third", 3), ("first", 1), ("second", 2), ("also third", 3), ("later", 99)):
        world.jobs.add(team, "probe", subject, now + delay * MICROSECONDS)
    ran = await Runner(world).advance(team, 5 * MICROSECONDS)
    assert [job.subject for job in ran] == ["first", "second", "third", "also third"]
    assert [subject for _, subject in probe.ran] == ["first", "second", "third", "also third"]


async def test_a_slow_team_delays_no_other(world: World, probe: Probe) -> None:
    """While a job of one team waits, jobs of another one run by themselves."""
    probe.gates["slow"] = asyncio.Event()
    teams = world.teams.get("a"), world.teams.get("b")
    loop = asyncio.create_task(Runner(world).run())
    world.jobs.add(teams[0], "probe", "slow", teams[0].clock.now())
    await probe.started.wait()
    world.jobs.add(teams[1], "probe", "quick", teams[1].clock.now())
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
    team, jobs = world.teams.get("a"), Runner(world)
    for number, (kind, subject) in enumerate((("probe", "slow"), ("probe", "next"), ("other", "quick"))):
        world.jobs.add(team, kind, subject, team.clock.now() - 10 + number)
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
    team, jobs = world.teams.get("a"), Runner(world)
    world.jobs.add(team, "probe", "only", team.clock.now())
    callers = [asyncio.create_task(jobs.run_team(team)) for _ in range(3)]
    await probe.started.wait()
    probe.gates["only"].set()
    assert sorted(len(ran) for ran in await asyncio.gather(*callers)) == [0, 0, 1]
    assert probe.ran == [("a", "only")]


async def test_a_caller_who_leaves_stops_nothing(world: World, probe: Probe) -> None:
    """A job goes on although the call that waited for it was cancelled."""
    probe.gates["kept"] = asyncio.Event()
    team, jobs = world.teams.get("a"), Runner(world)
    world.jobs.add(team, "probe", "kept", team.clock.now())
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
    team = world.teams.get("a")
    for subject in ("defect", "next"):
        world.jobs.add(team, "probe", subject, team.clock.now())
    await Runner(world).run_team(team)
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]
    assert probe.ran == [("a", "next")]
    assert world.store.jobs.earliest("a") is None


async def test_a_held_job_waits_for_its_release(world: World, probe: Probe) -> None:
    """A job without a due time runs however late it gets only when it is released, at the instant of that."""
    team, jobs = world.teams.get("a"), Runner(world)
    team.clock.freeze()
    world.jobs.add(team, "probe", "held", None)
    assert await jobs.advance(team, 10**6 * MICROSECONDS) == []
    assert [job.due_at for job in await jobs.release(team)] == [team.clock.now()]
    assert probe.ran == [("a", "held")]


async def test_planned_job_costs_the_same_among_many_teams(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A team is looked at when its jobs or its clock change, or when its time has come, and not for others."""
    looks: list[str] = []
    earliest = world.store.jobs.earliest

    def noted(team: str, kinds: Any = None) -> Any:
        looks.append(team)
        return earliest(team, kinds)

    monkeypatch.setattr(world.store.jobs, "earliest", noted)
    jobs = Runner(world)
    teams = [world.teams.get(f"team-{number}") for number in range(300)]
    far = 10**6 * MICROSECONDS
    for team in teams:
        world.jobs.add(team, "expire_file", "later", team.clock.now() + far)
    loop = asyncio.create_task(jobs.run())
    for _ in range(3):
        await asyncio.sleep(0)
    assert len(looks) == len(teams) * len(runner.LANES), "each was looked at once, at the start"
    for change in (
        lambda: world.jobs.add(teams[7], "expire_file", "more", teams[7].clock.now() + far),
        lambda: world.teams.change_clock(teams[7], lambda clock: clock.advance(1)),
    ):
        looks.clear()
        change()
        for _ in range(3):
            await asyncio.sleep(0)
        assert looks == ["team-7"] * len(runner.LANES)
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)


async def test_next_job_follows_changes_of_clock_and_jobs(world: World, probe: Probe) -> None:
    """The pause until the next job is that of the earliest team whose clock runs, however often that changed."""
    jobs, (first, second) = Runner(world), (world.teams.get("a"), world.teams.get("b"))
    for team, seconds in ((first, 40), (second, 50)):
        world.jobs.add(team, "probe", "later", team.clock.now() + seconds * MICROSECONDS)
    assert 30 < jobs._look() <= 40
    world.teams.change_clock(second, lambda clock: clock.advance(20 * MICROSECONDS))
    assert 20 < jobs._look() <= 30
    world.teams.change_clock(second, lambda clock: clock.freeze())
    assert 30 < jobs._look() <= 40
    world.store.jobs.cancel("a", "probe", "later")
    world.teams.change_clock(first, lambda clock: clock.resume())
    assert jobs._look() == 60
    for number in range(5000):
        world.jobs.add(first, "probe", "sooner", first.clock.now() + (60_000 - number) * MICROSECONDS)
        jobs._look()
    assert len(jobs._agenda) <= 2 * len(jobs._due) + runner._STALE_MAX, "what is stale is forgotten"


async def test_many_due_jobs_let_others_have_their_turn(world: World, probe: Probe) -> None:
    """Between two jobs that never wait the loop goes round once."""
    team = world.teams.get("a")
    for number in range(500):
        world.jobs.add(team, "probe", str(number), team.clock.now())
    with turns(lambda: len(probe.ran)) as ran:
        await Runner(world).run_team(team)
    assert max(after - before for before, after in itertools.pairwise(ran)) <= 1


async def test_files_that_expire_at_once_let_others_have_their_turn(world: World) -> None:
    """One file goes at a time."""
    team, count = world.teams.get("default"), 50
    ids = [await uploaded(world, expires_after=3600) for _ in range(count)]
    with turns(lambda: world.store.files.usage("default")[0]) as left:
        ran = await Runner(world).advance(team, 3601 * MICROSECONDS)
    assert [job.subject for job in ran] == ids
    assert max(before - after for before, after in itertools.pairwise(left)) == 1
