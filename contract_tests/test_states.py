"""What every call shows of a batch, a document or a response while time changes its state."""

from __future__ import annotations

from typing import Any

import pytest

from .case import case
from .clients.client import MODEL, Client, chat_request
from .clients.models import ApiError
from .clients.rest import RestClient
from .target import Target
from .test_answers import TEXT, deferred

pytestmark = [pytest.mark.over_both_protocols, pytest.mark.own_team]
Json = Any
DAY = 86_400


@case(
    "batches.counters",
    *("batches.get", "batches.list", "batches.cancel", "batches.list_requests", "batches.list_results"),
    *("batches.add_requests",),
    evidence="documented",
    source="Batch guide: the five counters; batch.proto: BatchState, ListBatchRequestMetadataRequest.status",
    control=True,
    destructive=True,
)
def test_counters(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """Counters, states and results of a batch agree everywhere before and after its end, as do filters of states."""
    target.control("PATCH", f"/teams/{target.team}", {"batches": "manual"}, team=None)
    first, second = (rest.create_batch(f"{name}{word}").id for word in "ab")
    bad = {**chat_request("Say bad."), "max_tokens": -1}

    def add(batch: str, **bodies: Json) -> None:
        requests = [
            {"batch_request_id": id, "batch_request": {"chat_get_completion": each}} for id, each in bodies.items()
        ]
        rest.call("POST", f"/v1/batches/{batch}/requests", json_body={"batch_requests": requests})

    def check(batch: str, found: Json = None, **states: str) -> None:
        """Fail where the batch is shown with other states of its requests."""
        counts = {word: sorted(states.values()).count(word) for word in ("pending", "succeeded", "failed", "cancelled")}
        words = {"succeeded": "success", "failed": "error"}
        state = {f"num_{words.get(word, word)}": count for word, count in counts.items()}
        state["num_requests"] = len(states)
        shown = [rest.json("GET", f"/v1/batches/{batch}"), *([] if found is None else [found])]
        shown += [each for each in rest.json("GET", "/v1/batches")["batches"] if each["batch_id"] == batch]
        assert [each["state"] for each in shown] == [state] * len(shown), states
        rows = rest.json("GET", f"/v1/batches/{batch}/requests")["batch_request_metadata"]
        assert {each["batch_request_id"]: each["state"] for each in rows} == states
        done = [id for id in sorted(states) if states[id] != "pending"]
        results = rest.json("GET", f"/v1/batches/{batch}/results")["results"]
        assert [each["batch_request_id"] for each in results] == done
        for result in results:
            word = states[result["batch_request_id"]]
            assert ("error" in result["batch_result"]) == (word != "succeeded"), (result, word)
            assert word != "cancelled" or result["batch_result"]["error"] == "Batch cancelled"
        assert [each["finish_time"] is None for each in rows] == [each["state"] == "pending" for each in rows]
        if client.protocol == "grpc":
            check_over_grpc(batch, state, states)

    def check_over_grpc(batch: str, state: Json, states: dict[str, str]) -> None:
        listed = [each for each in client.call_rpc("ListBatches")["batches"] if each["batch_id"] == batch]
        for message in (client.call_rpc("GetBatch", batch_id=batch), *listed):
            assert {key: int(each) for key, each in message["state"].items()} == state, states
        for number, word in enumerate(("pending", "succeeded", "cancelled", "failed"), 1):
            page = client.call_rpc("ListBatchRequestMetadata", batch_id=batch, status=[number])
            rows = page["batch_request_metadata"]
            assert [each["batch_request_id"] for each in rows] == [id for id in sorted(states) if states[id] == word]
            assert all(str(each["state"]).lower().endswith(word) for each in rows)
        for result in client.call_rpc("ListBatchResults", batch_id=batch)["results"]:
            word = states[result["batch_request_id"]]
            code = {"succeeded": 0, "failed": 3, "cancelled": 1}[word]
            assert (result.get("error") or {"code": 0})["code"] == code, result

    check(first)
    add(first, a=chat_request("Say a."), b=bad)
    add(second, z=chat_request("Say z."))
    check(first, a="pending", b="pending")
    target.control("POST", "/jobs/run")
    check(first, a="succeeded", b="failed")
    add(first, c=chat_request("Say c."), d=chat_request("Say d."))
    check(first, a="succeeded", b="failed", c="pending", d="pending")
    found = rest.json("POST", f"/v1/batches/{first}:cancel")
    ended = {"a": "succeeded", "b": "failed", "c": "cancelled", "d": "cancelled"}
    check(first, found, **ended)
    target.control("POST", "/jobs/run")
    check(first, **ended)
    assert rest.json("POST", f"/v1/batches/{first}:cancel") == found
    check(second, z="succeeded")
    assert rest.json("GET", f"/v1/batches/{second}")["cancel_time"] is None


STAGES = ("PROCESSING", "CHUNKED", "EMBEDDING", "WRITING", "PROCESSED")


@case(
    "collections.documents.states",
    *("documents.add", "documents.get", "documents.list", "documents.batch_get", "documents.reindex"),
    *("documents.search", "collections.get"),
    evidence="documented",
    source="Collections reference and collections.proto: DocumentStatus; recorded live, 2026-04: the order",
    control=True,
)
def test_states(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """Every call that shows a document shows its state and counts alike, and filters and searches agree with them."""
    target.control("POST", "/clock/freeze", {"at": "2031-05-06T07:08:09Z"})
    target.control("PATCH", f"/teams/{target.team}", {"indexing": "realistic"}, team=None)
    collection = rest.create_collection(f"{name}notes").id
    fine = rest.upload_file(b"The kettle is warm.", f"{name}a.txt").id
    broken = rest.upload_file(b"\x89PNG\r\n\x1a\n", f"{name}b.png").id
    for file in (fine, broken):
        rest.add_document(collection, file)
    path = f"/v1/collections/{collection}/documents"
    seen: dict[str, list[str]] = {fine: [], broken: []}

    def read() -> None:
        shown = {each: rest.json("GET", f"{path}/{each}") for each in (fine, broken)}
        listed = rest.json("GET", path)["documents"]
        query = [("file_ids", fine), ("file_ids", broken)]
        both = rest.json("GET", f"{path}:batchGet", query=query)["documents"]
        for found in (listed, both):
            assert {each["file_metadata"]["file_id"]: each for each in found} == shown
        for file, document in shown.items():
            word = document["status"].removeprefix("DOCUMENT_STATUS_")
            if seen[file][-1:] != [word]:
                seen[file].append(word)
            filtered = rest.json("GET", path, query={"filter": f"status = {document['status']}"})["documents"]
            assert document in filtered
            assert {each["status"] for each in filtered} == {document["status"]}
            assert (document["last_indexed_at"] is None) == (word != "PROCESSED"), document
            assert ("error_message" in document) == (word == "FAILED"), document
            assert (document["chunks_processed_count"] == "1") == (word == "PROCESSED"), document
            if client.protocol == "grpc":
                one = client.call_rpc("GetDocumentMetadata", collection_id=collection, file_id=file)
                many = client.call_rpc("ListDocuments", collection_id=collection)["documents"]
                assert one in many
                if not str(one["status"]).isdigit():  # a state that an older library does not know
                    assert str(one["status"]) == document["status"]
                assert (one["error_message"] or "") == document.get("error_message", "")
        found = [each.file_id for each in rest.search("kettle", [collection], mode="keyword")]
        assert found == ([fine] if shown[fine]["status"].endswith("PROCESSED") else []), shown[fine]
        assert rest.get_collection(collection).documents == 2

    for again in (False, True):
        if again:
            rest.reindex_document(collection, broken)
        for seconds in (0.5, 0.5, 1, 3, 0):  # the stays of a small document
            read()
            target.control("POST", "/clock/advance", {"seconds": seconds})
    assert seen[fine] == list(STAGES), seen
    assert seen[broken] == ["PROCESSING", "FAILED"] * 2, seen


@case(
    "responses.times",
    *("responses.get", "responses.create", "chat.get_deferred", "chat.create", "responses.list_input_items"),
    evidence="documented",
    source="OpenAPI: responses are stored for 30 days; Deferred completions guide: once, within 24 hours",
    refusal="not found",
    refusing=("responses.get", "chat.get_deferred", "responses.list_input_items", "responses.create"),
    control=True,
    paid=True,
)
@pytest.mark.over_both_protocols
def test_times(client: Client, rest: RestClient, target: Target) -> None:
    """A stored response is there for 30 days, a deferred completion once, within 24 hours; no time moves another's."""
    target.control("POST", "/clock/freeze", {"at": "2031-05-06T07:08:09Z"})
    body = {"model": MODEL, "messages": [{"role": "user", "content": TEXT}]}

    def begin() -> str:
        return str(rest.json("POST", "/v1/chat/completions", json_body={**body, "deferred": True})["request_id"])

    def status(path: str) -> int:
        try:
            return rest.call("GET", path).status
        except ApiError as error:
            return int(error.status)

    stored = [rest.json("POST", "/v1/responses", json_body={"model": MODEL, "input": TEXT})["id"]]
    paths = [f"/v1/chat/deferred-completion/{begin()}" for _ in range(2)]
    assert deferred(rest, target, body)["created"] == rest.json("GET", f"/v1/responses/{stored[0]}")["created_at"]
    message = {"model": MODEL, "messages": [{"role": "ROLE_USER", "content": [{"text": TEXT}]}]}
    ids = [client.call_rpc("StartDeferredCompletion", **message)["request_id"]] if client.protocol == "grpc" else []
    target.control("POST", "/clock/advance", {"seconds": DAY - 1})
    assert [status(paths[0]), status(paths[0])] == [200, 404]
    target.control("POST", "/clock/advance", {"seconds": 1})
    assert status(paths[1]) == 404
    for id in ids:
        assert client.call_rpc("GetDeferredCompletion", request_id=id)["status"] == "EXPIRED"
    stored.append(rest.json("POST", "/v1/responses", json_body={"model": MODEL, "input": TEXT})["id"])
    target.control("POST", "/clock/advance", {"seconds": 29 * DAY - 1})
    for more, expected in ((0, [200, 200]), (1, [404, 200]), (DAY, [404, 404])):
        target.control("POST", "/clock/advance", {"seconds": more})
        for suffix in ("", "/input_items"):
            assert [status(f"/v1/responses/{id}{suffix}") for id in stored] == expected, (more, suffix)
    with pytest.raises(ApiError) as refused:
        rest.json("POST", "/v1/responses", json_body={"model": MODEL, "input": "b", "previous_response_id": stored[0]})
    assert refused.value.kind == "not_found"
