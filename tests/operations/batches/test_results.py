"""What is known of a batch's requests while some are finished, and after it has ended."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from emulator.core.clock import MICROSECONDS
from emulator.core.errors import Kind
from emulator.domain.batches.batch import Failure, NewRequest, RequestKind, State
from emulator.operations.batches.lifecycle import BatchId, CreateBatch
from emulator.operations.batches.requests import AddRequests, ListRequests, ListResults
from emulator.operations.batches.results import ReadMedium, RequestId
from emulator.runtime.app import build_services
from emulator.state.services import Services
from emulator.state.settings import Settings
from emulator.store.batch_requests import NewRow
from emulator.store.media import MediaItem
from tests.operations.client import advance, bytes_of, refusal, run

ANSWER = b'{"id":"x"}'
FAILED = Failure(Kind.INTERNAL, "no")


@pytest.fixture
async def batch(services: Services) -> str:
    """A batch with six requests: two succeeded, two failed, two wait."""
    id: str = (await run(services, "batches.create", CreateBatch("b"))).id
    await run(services, "batches.add_requests", AddRequests(id, [asked(name) for name in "abcdef"]))
    advance(services, 1)
    for name, outcome in zip("abcd", (ANSWER, FAILED) * 2, strict=True):
        row = services.store.batch_requests.get("default", id, name)
        assert row is not None
        services.store.batch_requests.finish(row, outcome, services.teams.get("default").clock.now())
    return id


def asked(id: str) -> NewRequest:
    return NewRequest(id, RequestKind.CHAT, {"messages": []})


def states_of(page: Any) -> dict[str, State]:
    return {view.request.id: view.state for view in page.items}


STATES = dict(zip("abcdef", [State.SUCCEEDED, State.FAILED] * 2 + [State.PENDING] * 2, strict=True))
ENDED = {name: State.CANCELLED if state is State.PENDING else state for name, state in STATES.items()}


@pytest.mark.parametrize(
    "states",
    [some for count in range(4) for some in itertools.combinations(State, count)],
    ids=lambda states: "+".join(state.value for state in states) or "all",
)
@pytest.mark.parametrize("ended", [False, True])
async def test_requests_are_filtered_by_states(
    services: Services, batch: str, states: tuple[State, ...], ended: bool
) -> None:
    """No states are all of them; what waits when its batch ends is cancelled at that moment."""
    if ended:
        advance(services, 1)
        await run(services, "batches.cancel", BatchId(batch))
    at = services.teams.get("default").clock.now()
    expected = ENDED if ended else STATES
    chosen = {name: state for name, state in expected.items() if state in states or not states}
    page = await run(services, "batches.list_requests", ListRequests(batch, 10, None, frozenset(states)))
    assert states_of(page) == chosen
    for view in page.items:
        second = {State.PENDING: None, State.CANCELLED: at}.get(view.state, at - (1_000_000 if ended else 0))
        assert view.finished_at == second


async def test_page_token_of_other_states_is_refused(services: Services, batch: str) -> None:
    """And one of its list: those of results are others."""

    def requests(token: str | None, *states: State) -> Any:
        return run(services, "batches.list_requests", ListRequests(batch, 1, token, frozenset(states)))

    token = (await requests(None, State.FAILED, State.SUCCEEDED)).next_token
    assert list(states_of(await requests(token, State.SUCCEEDED, State.FAILED))) == ["b"]
    other = (await run(services, "batches.list_results", ListResults(batch, 1))).next_token
    for call in (
        requests(token),
        requests(token, State.FAILED),
        requests(other),
        run(services, "batches.list_results", ListResults(batch, 1, token)),
    ):
        assert await refusal(call) == ("pagination_token", "pagination_token")


async def test_results_are_those_of_what_is_finished(services: Services, batch: str) -> None:
    """The list has finished requests only, all once the batch has ended; a single result equals its list entry."""
    for ended in (False, True):
        if ended:
            await run(services, "batches.cancel", BatchId(batch))
        page = await run(services, "batches.list_results", ListResults(batch, 10))
        expected = ENDED if ended else {name: state for name, state in STATES.items() if state is not State.PENDING}
        assert states_of(page) == expected
        outcomes = {State.SUCCEEDED: ANSWER, State.FAILED: FAILED, State.CANCELLED: "Batch cancelled"}
        for view in page.items:
            outcome = view.outcome.message if view.state is State.CANCELLED else view.outcome
            assert outcome == outcomes[view.state]
        for name in STATES:
            detail = await run(services, "batches.get_request", RequestId(batch, name))
            assert (detail.request.id, detail.body) == (name, b'{"messages":[]}')
            [result] = [view for view in page.items if view.request.id == name] or [None]
            assert detail.result == result


async def test_requests_of_file_are_invisible_until_all_are_read(services: Services) -> None:
    """Its requests are rows already, but not visible."""
    id = (await run(services, "batches.create", CreateBatch("b"))).id
    services.store.batch_requests.insert("default", id, 0, [NewRow("a", RequestKind.CHAT, "", None, 2, b"{}")])
    assert (await run(services, "batches.list_requests", ListRequests(id, 10))).items == []
    assert (await run(services, "batches.list_results", ListResults(id, 10))).items == []
    assert await refusal(run(services, "batches.get_request", RequestId(id, "a"))) == ("not_found", None)


@pytest.mark.parametrize("public_url", [None, "https://files.example"])
async def test_urls_in_results_are_absolute(public_url: str | None) -> None:
    """Where the emulator is said to be, or where the caller reaches it; what a text says stays as it is."""
    services = build_services(Settings(public_url=public_url, batches="manual"))
    base = public_url or "http://localhost"
    id = (await run(services, "batches.create", CreateBatch("b"))).id
    await run(services, "batches.add_requests", AddRequests(id, [asked("a")]))
    row = services.store.batch_requests.get("default", id, "a")
    assert row is not None
    kept = (
        rb'{"url":"/_media/x/a.png","public_url":"/_files-cdn/y/b.png","text":"\"url\":\"/_media/x\"","a":"/_media/z"}'
    )
    services.store.batch_requests.finish(row, kept, 0)
    [view] = (await run(services, "batches.list_results", ListResults(id, 1))).items
    whole = kept.replace(b'"url":"/_', f'"url":"{base}/_'.encode()).replace(
        b'"public_url":"/_', f'"public_url":"{base}/_'.encode()
    )
    assert view.outcome == whole
    services.store.close()


async def test_media_is_served_under_its_name_until_it_expires(services: Services) -> None:
    """Whole or in part, to anybody who has its address."""
    at = services.teams.get("default").clock.now()
    medium = MediaItem("token", "a.png", "image/png", b"0123456789", at + MICROSECONDS)
    id = (await run(services, "batches.create", CreateBatch("b"))).id
    services.store.media.insert_for_batch("default", id, medium)
    shown = await run(services, "batches.media", ReadMedium("token", "a.png"))
    assert (shown.size, shown.content_type) == (10, "image/png")
    for part, expected in {(): b"0123456789", (3,): b"3456789", (3, 5): b"34"}.items():
        assert await bytes_of(shown, *part) == expected
    assert await refusal(run(services, "batches.media", ReadMedium("token", "b.png"))) == ("not_found", None)
    advance(services, 1)
    assert await refusal(run(services, "batches.media", ReadMedium("token", "a.png"))) == ("not_found", None)
