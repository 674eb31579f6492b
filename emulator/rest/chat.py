"""The paths of chat completions and of the tokenizer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import msgspec

from emulator.domain.chat.completions import ChunkWriter
from emulator.domain.chat.deltas import TextDelta
from emulator.http.requests import Request
from emulator.operations.base import Call, Stream
from emulator.rest import serde_errors
from emulator.rest.requests import FromJson, FromPath, read_json_body
from emulator.rest.responses import AsAnswer, AsFetched, AsJson
from emulator.rest.route import Route
from emulator.rest.schemas import chat as shapes


class FromWholeJson(FromJson, frozen=True):
    """A body that is validated against its schema and then passed on as sent, including unknown members."""

    async def __call__(self, request: Request, call: Call) -> Any:
        limits = call.team.limits
        body = await read_json_body(request, limits)
        self.check_type(request)
        value = serde_errors.parse(body, limits)
        self.check(body, value)
        serde_errors.convert(body, value, self.shape)
        return self.make(request.path_params, value)

    def check(self, body: bytes, value: Any) -> None:
        """Refuse values that the schema cannot express."""


async def completion_events(stream: Stream) -> AsyncIterator[bytes]:
    """Render the deltas of a stream as events: data only, the last one `[DONE]` (recorded)."""
    writer = ChunkWriter(stream.answer, include_usage=stream.include_usage)
    templates: dict[int, tuple[bytes, bytes]] = {}  # by choice: the bytes before and after the text of a delta
    async with aclosing(stream.read()) as deltas:  # type: ignore[type-var]
        async for delta in deltas:
            if isinstance(delta, TextDelta) and delta.choice in templates:
                before, after = templates[delta.choice]
                yield before + msgspec.json.encode(delta.text) + after
                continue
            for chunk in writer.write(delta):
                yield b"data: " + msgspec.json.encode(chunk) + b"\n\n"
            if isinstance(delta, TextDelta):  # the first delta of a choice differs, because it has the role
                templates[delta.choice] = _template(writer, delta.choice)
    yield b"data: [DONE]\n\n"


def _template(writer: ChunkWriter, choice: int) -> tuple[bytes, bytes]:
    """Return the event of a text delta without its text, as two parts; quotes in its other strings are escaped."""
    [chunk] = writer.write(TextDelta(choice, ""))
    before, _, after = msgspec.json.encode(chunk).partition(b'"content":""')
    return b"data: " + before + b'"content":', after + b"\n\n"


ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/v1/chat/completions",
        "chat.create",
        FromWholeJson(shapes.ChatRequest, shapes.create),
        AsAnswer(shapes.ChatResponse, shapes.chat_response, completion_events),
    ),
    Route(
        "GET",
        "/v1/chat/deferred-completion/{request_id}",
        "chat.get_deferred",
        FromPath(shapes.deferred_id),
        AsFetched(shapes.ChatResponse, shapes.fetched_response),
    ),
    Route(
        "POST",
        "/v1/tokenize-text",
        "chat.tokenize",
        FromJson(shapes.TokenizeRequest, shapes.tokenize),
        AsJson(shapes.TokenizeResponse, shapes.tokens_json),
    ),
)
