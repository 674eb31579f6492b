"""Errors of every call, over REST and gRPC: what does not exist, what belongs to another team, and wrong keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from . import matchers
from .case import Case, case
from .clients.client import Client, chat_request
from .clients.http import Request, Response, Transport
from .clients.models import ApiError
from .clients.rest import RestClient
from .steps import INVALID_KEYS
from .target import FOREIGN_TEAM_SUFFIX, Target, as_team

UUID = "00000000-0000-4000-8000-000000000000"
Ids = Mapping[str, str]
# Calls over gRPC that name an object: the operation, the request, the object that is missing, and the words.
RPCS: tuple[tuple[str, str, Callable[[Ids], dict[str, Any]], str], ...] = (
    ("files.get", "RetrieveFile", lambda ids: {"file_id": ids["file"]}, "File not found"),
    (
        "collections.get",
        "GetCollectionMetadata",
        lambda ids: {"collection_id": ids["collection"]},
        "Collection not found",
    ),
    (
        "collections.update",
        "UpdateCollection",
        lambda ids: {"collection_id": ids["collection"], "collection_name": "a"},
        "Collection not found",
    ),
    ("documents.list", "ListDocuments", lambda ids: {"collection_id": ids["collection"]}, "Collection not found"),
    (
        "documents.get",
        "GetDocumentMetadata",
        lambda ids: {"collection_id": ids["collection"], "file_id": ids["file"]},
        "not found",
    ),
    (
        "documents.batch_get",
        "BatchGetDocuments",
        lambda ids: {"collection_id": ids["collection"], "file_ids": [ids["file"]]},
        "Collection not found",
    ),
    (
        "documents.update",
        "UpdateDocument",
        lambda ids: {"collection_id": ids["collection"], "file_id": ids["file"], "name": "a"},
        "not found",
    ),
    (
        "documents.search",
        "Search",
        lambda ids: {"query": "x", "source": {"collection_ids": [ids["collection"]]}},
        "not found",
    ),
    ("batches.get", "GetBatch", lambda ids: {"batch_id": ids["batch"]}, "atch"),
    ("batches.cancel", "CancelBatch", lambda ids: {"batch_id": ids["batch"]}, "atch"),
    ("batches.list_requests", "ListBatchRequestMetadata", lambda ids: {"batch_id": ids["batch"]}, "atch"),
    ("batches.list_results", "ListBatchResults", lambda ids: {"batch_id": ids["batch"]}, "atch"),
)
MISSING = {"file": f"file_{UUID}", "collection": f"collection_{UUID}", "batch": f"batch_{UUID}"}


def rpc(operation: str, name: str, request: Callable[[Ids], dict[str, Any]], words: str) -> Any:
    """The parameters of the case of one method."""
    found = Case(
        f"{operation.partition('.')[0].replace('documents', 'collections')}.errors.{name}",
        f"{name} answers NOT_FOUND to ids that do not exist and UNAUTHENTICATED to a wrong key",
        (operation,),
        evidence="assumed",
        source="as over REST; xai-sdk reads NOT_FOUND and UNAUTHENTICATED",
        feature="search" if name == "Search" else operation.partition(".")[0].replace("documents", "collections"),
        refusal="not found",
    )
    return pytest.param(name, request, words, id=found.id, marks=pytest.mark.case(found))


@pytest.mark.over_grpc
@pytest.mark.one_client_per_protocol
@pytest.mark.parametrize(("name", "request_of", "words"), [rpc(*row) for row in RPCS])
def test_rpc(client: Client, name: str, request_of: Callable[[Ids], dict[str, Any]], words: str) -> None:
    """The sentence of the case."""
    with pytest.raises(ApiError) as error:
        client.call_rpc(name, **request_of(MISSING))
    assert error.value.kind == "not_found"
    assert words in error.value.message
    outsider = client.with_keys(*INVALID_KEYS)
    try:
        with pytest.raises(ApiError) as error:
            outsider.call_rpc(name, **request_of(MISSING))
        assert error.value.kind == "unauthenticated"
    finally:
        outsider.close()


@case(
    "files.errors.of-another-team",
    *("files.get", "files.list", "collections.get", "collections.list", "documents.list", "documents.get"),
    *("documents.search", "batches.get", "batches.list", "batches.cancel", "batches.list_results"),
    evidence="documented",
    source="Files, Collections and Batch guides: objects belong to a team",
    control=True,
    destructive=True,
)
@pytest.mark.over_grpc
@pytest.mark.one_client_per_protocol
@pytest.mark.own_team
def test_keys_of_another_team_find_nothing(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """Over gRPC the keys of another team find nothing of this one, by id or in lists, and change nothing."""
    ids = {
        "file": rest.upload_file(b"x", f"{name}a.txt").id,
        "collection": rest.create_collection(f"{name}notes").id,
        "batch": rest.create_batch(f"{name}batch").id,
    }
    rest.add_document(ids["collection"], ids["file"])
    other = as_team(target, f"{target.team}{FOREIGN_TEAM_SUFFIX}")
    outsider = client.with_keys(other.api_key, other.management_key or "")
    try:
        for _, rpc_name, request_of, _ in RPCS:
            with pytest.raises(ApiError) as error:
                outsider.call_rpc(rpc_name, **request_of(ids))
            assert error.value.kind == "not_found", rpc_name
        for rpc_name, items in (("ListFiles", "data"), ("ListCollections", "collections"), ("ListBatches", "batches")):
            assert outsider.call_rpc(rpc_name)[items] == [], rpc_name
            assert len(client.call_rpc(rpc_name)[items]) == 1, rpc_name
    finally:
        outsider.close()
    assert rest.get_batch(ids["batch"]).was_cancelled is False
    assert client.call_rpc("GetCollectionMetadata", collection_id=ids["collection"])["collection_name"] != "a"
    assert rest.get_file(ids["file"]).name == f"{name}a.txt"


# Paths with their methods, the plane, and the words for an id that does not exist.
ROUTES: tuple[tuple[str, str, str, str, Any], ...] = (
    ("files.get", "GET", f"/v1/files/file_{UUID}", "File not found", None),
    ("files.update", "PUT", f"/v1/files/file_{UUID}", "File not found", {"filename": "a"}),
    ("files.delete", "DELETE", f"/v1/files/file_{UUID}", "File not found", None),
    ("files.content", "GET", f"/v1/files/file_{UUID}/content", "File not found", None),
    ("files.create_public_url", "POST", f"/v1/files/file_{UUID}/public-url", "File not found", {}),
    ("collections.get", "GET", f"/v1/collections/collection_{UUID}", "Collection not found", None),
    (
        "collections.update",
        "PUT",
        f"/v1/collections/collection_{UUID}",
        "Collection not found",
        {"collection_name": "a"},
    ),
    ("documents.list", "GET", f"/v1/collections/collection_{UUID}/documents", "Collection not found", None),
    ("documents.add", "POST", f"/v1/collections/collection_{UUID}/documents/file_{UUID}", "not found", {}),
    ("documents.get", "GET", f"/v1/collections/collection_{UUID}/documents/file_{UUID}", "not found", None),
    ("documents.reindex", "PATCH", f"/v1/collections/collection_{UUID}/documents/file_{UUID}", "not found", None),
    ("documents.remove", "DELETE", f"/v1/collections/collection_{UUID}/documents/file_{UUID}", "not found", None),
    ("batches.get", "GET", f"/v1/batches/batch_{UUID}", "atch", None),
    ("batches.cancel", "POST", f"/v1/batches/batch_{UUID}:cancel", "atch", None),
    ("batches.list_requests", "GET", f"/v1/batches/batch_{UUID}/requests", "atch", None),
    ("batches.list_results", "GET", f"/v1/batches/batch_{UUID}/results", "atch", None),
    (
        "batches.add_requests",
        "POST",
        f"/v1/batches/batch_{UUID}/requests",
        "atch",
        {"batch_requests": [{"batch_request_id": "a", "batch_request": {"chat_get_completion": chat_request("a")}}]},
    ),
)


def route(operation: str, method: str, path: str, words: str, body: Any) -> Any:
    """The parameters of the case of one route."""
    feature = operation.partition(".")[0].replace("documents", "collections")
    found = Case(
        f"{feature}.errors.{operation.replace('_', '-')}",
        f"{operation} answers 404 to ids that do not exist and 401 to a call without a key, in the form of its plane",
        (operation,),
        evidence="assumed",
        source="the form is recorded for some calls; the status follows the documentation of the others",
        feature=feature,
        refusal="not found",
    )
    return pytest.param(method, path, words, body, id=found.id, marks=pytest.mark.case(found))


@pytest.mark.parametrize(("method", "path", "words", "body"), [route(*row) for row in ROUTES])
def test_route(transport: Transport, target: Target, method: str, path: str, words: str, body: Any) -> None:
    """The sentence of the case."""
    management = path.startswith("/v1/collections")
    base = target.management_url if management else target.base_url
    key = target.management_key if management else target.api_key
    content = None if body is None else RestClient.encode(body)
    head = {} if body is None else {"content-type": "application/json"}

    def send(**headers: str) -> Response:
        target.budget.spend()
        return transport.send(Request(method, f"{base}{path}", {**head, **headers}, content))

    for found, status, code, number, message in (
        (send(authorization=f"Bearer {key}"), 404, "not-found", 5, words),
        (send(), 401, "unauthenticated:no-credentials", 16, ""),
    ):
        assert (found.status, found.is_json) == (status, True), found.body
        error = found.json()
        if management:
            assert set(error) == {"code", "message", "details"}, error
            assert (error["code"], error["details"]) == (number, []), error
            assert message in error["message"], error
        else:
            assert set(error) == {"code", "error"}, error
            assert error["code"] == code, error
            assert message in error["error"], error


# Calls with a JSON body on the inference plane: the path and the body.
JSON_CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    (f"/v1/files/file_{UUID}/public-url", {}),
    ("/v1/documents/search", {"query": "x", "source": {"collection_ids": [f"collection_{UUID}"]}}),
    ("/v1/batches", {"name": "a"}),
    (f"/v1/batches/batch_{UUID}/requests", {"batch_requests": []}),
)
NO_JSON = (None, "text/plain", "application/x-www-form-urlencoded", "application/octet-stream")


@case(
    "batches.errors.content-types",
    *("files.create_public_url", "documents.search", "batches.create", "batches.add_requests"),
    evidence="documented",
    source="Debugging guide: 415 without Content-Type: application/json",
    refusal="content type",
    destructive=True,
)
def test_content_types(transport: Transport, target: Target, name: str) -> None:
    """A JSON body is read as application/json alone, with or without parameters; any other type, or none, is 415."""
    for path, body in JSON_CALLS:
        content = RestClient.encode({**body, "name": f"{name}a"} if path == "/v1/batches" else body)

        def status(content_type: str | None, path: str = path, content: bytes = content) -> int:
            head = {} if content_type is None else {"content-type": content_type}
            target.budget.spend()
            head["authorization"] = f"Bearer {target.api_key}"
            return transport.send(Request("POST", f"{target.base_url}{path}", head, content)).status

        for content_type in NO_JSON:
            assert status(content_type) == 415, (path, content_type)
        for content_type in ("application/json", "application/json; charset=utf-8", "Application/JSON"):
            assert status(content_type) in (200, 404), (path, content_type)


# Calls over gRPC without a key: the method, and what it is asked with.
KEYLESS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("RetrieveFile", {"file_id": f"file_{UUID}"}),
    ("ListFiles", {}),
    ("DeleteFile", {"file_id": f"file_{UUID}"}),
    ("ListCollections", {}),
    ("CreateCollection", {"collection_name": "a"}),
    ("GetDocumentMetadata", {"collection_id": f"collection_{UUID}", "file_id": f"file_{UUID}"}),
    ("Search", {"query": "x", "source": {"collection_ids": [f"collection_{UUID}"]}}),
    ("ListBatches", {}),
    ("CreateBatch", {"name": "a"}),
    ("GetCompletion", {"model": "grok-4.3", "messages": [{"role": "ROLE_USER", "content": [{"text": "a"}]}]}),
)


@case(
    "files.errors.keyless-messages",
    *("files.get", "files.list", "files.delete", "collections.list", "collections.create", "documents.get"),
    *("documents.search", "batches.list", "batches.create", "chat.create"),
    evidence="assumed",
    source="as over REST; grpc.StatusCode: UNAUTHENTICATED is for requests without credentials",
    refusal="no credentials",
)
@pytest.mark.over_grpc
@pytest.mark.one_client_per_protocol
def test_keyless_messages(client: Client) -> None:
    """Over gRPC a call without a key is refused as unauthenticated, and says so."""
    for rpc, fields in KEYLESS:
        refused = client.refusal_without_key(rpc, **fields)
        assert refused.kind == "unauthenticated", rpc
        assert refused.message, rpc


@case(
    "batches.headers",
    *("batches.create", "batches.list", "batches.get", "batches.cancel", "batches.list_requests"),
    *("batches.list_results", "batches.add_requests"),
    evidence="recorded",
    source="recorded live, 2026-04 and 2026-08",
    destructive=True,
)
@pytest.mark.usefixtures("transport")
def test_batch_headers(rest: RestClient, name: str) -> None:
    """Every response of the Batch API says how its data is kept, and has a request id of its own."""
    made = rest.call("POST", "/v1/batches", json_body={"name": f"{name}a"})
    path = f"/v1/batches/{made.json()['batch_id']}"
    requests = [{"batch_request_id": "a", "batch_request": {"chat_get_completion": chat_request("a")}}]
    responses = [
        made,
        rest.call("POST", f"{path}/requests", json_body={"batch_requests": requests}),
        *(rest.call("GET", each) for each in ("/v1/batches", path, f"{path}/requests", f"{path}/results")),
        rest.call("POST", f"{path}:cancel"),
    ]
    for response in responses:
        expected = {"x-zero-data-retention": "false", "x-data-retention": "general", "x-request-id": "$uuid"}
        matchers.check(dict(response.headers), expected)
        assert response.headers["content-type"] == "application/json"
    assert len({each.headers["x-request-id"] for each in responses}) == len(responses)
