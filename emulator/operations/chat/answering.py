"""From a checked model request to its answer: search, ask the responder, count and price."""

from __future__ import annotations

import dataclasses

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


def new_answer_id(services: Services, call: Call) -> str:
    """A new id of an answer: a bare UUID (recorded)."""
    return services.ids.uuid(call.team)


async def answer(services: Services, call: Call, request: ModelRequest, *, id: str | None = None) -> Answer:
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
    if isinstance(said, Failure):
        raise ApiError(said.kind, said.message, rule="responder")
    if isinstance(said, Exception):
        raise ApiError(Kind.INTERNAL, describe_error(said), rule="responder")
    id = id or new_answer_id(services, call)
    try:
        found = answer_of(asked, said, id=id, created=seconds(call.at))
        msgspec.json.encode(msgspec.structs.replace(found, searches=(), settings={}))  # refuses text that is no UTF-8
        return found
    except (BadAnswer, TypeError, ValueError, RecursionError) as error:
        raise ApiError(Kind.INTERNAL, f"the responder's answer is none: {error}", rule="responder") from None
