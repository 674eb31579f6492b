"""What a key of another team gets from every call that names an object: the answer for one that does not exist."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest

from .case import case
from .clients.client import MODEL, Client, chat_request
from .clients.models import ApiError
from .clients.rest import RestClient
from .target import FOREIGN_TEAM_SUFFIX, Target, as_team

pytestmark = pytest.mark.own_team
SOURCE = "Files, Collections and Batch guides: objects belong to a team; OpenAPI: 404 of each call"
SAY = "Say the word kettle."
CHAT = {"model": MODEL, "messages": [{"role": "user", "content": SAY}]}
GRPC_CHAT = {"model": MODEL, "messages": [{"role": "ROLE_USER", "content": [{"text": SAY}]}]}
VIDEO = {"model": "grok-imagine-video", "prompt": "A kettle."}
ENTRY = {"batch_request_id": "b", "batch_request": {"chat_get_completion": chat_request(SAY)}}
FILE_SEARCH = {"type": "file_search", "vector_store_ids": ["{collection}"]}
# Calls that name an object, with a body where they have one. A name in braces is the id of an object.
CALLS: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/v1/files/{image}", None),
    ("GET", "/v1/files/{image}/content", None),
    ("GET", "/v1/files/{file}/content?format=text", None),
    ("POST", "/v1/files:download", {"file_id": "{image}"}),
    ("PUT", "/v1/files/{image}", {"filename": "x.png"}),
    ("POST", "/v1/files/{image}/public-url", {}),
    ("POST", "/v1/files/{image}/public-url/revoke", {}),
    ("DELETE", "/v1/files/{image}", None),
    ("GET", "/v1/collections/{collection}", None),
    ("PUT", "/v1/collections/{collection}", {"collection_name": "x"}),
    ("GET", "/v1/collections/{collection}/documents", None),
    ("GET", "/v1/collections/{collection}/documents/{file}", None),
    ("GET", "/v1/collections/{collection}/documents:batchGet?file_ids={file}", None),
    ("POST", "/v1/collections/{collection}/documents/{image}", {}),
    ("PATCH", "/v1/collections/{collection}/documents/{file}", None),
    ("DELETE", "/v1/collections/{collection}/documents/{file}", None),
    ("DELETE", "/v1/collections/{collection}", None),
    ("POST", "/v1/documents/search", {"query": "kettle", "source": {"collection_ids": ["{collection}"]}}),
    ("POST", "/v1/batches", {"name": "x", "input_file_id": "{file}"}),
    ("GET", "/v1/batches/{batch}", None),
    ("GET", "/v1/batches/{batch}/requests", None),
    ("GET", "/v1/batches/{batch}/results", None),
    ("POST", "/v1/batches/{batch}/requests", {"batch_requests": [ENTRY]}),
    ("POST", "/v1/batches/{batch}:cancel", None),
    ("GET", "/v1/chat/deferred-completion/{deferred}", None),
    ("GET", "/v1/responses/{response}", None),
    ("GET", "/v1/responses/{response}/input_items", None),
    ("POST", "/v1/responses", {"model": MODEL, "input": SAY, "previous_response_id": "{response}"}),
    ("POST", "/v1/responses", {"model": MODEL, "input": SAY, "tools": [FILE_SEARCH]}),
    ("DELETE", "/v1/responses/{response}", None),
    ("GET", "/v1/videos/{video}", None),
)
# The same over gRPC.
METHODS: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("RetrieveFile", {"file_id": "{image}"}),
    ("RetrieveFileContent", {"file_id": "{image}"}),
    ("CreatePublicUrl", {"file_id": "{image}"}),
    ("RevokePublicUrl", {"file_id": "{image}"}),
    ("DeleteFile", {"file_id": "{image}"}),
    ("GetCollectionMetadata", {"collection_id": "{collection}"}),
    ("UpdateCollection", {"collection_id": "{collection}", "collection_name": "x"}),
    ("ListDocuments", {"collection_id": "{collection}"}),
    ("GetDocumentMetadata", {"collection_id": "{collection}", "file_id": "{file}"}),
    ("BatchGetDocuments", {"collection_id": "{collection}", "file_ids": ["{file}"]}),
    ("AddDocumentToCollection", {"collection_id": "{collection}", "file_id": "{image}"}),
    ("UpdateDocument", {"collection_id": "{collection}", "file_id": "{file}", "name": "x"}),
    ("ReIndexDocument", {"collection_id": "{collection}", "file_id": "{file}"}),
    ("RemoveDocumentFromCollection", {"collection_id": "{collection}", "file_id": "{file}"}),
    ("DeleteCollection", {"collection_id": "{collection}"}),
    ("Search", {"query": "kettle", "source": {"collection_ids": ["{collection}"]}}),
    ("CreateBatch", {"name": "x", "input_file_id": "{file}"}),
    ("GetBatch", {"batch_id": "{batch}"}),
    ("ListBatchRequestMetadata", {"batch_id": "{batch}"}),
    ("ListBatchResults", {"batch_id": "{batch}"}),
    ("GetBatchRequestResult", {"batch_id": "{batch}", "batch_request_id": "a"}),
    ("AddBatchRequests", {"batch_id": "{batch}", "batch_requests": []}),
    ("CancelBatch", {"batch_id": "{batch}"}),
    ("GetDeferredCompletion", {"request_id": "{deferred}"}),
    ("GetStoredCompletion", {"response_id": "{response}"}),
    ("GetCompletion", {**GRPC_CHAT, "previous_response_id": "{response}"}),
    ("DeleteStoredCompletion", {"response_id": "{response}"}),
    ("GetDeferredVideo", {"request_id": "{video}"}),
)


def filled(value: Any, ids: Mapping[str, str]) -> Any:
    """A path or body with the ids of the objects it names."""
    if isinstance(value, str):
        for name, id in ids.items():
            value = value.replace(f"{{{name}}}", id)
        return value
    if isinstance(value, Mapping):
        return {key: filled(each, ids) for key, each in value.items()}
    return [filled(each, ids) for each in value] if isinstance(value, list) else value


def make_objects(rest: RestClient, target: Target, name: str) -> dict[str, str]:
    """An object of each kind; its id by the name that the calls use."""
    ids = {
        "image": rest.upload_file(b"PNG", f"{name}a.png", content_type="image/png").id,
        "file": rest.upload_file(b"A kettle.", f"{name}a.txt").id,
        "collection": rest.create_collection(f"{name}notes").id,
        "batch": rest.create_batch(f"{name}batch").id,
        "deferred": rest.json("POST", "/v1/chat/completions", json_body={**CHAT, "deferred": True})["request_id"],
        "response": rest.json("POST", "/v1/responses", json_body={"model": MODEL, "input": SAY})["id"],
        "video": rest.json("POST", "/v1/videos/generations", json_body=VIDEO)["request_id"],
    }
    rest.create_public_url(ids["image"])
    rest.add_document(ids["collection"], ids["file"])
    rest.add_chats(ids["batch"], {"a": SAY})
    target.control("POST", "/jobs/run")
    return ids


def check_calls(rest: RestClient, ids: Mapping[str, str], calls: Mapping[str, Callable[[], Any]]) -> None:
    """Fail where a call of another team finds an object, or has an effect that its owner sees."""

    def kind(call: Callable[[], Any]) -> str:
        try:
            call()
        except ApiError as error:
            return error.kind
        return "answered"

    def owned() -> list[bytes]:
        """What the owner reads, but for the deferred completion, which is there once."""
        paths = [path for method, path, _ in CALLS if method == "GET" and "{deferred}" not in path]
        return [rest.call("GET", filled(path, ids)).body for path in paths]

    before = owned()
    answered = [title for title, call in calls.items() if kind(call) != "not_found"]
    assert len(answered) == 1, f"not refused as not found: {answered}"
    assert "evoke" in answered[0], f"{answered} is not refused; what is not public for a team is revoked already"
    assert owned() == before
    completion = rest.json("GET", f"/v1/chat/deferred-completion/{ids['deferred']}")
    assert "kettle" in completion["choices"][0]["message"]["content"]


@case(
    "auth.other-teams",
    *("files.get", "files.content", "files.delete", "files.create_public_url", "files.revoke_public_url"),
    *("files.update", "collections.get", "collections.update", "collections.delete", "documents.add"),
    *("documents.list", "documents.get", "documents.batch_get", "documents.reindex", "documents.remove"),
    *("documents.search", "batches.create", "batches.get", "batches.cancel", "batches.add_requests"),
    *("batches.list_requests", "batches.list_results", "chat.get_deferred", "responses.get", "responses.delete"),
    *("responses.list_input_items", "responses.create", "videos.get"),
    evidence="documented",
    source=SOURCE,
    refusal="not found",
    control=True,
    destructive=True,
    paid=True,
)
@pytest.mark.usefixtures("transport")
def test_calls(rest: RestClient, target: Target, name: str) -> None:
    """To a key of another team no object exists: no call reads, changes, uses or uses up one, and its owner has all."""
    ids = make_objects(rest, target, name)
    theirs = as_team(target, f"{target.team}{FOREIGN_TEAM_SUFFIX}")
    other = rest.with_keys(theirs.api_key, theirs.management_key or "")
    calls = {
        f"{method} {path}": partial(other.call, method, filled(path, ids), json_body=filled(body, ids))
        for method, path, body in CALLS
    }
    check_calls(rest, ids, calls)


@case(
    "auth.other-teams.over-grpc",
    *("files.get", "files.content", "files.delete", "files.create_public_url", "files.revoke_public_url"),
    *("collections.get", "collections.update", "collections.delete", "documents.add", "documents.list"),
    *("documents.get", "documents.batch_get", "documents.update", "documents.reindex", "documents.remove"),
    *("documents.search", "batches.create", "batches.get", "batches.cancel", "batches.add_requests"),
    *("batches.list_requests", "batches.list_results", "batches.get_request", "chat.get_deferred", "chat.create"),
    *("responses.get", "responses.delete", "videos.get"),
    evidence="documented",
    source=SOURCE,
    refusal="not found",
    control=True,
    destructive=True,
    paid=True,
)
@pytest.mark.over_grpc
@pytest.mark.one_client_per_protocol
def test_methods(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """Over gRPC too, no object of another team is read, changed, used or used up, and its owner has all."""
    ids = make_objects(rest, target, name)
    theirs = as_team(target, f"{target.team}{FOREIGN_TEAM_SUFFIX}")
    other = client.with_keys(theirs.api_key, theirs.management_key or "")
    streams = {"RetrieveFileContent": other.stream_rpc}
    calls = {rpc: partial(streams.get(rpc, other.call_rpc), rpc, **filled(message, ids)) for rpc, message in METHODS}
    try:
        check_calls(rest, ids, calls)
    finally:
        other.close()
