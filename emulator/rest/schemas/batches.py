"""Batches in JSON (Batch reference; times are dates, and a batch has no status: observed live)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from emulator.core.clock import Instant, date
from emulator.domain.batches.batch import Failure, NewRequest, RequestKind
from emulator.domain.batches.bodies import ImageEditBody, ImageGenerationBody, VideoExtensionBody, VideoGenerationBody
from emulator.domain.chat.bodies import ChatBody, ResponsesBody
from emulator.domain.paging import Page
from emulator.http.requests import Int32
from emulator.operations.batches.lifecycle import BatchView, CreateBatch, ListBatches
from emulator.operations.batches.requests import AddRequests, ListRequests, ListResults, RequestView
from emulator.operations.batches.results import ResultView

Path = Mapping[str, str]


class BatchStateJson(Struct):
    """The five counters."""

    num_requests: int
    num_pending: int
    num_success: int
    num_error: int
    num_cancelled: int


class BatchJson(Struct):
    """A batch. `input_file_id` is present if it was created from a file."""

    batch_id: str
    name: str
    create_time: str
    expire_time: str | None
    create_api_key_id: str
    cancel_time: str | None
    cancel_by_xai_message: str | None
    state: BatchStateJson
    input_file_id: str | UnsetType = UNSET


class BatchesJson(Struct):
    """A page of batches; the token is null on a page that is not full."""

    batches: list[BatchJson]
    pagination_token: str | None


class RequestMetadataJson(Struct):
    """The metadata of a request."""

    batch_request_id: str
    endpoint: str
    model: str
    state: Literal["unknown", "pending", "succeeded", "cancelled", "failed"]
    create_time: str
    finish_time: str | None


class RequestsJson(Struct):
    """A page of a batch's requests; the token is null on the last one."""

    batch_request_metadata: list[RequestMetadataJson]
    pagination_token: str | None


class ResponseJson(Struct):
    """A result, under the key of its kind."""

    chat_get_completion: dict[str, Any] | UnsetType = UNSET
    image_generation: dict[str, Any] | UnsetType = UNSET
    video_generation: dict[str, Any] | UnsetType = UNSET


class BatchResultJson(Struct):
    """The outcome of a request: a response, or an error, which is a bare string (observed live, 2026-08).

    The type in LiteLLM requires an object, and so fails with the real service as it does here.
    """

    response: ResponseJson | UnsetType = UNSET
    error: str | UnsetType = UNSET


class ResultJson(Struct):
    """One result."""

    batch_request_id: str
    batch_result: BatchResultJson


class ResultsJson(Struct):
    """A page of results; the token is null on the last one."""

    results: list[ResultJson]
    pagination_token: str | None


# --- responses


def batch_json(view: BatchView) -> BatchJson:
    """Return the JSON of a batch."""
    batch = view.batch
    return BatchJson(
        batch_id=batch.id,
        name=batch.name,
        create_time=date(batch.created_at),
        expire_time=date(batch.expires_at),
        create_api_key_id=batch.created_by,
        cancel_time=_date(batch.cancelled_at),
        cancel_by_xai_message=batch.cancelled_because,
        state=BatchStateJson(
            batch.num_requests, batch.num_pending, batch.num_success, batch.num_error, batch.num_cancelled
        ),
        input_file_id=batch.input_file_id or UNSET,
    )


def batches_json(page: Page[BatchView]) -> BatchesJson:
    """Return a page of batches: a full one has a token even if none follow (observed live)."""
    return BatchesJson([batch_json(view) for view in page.items], page.next_token)


def requests_json(page: Page[RequestView]) -> RequestsJson:
    """Return a page of requests."""
    return RequestsJson([_metadata(view) for view in page.items], page.token_if_more)


def _metadata(view: RequestView) -> RequestMetadataJson:
    request = view.request
    return RequestMetadataJson(
        batch_request_id=request.id,
        endpoint=view.endpoint,
        model=request.model,
        state=view.state.value,
        create_time=date(request.created_at),
        finish_time=_date(view.finished_at),
    )


def results_json(page: Page[ResultView]) -> dict[str, Any]:
    """Return a page of results, with the structure of ResultsJson; parts that are JSON already are copied."""
    token = page.token_if_more
    return {"results": [_result(view) for view in page.items], "pagination_token": token}


def _result(view: ResultView) -> dict[str, Any]:
    if isinstance(view.outcome, Failure):
        result: dict[str, Any] = {"error": view.outcome.message}
    else:
        result = {"response": {view.result_kind.value: msgspec.Raw(view.outcome)}}
    return {"batch_request_id": view.request.id, "batch_result": result}


def _date(instant: Instant | None) -> str | None:
    return None if instant is None else date(instant)


# --- requests


class CreateBatchBody(Struct):
    """The body of `POST /v1/batches`."""

    name: str
    input_file_id: str | None = None


class BatchRequestBody(Struct, forbid_unknown_fields=True):
    """A request, under the key of its kind: the body of the REST endpoint of that kind."""

    chat_get_completion: ChatBody | UnsetType = UNSET
    responses: ResponsesBody | UnsetType = UNSET
    image_generation: ImageGenerationBody | UnsetType = UNSET
    image_edit: ImageEditBody | UnsetType = UNSET
    video_generation: VideoGenerationBody | UnsetType = UNSET
    video_extension: VideoExtensionBody | UnsetType = UNSET


ONE = Meta(extra_json_schema={"minProperties": 1, "maxProperties": 1})


class NewRequestBody(Struct):
    """A request and its id, which is generated if it is missing."""

    batch_request: Annotated[BatchRequestBody, ONE]
    batch_request_id: str | None = None


class AddRequestsBody(Struct):
    """The body of `POST /v1/batches/{batch_id}/requests`."""

    batch_requests: list[NewRequestBody]


class BatchesQuery(Struct):
    """The query of a list. The guide's samples call `page_size` `limit`."""

    limit: Int32 | None = None
    page_size: Int32 | None = None
    pagination_token: str | None = None


def create(path: Path, body: CreateBatchBody) -> CreateBatch:
    """Return a request to create a batch."""
    return CreateBatch(body.name, body.input_file_id)


def add(path: Path, requests: list[bytes]) -> AddRequests:
    """Return a request to add `requests` to the batch in the path, each as sent, in JSON."""
    return AddRequests(path["batch_id"], _requests(requests))


def _requests(items: list[bytes]) -> Iterator[NewRequest]:
    for item in map(msgspec.json.decode, items):
        [(kind, body)] = item["batch_request"].items()
        yield NewRequest(item.get("batch_request_id") or None, RequestKind(kind), body)


def list_batches(path: Path, query: BatchesQuery) -> ListBatches:
    """Return a request for a page of batches."""
    return ListBatches(_limit(query), query.pagination_token)


def list_requests(path: Path, query: BatchesQuery) -> ListRequests:
    """Return a request for a page of the requests of the batch in the path."""
    return ListRequests(path["batch_id"], _limit(query), query.pagination_token)


def list_results(path: Path, query: BatchesQuery) -> ListResults:
    """Return a request for a page of the results of the batch in the path."""
    return ListResults(path["batch_id"], _limit(query), query.pagination_token)


def _limit(query: BatchesQuery) -> int:
    return (query.page_size if query.limit is None else query.limit) or 0
