"""From a checked model request to its answer: search, ask the responder, count and price."""

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
    """Return a request as a responder gets it: with the name of its team, and with what the search found for it.

    Raises ApiError for a collection or file that is not there.
    """
    asked = request.changed(team=team.name)
    search = search_of(responder, asked)
    if search is not None:
        asked = asked.changed(search=search)
    evidence = await gather(services, team, at, asked)
    return asked.changed(evidence=evidence) if evidence else asked


async def answer(services: Services, call: Call, request: ModelRequest, *, wait: bool = True) -> Answer:
    """Answer a request that was checked. Raises ApiError for what is not found, and for a responder that fails.

    The answer comes as late as the responder says by the team's clock; one that is streamed, when its stream begins.
    With `wait` off it comes at once, and its `pace` says when it would have.
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
    """The responder of a team. Raises ApiError where it is not there any more."""
    try:
        return services.responders.of(team)
    except ValueError as error:
        raise ApiError(Kind.INTERNAL, str(error), rule="responder") from None


def duration_of(answer: Answer, pace: Pace) -> int:
    """How long an answer takes at a pace, in microseconds, until its last token is there."""
    return pace.delay_microseconds + pace.microseconds(tokens_of(answer.characters))


def _answer_of(services: Services, call: Call, asked: ModelRequest, said: Any) -> Answer:
    """The answer that a responder gave. Raises ApiError."""
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
    """Raise what a responder returned in place of a result, as ApiError."""
    if isinstance(said, ApiError):
        raise said
    failure = failure_of(said)
    if failure is not None:
        raise refusal(failure)


def failure_of(said: Any) -> Failure | None:
    """The failure that a responder returned in place of a result; None for a result."""
    if isinstance(said, Failure):
        return said
    if isinstance(said, ApiError):
        return Failure(said.kind, said.message)
    return internal_failure(said) if isinstance(said, Exception) else None


def internal_failure(error: Exception) -> Failure:
    """The failure of a request at which an exception ended the work."""
    return Failure(Kind.INTERNAL, describe_error(error))


def invalid_result(error: Exception) -> Failure:
    """The failure of a request whose responder returned what is no result."""
    return Failure(Kind.INTERNAL, f"invalid responder result: {error}")


def refusal(failure: Failure) -> ApiError:
    """The refusal of a live call whose responder failed."""
    return ApiError(failure.kind, failure.message, rule="responder")
