"""The paths of batches, and of the media in their results."""

from __future__ import annotations

from types import NoneType
from typing import Any

import msgspec

from emulator.core.errors import ApiError, Kind
from emulator.core.lazy_pattern import lazy_pattern
from emulator.core.limits import Limits
from emulator.core.time_slices import TimeSlices
from emulator.domain.batches.batch import RequestKind
from emulator.domain.json_depth import is_deeper
from emulator.http.requests import Request
from emulator.http.responses import Headers, Response
from emulator.operations.base import Call
from emulator.operations.batches.lifecycle import BatchId
from emulator.operations.batches.results import ReadMedium
from emulator.rest import serde_errors
from emulator.rest.requests import FromJson, FromPath, FromQuery, read_json_body
from emulator.rest.responses import AsBytes, AsJson
from emulator.rest.route import Route
from emulator.rest.schemas import batches as shapes

# Observed live in every response of this API, 2026-08.
_RETENTION: Headers = [(b"x-zero-data-retention", b"false"), (b"x-data-retention", b"general")]


_SYNTAX = "Failed to parse the request body as JSON: "
_PATH = lazy_pattern(r"[\w.\[\]]+: ")  # the path at the start of an error message
WHOLE_BYTES_MAX = 1024 * 1024  # of a body that is decoded as a whole if a request is invalid


class RequestsFromJson(FromJson, frozen=True):
    """A body that is validated against its schema and then passed on as sent, including unknown members.

    It may contain thousands of requests, so they are decoded one by one. If one is invalid, the whole body is decoded,
    to report the line. In a large body only that request is decoded, and the line is that within the request.
    """

    async def __call__(self, request: Request, call: Call) -> Any:
        limits = call.team.limits
        body = await read_json_body(request, limits)
        self.check_type(request)
        requests = await _requests(body, limits)
        return self.make(request.path_params, await self._whole(body, limits) if requests is None else requests)

    async def _whole(self, body: bytes, limits: Limits) -> list[bytes]:
        try:
            serde_errors.decode(body, self.shape, limits)
        except ApiError as error:
            if error.kind is Kind.MISSHAPEN_BODY:
                _check_kinds(msgspec.json.decode(body))
            raise
        _check_kinds(msgspec.json.decode(body))
        return (await _items(body))[1]


async def _requests(body: bytes, limits: Limits) -> list[bytes] | None:
    """Return the requests of a body, or None if a part may have to be refused and the whole body can be decoded.

    Raises the refusal if the body is too large for that.
    """
    try:
        others, items = await _items(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError):
        return None
    whole = len(body) <= WHOLE_BYTES_MAX
    if others and whole:
        return None
    for other in others.values():
        serde_errors.parse(bytes(other), limits)
    slices = TimeSlices()
    for number, item in enumerate(items):
        if not _fits(item, limits):
            if whole:
                return None
            raise _misfit(number, item, limits)
        await slices.pause()
    return items


def _fits(item: bytes, limits: Limits) -> bool:
    """Return whether a request is valid and of one kind. Refuses one with too many items."""
    serde_errors.check_items(item, limits)
    depth_max = limits.json_depth_max
    try:
        request = msgspec.json.decode(item, type=_OneKind).batch_request
        msgspec.json.decode(item, type=shapes.NewRequestBody)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return len(request) == 1 and not is_deeper(item, None if depth_max is None else depth_max - 2)


def _misfit(number: int, item: bytes, limits: Limits) -> ApiError:
    """Return the refusal of one request of a large body."""
    refused: ApiError | None = None
    try:
        serde_errors.decode(item, shapes.NewRequestBody, limits)
    except ApiError as error:
        refused = error
    try:
        _check_kinds({"batch_requests": [None] * number + [msgspec.json.decode(item)]})
    except ApiError as error:
        return error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    if refused is None:  # the body around the request adds two levels
        return ApiError(Kind.MALFORMED_BODY, f"{_SYNTAX}recursion limit exceeded", rule="json_depth_max")
    start, separator, sentence = refused.message.partition(": ")
    joint = "." if _PATH.match(sentence) else ": "
    refused.message = f"{start}{separator}batch_requests[{number}]{joint}{sentence}"
    return refused


async def _items(body: bytes) -> tuple[dict[str, msgspec.Raw], list[bytes]]:
    """Return the members of a body except its requests, and the requests."""
    slices = TimeSlices()
    members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    await slices.pause()
    items = msgspec.json.decode(members.pop("batch_requests"), type=list[msgspec.Raw])
    await slices.pause()
    return members, list(map(bytes, items))


class _OneKind(msgspec.Struct):
    batch_request: dict[str, msgspec.Raw]


def _check_kinds(body: Any) -> None:
    """Refuse requests of no kind, of several kinds or of an unknown one, as serde does with an enum."""
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

    def __call__(self, request: Request, result: Any) -> Response:
        response = super().__call__(request, result)
        response.raw_headers += _RETENTION
        return response


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
        AsBatchJson(NoneType, lambda _: None),  # observed live: the body is `null`
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
