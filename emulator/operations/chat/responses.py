"""Responses: answered at once or streamed, stored, read, deleted, listed by their input, and compacted."""

from __future__ import annotations

from typing import Annotated

import msgspec

from emulator.core.clock import seconds
from emulator.core.errors import invalid
from emulator.core.limits import Confidence, PageSize
from emulator.domain.chat import response_rules, rules
from emulator.domain.chat.answers import Answer, Usage, tokens, usage_of
from emulator.domain.chat.bodies import Json
from emulator.domain.chat.requests import ModelRequest
from emulator.domain.keys import Plane
from emulator.domain.paging import Page
from emulator.operations.base import Call, Operation, Stream
from emulator.operations.chat.answering import answer
from emulator.operations.chat.completions import stream_of
from emulator.operations.chat.conversations import (
    continue_conversation,
    encrypted_messages,
    keeper,
    remove_response,
    with_encrypted_reasoning,
)
from emulator.operations.chat.screening import screen_request
from emulator.state.services import Services


class CreateResponse(msgspec.Struct, frozen=True):
    """A request for a response."""

    request: ModelRequest
    stream: bool = False


class ResponseId(msgspec.Struct, frozen=True):
    """A stored response."""

    response_id: str


class ListInputItems(msgspec.Struct, frozen=True):
    """A page of the input of a stored response, after the item with an id."""

    response_id: str
    limit: Annotated[int, PageSize("input_items_page_max", "input_items_page_default")] = 0
    descending: bool = False
    after: str | None = None


class CompactContext(msgspec.Struct, frozen=True):
    """A conversation that is to be compacted."""

    request: ModelRequest


class Compacted(msgspec.Struct, frozen=True):
    """A conversation as encrypted content, which stands for all its messages in a later request."""

    id: str
    created: int  # Unix seconds
    model: str
    encrypted_content: str
    messages_count: int
    usage: Usage


async def create(services: Services, call: Call, request: CreateResponse) -> Answer | Stream:
    """Answer a request, and store the answer unless the request says otherwise."""
    response_rules.check(request.request)
    asked = continue_conversation(services, call.team, call.at, request.request)
    rules.check(asked, call.team.limits)
    response_rules.check_function_outputs(asked)
    found = with_encrypted_reasoning(services, call.team, asked, await answer(services, call, asked))
    keep = keeper(services, call, asked, found)
    if request.stream:
        return stream_of(found, finish=keep)
    keep()
    return found


async def get(services: Services, call: Call, request: ResponseId) -> Answer:
    """Return the answer of a stored response."""
    stored = services.store.responses.get(call.team.name, request.response_id, call.at)
    if stored is None:
        raise response_rules.not_found(request.response_id)
    return stored.answer


async def delete(services: Services, call: Call, request: ResponseId) -> ResponseId:
    """Delete a stored response at once. Those that continue it stay whole."""
    await get(services, call, request)
    remove_response(services, call.team.name, request.response_id)
    return request


async def list_input_items(services: Services, call: Call, request: ListInputItems) -> Page[Json]:
    """Return a page of the items of a request, without those that it continued (assumed)."""
    stored = services.store.responses.get(call.team.name, request.response_id, call.at)
    if stored is None:
        raise response_rules.not_found(request.response_id)
    items = [*reversed(stored.input)] if request.descending else [*stored.input]
    if request.after:
        places = [place for place, item in enumerate(items) if item["id"] == request.after]
        if not places:
            raise invalid(f"after: there is no item {request.after[:200]!r}.", rule="after", param="after")
        items = items[places[0] + 1 :]
    return Page(items[: request.limit], None, more=len(items) > request.limit)


async def compact(services: Services, call: Call, request: CompactContext) -> Compacted:
    """Return a conversation as encrypted content. Nothing of it is lost: no model summarizes it here."""
    asked = continue_conversation(services, call.team, call.at, request.request)
    rules.check_messages(asked)
    rules.check_parts(asked)
    content = encrypted_messages(services, call.team, asked.messages)
    usage = usage_of(asked, (), {"completion_tokens": tokens(content)})
    return Compacted(
        id=f"cmp_{services.ids.uuid(call.team)}",
        created=seconds(call.at),
        model=asked.language_model.id,
        encrypted_content=content,
        messages_count=len(asked.messages),
        usage=usage,
    )


_RECORDED = Confidence.RECORDED

OPERATIONS = (
    Operation(
        "responses.create",
        *(Plane.INFERENCE, CreateResponse, create),
        "OpenAPI: POST /v1/responses; recorded live, 2026-04 to 2026-09",
        _RECORDED,
        decode_first=True,  # recorded, 2026-09: the shape and the model are looked at before the key
        screen=screen_request,
    ),
    Operation(
        "responses.get",
        *(Plane.INFERENCE, ResponseId, get),
        "OpenAPI: GET /v1/responses/{response_id}; recorded live, 2026-04 to 2026-09",
        _RECORDED,
    ),
    Operation(
        "responses.delete",
        *(Plane.INFERENCE, ResponseId, delete),
        "OpenAPI: DELETE /v1/responses/{response_id}; recorded live, 2026-04 to 2026-09",
        _RECORDED,
    ),
    Operation(
        "responses.list_input_items",
        *(Plane.INFERENCE, ListInputItems, list_input_items),
        "OpenAPI: GET /v1/responses/{response_id}/input_items",
    ),
    Operation(
        "responses.compact",
        *(Plane.INFERENCE, CompactContext, compact),
        "OpenAPI: POST /v1/responses/compact; the content is the emulator's own",
        decode_first=True,
        screen=screen_request,
    ),
)
