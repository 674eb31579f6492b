"""Parameters that many calls have: each call obeys them as the others do."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from .case import case
from .clients.client import Client
from .clients.models import refusal_kind
from .clients.rest import RestClient
from .target import Target

pytestmark = [pytest.mark.over_both_protocols, pytest.mark.own_team]
Json = Any
OTHER_TEAM = "00000000-0000-4000-8000-000000000000"


@case(
    "collections.team-id.everywhere",
    *("collections.create", "collections.list", "collections.get", "collections.update", "collections.delete"),
    *("documents.add", "documents.list", "documents.get", "documents.batch_get", "documents.reindex"),
    *("documents.remove",),
    evidence="assumed",
    source="Collections reference: team_id is optional; that it has to be that of the key is the nearest reading",
    refusal="team_id",
    control=True,
)
def test_team_id(client: Client, rest: RestClient, name: str) -> None:
    """Every call about collections and documents takes the team of the key as team_id, and no other."""
    team = rest.team_of_key()
    first, second = (rest.create_collection(f"{name}{word}").id for word in "ab")
    file, other = (rest.upload_file(b"The kettle.", f"{name}{word}.txt").id for word in "ab")
    for collection in (first, second):
        rest.add_document(collection, file)
    calls: list[tuple[Any, ...]] = []
    for collection in (first, second):
        path = f"/v1/collections/{collection}"
        document = f"{path}/documents/{file}"
        calls += [
            ("POST", "/v1/collections", {"collection_name": f"{name}c"}, "CreateCollection", {}),
            ("GET", "/v1/collections", None, "ListCollections", {}),
            ("GET", path, None, "GetCollectionMetadata", {}),
            ("PUT", path, {"collection_name": f"{name}d"}, "UpdateCollection", {"collection_name": f"{name}d"}),
            ("POST", f"{path}/documents/{other}", {}, "AddDocumentToCollection", {"file_id": other}),
            ("GET", f"{path}/documents", None, "ListDocuments", {}),
            ("GET", document, None, "GetDocumentMetadata", {"file_id": file}),
            ("GET", f"{path}/documents:batchGet", None, "BatchGetDocuments", {"file_ids": [file]}),
            ("PATCH", document, None, "ReIndexDocument", {"file_id": file}),
            ("DELETE", document, None, "RemoveDocumentFromCollection", {"file_id": file}),
            ("DELETE", path, None, "DeleteCollection", {}),
        ]
    for number, (method, path, body, rpc, fields) in enumerate(calls):
        if client.protocol == "grpc":
            id = {} if rpc in ("CreateCollection", "ListCollections") else {"collection_id": path.split("/")[3]}
            named = {"collection_name": f"{name}c"} if rpc == "CreateCollection" else {}
            for given, expected in ((OTHER_TEAM, "forbidden"), (team, "")):
                found = refusal_kind(partial(client.call_rpc, rpc, **id, **named, **fields, team_id=given))
                assert found == expected, (rpc, found)
            continue
        pairs = [("file_ids", file)] if path.endswith(":batchGet") else []
        for given, expected in ((OTHER_TEAM, "forbidden"), (team, "")):
            query = pairs if body is not None else [*pairs, ("team_id", given)]
            sent = None if body is None else {**body, "team_id": given}
            found = refusal_kind(partial(rest.call, method, path, query=query, json_body=sent))
            assert found == expected, (number, method, path, found)


@case(
    "batches.pages.sizes",
    *("batches.list", "batches.list_requests", "batches.list_results"),
    evidence="documented",
    source="Batch guide: its samples name the size of a page page_size, the reference names it limit",
    control=True,
    destructive=True,
)
def test_page_sizes(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """Batches, their requests and their results take a size under both of its names, and the newest batch is first."""
    target.control("POST", "/clock/freeze", {"at": "2031-05-06T07:08:09Z"})
    made = []
    for word in "abc":
        target.control("POST", "/clock/advance", {"seconds": 60})
        made.append(rest.create_batch(f"{name}{word}").id)
    rest.add_chats(made[0], {id: f"Say {id}." for id in "pqrs"})
    target.control("POST", "/jobs/run")
    for path, rpc, items, id, ids in (
        ("/v1/batches", "ListBatches", "batches", "batch_id", made[::-1]),
        (
            f"/v1/batches/{made[0]}/requests",
            "ListBatchRequestMetadata",
            "batch_request_metadata",
            "batch_request_id",
            [*"pqrs"],
        ),
        (f"/v1/batches/{made[0]}/results", "ListBatchResults", "results", "batch_request_id", [*"pqrs"]),
    ):
        for size in (1, 2, 3):
            pages = [rest.json("GET", path, query={word: size}) for word in ("limit", "page_size")]
            assert pages[0] == pages[1], path
            assert [each[id] for each in pages[0][items]] == ids[:size], path
            query = {"page_size": 2, "pagination_token": pages[0]["pagination_token"]}
            assert [each[id] for each in rest.json("GET", path, query=query)[items]] == ids[size : size + 2], path
            if client.protocol == "grpc":
                named = {} if path == "/v1/batches" else {"batch_id": made[0]}
                page = client.call_rpc(rpc, **named, limit=size)
                assert [each[id] for each in page[items]] == ids[:size], rpc
