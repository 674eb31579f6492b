"""Chat completions: answered at once, streamed, or deferred."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from emulator.core.clock import MICROSECONDS, later
from emulator.core.errors import ApiError, Kind
from emulator.core.limits import Confidence
from emulator.domain.chat import rules
from emulator.domain.chat.answers import Answer
from emulator.domain.chat.deltas import deltas_of
from emulator.domain.chat.requests import ModelRequest
from emulator.domain.keys import Plane
from emulator.domain.quotas import check_team_quota
from emulator.domain.speeds import first_due
from emulator.operations.base import Call, Operation, Stream
from emulator.operations.chat.answering import answer, duration_of
from emulator.operations.chat.conversations import continue_conversation, keeper
from emulator.operations.chat.screening import screen_request
from emulator.state.services import Services
from emulator.store.deferred import Deferred


class CreateCompletion(msgspec.Struct, frozen=True):
    """A request for a chat completion. A deferred one is never streamed (assumed: no recording has both)."""

    request: ModelRequest
    stream: bool = False
    deferred: bool = False
    include_usage: bool = False


class DeferredId(msgspec.Struct, frozen=True):
    """A deferred completion. gRPC has a status for an expired one; over REST it is not found."""

    request_id: str
    shows_expiry: bool = False


class Started(msgspec.Struct, frozen=True):
    """A deferred completion that has begun."""

    request_id: str


class Fetched(msgspec.Struct, frozen=True):
    """A deferred completion: its answer, or None while it is pending and after it has expired."""

    answer: Answer | None
    is_expired: bool = False


async def create(services: Services, call: Call, request: CreateCompletion) -> Answer | Stream | Started:
    """Answer a conversation: at once, as a stream, or later under a request id. Over gRPC the answer may be stored."""
    asked = continue_conversation(services, call.team, call.at, request.request)
    rules.check(asked, call.team.limits)
    if request.deferred:
        return await start_deferred(services, call, asked)
    found = await answer(services, call, asked)
    keep = keeper(services, call, asked, found)
    if request.stream:
        return stream_of(found, include_usage=request.include_usage, finish=keep)
    keep()
    return found


def stream_of(answer: Answer, *, include_usage: bool = False, finish: Callable[[], Any] | None = None) -> Stream:
    """Return an answer as a stream of deltas. `finish` runs before the last delta, unless the client left by then."""

    async def read() -> AsyncIterator[Any]:
        last = None
        for delta in deltas_of(answer):
            if last is not None:
                yield last
            last = delta
        if finish is not None:
            finish()
        if last is not None:
            yield last

    return Stream(answer, read, include_usage)


async def start_deferred(services: Services, call: Call, request: ModelRequest) -> Started:
    """Answer a conversation and keep the answer until it is fetched; it is ready at the speed of batches."""
    present = services.store.deferred.total(call.team.name)
    check_team_quota(present, call.team.limits, "deferred_completions_max", "deferred completions")
    found = await answer(services, call, request, wait=False)
    keep = keeper(services, call, request, found)
    id = services.ids.uuid(call.team)
    due = call.at if call.team.batches == "instant" else first_due(call.team.batches, call.at)
    if found.pace is not None and due is not None:
        due = later(due, duration_of(found, found.pace))
    expires = later(call.at, call.team.limits.deferred_completion_seconds * MICROSECONDS)
    with services.store.transaction():
        keep()
        is_ready = due == call.at
        services.store.deferred.insert(call.team.name, Deferred(id, msgspec.json.encode(found), is_ready, expires))
        if not is_ready:
            services.jobs.add(call.team, "complete_deferred", id, due)
        services.jobs.add(call.team, "expire_deferred", id, expires)
    return Started(id)


async def get_deferred(services: Services, call: Call, request: DeferredId) -> Fetched:
    """Fetch a deferred completion: once, within 24 hours (Deferred completions guide)."""
    found = services.store.deferred.get(call.team.name, request.request_id)
    if found is not None and found.expires_at <= call.at and request.shows_expiry:
        return Fetched(None, is_expired=True)
    if found is None or found.expires_at <= call.at:
        raise ApiError(Kind.NOT_FOUND, f"Deferred completion {request.request_id[:200]} not found", rule="not_found")
    if not found.is_ready:
        return Fetched(None)
    with services.store.transaction():
        services.store.deferred.delete(call.team.name, found.id)
        services.store.jobs.cancel(call.team.name, "expire_deferred", found.id)
    return Fetched(msgspec.json.decode(found.answer, type=Answer))


_RECORDED = Confidence.RECORDED

OPERATIONS = (
    Operation(
        "chat.create",
        *(Plane.INFERENCE, CreateCompletion, create),
        "OpenAPI: POST /v1/chat/completions; recorded live, 2026-04 to 2026-09",
        _RECORDED,
        decode_first=True,  # recorded, 2026-09: the shape and the model are looked at before the key
        screen=screen_request,
    ),
    Operation(
        "chat.get_deferred",
        *(Plane.INFERENCE, DeferredId, get_deferred),
        "OpenAPI: GET /v1/chat/deferred-completion/{request_id}",
    ),
)
