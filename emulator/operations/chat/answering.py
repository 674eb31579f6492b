"""From a checked model request to its answer: search, ask the responder, count and price."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec

from emulator.core.clock import seconds
from emulator.core.errors import ApiError, Kind
from emulator.core.import_callable import describe_error
from emulator.domain.batches.batch import Failure
from emulator.domain.chat.answers import Answer, BadAnswer, answer_of
from emulator.domain.chat.requests import ModelRequest
from emulator.operations.base import Call
from emulator.operations.chat.retrieval import gather
from emulator.state.services import Services


async def answer(services: Services, call: Call, request: ModelRequest) -> Answer:
    """Answer a request that was checked. Raises ApiError for what is not found, and for a responder that fails."""
    evidence = await gather(services, call.team, call.at, request)
    asked = dataclasses.replace(request, evidence=evidence) if evidence else request
    try:
        responder = services.responders.of(call.team)
    except ValueError as error:
        raise ApiError(Kind.INTERNAL, str(error), rule="responder") from None
    [said] = await responder.answer([asked])
    if isinstance(said, ApiError):
        raise said
    failure = failure_of(said)
    if failure is not None:
        raise _refusal(failure)
    id = services.ids.uuid(call.team)  # a bare UUID (recorded)
    try:
        found = answer_of(asked, said, id=id, created=seconds(call.at))
        msgspec.json.encode(msgspec.structs.replace(found, searches=(), settings={}))  # refuses text that is no UTF-8
        return found
    except (BadAnswer, TypeError, ValueError, RecursionError) as error:
        raise _refusal(invalid_result(error)) from None


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
    return Failure(Kind.INTERNAL, f"the responder's answer is none: {error}")


def _refusal(failure: Failure) -> ApiError:
    return ApiError(failure.kind, failure.message, rule="responder")
