"""The paths of batches, and of the media in their results."""

from __future__ import annotations

import asyncio
from types import NoneType
from typing import Any

import msgspec

from emulator.domain.batches import RequestKind
from emulator.domain.json_depth import is_deeper
from emulator.errors import ApiError, Kind
from emulator.limits import Limits
from emulator.operations.base import Call
from emulator.operations.batches import ITEMS_AT_ONCE, BatchId
from emulator.operations.batches_results import ReadMedium
from emulator.rest import serde
from emulator.rest.bodies import Headers, Reply
from emulator.rest.reading import Exchange, FromJson, FromPath, FromQuery
from emulator.rest.route import Route
from emulator.rest.shapes import batches as shapes
from emulator.rest.writing import AsBytes, AsJson

# Observed live on every answer of this API, 2026-08.
_RETENTION: Headers = [(b"x-zero-data-retention", b"false"), (b"x-data-retention", b"general")]


class RequestsFromJson(FromJson, frozen=True):
    """A body that is held against its shape, and then handed on as it was sent, with what the shape does not know.

    It may hold thousands of requests, so they are decoded one by one. Where one does not fit, the whole is decoded at
    once, to tell in which line.
    """

    async def __call__(self, exchange: Exchange, call: Call) -> Any:
        limits = call.team.limits
        body = await exchange.body(limits)
        self.check_type(exchange)
        requests = await _requests(body, limits.json_depth_max)
        return self.make(exchange.path, self._whole(body, limits) if requests is None else requests)

    def _whole(self, body: bytes, limits: Limits) -> list[bytes]:
        try:
            serde.decode(body, self.shape, limits)
        except ApiError as error:
            if error.kind is Kind.MISSHAPEN_BODY:
                _check_kinds(msgspec.json.decode(body))
            raise
        _check_kinds(msgspec.json.decode(body))
        return _items(body)[1]


async def _requests(body: bytes, depth_max: int | None) -> list[bytes] | None:
    """The requests of a body, unless there is anything in it that may have to be refused."""
    try:
        others, items = _items(body)
        for number, item in enumerate(items, 1):
            request = msgspec.json.decode(item, type=_OneKind).batch_request
            msgspec.json.decode(item, type=shapes.NewRequestBody)
            if len(request) != 1 or is_deeper(item, None if depth_max is None else depth_max - 2):
                return None
            if number % ITEMS_AT_ONCE == 0:
                await asyncio.sleep(0)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError):
        return None
    return None if others else items


def _items(body: bytes) -> tuple[dict[str, msgspec.Raw], list[bytes]]:
    """The members of a body beside its requests, and these."""
    members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    items = msgspec.json.decode(members.pop("batch_requests"), type=list[msgspec.Raw])
    return members, list(map(bytes, items))


class _OneKind(msgspec.Struct):
    batch_request: dict[str, msgspec.Raw]


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
