"""Create, get, list and cancel batches."""

from __future__ import annotations

from typing import Annotated

import msgspec

from emulator.core.clock import MICROSECONDS, Instant, later
from emulator.core.errors import not_found
from emulator.core.limits import PageSize
from emulator.domain.batches.batch import (
    PHASES,
    Batch,
    Phase,
    file_due,
)
from emulator.domain.keys import Plane
from emulator.domain.paging import Page
from emulator.domain.transitions import step
from emulator.operations.base import Call, Operation
from emulator.operations.batches.rates import check_rate
from emulator.operations.pagination import page
from emulator.state.services import Services
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


class BatchView(msgspec.Struct, frozen=True):
    """A batch, and what it cost until now."""

    batch: Batch
    costs: list[Cost]
    at: Instant

    @property
    def id(self) -> str:
        return self.batch.id


def get_batch(services: Services, call: Call, id: str) -> Batch:
    """The batch of the calling team, or the refusal."""
    batch = services.store.batches.get(call.team.name, id)
    if batch is None:
        raise not_found("Batch", id)
    return batch


def view(services: Services, call: Call, batch: Batch) -> BatchView:
    """A batch as both transports show it."""
    return BatchView(batch, services.store.batches.costs(call.team.name, batch.id), call.at)


async def create(services: Services, call: Call, request: CreateBatch) -> BatchView:
    """Make a batch. One from a file is there at once, without requests; the file is read in the background."""
    check_rate(services, call)
    team, file = call.team, None
    if request.input_file_id:
        file = services.store.files.get(team.name, request.input_file_id, call.at)
        if file is None:
            raise not_found("File")
        services.store.blobs.share(file.blob)  # the batch reads it later, as it is now
    expires_at = later(call.at, team.limits.batch_expiry_seconds * MICROSECONDS)
    with services.store.transaction():
        id = services.ids.new(team, "batch")
        batch = Batch(
            id=id,
            name=request.name,
            created_at=call.at,
            expires_at=expires_at,
            created_by=services.ids.of_key(team, call.principal.secret),
            input_file_id=None if file is None else file.id,
            input_blob=None if file is None else file.blob,
            phase=Phase.OPEN if file is None else Phase.VALIDATING,
        )
        services.store.batches.insert(team.name, batch)
        services.jobs.add(team, "expire_batch", id, expires_at)
        if file is not None:
            services.jobs.add(team, "read_batch_file", id, file_due(team.batches, call.at))
    return view(services, call, get_batch(services, call, id))


async def get(services: Services, call: Call, request: BatchId) -> BatchView:
    """A batch and its counters."""
    return view(services, call, get_batch(services, call, request.batch_id))


async def list_batches(services: Services, call: Call, request: ListBatches) -> Page[BatchView]:
    """One page of the team's batches, newest first (observed live)."""
    batches, team = services.store.batches, call.team.name
    found = await page(
        lambda after, limit: batches.page(team, after, limit),
        batches.cursor,
        query=("batches", team),
        token=request.pagination_token,
        limit=request.limit,
    )
    return Page([view(services, call, batch) for batch in found.items], found.next_token, found.more)


async def cancel(services: Services, call: Call, request: BatchId) -> BatchView:
    """Cancel a batch: what is finished stays, what is not never will be. A second time changes nothing."""
    batch = get_batch(services, call, request.batch_id)
    if not batch.closed:
        phase = step(PHASES, batch.phase, Phase.CANCELLED)
        with services.store.transaction():
            reverts = call.team.cancel_reverts or call.behaviour == "cancel_reverts"
            services.store.batches.close(call.team.name, batch.id, phase, call.at, reverts=reverts)
            if reverts:
                services.jobs.add(call.team, PROCESS, batch.id, later(call.at, CANCEL_RACE_SECONDS * MICROSECONDS))
    return view(services, call, get_batch(services, call, batch.id))


REFERENCE = "Batch reference and guide"


OPERATIONS = (
    Operation("batches.create", Plane.INFERENCE, CreateBatch, create, REFERENCE),
    Operation("batches.get", Plane.INFERENCE, BatchId, get, REFERENCE),
    Operation("batches.list", Plane.INFERENCE, ListBatches, list_batches, REFERENCE),
    Operation("batches.cancel", Plane.INFERENCE, BatchId, cancel, REFERENCE),
)
