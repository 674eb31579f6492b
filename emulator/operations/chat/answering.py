"""Answer checked model requests: search, call the responder, count tokens and price the answer."""

from __future__ import annotations

from typing import Any

import msgspec

from emulator.core.clock import Instant, seconds
from emulator.core.errors import ApiError, Kind
from emulator.core.import_callable import describe_error
from emulator.domain.batches.batch import Failure
from emulator.domain.chat.answers import Answer, BadAnswer, answer_of, tokens_of
from emulator.domain.chat.pace import Pace, Paced
from emulator.domain.chat.requests import ModelRequest
from emulator.operations.base import Call
from emulator.operations.chat.retrieval import gather
from emulator.responders.planned import search_of
from emulator.state.protocols import Responder
from emulator.state.services import Services
from emulator.state.teams import Team


async def prepare(
    services: Services, team: Team, at: Instant, request: ModelRequest, responder: Responder
) -> ModelRequest:
    """Return a request as a responder gets it: with the name of its team and the passages of its searches.

    Raises ApiError for a collection or file that does not exist.
    """
    asked = request.changed(team=team.name)
    search = search_of(responder, asked)
    if search is not None:
        asked = asked.changed(search=search)
    evidence = await gather(services, team, at, asked)
    return asked.changed(evidence=evidence) if evidence else asked


async def answer(services: Services, call: Call, request: ModelRequest, *, wait: bool = True) -> Answer:
    """Answer a checked request. Raises ApiError if an object does not exist, or the responder fails.

    The answer is delayed as the responder says, by the team's clock; a streamed one when its stream begins. Without
    `wait` it is returned at once, and its `pace` has the delay.
    """
    responder = responder_of(services, call.team)
    asked = await prepare(services, call.team, call.at, request, responder)
    [said] = await responder.answer([asked])
    pace, said = (said.pace, said.said) if isinstance(said, Paced) else (None, said)
    if pace is not None and wait:
        await services.waits.after(call.team, call.at, pace.delay_microseconds)
    found = _answer_of(services, call, asked, said)
    if pace is None:
        return found
    if wait and not asked.is_streamed:
        await services.waits.after(call.team, call.at, duration_of(found, pace))
    return msgspec.structs.replace(found, pace=pace)


def responder_of(services: Services, team: Team) -> Responder:
    """Return the responder of a team. Raises ApiError if it does not exist any more."""
    try:
        return services.responders.of(team)
    except ValueError as error:
        raise ApiError(Kind.INTERNAL, str(error), rule="responder") from None


def duration_of(answer: Answer, pace: Pace) -> int:
    """Return how long an answer takes at a pace, in microseconds, to its last token."""
    return pace.delay_microseconds + pace.microseconds(tokens_of(answer.characters))


def _answer_of(services: Services, call: Call, asked: ModelRequest, said: Any) -> Answer:
    """Return the answer for a responder's result. Raises ApiError."""
    check_said(said)
    id = services.ids.answer(call.team)  # a bare UUID (recorded)
    try:
        found = answer_of(asked, said, id=id, created=seconds(call.at))
        own = msgspec.structs.replace(found, searches=(), settings={}) if found.searches or found.settings else found
        msgspec.json.encode(own)  # refuses text that is no UTF-8
        return found
    except (BadAnswer, TypeError, ValueError, RecursionError) as error:
        raise refusal(invalid_result(error)) from None


def check_said(said: Any) -> None:
    """Raise ApiError if a responder returned a failure in place of a result."""
    if isinstance(said, ApiError):
        raise said
    failure = failure_of(said)
    if failure is not None:
        raise refusal(failure)


def failure_of(said: Any) -> Failure | None:
    """Return the failure that a responder returned in place of a result; None for a result."""
    if isinstance(said, Failure):
        return said
    if isinstance(said, ApiError):
        return Failure(said.kind, said.message)
    return internal_failure(said) if isinstance(said, Exception) else None


def internal_failure(error: Exception) -> Failure:
    """Return the failure of a request whose processing raised an exception."""
    return Failure(Kind.INTERNAL, describe_error(error))


def invalid_result(error: Exception) -> Failure:
    """Return the failure of a request whose responder returned an invalid result."""
    return Failure(Kind.INTERNAL, f"invalid responder result: {error}")


def refusal(failure: Failure) -> ApiError:
    """Return the refusal of a live call whose responder failed."""
    return ApiError(failure.kind, failure.message, rule="responder")
