"""A call that is refused changes nothing: the lists of a team and what its objects hold are as before."""

from __future__ import annotations

from typing import Any

import pytest

from .case import case
from .clients.client import batch_input, chat_request
from .clients.http import FilePart, Form
from .clients.models import ApiError
from .clients.rest import RestClient
from .target import Target

pytestmark = [pytest.mark.own_team, pytest.mark.usefixtures("transport")]
UUID = "00000000-0000-4000-8000-000000000000"
SOURCE = "no source says that a refused call changes something"


def state_of(rest: RestClient, collections: list[str], batches: list[str]) -> list[Any]:
    """Everything that the lists of a team show."""
    paths = ["/v1/files", "/v1/collections", "/v1/batches"]
    paths += [f"/v1/collections/{each}/documents" for each in collections]
    paths += [f"/v1/batches/{each}/{word}" for each in batches for word in ("requests", "results")]
    return [rest.json("GET", path) for path in paths]


def document_form(name: str, content: bytes = b"x", fields: str = "{}") -> Form:
    """The form of an upload to a collection."""
    part = FilePart(name, content, "text/plain")
    return [("name", name), ("content_type", "text/plain"), ("fields", fields), ("data", part)]


@case(
    "collections.refusals-change-nothing",
    *("files.upload", "files.update", "files.create_public_url", "collections.create", "collections.update"),
    *("documents.add", "documents.upload", "documents.remove", "documents.reindex", "files.delete"),
    *("collections.delete",),
    evidence="assumed",
    source=SOURCE,
    refusal="any",
    control=True,
)
def test_collections(rest: RestClient, name: str) -> None:
    """Calls about files, collections and documents that are refused leave no object behind, and change none."""
    definitions = [{"key": "isbn", "unique": True}, {"key": "author", "required": True}]
    id = rest.create_collection(f"{name}notes", description="d", fields=definitions).id
    path = f"/v1/collections/{id}"
    kept, free = (rest.upload_file(b"The kettle.", f"{name}{word}.png", expires_after=7200).id for word in "ab")
    rest.add_document(id, kept, {"isbn": "1", "author": "Sappho"})
    before = state_of(rest, [id], [])
    unknown = f"/v1/collections/collection_{UUID}"
    renamed = {"collection_name": f"{name}x", "collection_description": "x"}
    wrong = {"field_definition": {"key": "none"}, "operation": "FIELD_DEFINITION_DELETE"}
    required = {"field_definition": {"key": "new", "required": True}, "operation": "FIELD_DEFINITION_ADD"}
    more = {"field_definition": {"key": "more"}, "operation": "FIELD_DEFINITION_ADD"}
    chunks = {"chars_configuration": {"max_chunk_size_chars": 0}}
    one = '{"author": "x"}'
    two = '{"isbn": "1", "author": "x"}'
    calls: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("POST", "/v1/files", {"form": [("expires_after", "1"), ("file", FilePart("a.txt", b"x"))]}),
        ("POST", "/v1/files", {"form": [("file", FilePart("a;b.txt", b"x"))]}),
        ("POST", "/v1/files", {"form": [("file", FilePart("a.txt", b"x")), ("expires_after", "7200")]}),
        ("PUT", f"/v1/files/{kept}", {"json_body": {"filename": "a;b.txt", "expires_after": 7200}}),
        ("PUT", f"/v1/files/{kept}", {"json_body": {"filename": "c.png", "expires_after": 1}}),
        ("POST", f"/v1/files/{kept}/public-url", {"json_body": {"expires_after": 1}}),
        ("POST", f"/v1/files/{kept}/public-url", {"json_body": {"expires_after": 90_000}}),
        ("POST", "/v1/collections", {"json_body": {"collection_name": ""}}),
        ("POST", "/v1/collections", {"json_body": {**renamed, "chunk_configuration": chunks}}),
        ("POST", "/v1/collections", {"json_body": {**renamed, "field_definitions": [{"key": "a"}] * 2}}),
        ("PUT", path, {"json_body": {**renamed, "chunk_configuration": chunks}}),
        ("PUT", path, {"json_body": {**renamed, "field_definition_updates": [more, wrong]}}),
        ("PUT", path, {"json_body": {**renamed, "field_definition_updates": [more, required]}}),
        ("PUT", path, {"json_body": {**renamed, "team_id": UUID}}),
        ("POST", f"{path}/documents/{free}", {"json_body": {"fields": {"isbn": "2"}}}),
        ("POST", f"{path}/documents/{free}", {"json_body": {"fields": {"isbn": "1", "author": "x"}}}),
        ("POST", f"{path}/documents/{kept}", {"json_body": {"fields": {"isbn": "2"}}}),
        ("POST", f"{unknown}/documents/{free}", {"json_body": {}}),
        ("POST", f"{unknown}/documents", {"form": document_form(f"{name}c.txt")}),
        ("POST", f"{path}/documents", {"form": document_form(f"{name}c.txt")}),
        ("POST", f"{path}/documents", {"form": document_form(f"{name}c.txt", fields=two)}),
        ("POST", f"{path}/documents", {"form": document_form(f"{name}a;b.txt", fields=one)}),
        ("POST", f"{path}/documents", {"form": document_form(f"{name}c.txt", fields='{"author": 5}')}),
        ("PATCH", f"{path}/documents/{free}", {}),
        ("DELETE", f"{path}/documents/{free}", {}),
        ("DELETE", f"/v1/files/file_{UUID}", {}),
        ("DELETE", unknown, {}),
    )
    for method, place, more_options in calls:
        with pytest.raises(ApiError):
            rest.call(method, place, **more_options)
        assert state_of(rest, [id], []) == before, (method, place, more_options)
    assert rest.read_file(kept) == b"The kettle."
    foreign = rest.with_keys("xai-nobody@nowhere", "xai-token-nobody@nowhere")
    for method, place in (
        *(("DELETE", each) for each in (path, f"/v1/files/{kept}", f"{path}/documents/{kept}")),
        *(("PUT", each) for each in (path, f"/v1/files/{kept}")),
    ):
        with pytest.raises(ApiError):
            foreign.call(
                method, place, json_body={"collection_name": "x", "filename": "x"} if method == "PUT" else None
            )
        assert state_of(rest, [id], []) == before, (method, place)


@case(
    "batches.refusals-change-nothing",
    *("batches.create", "batches.add_requests", "batches.cancel"),
    evidence="assumed",
    source=SOURCE,
    refusal="any",
    control=True,
    destructive=True,
)
def test_batches(rest: RestClient, target: Target, name: str) -> None:
    """Calls about batches that are refused create no batch and add no request, not even the right ones among them."""
    open_one, closed, of_file = rest.create_batch(f"{name}a").id, rest.create_batch(f"{name}b").id, ""
    file = rest.upload_file(batch_input({"a": "Say a."}), f"{name}a.jsonl").id
    of_file = rest.create_batch(f"{name}c", input_file_id=file).id
    entry = {"batch_request_id": "a", "batch_request": {"chat_get_completion": chat_request("Say a.")}}
    other = {"batch_request_id": "a", "batch_request": {"chat_get_completion": chat_request("Say b.")}}
    good = {"batch_request_id": "g", "batch_request": {"chat_get_completion": chat_request("Say g.")}}
    empty = {"batch_request_id": "h", "batch_request": {}}
    rest.json("POST", f"/v1/batches/{open_one}/requests", json_body={"batch_requests": [entry]})
    rest.cancel_batch(closed)
    target.control("POST", "/jobs/run")
    ids = [open_one, closed, of_file]
    before = state_of(rest, [], ids)
    for path, body in (
        ("/v1/batches", {}),
        ("/v1/batches", {"name": f"{name}x", "input_file_id": f"file_{UUID}"}),
        (f"/v1/batches/{open_one}/requests", {"batch_requests": [good, other]}),
        (f"/v1/batches/{open_one}/requests", {"batch_requests": [good, empty]}),
        (f"/v1/batches/{open_one}/requests", {"batch_requests": [good, {**good, "batch_request_id": 5}]}),
        (f"/v1/batches/{closed}/requests", {"batch_requests": [good]}),
        (f"/v1/batches/{of_file}/requests", {"batch_requests": [good]}),
        (f"/v1/batches/batch_{UUID}/requests", {"batch_requests": [good]}),
        (f"/v1/batches/batch_{UUID}:cancel", None),
    ):
        with pytest.raises(ApiError):
            rest.call("POST", path, json_body=body)
        target.control("POST", "/jobs/run")
        assert state_of(rest, [], ids) == before, (path, body)
