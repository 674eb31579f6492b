"""Behaviours that were observed on the live service and contradict its documentation. They are off by default."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from emulator import Emulator
from emulator.domain.chaos import ChaosFlag
from tests.rpc.client import Rpc, message

TEXT = "The lighthouse keeper waters the ferns."


@pytest.fixture(autouse=True)
def fresh(emulator: Emulator, control: httpx.Client) -> Iterator[None]:
    emulator.reset()
    yield
    control.put("/chaos", json={})


def turn_on(control: httpx.Client, flag: ChaosFlag) -> None:
    control.put("/chaos", json={"seed": "7", "flags": [flag.word]}).raise_for_status()


def add(rest: httpx.Client, management: httpx.Client, name: str, content: bytes, type: str) -> tuple[str, str]:
    """A collection with one document: both ids."""
    collection = management.post("/v1/collections", json={"collection_name": "c"}).json()["collection_id"]
    file = rest.post("/v1/files", files={"file": (name, content, type)}).json()["id"]
    management.post(f"/v1/collections/{collection}/documents/{file}").raise_for_status()
    return collection, file


def search(rest: httpx.Client, collection: str, **body: Any) -> httpx.Response:
    source = {"collection_ids": [collection]}
    return rest.post("/v1/documents/search", json={"query": "ferns", "source": source, **body}).raise_for_status()


def test_json_chunk_content_wraps_the_text_of_plain_text_files_only(
    emulator: Emulator, control: httpx.Client, rest: httpx.Client, management: httpx.Client
) -> None:
    plain, _ = add(rest, management, "a.txt", TEXT.encode(), "text/plain")
    markdown, _ = add(rest, management, "a.md", TEXT.encode(), "text/markdown")
    turn_on(control, ChaosFlag.JSON_CHUNK_CONTENT)
    reply = search(rest, plain)
    [match] = reply.json()["matches"]
    assert json.loads(match["chunk_content"]) == [{"page_number": 0, "text": TEXT}]
    assert reply.headers["x-emulator-fault"] == "chaos:json_chunk_content"
    [match] = search(rest, markdown).json()["matches"]
    assert match["chunk_content"] == TEXT
    request = message("xai_api.SearchRequest", query="ferns", source={"collection_ids": [plain]})
    with Rpc(emulator.grpc_target, emulator.api_key) as rpc:
        [match] = rpc.call("xai_api.Documents/Search", request).matches
    assert json.loads(match.chunk_content)[0]["text"] == TEXT


def test_duplicate_matches_repeats_the_best_hybrid_match(
    control: httpx.Client, rest: httpx.Client, management: httpx.Client
) -> None:
    collection, file = add(rest, management, "a.txt", TEXT.encode(), "text/plain")
    turn_on(control, ChaosFlag.DUPLICATE_MATCHES)
    first, second = search(rest, collection).json()["matches"]
    assert first == second
    assert first["file_id"] == file
    assert len(search(rest, collection, retrieval_mode={"type": "keyword"}).json()["matches"]) == 1
    assert search(rest, collection, filter='a = "b"').json()["matches"] == []


@pytest.mark.parametrize(
    ("name", "type", "stored", "status"),
    [
        ("a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "bytes", "FAILED"),
        ("a.odt", "application/vnd.oasis.opendocument.text", "bytes", "FAILED"),
        ("a.txt", "text/markdown", "text/plain", "PROCESSED"),
    ],
)
def test_sniffed_content_types_lets_office_files_fail_as_documents(
    control: httpx.Client,
    rest: httpx.Client,
    management: httpx.Client,
    name: str,
    type: str,
    stored: str,
    status: str,
) -> None:
    """In the recorded words, with the recorded counts; the part's own content type is lost in any case."""
    turn_on(control, ChaosFlag.SNIFFED_CONTENT_TYPES)
    collection, file = add(rest, management, name, TEXT.encode(), type)
    document = management.get(f"/v1/collections/{collection}/documents/{file}").json()
    found = document["file_metadata"]["content_type"], document["status"]
    assert found == (stored.replace("bytes", "application/octet-stream"), f"DOCUMENT_STATUS_{status}")
    if status == "FAILED":
        sentence = "File format not supported. The file does not contain readable text."
        assert (document["chunk_count"], document["last_indexed_at"]) == (0, None)
        assert document["error_message"] == sentence


def test_token_does_not_advance_repeats_the_first_page(
    emulator: Emulator, control: httpx.Client, rest: httpx.Client
) -> None:
    for number in range(3):
        rest.post("/v1/files", files={"file": (f"{number}.txt", b"x")}).raise_for_status()
    turn_on(control, ChaosFlag.TOKEN_DOES_NOT_ADVANCE)
    first = rest.get("/v1/files", params={"limit": 2}).json()
    second = rest.get("/v1/files", params={"limit": 2, "pagination_token": first["pagination_token"]}).json()
    assert second == first
    with Rpc(emulator.grpc_target, emulator.api_key) as rpc:
        one = rpc.call("xai_api.Files/ListFiles", message("xai_api.ListFilesRequest", limit=2))
        again = message("xai_api.ListFilesRequest", limit=2, pagination_token=one.pagination_token)
        assert rpc.call("xai_api.Files/ListFiles", again) == one


def test_delete_fails_once_for_each_file(control: httpx.Client, rest: httpx.Client) -> None:
    """The file stays, and the next attempt deletes it."""
    ids = [rest.post("/v1/files", files={"file": ("a.txt", b"x")}).json()["id"] for _ in range(2)]
    turn_on(control, ChaosFlag.DELETE_FAILS)
    for id in ids:
        refused = rest.delete(f"/v1/files/{id}")
        assert (refused.status_code, refused.headers["x-emulator-fault"]) == (500, "chaos:delete_fails")
        assert rest.get(f"/v1/files/{id}").status_code == 200
        assert rest.delete(f"/v1/files/{id}").json()["deleted"] is True


def test_error_objects_replace_the_bare_strings_of_batch_errors(control: httpx.Client, rest: httpx.Client) -> None:
    """The form that the AI SDK and LiteLLM expect, and that the gRPC API has."""
    control.patch("/teams/default", json={"batches": "manual"})
    batch = rest.post("/v1/batches", json={"name": "b"}).json()["batch_id"]
    chat = {"chat_get_completion": {"model": "grok-4.3", "messages": [{"role": "user", "content": "x"}]}}
    body = {"batch_requests": [{"batch_request_id": "a", "batch_request": chat}]}
    rest.post(f"/v1/batches/{batch}/requests", json=body).raise_for_status()
    rest.post(f"/v1/batches/{batch}:cancel").raise_for_status()
    plain = rest.get(f"/v1/batches/{batch}/results").json()["results"][0]["batch_result"]
    assert plain == {"error": "Batch cancelled"}
    turn_on(control, ChaosFlag.ERROR_OBJECTS)
    altered = rest.get(f"/v1/batches/{batch}/results").json()["results"][0]["batch_result"]
    assert altered == {"error": {"code": 1, "message": "Batch cancelled"}}
    control.patch("/teams/default", json={"batches": None})
