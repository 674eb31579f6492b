"""Add requests to a batch, and list them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any

import msgspec

from emulator.core.clock import Instant
from emulator.core.errors import invalid
from emulator.core.limits import PageSize
from emulator.core.time_slices import TimeSlices
from emulator.domain.api_keys import check_model as check_key_model
from emulator.domain.batches.batch import (
    KINDS,
    Batch,
    NewRequest,
    Request,
    RequestKind,
    State,
    canonical,
    check_model,
    check_open,
    check_size,
    content_conflict,
    due,
    model_of,
    state_of,
)
from emulator.domain.keys import Plane
from emulator.domain.paging import Cursor, Page
from emulator.operations.base import Call, Operation
from emulator.operations.batches.additions import addition_lock, write_requests
from emulator.operations.batches.lifecycle import REFERENCE, get_batch
from emulator.operations.batches.rates import check_rate
from emulator.operations.pagination import page
from emulator.state.services import Services
from emulator.store.batch_requests import NewRow


class AddRequests(msgspec.Struct, frozen=True):
    """Requests for a batch, read one after the other while they are checked."""

    batch_id: str
    requests: Iterable[NewRequest]


class ListRequests(msgspec.Struct, frozen=True):
    """A page of what is known about a batch's requests; no states means all."""

    batch_id: str
    limit: Annotated[int, PageSize("batch_page_items_max")]
    pagination_token: str | None = None
    states: frozenset[State] = frozenset()


class ListResults(msgspec.Struct, frozen=True):
    """A page of a batch's results."""

    batch_id: str
    limit: Annotated[int, PageSize("batch_page_items_max")]
    pagination_token: str | None = None


class RequestView(msgspec.Struct, frozen=True):
    """What is known about a request, beside its content and its result."""

    request: Request
    state: State
    finished_at: Instant | None

    @property
    def endpoint(self) -> str:
        return KINDS[self.request.kind].endpoint


async def add(services: Services, call: Call, request: AddRequests) -> None:
    """Add requests: all of them, or none where one is refused.

    What takes long is done in steps. Where the batch has become another one meanwhile, such as that of a snapshot, its
    requests are compared again.
    """
    check_rate(services, call)
    check_open(get_batch(services, call, request.batch_id))
    rows = await _prepared(services, call, request)
    async with addition_lock(services, call.team.name, request.batch_id):
        new = await _new(services, call, request.batch_id, rows)
        while not await write_requests(services, call, request.batch_id, new):
            new = await _new(services, call, request.batch_id, rows)


async def _prepared(services: Services, call: Call, request: AddRequests) -> list[NewRow]:
    """The requests as they are kept, each id once: it may come again with the same content (Batch guide)."""
    rows: dict[str, NewRow] = {}
    count = get_batch(services, call, request.batch_id).num_requests
    most = call.team.limits.batch_requests_per_call_max
    slices = TimeSlices()
    for number, item in enumerate(request.requests, 1):
        if most is not None and number > most:
            rule = "batch_requests_per_call_max"
            raise invalid(f"At most {most} requests can be added by one call.", rule=rule, param="batch_requests")
        check_model(model_of(item.body))
        if call.principal.api_key is not None:
            check_key_model(call.principal.api_key, model_of(item.body))
        body = msgspec.json.encode(item.body)
        check_size(len(body), call.team.limits)
        id = item.id or services.ids.new(call.team, "batch_request")
        if id not in rows:
            due_at = due(call.team.batches, call.at, count + len(rows))
            rows[id] = NewRow(id, item.kind, model_of(item.body), due_at, len(body), body)
        elif not _same(rows[id], item.kind, body):
            raise content_conflict(id)
        await slices.pause()
    return list(rows.values())


async def _new(services: Services, call: Call, batch_id: str, rows: list[NewRow]) -> list[NewRow]:
    """Those that the batch has not. One that is there already with the same content is passed over (Batch guide)."""
    batch = get_batch(services, call, batch_id)
    if not batch.num_requests:
        return rows
    new: list[NewRow] = []
    slices = TimeSlices()
    for row in rows:
        present = services.store.batch_requests.get(call.team.name, batch_id, row.id)
        if present is None:
            new.append(row)
        elif not _same(row, present.kind, services.store.batch_requests.bodies(batch, [present])[0]):
            raise content_conflict(row.id)
        await slices.pause()
    return new


def _same(row: NewRow, kind: RequestKind, body: bytes) -> bool:
    if row.body == body:
        return True
    ours, theirs = msgspec.json.decode(row.body or b"null"), msgspec.json.decode(body)
    return canonical(row.kind, ours) == canonical(kind, theirs)


async def list_requests(services: Services, call: Call, request: ListRequests) -> Page[RequestView]:
    """One page of a batch's requests and their states."""
    batch = get_batch(services, call, request.batch_id)
    wanted = request.states
    query = ("batch_requests", call.team.name, batch.id, [state.value for state in State if state in wanted])
    accepts = (lambda row: state_of(batch, row) in wanted) if wanted else None
    found = await requests_page(services, call, batch, request, query=query, accepts=accepts)
    return Page([_request_view(batch, row) for row in found.items], found.next_token, found.more)


def _request_view(batch: Batch, request: Request) -> RequestView:
    state = state_of(batch, request)
    return RequestView(request, state, batch.closed_at if state is State.CANCELLED else request.finished_at)


async def requests_page(
    services: Services,
    call: Call,
    batch: Batch,
    request: ListRequests | ListResults,
    *,
    query: tuple[Any, ...],
    accepts: Callable[[Request], bool] | None = None,
    finished: bool | None = None,
) -> Page[Request]:
    """One page of a batch's requests. What a file has brought does not count before all of it is admitted."""
    requests, team = services.store.batch_requests, call.team.name

    def fetch(after: Cursor | None, limit: int) -> list[Request]:
        return requests.page(team, batch.id, after=after, limit=limit, finished=finished) if batch.num_requests else []

    return await page(
        fetch,
        requests.cursor,
        query=query,
        token=request.pagination_token,
        limit=request.limit,
        accepts=accepts,
    )


OPERATIONS = (
    Operation("batches.add_requests", Plane.INFERENCE, AddRequests, add, REFERENCE),
    Operation("batches.list_requests", Plane.INFERENCE, ListRequests, list_requests, REFERENCE),
)
