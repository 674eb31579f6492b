"""Answer batch requests: prepare the request, call the responder, and build the result.

Bodies and answers can be large, so they are decoded, measured and encoded in threads. The event loop looks files up
and, in the transaction of its caller, writes what media need.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from emulator.core import ids
from emulator.core.clock import Instant, seconds
from emulator.core.errors import ApiError, Kind
from emulator.core.limits import Limits
from emulator.core.threads import map_in_threads
from emulator.domain.batches.batch import Batch, Failure, Request, ResultKind
from emulator.domain.batches.checks import complaint, file_ids
from emulator.domain.batches.results import cost_of, result_of
from emulator.domain.chat.answers import BadAnswer
from emulator.domain.chat.bodies import Json
from emulator.domain.chat.pace import without_pace
from emulator.domain.chat.requests import ModelRequest
from emulator.domain.json_depth import WALKED_MAX, is_deeper
from emulator.domain.json_size import oversize
from emulator.operations.chat.answering import failure_of, internal_failure, invalid_result, prepare
from emulator.operations.chat.conversations import continue_conversation
from emulator.operations.media.answering import check_files
from emulator.operations.media.making import add_media
from emulator.state.protocols import Responder
from emulator.state.services import Services
from emulator.state.teams import Team


class _Asked(msgspec.Struct, frozen=True):
    """A decoded request, its error if any, and the files it needs."""

    request: ModelRequest
    complaint: str | None
    file_ids: list[str]


class Result(msgspec.Struct, frozen=True):
    """A result, also as JSON, and its cost. `media` says whether media may still have to be added."""

    request: ModelRequest
    members: Json
    encoded: bytes
    cost: int
    media: bool


class _UnavailableResponder:
    """Fails every request: the responder of the team cannot be created, such as from a deleted file."""

    requests_max = 100

    def __init__(self, error: ValueError) -> None:
        self._error = error

    async def answer(self, requests: Sequence[ModelRequest]) -> list[Any]:
        return [self._error for _ in requests]


def responder_of(services: Services, team: Team) -> Responder:
    """Return the responder of a team."""
    try:
        return services.responders.of(team)
    except ValueError as error:
        return _UnavailableResponder(error)


async def answer(
    services: Services, team: Team, responder: Responder, batch: Batch, requests: Sequence[Request], at: Instant
) -> list[Result | Failure]:
    """Answer requests, in order, by the responder; invalid requests fail without it."""
    pairs = list(zip(requests, services.store.batch_requests.bodies(batch, requests), strict=True))
    asked = await map_in_threads(lambda pair: _decoded(batch, team.limits, *pair), pairs, threads=1)
    answers: list[Any] = [_refused(services, team, at, each) for each in asked]
    open = [number for number, found in enumerate(answers) if found is None]
    for number in open:
        answers[number] = await _prepared(services, team, responder, asked[number].request, at)
    open = [number for number in open if not isinstance(answers[number], Failure)]
    evident: dict[int, ModelRequest] = {number: answers[number] for number in open}
    said = [without_pace(each) for each in await responder.answer(list(evident.values()))]
    most = team.limits.batch_result_bytes_max

    def result(number: int, said: Any) -> Result | Failure:
        request = evident[number]
        id = ids.fixed_uuid(services.ids.seed, team.name, f"result {batch.id} {request.batch_request_id}")
        return _result(request, said, id=id, created=seconds(at), bytes_max=most)

    results = await map_in_threads(lambda pair: result(*pair), list(zip(open, said, strict=True)), threads=1)
    for number, found in zip(open, results, strict=True):
        answers[number] = internal_failure(found) if isinstance(found, Exception) else found
    return answers


async def _prepared(
    services: Services, team: Team, responder: Responder, request: ModelRequest, at: Instant
) -> ModelRequest | Failure:
    """Return a request as a responder gets it, as a live call does."""
    if request.result_kind is not ResultKind.CHAT:
        return request.changed(team=team.name)
    try:
        return await prepare(services, team, at, continue_conversation(services, team, at, request), responder)
    except ApiError as error:
        return Failure(error.kind, error.message)


def _decoded(batch: Batch, limits: Limits, request: Request, body: bytes) -> _Asked:
    decoded = msgspec.json.decode(body)
    asked = ModelRequest(batch.id, request.id, request.kind.value, request.model, decoded)
    return _Asked(asked, complaint(asked, limits), list(file_ids(asked.body)))


def _refused(services: Services, team: Team, at: Instant, asked: _Asked | Exception) -> Failure | None:
    if isinstance(asked, Exception):
        return internal_failure(asked)
    if asked.complaint is not None:
        return Failure(Kind.INVALID_ARGUMENT, asked.complaint)
    try:
        check_files(services, team, at, asked.request, asked.file_ids)
    except ApiError as error:
        return Failure(error.kind, error.message)
    return None


def _result(request: ModelRequest, said: Any, *, id: str, created: int, bytes_max: int | None) -> Result | Failure:
    """Return the complete result of a responder's answer, without the media that are created later."""
    failure = failure_of(said)
    if failure is not None:
        return failure
    try:
        whole = isinstance(said, dict) and not said.keys().isdisjoint(("choices", "data"))
        times = 1 if whole else request.count  # each choice contains it
        _check(oversize([said] * times, bytes_max))
        result = result_of(request, said, id=id, created=created)
        _check(oversize(result, bytes_max))
        return _encoded(request, result, cost_of(result), bytes_max)
    except (BadAnswer, TypeError, ValueError, RecursionError) as error:
        return invalid_result(error)


def _check(wrong: str | None) -> None:
    if wrong is not None:
        raise BadAnswer(wrong)


def _encoded(request: ModelRequest, result: Json, cost: int, bytes_max: int | None) -> Result:
    encoded = msgspec.json.encode(result)
    if bytes_max is not None and len(encoded) > bytes_max:
        raise BadAnswer(f"it has {len(encoded)} bytes, at most {bytes_max} are allowed")
    if is_deeper(encoded, WALKED_MAX):
        raise BadAnswer(f"it is nested more than {WALKED_MAX} levels deep")
    return Result(request, result, encoded, cost, media=request.result_kind is not ResultKind.CHAT)


def outcome_of(services: Services, team: Team, result: Result | Failure, at: Instant) -> tuple[bytes | Failure, int]:
    """Return a result in JSON with all its media, and its cost; or a failure. In a transaction."""
    if isinstance(result, Failure):
        return result, 0
    if not result.media:
        return result.encoded, result.cost
    try:
        add_media(services, team, result.request, result.members, at)
        return msgspec.json.encode(result.members), result.cost
    except (TypeError, ValueError) as error:
        return invalid_result(error), 0
