"""The paths of batches, and of the media in their results."""

from __future__ import annotations

from types import NoneType
from typing import Any

import msgspec

from emulator.domain.batches import RequestKind
from emulator.errors import ApiError, Kind
from emulator.operations.base import Call
from emulator.operations.batches import BatchId
from emulator.operations.batches_results import ReadMedium
from emulator.rest.bodies import Headers, Reply
from emulator.rest.reading import Exchange, FromJson, FromPath, FromQuery
from emulator.rest.route import Route
from emulator.rest.shapes import batches as shapes
from emulator.rest.writing import AsBytes, AsJson

# Observed live on every answer of this API, 2026-08.
_RETENTION: Headers = [(b"x-zero-data-retention", b"false"), (b"x-data-retention", b"general")]


class RequestsFromJson(FromJson, frozen=True):
    """A body that is held against its shape, and then handed on as it was sent, with what the shape does not know."""

    async def __call__(self, exchange: Exchange, call: Call) -> Any:
        try:
            await FromJson(self.shape, lambda path, body: body)(exchange, call)
        except ApiError as error:
            if error.kind is Kind.MISSHAPEN_BODY:
                _check_kinds(msgspec.json.decode(exchange.received))
            raise
        body = msgspec.json.decode(exchange.received)
        _check_kinds(body)
        return self.make(exchange.path, body)


def _check_kinds(body: Any) -> None:
    """Refuse requests of no kind, of two or of an unknown one, as serde does with an enum."""
    items = body.get("batch_requests") if isinstance(body, dict) else None
    for number, item in enumerate(items if isinstance(items, list) else ()):
        request = item.get("batch_request") if isinstance(item, dict) else None
        if not isinstance(request, dict):
            continue
        unknown = next((key for key in request if key not in _KINDS), None)
        if unknown is not None:
            known = ", ".join(f"`{kind}`" for kind in _KINDS)
            raise _misshapen(number, f"unknown variant `{unknown[:100]}`, expected one of {known}")
        if len(request) != 1:
            raise _misshapen(number, f"invalid length {len(request)}, expected a map with a single key")


_KINDS = [kind.value for kind in RequestKind]


def _misshapen(number: int, sentence: str) -> ApiError:
    start = "Failed to deserialize the JSON body into the target type: "
    return ApiError(Kind.MISSHAPEN_BODY, f"{start}batch_requests[{number}].batch_request: {sentence}", rule="json")


class AsBatchJson(AsJson, frozen=True):
    """JSON with the headers of this API."""

    def __call__(self, exchange: Exchange, result: Any) -> Reply:
        reply = super().__call__(exchange, result)
        reply.headers += _RETENTION
        return reply


_BATCH_ID = FromPath(lambda path: BatchId(path["batch_id"]))
_BATCH = AsBatchJson(shapes.BatchJson, shapes.batch_json)
_ONE = "/v1/batches/{batch_id}"

ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/v1/batches",
        "batches.create",
        FromJson(shapes.CreateBatchBody, shapes.create),
        _BATCH,
    ),
    Route(
        "GET",
        "/v1/batches",
        "batches.list",
        FromQuery(shapes.BatchesQuery, shapes.list_batches),
        AsBatchJson(shapes.BatchesJson, shapes.batches_json),
    ),
    Route("GET", _ONE, "batches.get", _BATCH_ID, _BATCH),
    Route("POST", f"{_ONE}:cancel", "batches.cancel", _BATCH_ID, _BATCH),
    Route(
        "POST",
        f"{_ONE}/requests",
        "batches.add_requests",
        RequestsFromJson(shapes.AddRequestsBody, shapes.add),
        AsBatchJson(NoneType, lambda _: None),  # observed live: the body is the word null
    ),
    Route(
        "GET",
        f"{_ONE}/requests",
        "batches.list_requests",
        FromQuery(shapes.BatchesQuery, shapes.list_requests),
        AsBatchJson(shapes.RequestsJson, shapes.requests_json),
    ),
    Route(
        "GET",
        f"{_ONE}/results",
        "batches.list_results",
        FromQuery(shapes.BatchesQuery, shapes.list_results),
        AsBatchJson(shapes.ResultsJson, shapes.results_json),
    ),
    Route(
        "GET",
        "/_media/{token}/{name}",
        "batches.media",
        FromPath(lambda path: ReadMedium(path["token"], path["name"])),
        AsBytes(),
    ),
)
