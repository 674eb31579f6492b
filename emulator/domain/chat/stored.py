"""Stored responses: an answer with its input, and the conversation that another request may continue."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from emulator.core import ids
from emulator.core.clock import Instant
from emulator.domain.chat.answers import Answer
from emulator.domain.chat.bodies import Json
from emulator.domain.chat.conversation import messages_of
from emulator.domain.chat.requests import Endpoint, ModelRequest


class StoredResponse(msgspec.Struct, frozen=True):
    """A stored response. It contains the whole conversation, so deleting an earlier response does not shorten it."""

    id: str
    created_at: Instant
    expires_at: Instant
    answer: Answer
    input: tuple[Json, ...]  # the items of this request alone
    messages: tuple[Json, ...]  # of the conversation up to and including the answer, without the instructions
    seq: int = 0


def input_items(request: ModelRequest, answer_id: str) -> tuple[Json, ...]:
    """Return the items of a request, each with an id; for a gRPC request they are made from its messages."""
    if request.endpoint is not Endpoint.RESPONSES:
        items = [item for message in messages_of(request.body) for item in _items_of(message)]
    elif isinstance(given := request.body.get("input"), str):
        items = [{"role": "user", "content": given}]
    else:
        items = [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []
    return tuple(_with_id(item, f"{answer_id} {number}") for number, item in enumerate(items))


def _with_id(item: Json, name: str) -> Json:
    """Return an item with its type and an id; the form of the ids is assumed."""
    kind = item.get("type") or "message"
    return {**item, "type": kind, "id": item.get("id") or f"{kind}_{ids.fixed_uuid(name, '', 'input items')}"}


def _items_of(message: Json) -> Iterator[Json]:
    """Return a message of a chat body as items of /v1/responses."""
    content = message.get("content")
    parts = [_part_of(part, message) for part in content] if isinstance(content, list) else content
    if message.get("role") in ("tool", "function"):
        yield {"type": "function_call_output", "call_id": message.get("tool_call_id"), "output": parts}
    elif message.get("encrypted_content"):
        yield {"type": "compaction", "encrypted_content": message["encrypted_content"]}
    elif parts:
        yield {"type": "message", "role": message.get("role"), "content": parts}
    for call in message.get("tool_calls") or ():
        yield {"type": "function_call", "call_id": call.get("id"), **call.get("function", {})}


def _part_of(part: Json, message: Json) -> Json:
    kind = part.get("type")
    if kind == "image_url":
        image = part["image_url"]
        return {"type": "input_image", **{"image_url" if name == "url" else name: image[name] for name in image}}
    if kind == "file":
        file = part["file"]
        return {"type": "input_file", **{"file_url" if name == "url" else name: file[name] for name in file}}
    text_type = "output_text" if message.get("role") == "assistant" else "input_text"
    return {"type": text_type, "text": part.get("text", "")}


def conversation(request: ModelRequest, answer: Answer) -> tuple[Json, ...]:
    """Return the messages that precede those of a request which continues this answer.

    Instructions are not inherited (recorded, 2026-09). If there are several choices, the first one is continued.
    """
    own = 1 if request.endpoint is Endpoint.RESPONSES and request.body.get("instructions") else 0
    return *request.messages[own:], *_said(answer)


def _said(answer: Answer) -> Iterator[Json]:
    for choice in answer.choices[:1]:
        message: Json = {"role": "assistant", "content": choice.text}
        if choice.calls:
            message["tool_calls"] = [
                {"id": call.id, "type": call.type, "function": {"name": call.name, "arguments": call.arguments}}
                for call in choice.calls
            ]
        if choice.text or choice.calls:
            yield message
