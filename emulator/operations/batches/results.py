"""The results of a batch, the result of one request, and the media behind their URLs."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from emulator.core.errors import not_found
from emulator.core.limits import Confidence
from emulator.domain.batches.batch import KINDS, Batch, Failure, Request, ResultKind, State, cancelled_outcome, state_of
from emulator.domain.keys import Plane
from emulator.domain.paging import Page
from emulator.operations.base import Call, Content, Operation
from emulator.operations.batches.lifecycle import REFERENCE, get_batch
from emulator.operations.batches.requests import ListResults, requests_page
from emulator.operations.media.urls import absolute, base_url
from emulator.state.services import Services


class RequestId(msgspec.Struct, frozen=True):
    """One request of a batch."""

    batch_id: str
    batch_request_id: str


class ReadMedium(msgspec.Struct, frozen=True):
    """What a signed URL asks for: `/_media/<token>/<name>`."""

    token: str
    name: str


class ResultView(msgspec.Struct, frozen=True):
    """The outcome of a request: the JSON of its result, or why there is none."""

    request: Request
    state: State
    outcome: bytes | Failure

    @property
    def result_kind(self) -> ResultKind:
        return KINDS[self.request.kind].result


class RequestDetail(msgspec.Struct, frozen=True):
    """A request with its body in JSON, and its result if it has one."""

    request: Request
    body: bytes
    result: ResultView | None


async def list_results(services: Services, call: Call, request: ListResults) -> Page[ResultView]:
    """One page of what is finished by now, by request id (observed live)."""
    batch = get_batch(services, call, request.batch_id)
    query = ("batch_results", call.team.name, batch.id)
    found = await requests_page(services, call, batch, request, query=query, finished=None if batch.closed else True)
    base = base_url(services, call)
    return Page([_result_view(batch, row, base) for row in found.items], found.next_token, found.more)


async def get_request(services: Services, call: Call, request: RequestId) -> RequestDetail:
    """One request with its content, and its result if it is finished."""
    batch = get_batch(services, call, request.batch_id)
    row = services.store.batch_requests.get(call.team.name, batch.id, request.batch_request_id)
    if row is None or not batch.num_requests:
        raise not_found("Batch request")
    [body] = services.store.batch_requests.bodies(batch, [row])
    finished = state_of(batch, row) is not State.PENDING
    return RequestDetail(row, body, _result_view(batch, row, base_url(services, call)) if finished else None)


def _result_view(batch: Batch, request: Request, base: bytes) -> ResultView:
    outcome = cancelled_outcome(batch) if request.outcome is None else request.outcome
    return ResultView(request, state_of(batch, request), _absolute(outcome, base))


def _absolute(outcome: bytes | Failure, base: bytes) -> bytes | Failure:
    return absolute(outcome, base) if isinstance(outcome, bytes) else outcome


async def read_medium(services: Services, call: Call, request: ReadMedium) -> Content:
    """Return the content behind a signed URL, which needs no key, until it expires by the clock of its team."""
    found = services.store.media.get(request.token)
    if found is not None:
        team, medium = found
        if medium.name == request.name and services.teams.get(team).clock.now() < medium.expires_at:

            async def read(start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
                yield medium.content[start:stop]

            return Content(len(medium.content), medium.content_type, read)
    raise not_found("Media")


OPERATIONS = (
    Operation("batches.list_results", Plane.INFERENCE, ListResults, list_results, REFERENCE),
    Operation("batches.get_request", Plane.INFERENCE, RequestId, get_request, "batch.proto: GetBatchRequestResult"),
    Operation(
        "batches.media",
        Plane.PUBLIC,
        ReadMedium,
        read_medium,
        "Batch guide: signed URLs that expire; their form is the emulator's own",
        Confidence.ASSUMED,
    ),
)
