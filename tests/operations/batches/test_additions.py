"""Additions that are written in steps: between two of them nothing is there, and where one fails, nothing remains."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from emulator.core import time_slices
from emulator.core.clock import LATEST
from emulator.core.errors import ApiError
from emulator.domain.batches.batch import NewRequest, RequestKind
from emulator.jobs.batches.additions import remove_addition
from emulator.operations.batches import additions, lifecycle
from emulator.operations.batches.requests import AddRequests, ListRequests, ListResults
from emulator.operations.batches.results import RequestId
from emulator.state.services import Services
from emulator.state.settings import GUARDED
from tests.operations.client import planned, refusal, rows, run, stepwise

TEAM = "default"
COUNT = 5
ALL = [f"r{number}" for number in range(COUNT)]
STEPS = 3  # of two requests each


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step writes two requests, and only steps let other calls run."""
    monkeypatch.setattr(additions, "STEP_ROWS", 2)
    monkeypatch.setattr(time_slices, "processor_seconds", lambda: 0.0)


def asked(id: str, text: str = "hi") -> NewRequest:
    return NewRequest(id, RequestKind.CHAT, {"messages": [{"role": "user", "content": text}]})


def added(services: Services, batch: str, ids: list[str] = ALL) -> Coroutine[Any, Any, Any]:
    return run(services, "batches.add_requests", AddRequests(batch, [asked(id) for id in ids]))


def now(call: Coroutine[Any, Any, Any]) -> Any:
    """The answer of a call that takes one step."""
    with pytest.raises(StopIteration) as ended:
        call.send(None)
    return ended.value.value


def new_batch(services: Services) -> str:
    id: str = now(run(services, "batches.create", lifecycle.CreateBatch("b"))).id
    return id


def counters(services: Services, batch: str) -> int:
    count: int = now(run(services, "batches.get", lifecycle.BatchId(batch))).batch.num_requests
    return count


def listed(services: Services, batch: str) -> list[str]:
    return [each.request.id for each in now(run(services, "batches.list_requests", ListRequests(batch, 100))).items]


def stored(services: Services) -> list[str]:
    return [id for (id,) in rows(services, "SELECT id FROM batch_requests ORDER BY id")]


def run_removals(services: Services) -> None:
    """Run the jobs that delete what failed additions have written."""
    while (job := services.store.jobs.next_due(TEAM, ["remove_addition"], LATEST)) is not None:
        asyncio.run(remove_addition(services, job))


def test_reads_between_the_steps_show_no_request(services: Services) -> None:
    """Lists, counters, single requests, results and the jobs that answer requests: none of it, then all of it."""
    batch = new_batch(services)
    requests, steps = services.store.batch_requests, list[int]()

    def look(step: int) -> None:
        steps.append(step)
        assert len(stored(services)) == min(2 * step, COUNT)
        assert (counters(services, batch), listed(services, batch)) == (0, [])
        assert now(run(services, "batches.list_results", ListResults(batch, 100))).items == []
        with pytest.raises(ApiError, match="not found"):
            run(services, "batches.get_request", RequestId(batch, "r0")).send(None)
        assert requests.due(TEAM, batch, LATEST, limit=9, bytes=10**6) == []
        assert requests.next_due(TEAM, batch) is None
        assert planned(services, "process_batch") == 0

    stepwise(added(services, batch), look)
    assert steps == [1, 2, 3]
    assert (counters(services, batch), listed(services, batch)) == (COUNT, ALL)
    assert len(requests.due(TEAM, batch, LATEST, limit=9, bytes=10**6)) == COUNT
    assert planned(services, "process_batch") == 1


def test_requests_that_were_there_before_are_read_between_the_steps(services: Services) -> None:
    """Only what is new is hidden."""
    batch = new_batch(services)
    now(added(services, batch, ["r9", "r0"]))
    stepwise(added(services, batch), lambda step: _assert(listed(services, batch) == ["r0", "r9"]))
    assert (counters(services, batch), listed(services, batch)) == (COUNT + 1, [*ALL, "r9"])


def _assert(condition: bool) -> None:
    assert condition


def test_rows_are_the_same_in_steps_and_at_once(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many requests a step writes is not seen afterwards."""
    services.teams.get(TEAM).configure(services.settings, {"batches": "realistic"})
    kept = []
    for size in (1, 2, COUNT):
        monkeypatch.setattr(additions, "STEP_ROWS", size)
        batch = new_batch(services)
        stepwise(added(services, batch), lambda step: None)
        columns = "id, kind, model, created_at, due_at, size, body"
        kept.append(rows(services, f"SELECT {columns} FROM batch_requests WHERE batch_id = '{batch}' ORDER BY seq"))
    assert kept[0] == kept[1] == kept[2]
    assert len(kept[0]) == COUNT


@pytest.mark.parametrize(("step_bytes", "rows_after_steps"), [(1000, [2, 4, 5]), (1, [1, 2, 3, 4, 5])])
def test_step_writes_a_bounded_number_of_rows_and_bytes(
    services: Services, monkeypatch: pytest.MonkeyPatch, step_bytes: int, rows_after_steps: list[int]
) -> None:
    """A request that is larger than a step has one of its own."""
    monkeypatch.setattr(additions, "STEP_BYTES", step_bytes)
    batch, seen = new_batch(services), list[int]()
    stepwise(added(services, batch), lambda step: seen.append(len(stored(services))))
    assert seen == rows_after_steps


def cancel(services: Services, batch: str) -> None:
    now(run(services, "batches.cancel", lifecycle.BatchId(batch)))


def fail_disk(services: Services, batch: str) -> BaseException:
    return OSError(errno.ENOSPC, "No space left on device")


def leave(services: Services, batch: str) -> BaseException:
    return asyncio.CancelledError()


def reset(services: Services, batch: str) -> None:
    services.teams.reset(services.teams.get(TEAM))


def delete(services: Services, batch: str) -> None:
    services.teams.delete(services.teams.get(TEAM))


@pytest.mark.parametrize("at", range(1, STEPS + 1))
@pytest.mark.parametrize(
    ("happens", "error"),
    [
        (cancel, ApiError),
        (fail_disk, OSError),
        (leave, asyncio.CancelledError),
        (reset, ApiError),
        (delete, ApiError),
    ],
)
def test_addition_that_fails_between_two_steps_leaves_nothing(
    services: Services, happens: Callable[[Services, str], BaseException | None], error: type[BaseException], at: int
) -> None:
    """The batch is closed, the disk is full, the client leaves, the team is reset or deleted."""
    batch = new_batch(services)
    call = added(services, batch)
    for _ in range(at):
        call.send(None)
    assert len(stored(services)) == min(2 * at, COUNT)
    failure = happens(services, batch)
    with pytest.raises(error):
        call.send(None) if failure is None else call.throw(failure)
    if happens not in (reset, delete):
        assert (counters(services, batch), listed(services, batch)) == (0, [])
    run_removals(services)
    assert stored(services) == rows(services, "SELECT * FROM batch_additions") == []
    assert planned(services, "remove_addition") == planned(services, "process_batch") == 0


def test_addition_after_one_whose_removal_could_not_be_planned_deletes_it_first(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full refuses the job as well; the requests stay hidden until then."""
    batch = new_batch(services)
    call = added(services, batch)
    call.send(None)
    full = OSError(errno.ENOSPC, "full")

    def fail(*_: Any) -> None:
        raise full

    with monkeypatch.context() as patch:
        patch.setattr(services.jobs, "add", fail)
        with pytest.raises(OSError, match="full"):
            call.throw(full)
    assert (stored(services), listed(services, batch)) == (["r0", "r1"], [])
    assert planned(services, "remove_addition") == 0
    stepwise(added(services, batch, ["r1", "r2"]), lambda step: None)
    assert stored(services) == listed(services, batch) == ["r1", "r2"]
    assert counters(services, batch) == 2


def test_batch_restored_between_two_steps_gets_all_requests(services: Services, tmp_path: Path) -> None:
    """A batch with the same id is there again: the addition starts over, and counts what the batch has already."""
    batch = new_batch(services)
    now(added(services, batch, ["r3"]))
    store, team = services.store.snapshots, services.teams.get(TEAM)
    call = added(services, batch)
    call.send(None)
    store.save(TEAM, tmp_path / "s.xai-snapshot", 0, without=GUARDED).finish()
    services.teams.restore(team, store.open(tmp_path / "s.xai-snapshot"))
    assert stored(services) == listed(services, batch) == ["r3"], "a snapshot has no part of an addition"
    stepwise(call, lambda step: _assert(listed(services, batch) == ["r3"]))
    assert (counters(services, batch), listed(services, batch)) == (COUNT, ALL)


async def test_concurrent_additions_to_a_batch_are_written_one_after_the_other(services: Services) -> None:
    """The same request is there once, other content refuses the second call, and another batch does not wait."""
    batch, other = new_batch(services), new_batch(services)
    conflict = AddRequests(batch, [asked("r9"), asked("r4", "ho")])
    results = await asyncio.gather(
        added(services, batch),
        added(services, batch, ["r4", "r5", "r6"]),
        refusal(run(services, "batches.add_requests", conflict)),
        added(services, other),
    )
    assert results[2] == ("batch_request_id", None)
    assert (counters(services, batch), listed(services, batch)) == (COUNT + 2, [*ALL, "r5", "r6"])
    assert (counters(services, other), listed(services, other)) == (COUNT, ALL)
