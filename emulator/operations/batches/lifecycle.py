"""Batches: make them, fill them, watch them and cancel them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Annotated, Any

import msgspec

from emulator.core.clock import MICROSECONDS, Instant, later
from emulator.core.errors import ApiError, Kind, invalid, not_found
from emulator.core.limits import PageSize
from emulator.core.time_slices import TimeSlices
from emulator.domain.batches.batch import (
    KINDS,
    PHASES,
    Batch,
    NewRequest,
    Phase,
    Request,
    RequestKind,
    State,
    canonical,
    check_model,
    check_open,
    check_size,
    differs,
    due,
    file_due,
    model_of,
    state_of,
)
from emulator.domain.keys import Plane
from emulator.domain.paging import Cursor, Page
from emulator.domain.transitions import step
from emulator.operations.base import Call, Operation
from emulator.operations.pagination import page
from emulator.state.world import World
from emulator.store.batch_requests import NewRow
from emulator.store.batches import Cost

PROCESS = "process_batch"  # the job that answers requests
CANCEL_RACE_SECONDS = 5  # observed live, 2026-08: within twenty


class CreateBatch(msgspec.Struct, frozen=True):
    """A batch: empty, or with the requests of a JSONL file."""

    name: str
    input_file_id: str | None = None


class BatchId(msgspec.Struct, frozen=True):
    """One batch."""

    batch_id: str


class ListBatches(msgspec.Struct, frozen=True):
    """A page of the team's batches."""

    limit: Annotated[int, PageSize()]
    pagination_token: str | None = None


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


class BatchView(msgspec.Struct, frozen=True):
    """A batch, and what it cost until now."""

    batch: Batch
    costs: list[Cost]
    at: Instant

    @property
    def id(self) -> str:
        return self.batch.id


class RequestView(msgspec.Struct, frozen=True):
    """What is known about a request, beside its content and its result."""

    request: Request
    state: State
    finished_at: Instant | None

    @property
    def endpoint(self) -> str:
        return KINDS[self.request.kind].endpoint


def get_batch(world: World, call: Call, id: str) -> Batch:
    """The batch of the calling team, or the refusal."""
    batch = world.store.batches.get(call.team.name, id)
    if batch is None:
        raise not_found("Batch")
    return batch


def view(world: World, call: Call, batch: Batch) -> BatchView:
    """A batch as both doors show it."""
    return BatchView(batch, world.store.batches.costs(call.team.name, batch.id), call.at)


async def create(world: World, call: Call, request: CreateBatch) -> BatchView:
    """Make a batch. One from a file is there at once, without requests; the file is read in the background."""
    _check_rate(world, call)
    team, file = call.team, None
    if request.input_file_id:
        file = world.store.files.get(team.name, request.input_file_id, call.at)
        if file is None:
            raise not_found("File")
        world.store.blobs.share(file.blob)  # the batch reads it later, as it is now
    expires_at = later(call.at, team.limits.batch_expiry_seconds * MICROSECONDS)
    with world.store.transaction():
        id = world.new_id(team, "batch")
        world.store.batches.insert(
            team.name,
            id=id,
            name=request.name,
            created_at=call.at,
            expires_at=expires_at,
            created_by=world.key_id(team, call.principal.secret),
            input_file_id=None if file is None else file.id,
            input_blob=None if file is None else file.blob,
        )
        world.add_job(team, "expire_batch", id, expires_at)
        if file is not None:
            world.add_job(team, "read_batch_file", id, file_due(team.batches, call.at))
    return view(world, call, get_batch(world, call, id))


async def get(world: World, call: Call, request: BatchId) -> BatchView:
    """A batch and its counters."""
    return view(world, call, get_batch(world, call, request.batch_id))


async def list_batches(world: World, call: Call, request: ListBatches) -> Page[BatchView]:
    """One page of the team's batches, newest first (observed live)."""
    batches, team = world.store.batches, call.team.name
    found = await page(
        lambda after, limit: batches.page(team, after, limit),
        batches.cursor,
        query=("batches", team),
        token=request.pagination_token,
        limit=request.limit,
    )
    return Page([view(world, call, batch) for batch in found.items], found.next_token, found.more)


async def cancel(world: World, call: Call, request: BatchId) -> BatchView:
    """Cancel a batch: what is finished stays, what is not never will be. A second time changes nothing."""
    batch = get_batch(world, call, request.batch_id)
    if not batch.closed:
        phase = step(PHASES, batch.phase, Phase.CANCELLED)
        with world.store.transaction():
            reverts = call.team.cancel_reverts or call.behaviour == "cancel_reverts"
            world.store.batches.close(call.team.name, batch.id, phase, call.at, reverts=reverts)
            if reverts:
                world.add_job(call.team, PROCESS, batch.id, later(call.at, CANCEL_RACE_SECONDS * MICROSECONDS))
    return view(world, call, get_batch(world, call, batch.id))


# --- requests


async def add(world: World, call: Call, request: AddRequests) -> None:
    """Add requests: all of them, or none where one is refused.

    What takes long is done before the transaction, in steps. Where another call has added one of the same ids
    meanwhile, it is looked at again.
    """
    _check_rate(world, call)
    check_open(get_batch(world, call, request.batch_id))
    rows = await _prepared(world, call, request)
    while not _added(world, call, request.batch_id, await _new(world, call, request.batch_id, rows)):
        pass


def _added(world: World, call: Call, batch_id: str, rows: list[NewRow]) -> bool:
    """Write down the requests, unless the batch has one of their ids."""
    check_open(get_batch(world, call, batch_id))
    with suppress(_Present), world.store.transaction():
        if not world.store.batch_requests.insert(call.team.name, batch_id, call.at, rows):
            raise _Present
        world.store.batches.count(call.team.name, batch_id, requests=len(rows))
        due_at = due(call.team.batches, call.at)
        # A job that comes no later goes on to these requests; with one for each call, thousands would look at them all.
        if rows and (due_at is None or not world.store.jobs.is_planned(call.team.name, PROCESS, batch_id, due_at)):
            world.add_job(call.team, PROCESS, batch_id, due_at)
        return True
    return False


class _Present(Exception):
    """A request is there already."""


async def _prepared(world: World, call: Call, request: AddRequests) -> list[NewRow]:
    """The requests as they are kept, each id once: it may come again with the same content (Batch guide)."""
    rows: dict[str, NewRow] = {}
    count = get_batch(world, call, request.batch_id).num_requests
    most = call.team.limits.batch_requests_per_call_max
    slices = TimeSlices()
    for number, item in enumerate(request.requests, 1):
        if most is not None and number > most:
            rule = "batch_requests_per_call_max"
            raise invalid(f"At most {most} requests can be added by one call.", rule=rule, param="batch_requests")
        check_model(model_of(item.body))
        body = msgspec.json.encode(item.body)
        check_size(len(body), call.team.limits)
        id = item.id or world.new_id(call.team, "batch_request")
        if id not in rows:
            due_at = due(call.team.batches, call.at, count + len(rows))
            rows[id] = NewRow(id, item.kind, model_of(item.body), due_at, len(body), body)
        elif not _same(rows[id], item.kind, body):
            raise differs(id)
        await slices.pause()
    return list(rows.values())


async def _new(world: World, call: Call, batch_id: str, rows: list[NewRow]) -> list[NewRow]:
    """Those that the batch has not. One that is there already with the same content is passed over (Batch guide)."""
    batch = get_batch(world, call, batch_id)
    if not batch.num_requests:
        return rows
    new: list[NewRow] = []
    slices = TimeSlices()
    for row in rows:
        present = world.store.batch_requests.get(call.team.name, batch_id, row.id)
        if present is None:
            new.append(row)
        elif not _same(row, present.kind, world.store.batch_requests.bodies(batch, [present])[0]):
            raise differs(row.id)
        await slices.pause()
    return new


def _same(row: NewRow, kind: RequestKind, body: bytes) -> bool:
    if row.body == body:
        return True
    ours, theirs = msgspec.json.decode(row.body or b"null"), msgspec.json.decode(body)
    return canonical(row.kind, ours) == canonical(kind, theirs)


async def list_requests(world: World, call: Call, request: ListRequests) -> Page[RequestView]:
    """One page of a batch's requests and their states."""
    batch = get_batch(world, call, request.batch_id)
    wanted = request.states
    query = ("batch_requests", call.team.name, batch.id, [state.value for state in State if state in wanted])
    accepts = (lambda row: state_of(batch, row) in wanted) if wanted else None
    found = await requests_page(world, call, batch, request, query=query, accepts=accepts)
    return Page([_request_view(batch, row) for row in found.items], found.next_token, found.more)


def _request_view(batch: Batch, request: Request) -> RequestView:
    state = state_of(batch, request)
    return RequestView(request, state, batch.closed_at if state is State.CANCELLED else request.finished_at)


async def requests_page(
    world: World,
    call: Call,
    batch: Batch,
    request: ListRequests | ListResults,
    *,
    query: tuple[Any, ...],
    accepts: Callable[[Request], bool] | None = None,
    finished: bool | None = None,
) -> Page[Request]:
    """One page of a batch's requests. What a file has brought does not count before all of it is admitted."""
    requests, team = world.store.batch_requests, call.team.name

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


# --- rates


class Rate(msgspec.Struct, frozen=True):
    """How often an operation may be called: the row of the limits, its window, and its name in the refusal."""

    row: str
    seconds: int
    label: str


RATES: dict[str, Rate] = {
    "batches.create": Rate("batch_creates_per_second", 1, "Batch Creations per Second"),
    "batches.add_requests": Rate("add_calls_per_30s", 30, "Add Batch Requests Calls per 30 Seconds"),
}


def _check_rate(world: World, call: Call) -> None:
    """Refuse a call beyond its rate, where the profile counts. The window rolls with the team's clock."""
    rate = RATES[call.operation.name]
    most: int | None = getattr(call.team.limits, rate.row)
    if not call.team.profile.batch_rate_limits or most is None:
        return
    name, since = call.operation.name, call.at - rate.seconds * MICROSECONDS
    calls = world.store.batches.calls_since(call.team.name, name, since)
    if calls >= most:
        raise ApiError(
            Kind.RESOURCE_EXHAUSTED,
            f"Too many requests for team {world.team_id(call.team)}. "
            f"Your team's rate limit is - {rate.label} (actual/limit): {calls}/{most}.",
            rule=rate.row,
        )
    world.keep(call.team)
    world.store.batches.note_call(call.team.name, name, call.at)


REFERENCE = "Batch reference and guide"

OPERATIONS = (
    Operation("batches.create", Plane.INFERENCE, CreateBatch, create, REFERENCE),
    Operation("batches.get", Plane.INFERENCE, BatchId, get, REFERENCE),
    Operation("batches.list", Plane.INFERENCE, ListBatches, list_batches, REFERENCE),
    Operation("batches.cancel", Plane.INFERENCE, BatchId, cancel, REFERENCE),
    Operation("batches.add_requests", Plane.INFERENCE, AddRequests, add, REFERENCE),
    Operation("batches.list_requests", Plane.INFERENCE, ListRequests, list_requests, REFERENCE),
)
