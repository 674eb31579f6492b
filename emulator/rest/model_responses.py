"""The paths of responses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, ClassVar

import msgspec

from emulator.core.errors import ApiError, Kind
from emulator.domain.chat.response_events import EventWriter
from emulator.domain.chat.responses import response_json, stored_response_json
from emulator.http.requests import Request
from emulator.operations.base import Call, Stream
from emulator.rest import serde_errors
from emulator.rest.chat import FromWholeJson
from emulator.rest.requests import FromPath, FromQuery
from emulator.rest.responses import AsAnswer, AsJson
from emulator.rest.route import Route
from emulator.rest.schemas import model_responses as shapes
from emulator.rest.schemas.model_inputs import is_input
from emulator.rest.schemas.model_tools import is_tool_choice


class FromModelRequest(FromWholeJson, frozen=True):
    """A body with input items.

    Unlike in other paths, a body that does not fit is refused in JSON (recorded, 2026-06).
    """

    refuses_in_json: ClassVar[bool] = True

    async def __call__(self, request: Request, call: Call) -> Any:
        try:
            return await super().__call__(request, call)
        except ApiError as error:
            error.as_json = self.refuses_in_json and error.kind is Kind.MISSHAPEN_BODY
            raise

    def check(self, body: bytes, value: Any) -> None:
        """Refuse values that fit no variant of the untagged enums of the body."""
        if not isinstance(value, dict):
            return
        if "input" in value and not is_input(value["input"]):
            raise serde_errors.mismatch(body, ["input"], "ModelInput")
        if value.get("tool_choice") is not None and not is_tool_choice(value["tool_choice"]):
            raise serde_errors.mismatch(body, ["tool_choice"], "ModelToolChoice")


async def response_events(stream: Stream) -> AsyncIterator[bytes]:
    """Render the deltas of a stream as named events; the last one ends the stream (recorded, 2026-09)."""
    writer = EventWriter(stream.answer)
    for event in writer.begin():
        yield _encoded(event)
    async with aclosing(stream.read()) as deltas:  # type: ignore[type-var]
        async for delta in deltas:
            for event in writer.write(delta):
                yield _encoded(event)


def _encoded(event: dict[str, Any]) -> bytes:
    name: str = event["type"]
    return b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(event) + b"\n\n"


_ID = FromPath(shapes.response_id)

ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/v1/responses",
        "responses.create",
        FromModelRequest(shapes.ModelRequestBody, shapes.create),
        AsAnswer(shapes.ModelResponseJson, response_json, response_events),
    ),
    Route(
        "POST",
        "/v1/responses/compact",
        "responses.compact",
        FromModelRequest(shapes.CompactBody, shapes.compact),
        AsJson(shapes.CompactedJson, shapes.compacted_json),
    ),
    Route(
        "GET",
        "/v1/responses/{response_id}",
        "responses.get",
        _ID,
        AsJson(shapes.ModelResponseJson, stored_response_json),
    ),
    Route(
        "DELETE",
        "/v1/responses/{response_id}",
        "responses.delete",
        _ID,
        AsJson(shapes.DeletedResponseJson, shapes.deleted_json),
    ),
    Route(
        "GET",
        "/v1/responses/{response_id}/input_items",
        "responses.list_input_items",
        FromQuery(shapes.InputItemsQuery, shapes.list_input_items),
        AsJson(shapes.InputItemsJson, shapes.input_items_json),
    ),
)
