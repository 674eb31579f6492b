"""A page token continues the list that it is from, in the same order and with the same filter, and no other list."""

from __future__ import annotations

from collections.abc import Callable
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
ASCENDING, BY_AGE = "ORDERING_ASCENDING", "COLLECTIONS_SORT_BY_AGE"
BY_SIZE = "DOCUMENTS_SORT_BY_SIZE"
ROWS = ("requests", "results")


def check_tokens(lists: dict[str, Callable[..., Json]]) -> None:
    """Fail where a list refuses its own token, with any size of a page, or takes that of a list near it in the table.

    All pairs would be some hundred calls, and far ones are of different things.
    """
    tokens = {word: page(limit=1)["pagination_token"] for word, page in lists.items()}
    assert all(tokens.values()), tokens
    words = [*lists, *lists]
    for place, (word, page) in enumerate(lists.items()):
        assert page(limit=2, pagination_token=tokens[word]) is not None
        for other in dict.fromkeys(words[place + 1 : place + 1 + NEAR]):
            kind = refusal_kind(partial(page, limit=1, pagination_token=tokens[other]))
            assert kind == ("" if word == other else "invalid"), f"the token of {other} for {word}: {kind!r}"


NEAR = 5  # of the orders and filters of one list


def over_rest(rest: RestClient, path: str, **query: Json) -> Callable[..., Json]:
    """A list over REST, as a call that takes the size and the token of a page."""
    return lambda **more: rest.json("GET", path, query={**query, **more})


def over_grpc(client: Client, rpc: str, **fields: Json) -> Callable[..., Json]:
    """A list over gRPC, in the same way."""
    return lambda **more: client.call_rpc(rpc, **fields, **more)


@case(
    "collections.tokens",
    *("files.list", "collections.list", "documents.list"),
    evidence="assumed",
    source="OpenAPI and files.proto: a token continues the same list; that another list refuses it is aip.dev/158",
    refusal="token",
    control=True,
)
def test_collections(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """A token of files, collections or documents is refused by other lists, orders, filters and collections."""
    first, second = (rest.create_collection(f"{name}{word}", fields=[{"key": "a"}]).id for word in "ab")
    for collection in (first, second):
        for _ in range(3):
            rest.upload_document(collection, f"{name}c.txt", b"The kettle.", {"a": "1"})
    rest.create_collection(f"{name}c")
    named = f'name:"{name}"'
    sized = "size_bytes >= 0"
    if client.protocol == "grpc":
        documents = partial(over_grpc, client, "ListDocuments", collection_id=first)
        collections = partial(over_grpc, client, "ListCollections")
        files = partial(over_grpc, client, "ListFiles")
        check_tokens(
            {
                "files": files(),
                "files in another order": files(order="DESCENDING"),
                "files by size": files(sort_by="FILES_SORT_BY_SIZE"),
                "some files": files(filter=named),
                "other files": files(filter=sized),
                "collections": collections(),
                "collections in another order": collections(order=ASCENDING),
                "collections by age": collections(sort_by=BY_AGE),
                "some collections": collections(filter=f'collection_name:"{name}"'),
                "documents": documents(),
                "documents in another order": documents(order=ASCENDING),
                "documents by size": documents(sort_by=BY_SIZE),
                "some documents": documents(filter=named),
                "documents with a name": documents(name=f"{name}c.txt"),
                "other documents": over_grpc(client, "ListDocuments", collection_id=second),
            }
        )
        return
    path = "/v1/collections"
    check_tokens(
        {
            "files": over_rest(rest, "/v1/files"),
            "files in another order": over_rest(rest, "/v1/files", order="asc"),
            "files by size": over_rest(rest, "/v1/files", sort_by="size"),
            "some files": over_rest(rest, "/v1/files", filter=named),
            "other files": over_rest(rest, "/v1/files", filter=sized),
            "collections": over_rest(rest, path),
            "collections in another order": over_rest(rest, path, order=ASCENDING),
            "collections by age": over_rest(rest, path, sort_by=BY_AGE),
            "some collections": over_rest(rest, path, filter=f'collection_name:"{name}"'),
            "documents": over_rest(rest, f"{path}/{first}/documents"),
            "documents in another order": over_rest(rest, f"{path}/{first}/documents", order=ASCENDING),
            "documents by size": over_rest(rest, f"{path}/{first}/documents", sort_by=BY_SIZE),
            "some documents": over_rest(rest, f"{path}/{first}/documents", filter=named),
            "documents with a name": over_rest(rest, f"{path}/{first}/documents", name=f"{name}c.txt"),
            "other documents": over_rest(rest, f"{path}/{second}/documents"),
        }
    )


@case(
    "batches.tokens",
    *("batches.list", "batches.list_requests", "batches.list_results", "files.list"),
    evidence="assumed",
    source="Batch reference and batch.proto: a token continues the same list; that another list refuses it is "
    "aip.dev/158",
    refusal="token",
    control=True,
    destructive=True,
)
def test_batches(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """A token of batches, requests or results is refused by other lists, batches and states."""
    ids = [rest.create_batch(f"{name}{word}").id for word in "abc"]
    for id in ids[:2]:
        rest.add_chats(id, {word: f"Say {word}." for word in "pqr"})
    for word in "abc":
        rest.upload_file(b"x", f"{name}{word}.txt")
    target.control("POST", "/jobs/run")
    if client.protocol == "grpc":
        requests = partial(over_grpc, client, "ListBatchRequestMetadata")
        check_tokens(
            {
                "files": over_grpc(client, "ListFiles"),
                "batches": over_grpc(client, "ListBatches"),
                "requests": requests(batch_id=ids[0]),
                "other requests": requests(batch_id=ids[1]),
                "requests of a state": requests(batch_id=ids[0], status=["STATE_SUCCEEDED"]),
                "requests of two states": requests(batch_id=ids[0], status=["STATE_SUCCEEDED", "STATE_PENDING"]),
                "results": over_grpc(client, "ListBatchResults", batch_id=ids[0]),
                "other results": over_grpc(client, "ListBatchResults", batch_id=ids[1]),
            }
        )
        return
    check_tokens(
        {
            "files": over_rest(rest, "/v1/files"),
            "batches": over_rest(rest, "/v1/batches"),
            **{f"{rows} of {id}": over_rest(rest, f"/v1/batches/{id}/{rows}") for rows in ROWS for id in ids[:2]},
        }
    )
