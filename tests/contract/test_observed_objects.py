"""How the kit compares what the calls of a case show, and the members of one response with each other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contract_tests import relations
from contract_tests.clients.http import Request, Response
from contract_tests.observed_headers import ObservedHeaders
from contract_tests.observed_objects import ObservedObjects

FILE = {"id": "file_1", "filename": "a.txt", "bytes": 3, "created_at": 5, "expires_at": None}
COLLECTION = {"collection_id": "collection_1", "created_at": "2031-05-06T00:00:00Z", "documents_count": 0}
BATCH_STATE = {"num_requests": 2, "num_pending": 0, "num_success": 2, "num_error": 0, "num_cancelled": 0}
INDEXED = {"file_metadata": {"created_at": "2026-01-02T03:04:05Z"}, "last_indexed_at": "2026-01-02T03:04:05.5Z"}
BATCH = {"batch_id": "batch_1", "name": "a", "state": BATCH_STATE}


def read(observed: ObservedObjects, path: str, value: Any, *, method: str = "GET") -> str | None:
    """Let a response be compared; the reason why it is not as before."""
    return observed.rest_mismatch(observed.version, method, path, value)


def test_same_object_in_list_is_accepted() -> None:
    """An object of a list is the object itself."""
    observed = ObservedObjects()
    assert read(observed, "/v1/files/file_1", FILE) is None
    assert read(observed, "/v1/files", {"data": [FILE, {**FILE, "id": "file_2", "bytes": 4}]}) is None


@pytest.mark.parametrize("changed", [{"filename": "b.txt"}, {"expires_at": 7}, {"more": 1}])
def test_other_member_without_write_is_reported(changed: dict[str, Any]) -> None:
    """A member that differs, or that only one of two representations has, is reported with both calls."""
    observed = ObservedObjects()
    read(observed, "/v1/files/file_1", FILE)
    reason = read(observed, "/v1/files", {"data": [{**FILE, **changed}]})
    assert reason is not None
    assert reason.startswith(f"GET /v1/files shows {next(iter(changed))} as ")
    assert "GET /v1/files/{id} showed " in reason


def test_other_member_after_write_is_accepted_unless_it_is_constant() -> None:
    """After a write anything may be different, but for what never changes."""
    observed = ObservedObjects()
    read(observed, "/v1/files/file_1", FILE)
    observed.write()
    assert read(observed, "/v1/files/file_1", {**FILE, "filename": "b.txt"}) is None
    observed.write()
    reason = read(observed, "/v1/files/file_1", {**FILE, "created_at": 6})
    assert str(reason).startswith("GET /v1/files/{id} shows created_at as 6, GET /v1/files/{id} showed 5")


def test_read_that_began_before_write_is_not_remembered() -> None:
    """What was asked for before a write may be answered after it."""
    observed = ObservedObjects()
    version = observed.version
    observed.write()
    assert observed.rest_mismatch(version, "GET", "/v1/files/file_1", FILE) is None
    assert read(observed, "/v1/files/file_1", {**FILE, "filename": "b.txt"}) is None


def test_deleted_object_in_list_is_reported() -> None:
    """An object is shown no more after its deletion."""
    observed = ObservedObjects()
    read(observed, "/v1/collections/collection_1", COLLECTION)
    read(observed, "/v1/collections/collection_1", {}, method="DELETE")
    reason = read(observed, "/v1/collections", {"collections": [COLLECTION]})
    assert str(reason).startswith("GET /v1/collections shows collection collection_1 after DELETE /v1/collections/{id}")


def test_message_of_grpc_is_compared_with_rest() -> None:
    """A message and the JSON of REST show the same object, each in its own spelling."""
    observed = ObservedObjects()
    read(observed, "/v1/files/file_1", FILE)
    message = {"id": "file_1", "filename": "a.txt", "size": 3, "created_at": "1970-01-01T00:00:05+00:00"}
    observed.rpc(observed.version, "RetrieveFile", {}, message)
    with pytest.raises(AssertionError, match=r"RetrieveFile and GET /v1/files/\{id\} differ: bytes is 4 over gRPC"):
        observed.rpc(observed.version, "RetrieveFile", {}, {**message, "size": 4})


def test_file_of_document_is_compared_with_file() -> None:
    """A document shows its file as the Files API does."""
    observed = ObservedObjects()
    read(observed, "/v1/files/file_1", FILE)
    metadata = {"file_id": "file_1", "name": "a.txt", "size_bytes": "4", "created_at": "1970-01-01T00:00:05Z"}
    document = {"file_metadata": metadata, "status": "DOCUMENT_STATUS_PROCESSED"}
    reason = read(observed, "/v1/collections/collection_1/documents/file_1", document)
    assert reason is not None
    assert "bytes is 4 over gRPC and 3 over REST" in reason


@pytest.mark.parametrize("pending", [0, 1])
def test_counters_of_batch_are_compared_once_nothing_is_pending(pending: int) -> None:
    """The counters of a batch change by themselves while requests are pending, and not after that."""
    observed = ObservedObjects()
    read(observed, "/v1/batches/batch_1", {**BATCH, "state": {**BATCH_STATE, "num_pending": pending}})
    reason = read(observed, "/v1/batches", {"batches": [{**BATCH, "state": {**BATCH_STATE, "num_error": 1}}]})
    assert (reason is None) == bool(pending)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"usage": {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}}, None),
        ({"usage": {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 6}}, "total_tokens is 6"),
        ([{"usage": {"input_tokens": 2, "output_tokens": 3, "total_tokens": 6}}], "[0]: total_tokens is 6"),
        ({"usage": {"prompt_tokens": 2, "prompt_text_tokens": 1, "prompt_image_tokens": 0}}, "prompt_tokens is 2"),
        ({"usage": {"input_tokens": 2, "input_tokens_details": {"cached_tokens": 3}}}, "more than input_tokens"),
        ({"data": [{"id": "a"}, {"id": "b"}], "first_id": "a", "last_id": "b"}, None),
        ({"data": [{"id": "a"}, {"id": "b"}], "first_id": "b", "last_id": "a"}, "first_id and last_id are"),
        (BATCH, None),
        ({"state": {**BATCH_STATE, "num_error": 1}}, "the counters do not add up"),
        ({"total_cost_usd_ticks": 5, "endpoint_costs": [{"cost_usd_ticks": 4}]}, "total_cost_usd_ticks is 5"),
        ({"object": "response", "status": "incomplete", "completed_at": 1, "created_at": 1}, "incomplete_details"),
        ({"created_at": 5, "expires_at": 5}, None),
        ({"created_at": 5, "expires_at": 4}, "expires_at is 4, before created_at"),
        ({"create_time": "2026-01-02", "expire_time": "2026-01-01"}, "expire_time is 2026-01-01"),
        (INDEXED, None),
        ({**INDEXED, "last_indexed_at": "2026-01-02T03:04:04Z"}, "last_indexed_at is 2026-01-02T03:04:04Z, before"),
        ({"data": [{"url": "https://x/a", "mime_type": "image/png"}]}, None),
        ({"file_output": {"file_id": "file_1", "filename": "a.png"}}, None),
        ({"file_output": {"file_id": "file_1", "filename": ""}}, "file_output names no file"),
        ({"apiKeys": [{"acls": ["a", "b"]}]}, None),
        ({"apiKeys": [{"acls": ["a", "b", "a"]}]}, "apiKeys[0]: acls name something twice"),
        ({"data": [{"url": "https://x/a", "mime_type": "png"}]}, "data[0]: mime_type is 'png'"),
    ],
)
def test_members_that_do_not_fit_are_reported(value: Any, reason: str | None) -> None:
    """Totals are the sums of their parts, lists name their ends, and nothing happens to an object before it is made."""
    found = relations.error(value)
    assert (found is None) == (reason is None)
    assert reason is None or reason in str(found)


TEXT = {"type": "output_text", "text": "ab", "annotations": []}
ITEM = {"type": "message", "id": "m", "role": "assistant", "content": [TEXT]}
RESPONSE = {
    "object": "response",
    "id": "r",
    "created_at": 1,
    "completed_at": 1,
    "status": "completed",
    "output": [ITEM],
}
PLACE = {"output_index": 0, "item_id": "m", "content_index": 0}
STARTED = {**RESPONSE, "completed_at": None, "status": "in_progress", "output": []}
EVENTS: list[dict[str, Any]] = [
    {"type": "response.created", "response": STARTED},
    {"type": "response.output_item.added", "output_index": 0, "item": {**ITEM, "content": []}},
    {"type": "response.output_text.delta", **PLACE, "delta": "a"},
    {"type": "response.output_text.delta", **PLACE, "delta": "b"},
    {"type": "response.output_text.done", **PLACE, "text": "ab"},
    {"type": "response.output_item.done", "output_index": 0, "item": ITEM},
    {"type": "response.completed", "response": RESPONSE},
]


def stream(events: list[dict[str, Any]]) -> str:
    """Events as a server sends them."""
    numbered = [{"sequence_number": number, **event} for number, event in enumerate(events)]
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in numbered)


@pytest.mark.parametrize(
    ("place", "change", "reason"),
    [
        (0, {}, None),
        (1, {"sequence_number": 7}, "the sequence numbers are"),
        (0, {"response": {**RESPONSE, "status": "in_progress", "id": "other"}}, "id of the response is 'other' first"),
        (0, {"response": RESPONSE}, "response.created has a response that is completed"),
        (6, {"response": {**RESPONSE, "status": "incomplete"}}, "response.completed has a response that is incomplete"),
        (6, {"type": "response.in_progress", "response": STARTED}, "the stream ends with response.in_progress"),
        (1, {"output_index": 1}, "output_index is 1"),
        (2, {"item_id": "n"}, "item_id is 'n'"),
        (3, {"delta": "c"}, "the deltas of output_text are 'ac'"),
        (4, {"text": "a"}, "it shows 'a', in the response it is 'ab'"),
        (5, {"item": {**ITEM, "role": "user"}}, "the item is"),
    ],
)
def test_event_that_does_not_fit_response_is_reported(place: int, change: dict[str, Any], reason: str | None) -> None:
    """The events of a stream are about the items of its last response, and add up to them."""
    events = [{**event, **(change if number == place else {})} for number, event in enumerate(EVENTS)]
    found = relations.stream_error(stream(events))
    assert (found is None) == (reason is None)
    assert reason is None or reason in str(found)


def test_chunk_of_other_completion_is_reported() -> None:
    """The chunks of a stream have one id."""
    choice = {"index": 0, "delta": {"content": "a"}, "finish_reason": None}
    chunks = [{"object": "chat.completion.chunk", "id": id, "choices": [choice]} for id in ("a", "b")]
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
    assert relations.stream_error(body) == 'id of the chunks is "a", "b"'


ID, OTHER_ID = (f"{digit}0000000-0000-4000-8000-000000000000" for digit in "12")
RATES = {"x-ratelimit-limit-requests": "600", "x-ratelimit-remaining-requests": "599"}


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"x-request-id": OTHER_ID}, None),
        ({"x-request-id": ID}, "has the x-request-id of an earlier response"),
        ({"x-request-id": "7"}, "has x-request-id: '7'"),
        ({}, "has no x-request-id, as other responses have"),
        ({"x-request-id": OTHER_ID, **RATES}, None),
        ({"x-request-id": OTHER_ID, "x-ratelimit-limit-requests": "600"}, "without the other"),
        ({"x-request-id": OTHER_ID, **RATES, "x-ratelimit-remaining-requests": "601"}, "has 601 requests left of 600"),
        (
            {"x-request-id": OTHER_ID, **RATES, "x-ratelimit-limit-requests": "6000"},
            "limits requests to 6000, /v1/a to 600",
        ),
        ({"x-request-id": OTHER_ID, "content-type": None}, "has a body without a content-type"),
    ],
)
def test_header_that_does_not_fit_run_is_reported(headers: dict[str, Any], reason: str | None) -> None:
    """Each response of a run has a request id of its own, and the rates are those of the responses before."""
    observed = ObservedHeaders()
    first = {"content-type": "application/json", "x-request-id": ID, **RATES}
    assert observed.mismatch(Request("GET", "http://x/v1/a"), Response(200, first, b"{}")) is None
    sent = {name: value for name, value in {"content-type": "text/plain", **headers}.items() if value is not None}
    found = observed.mismatch(Request("GET", "http://x/v1/b"), Response(200, sent, b"x"))
    assert (found is None) == (reason is None)
    assert reason is None or reason in str(found)


def test_headers_of_other_paths_and_stored_answers_are_accepted() -> None:
    """What is no call of the API has no request id, and a stored answer is sent with the id that it had at first."""
    observed = ObservedHeaders()
    first = {"content-type": "application/json", "x-request-id": ID}
    for path, headers in (("/v1/responses", first), (f"/v1/responses/{ID}", first), ("/_emulator/clock", {})):
        assert observed.mismatch(Request("GET", f"http://x{path}"), Response(200, headers, b"{}")) is None
