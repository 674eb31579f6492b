"""The BatchMgmt service: messages to requests, results to messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from emulator.core.errors import WIRE, invalid
from emulator.domain.batches.batch import Failure, NewRequest, RequestKind, ResultKind, State
from emulator.domain.chat.responses_body import chat_of
from emulator.domain.paging import Page
from emulator.operations.batches.lifecycle import BatchId, BatchView, CreateBatch, ListBatches
from emulator.operations.batches.requests import AddRequests, ListRequests, ListResults, RequestView
from emulator.operations.batches.results import RequestDetail, RequestId, ResultView
from emulator.rpc.batches.media import EXTENSION_REQUEST, IMAGE_REQUEST, IMAGE_RESPONSE, VIDEO_REQUEST, VIDEO_RESPONSE
from emulator.rpc.chat.messages import CHAT_REQUEST, CHAT_RESPONSE
from emulator.rpc.fields import Shape
from emulator.rpc.messages import load
from emulator.rpc.requests import Message, Method, enum_value, optional, to_timestamp

_message = load().message

# The field of a BatchRequest for a kind, and its shape.
_REQUESTS: dict[RequestKind, tuple[str, Shape]] = {
    RequestKind.CHAT: ("completion_request", CHAT_REQUEST),
    RequestKind.RESPONSES: ("completion_request", CHAT_REQUEST),
    RequestKind.IMAGE_GENERATION: ("image_request", IMAGE_REQUEST),
    RequestKind.IMAGE_EDIT: ("image_request", IMAGE_REQUEST),
    RequestKind.VIDEO_GENERATION: ("video_request", VIDEO_REQUEST),
    RequestKind.VIDEO_EXTENSION: ("video_extension_request", EXTENSION_REQUEST),
}
# The kind for a field; an image request with an input image is an edit.
_KINDS = {
    "completion_request": RequestKind.CHAT,
    "image_request": RequestKind.IMAGE_GENERATION,
    "video_request": RequestKind.VIDEO_GENERATION,
    "video_extension_request": RequestKind.VIDEO_EXTENSION,
}
_RESPONSES: dict[ResultKind, tuple[str, Shape]] = {
    ResultKind.CHAT: ("completion_response", CHAT_RESPONSE),
    ResultKind.IMAGE: ("image_response", IMAGE_RESPONSE),
    ResultKind.VIDEO: ("video_response", VIDEO_RESPONSE),
}
_STATES = {1: State.PENDING, 2: State.SUCCEEDED, 3: State.CANCELLED, 4: State.FAILED}
_STATE_NUMBERS = {state: number for number, state in _STATES.items()}
CANCELLED = 1  # google.rpc.Code
SMALL_BYTES_MAX = 64 * 1024  # smaller requests are converted when they are requested, on the event loop


# --- requests


def _read_list(message: Message) -> ListBatches:
    return ListBatches(message.limit, optional(message, "pagination_token"))


def _read_requests(message: Message) -> ListRequests:
    states = frozenset(enum_value("status", _STATES, number) for number in message.status)
    return ListRequests(message.batch_id, message.limit, optional(message, "pagination_token"), states)


def _read_results(message: Message) -> ListResults:
    return ListResults(message.batch_id, message.limit, optional(message, "pagination_token"))


def _read_add(message: Message) -> AddRequests:
    return AddRequests(message.batch_id, _new_requests(message.batch_requests))


def _new_requests(messages: list[Message]) -> Iterator[NewRequest]:
    """Yield requests in the stored form: as the JSON bodies of the REST endpoints.

    Large ones are converted here, in the thread that decodes a large message. The others are converted one by one as
    they are requested, to save memory.
    """
    large = {
        number: _new_request(number, message)
        for number, message in enumerate(messages)
        if message.ByteSize() > SMALL_BYTES_MAX
    }
    return (
        large.pop(number) if number in large else _new_request(number, message)
        for number, message in enumerate(messages)
    )


def _new_request(number: int, message: Message) -> NewRequest:
    name = message.WhichOneof("request")
    if name is None:
        raise invalid(f"batch_requests[{number}]: no request is set.", rule="protobuf", param="batch_requests")
    kind = _KINDS[name]
    body = _REQUESTS[kind][1].to_json(getattr(message, name))
    if kind is RequestKind.IMAGE_GENERATION and ("image" in body or "images" in body):
        kind = RequestKind.IMAGE_EDIT
    return NewRequest(message.batch_request_id or None, kind, body)


# --- responses


def write_batch(view: BatchView) -> Message:
    """Return a batch, with its cost."""
    batch = view.batch
    costs = [
        _message("xai_api.EndpointCost")(endpoint=cost.endpoint, cost_usd_ticks=cost.ticks, request_count=cost.count)
        for cost in view.costs
    ]
    return _message("xai_api.Batch")(
        batch_id=batch.id,
        name=batch.name,
        create_time=to_timestamp(batch.created_at),
        expire_time=to_timestamp(batch.expires_at),
        create_api_key_id=batch.created_by,
        cancel_time=to_timestamp(batch.cancelled_at),
        cancel_by_xai_message=batch.cancelled_because,
        state=_message("xai_api.BatchState")(
            num_requests=batch.num_requests,
            num_pending=batch.num_pending,
            num_success=batch.num_success,
            num_error=batch.num_error,
            num_cancelled=batch.num_cancelled,
        ),
        cost_breakdown=_message("xai_api.BatchCostBreakdown")(
            total_cost_usd_ticks=sum(cost.ticks for cost in view.costs),
            endpoint_costs=costs,
            calculation_time=to_timestamp(view.at),
        ),
        input_file_id=batch.input_file_id,
    )


def write_batches(page: Page[BatchView]) -> Message:
    """Return a page of batches; the token is absent on the last one."""
    return _message("xai_api.ListBatchesResponse")(
        batches=[write_batch(view) for view in page.items], pagination_token=_token(page)
    )


def write_requests(page: Page[RequestView]) -> Message:
    """Return a page of requests."""
    return _message("xai_api.ListBatchRequestMetadataResponse")(
        batch_request_metadata=[_write_metadata(view) for view in page.items], pagination_token=_token(page)
    )


def _write_metadata(view: RequestView) -> Message:
    request = view.request
    return _message("xai_api.BatchRequestMetadata")(
        batch_request_id=request.id,
        endpoint=view.endpoint,
        model=request.model,
        state=_STATE_NUMBERS[view.state],
        create_time=to_timestamp(request.created_at),
        finish_time=to_timestamp(view.finished_at),
    )


def write_results(page: Page[ResultView]) -> Message:
    """Return a page of results."""
    return _message("xai_api.ListBatchResultsResponse")(
        results=[write_result(view) for view in page.items], pagination_token=_token(page)
    )


def write_result(view: ResultView) -> Message:
    """Return a result: the response in the message of its kind, or a status."""
    make = _message("xai_api.BatchResult")
    if isinstance(view.outcome, Failure):
        code = CANCELLED if view.state is State.CANCELLED else WIRE[view.outcome.kind].number
        error = _message("google.rpc.Status")(code=code, message=view.outcome.message)
        return make(batch_request_id=view.request.id, error=error)
    name, shape = _RESPONSES[view.result_kind]
    response = shape.to_message(msgspec.json.decode(view.outcome))
    data = _message("xai_api.BatchResultData")(**{name: response})
    return make(batch_request_id=view.request.id, response=data)


def write_detail(detail: RequestDetail) -> Message:
    """Return a request and its result, whichever transport was used."""
    request = detail.request
    name, shape = _REQUESTS[request.kind]
    body: Any = msgspec.json.decode(detail.body)
    if request.kind is RequestKind.RESPONSES:
        body = chat_of(request.kind, body)
    return _message("xai_api.GetBatchRequestResultResponse")(
        request=_message("xai_api.BatchRequest")(batch_request_id=request.id, **{name: shape.to_message(body)}),
        result=None if detail.result is None else write_result(detail.result),
    )


def _token(page: Page[Any]) -> str | None:
    return page.token_if_more


def _batch_id(message: Message) -> BatchId:
    return BatchId(message.batch_id)


_SERVICE = "xai_api.BatchMgmt"

METHODS = (
    Method(
        _SERVICE,
        "CreateBatch",
        "batches.create",
        lambda message: CreateBatch(message.name, message.input_file_id or None),
        write_batch,
    ),
    Method(_SERVICE, "GetBatch", "batches.get", _batch_id, write_batch),
    Method(_SERVICE, "ListBatches", "batches.list", _read_list, write_batches),
    Method(_SERVICE, "CancelBatch", "batches.cancel", _batch_id, write_batch),
    Method(
        _SERVICE,
        "AddBatchRequests",
        "batches.add_requests",
        _read_add,
        lambda _: _message("google.protobuf.Empty")(),
    ),
    Method(_SERVICE, "ListBatchRequestMetadata", "batches.list_requests", _read_requests, write_requests),
    Method(_SERVICE, "ListBatchResults", "batches.list_results", _read_results, write_results),
    Method(
        _SERVICE,
        "GetBatchRequestResult",
        "batches.get_request",
        lambda message: RequestId(message.batch_id, message.batch_request_id),
        write_detail,
    ),
)
