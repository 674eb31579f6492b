"""The runner: due order within a team, independence between teams, and what a defect or a departure does to it."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from emulator.core.clock import MICROSECONDS
from emulator.jobs import runner
from emulator.jobs.runner import Runner
from emulator.runtime.app import build_services
from emulator.state.services import Services
from emulator.state.settings import Settings
from emulator.store.jobs import Job
from tests.operations.client import turns, uploaded
from tests.serving import PATIENCE_SECONDS


class Probe:
    """A handler that records which jobs run, and waits at the gates of the test."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, str]] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.started = asyncio.Event()

    async def __call__(self, services: Services, job: Job) -> None:
        self.started.set()
        if job.subject in self.gates:
            await self.gates[job.subject].wait()
        if job.subject == "defect":
            raise ZeroDivisionError
        services.store.jobs.done(job)
        self.ran.append((job.team, job.subject))


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Probe:
    probe = Probe()
    monkeypatch.setattr(runner, "LANES", {"one": {"probe": probe}, "other": {"other": probe}})
    return probe


@pytest.fixture
async def services() -> AsyncIterator[Services]:
    services = build_services(Settings())
    yield services
    services.store.close()


async def test_jobs_of_a_team_run_in_due_order(services: Services, probe: Probe) -> None:
    """What is due first runs first, whatever the order in which it was planned; equal times keep that order."""
    team, now = services.teams.get("a"), services.teams.get("a").clock.now()
    for subject, delay in (("third", 3), ("first", 1), ("second", 2), ("also third", 3), ("later", 99)):
        services.jobs.add(team, "probe", subject, now + delay * MICROSECONDS)
    ran = await Runner(services).advance(team, 5 * MICROSECONDS)
    assert [job.subject for job in ran] == ["first", "second", "third", "also third"]
    assert [subject for _, subject in probe.ran] == ["first", "second", "third", "also third"]


async def test_slow_team_does_not_delay_other_teams(services: Services, probe: Probe) -> None:
    """While a job of one team waits, jobs of another one run by themselves."""
    probe.gates["slow"] = asyncio.Event()
    teams = services.teams.get("a"), services.teams.get("b")
    loop = asyncio.create_task(Runner(services).run())
    services.jobs.add(teams[0], "probe", "slow", teams[0].clock.now())
    await probe.started.wait()
    services.jobs.add(teams[1], "probe", "quick", teams[1].clock.now())
    async with asyncio.timeout(PATIENCE_SECONDS):
        while probe.ran != [("b", "quick")]:
            await asyncio.sleep(0)
        probe.gates["slow"].set()
        while len(probe.ran) < 2:
            await asyncio.sleep(0)
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)


async def test_slow_job_does_not_delay_other_lanes(services: Services, probe: Probe) -> None:
    """While a job waits, one of another lane runs in the same team; one of its own lane waits for its turn."""
    probe.gates["slow"] = asyncio.Event()
    team, jobs = services.teams.get("a"), Runner(services)
    for number, (kind, subject) in enumerate((("probe", "slow"), ("probe", "next"), ("other", "quick"))):
        services.jobs.add(team, kind, subject, team.clock.now() - 10 + number)
    running = asyncio.create_task(jobs.run_team(team))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while probe.ran != [("a", "quick")]:
            await asyncio.sleep(0)
    probe.gates["slow"].set()
    assert [job.subject for job in await running] == ["slow", "next", "quick"], "in due order"
    assert probe.ran == [("a", "quick"), ("a", "slow"), ("a", "next")]


def test_job_kinds_are_in_one_lane_each() -> None:
    """No kind of job stands in two lanes, where it could run twice at once."""
    kinds = [kind for lane in runner.LANES.values() for kind in lane]
    assert len(kinds) == len(set(kinds))


def test_handlers_are_found_where_their_rows_say() -> None:
    """They are imported with the first job of a kind, which must not be what finds a name wrong."""
    rows = [*(row for lane in runner.LANES.values() for row in lane.values()), *runner.GIVE_UP.values()]
    assert all(isinstance(row, runner.LazyHandler) and inspect.iscoroutinefunction(row.load()) for row in rows)


async def test_concurrent_callers_run_job_once(services: Services, probe: Probe) -> None:
    """Who asks for due jobs while one of them runs waits for it, and does not run it again."""
    probe.gates["only"] = asyncio.Event()
    team, jobs = services.teams.get("a"), Runner(services)
    services.jobs.add(team, "probe", "only", team.clock.now())
    callers = [asyncio.create_task(jobs.run_team(team)) for _ in range(3)]
    await probe.started.wait()
    probe.gates["only"].set()
    assert sorted(len(ran) for ran in await asyncio.gather(*callers)) == [0, 0, 1]
    assert probe.ran == [("a", "only")]


async def test_job_continues_after_caller_is_cancelled(services: Services, probe: Probe) -> None:
    """A job continues although the call that waited for it was cancelled."""
    probe.gates["kept"] = asyncio.Event()
    team, jobs = services.teams.get("a"), Runner(services)
    services.jobs.add(team, "probe", "kept", team.clock.now())
    caller = asyncio.create_task(jobs.run_team(team))
    await probe.started.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    probe.gates["kept"].set()
    await jobs.run_team(team)
    assert probe.ran == [("a", "kept")]


async def test_failing_job_is_reported_and_not_retried(services: Services, probe: Probe) -> None:
    """An exception of a job goes to the loop's exception handler; the job is not retried, and later jobs run."""
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
    team = services.teams.get("a")
    for subject in ("defect", "next"):
        services.jobs.add(team, "probe", subject, team.clock.now())
    await Runner(services).run_team(team)
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]
    assert probe.ran == [("a", "next")]
    assert services.store.jobs.earliest("a") is None


async def test_held_job_runs_only_when_released(services: Services, probe: Probe) -> None:
    """A job without a due time runs however late it gets only when it is released, at the instant of that."""
    team, jobs = services.teams.get("a"), Runner(services)
    team.clock.freeze()
    services.jobs.add(team, "probe", "held", None)
    assert await jobs.advance(team, 10**6 * MICROSECONDS) == []
    assert [job.due_at for job in await jobs.release(team)] == [team.clock.now()]
    assert probe.ran == [("a", "held")]


async def test_planned_job_costs_the_same_among_many_teams(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """A team is looked at when its jobs or its clock change, or when its time has come, and not for others."""
    looks: list[str] = []
    earliest = services.store.jobs.earliest

    def noted(team: str, kinds: Any = None) -> Any:
        looks.append(team)
        return earliest(team, kinds)

    monkeypatch.setattr(services.store.jobs, "earliest", noted)
    jobs = Runner(services)
    teams = [services.teams.get(f"team-{number}") for number in range(300)]
    far = 10**6 * MICROSECONDS
    for team in teams:
        services.jobs.add(team, "expire_file", "later", team.clock.now() + far)
    loop = asyncio.create_task(jobs.run())
    for _ in range(3):
        await asyncio.sleep(0)
    assert len(looks) == len(teams) * len(runner.LANES), "each was looked at once, at the start"
    for change in (
        lambda: services.jobs.add(teams[7], "expire_file", "more", teams[7].clock.now() + far),
        lambda: services.teams.change_clock(teams[7], lambda clock: clock.advance(1)),
    ):
        looks.clear()
        change()
        for _ in range(3):
            await asyncio.sleep(0)
        assert looks == ["team-7"] * len(runner.LANES)
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)


async def test_next_job_follows_changes_of_clock_and_jobs(services: Services, probe: Probe) -> None:
    """The pause until the next job is that of the earliest team whose clock runs, however often that changed."""
    jobs, (first, second) = Runner(services), (services.teams.get("a"), services.teams.get("b"))
    for team, seconds in ((first, 40), (second, 50)):
        services.jobs.add(team, "probe", "later", team.clock.now() + seconds * MICROSECONDS)
    assert 30 < jobs._poll() <= 40
    services.teams.change_clock(second, lambda clock: clock.advance(20 * MICROSECONDS))
    assert 20 < jobs._poll() <= 30
    services.teams.change_clock(second, lambda clock: clock.freeze())
    assert 30 < jobs._poll() <= 40
    services.store.jobs.cancel("a", "probe", "later")
    services.teams.change_clock(first, lambda clock: clock.resume())
    assert jobs._poll() == 60
    for number in range(5000):
        services.jobs.add(first, "probe", "sooner", first.clock.now() + (60_000 - number) * MICROSECONDS)
        jobs._poll()
    assert len(jobs._agenda) <= 2 * len(jobs._due) + runner._STALE_MAX, "what is stale is forgotten"


async def test_many_due_jobs_let_others_have_their_turn(services: Services, probe: Probe) -> None:
    """Between two jobs that never wait the loop goes round once."""
    team = services.teams.get("a")
    for number in range(500):
        services.jobs.add(team, "probe", str(number), team.clock.now())
    with turns(lambda: len(probe.ran)) as ran:
        await Runner(services).run_team(team)
    assert max(after - before for before, after in itertools.pairwise(ran)) <= 1


async def test_files_that_expire_at_once_let_others_have_their_turn(services: Services) -> None:
    """One file goes at a time."""
    team, count = services.teams.get("default"), 50
    ids = [await uploaded(services, expires_after=3600) for _ in range(count)]
    with turns(lambda: services.store.files.usage("default")[0]) as left:
        ran = await Runner(services).advance(team, 3601 * MICROSECONDS)
    assert [job.subject for job in ran] == ids
    assert max(before - after for before, after in itertools.pairwise(left)) == 1
