"""Batches, call by call: what happens to a batch between the steps of a call that adds to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from emulator.core.clock import MICROSECONDS
from emulator.core.errors import ApiError
from emulator.domain.batches.batch import NewRequest, RequestKind
from emulator.operations.batches import lifecycle
from emulator.operations.batches import requests as batch_requests
from emulator.state.services import Services
from tests.operations.client import advance, call_of, end_slices_after, planned, refusal, rows, run, turns

BODY = {"messages": [{"role": "user", "content": "hi"}]}


def meanwhile(items: list[NewRequest], happens: Callable[[], None]) -> Iterator[NewRequest]:
    """Requests, between the first and the second of which something happens."""
    yield items[0]
    happens()
    yield from items[1:]


def asked(id: str, **body: Any) -> NewRequest:
    return NewRequest(id, RequestKind.CHAT, {**BODY, **body})


async def counted(services: Services, id: str) -> int:
    """How many requests a batch has."""
    view = await run(services, "batches.get", lifecycle.BatchId(id))
    count: int = view.batch.num_requests
    return count


async def test_batch_that_ends_meanwhile_accepts_no_request(services: Services) -> None:
    """It is looked at again before anything is written down."""
    id = (await run(services, "batches.create", lifecycle.CreateBatch("b"))).id

    def cancel() -> None:
        with pytest.raises(StopIteration):  # it waits for no client
            run(services, "batches.cancel", lifecycle.BatchId(id)).send(None)

    items = meanwhile([asked("one"), asked("two")], cancel)
    with pytest.raises(ApiError) as refused:
        await run(services, "batches.add_requests", batch_requests.AddRequests(id, items))
    assert refused.value.rule == "closed_batch"
    assert await counted(services, id) == 0


async def test_closed_batch_is_refused_before_invalid_requests(services: Services) -> None:
    """Requests need not be valid for a batch that accepts none."""
    id = (await run(services, "batches.create", lifecycle.CreateBatch("b"))).id
    await run(services, "batches.cancel", lifecycle.BatchId(id))
    with pytest.raises(ApiError) as refused:
        await run(services, "batches.add_requests", batch_requests.AddRequests(id, [asked("one", model="grok-3-mini")]))
    assert refused.value.rule == "closed_batch"


@pytest.mark.parametrize(("content", "rule"), [("hi", None), ("ho", "batch_request_id")])
async def test_concurrent_add_of_other_content_is_refused(services: Services, content: str, rule: str | None) -> None:
    """The same request is there once; one of other content refuses all that came with it."""
    id = (await run(services, "batches.create", lifecycle.CreateBatch("b"))).id
    other = NewRequest("two", RequestKind.CHAT, {"messages": [{"role": "user", "content": content}]})

    def add_other() -> None:
        with pytest.raises(StopIteration):  # it waits for nothing
            run(services, "batches.add_requests", batch_requests.AddRequests(id, [other])).send(None)

    items = meanwhile([asked("one"), asked("two")], add_other)
    call = run(services, "batches.add_requests", batch_requests.AddRequests(id, items))
    if rule is None:
        await call
    else:
        assert await refusal(call) == (rule, None)
    assert await counted(services, id) == (2 if rule is None else 1)


async def test_add_of_existing_requests_plans_no_job(services: Services) -> None:
    """Requests that are there already give no work, and several calls give one job."""
    id = (await run(services, "batches.create", lifecycle.CreateBatch("b"))).id

    await run(services, "batches.add_requests", batch_requests.AddRequests(id, []))
    assert planned(services, "process_batch") == 0
    await run(services, "batches.add_requests", batch_requests.AddRequests(id, [asked("one")]))
    first = planned(services, "process_batch")
    assert first >= 1
    await run(services, "batches.add_requests", batch_requests.AddRequests(id, [asked("one")]))
    assert planned(services, "process_batch") == first


async def test_others_have_their_turn_while_requests_are_prepared(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Adding many requests yields after each slice, once while they are read and once while they are compared."""
    once = 20
    end_slices_after(once, monkeypatch)
    id = (await run(services, "batches.create", lifecycle.CreateBatch("b"))).id
    await run(services, "batches.add_requests", batch_requests.AddRequests(id, [asked("there")]))
    call = call_of(services, "batches.add_requests")
    read, compared = list[int](), list[str]()

    def items() -> Iterator[NewRequest]:
        for number in range(2 * once + 5):
            read.append(number)
            yield asked(f"{number}")

    present, get = services.store.batch_requests, services.store.batch_requests.get
    present.get = lambda team, batch, id: (compared.append(id), get(team, batch, id))[1]  # type: ignore[method-assign]
    with turns(lambda: (len(read), len(compared))) as had:
        rows = await batch_requests._prepared(services, call, batch_requests.AddRequests(id, items()))
        assert await batch_requests._new(services, call, id, rows) == rows
    all_of_them = len(rows)
    assert had == [(once, 0), (2 * once, 0), (all_of_them, once), (all_of_them, 2 * once)]


@pytest.mark.parametrize("asked_by", [None, "team", "fault"])
async def test_cancelled_batch_reverts_only_on_request(services: Services, asked_by: str | None) -> None:
    """By the team or for the call; then a little later, so that it can be seen to be cancelled first."""
    id = (await run(services, "batches.create", lifecycle.CreateBatch("b"))).id
    await run(services, "batches.add_requests", batch_requests.AddRequests(id, [asked("one")]))
    services.store.database.write("DELETE FROM jobs", ())
    call = call_of(services, "batches.cancel")
    call.behaviour = "cancel_reverts" if asked_by == "fault" else None
    call.team.cancel_reverts = asked_by == "team"
    for _ in range(2):
        view = await call.operation.run(services, call, lifecycle.BatchId(id))
        assert (view.batch.closed, view.batch.cancel_reverts) == (True, asked_by is not None)
    due = [due_at - call.at for (due_at,) in rows(services, "SELECT due_at FROM jobs")]
    assert due == ([lifecycle.CANCEL_RACE_SECONDS * MICROSECONDS] if asked_by else [])


@pytest.mark.parametrize(("speed", "jobs"), [("instant", 1), ("realistic", 1), ("manual", 3)])
async def test_several_adds_plan_one_job(services: Services, speed: str, jobs: int) -> None:
    """However often something is added; only what waits to be released waits by itself."""
    services.teams.get("default").configure(services.settings, {"batches": speed})
    id = (await run(services, "batches.create", lifecycle.CreateBatch("b"))).id
    for number in range(3):
        await run(services, "batches.add_requests", batch_requests.AddRequests(id, [asked(f"{number}")]))
    assert planned(services, "process_batch") == jobs


async def test_quarter_of_requests_is_due_at_a_time(services: Services) -> None:
    """At the realistic speed, whichever call has added them."""
    team = services.teams.get("default")
    team.configure(services.settings, {"batches": "realistic"})
    id = (await run(services, "batches.create", lifecycle.CreateBatch("b"))).id
    for first, count in ((0, 3), (3, 6)):
        added = [asked(f"{number}") for number in range(first, first + count)]
        await run(services, "batches.add_requests", batch_requests.AddRequests(id, added))
    due = [at - team.clock.now() for (at,) in rows(services, "SELECT due_at FROM batch_requests ORDER BY seq")]
    assert due == [MICROSECONDS // 4 * (number % 4 + 1) for number in range(9)]


@pytest.mark.parametrize("most", [2, None])
async def test_batch_creation_over_rate_is_refused(services: Services, most: int | None) -> None:
    """In any second; without a rate, and outside of the strict profile, as often as one likes."""
    team = services.teams.get("default")
    for profile in ("strict", "documented"):
        team.configure(services.settings, {"profile": profile, "limits": {"batch_creates_per_second": most}})
        for number in range(5):
            call = run(services, "batches.create", lifecycle.CreateBatch("b"))
            if profile == "strict" and most is not None and number >= most:
                assert await refusal(call) == ("batch_creates_per_second", None)
            else:
                await call
        advance(services, 1)
    await run(services, "batches.create", lifecycle.CreateBatch("b"))
