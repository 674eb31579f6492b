"""The messages of gRPC, field by field: calls agree with each other and with REST."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from . import matchers
from .case import case
from .clients.client import MODEL, Client
from .clients.models import ApiError
from .clients.rest import RestClient
from .messages import disagreement
from .steps import INVALID_KEYS
from .target import Target

pytestmark = pytest.mark.over_grpc
SHARED = "Files guide, Collections guide and Batch guide: REST and gRPC share the same objects"
CANCELLED, INVALID_ARGUMENT = 1, 3  # google.rpc.Code
TEXT = b"The lighthouse keeper waters the ferns."


def agree(message: Any, shown: Any) -> None:
    """Fail where a message and the JSON of REST differ."""
    reason = disagreement(message, shown)
    assert reason is None, reason


@case("files.messages", "files.get", "files.list", evidence="documented", source=f"{SHARED}; files.proto: File")
def test_files(client: Client, rest: RestClient, name: str) -> None:
    """A file with an expiry and a public URL has the same fields in the message of each call, and over REST."""
    file = rest.upload_file(b"PNG", f"{name}a.png", expires_after=7200)
    rest.create_public_url(file.id, expires_after=3600)
    shown = rest.json("GET", f"/v1/files/{file.id}")
    message = client.call_rpc("RetrieveFile", file_id=file.id)
    names = {"size": "bytes"}
    agree({names.get(key, key): each for key, each in message.items()}, shown)
    assert client.call_rpc("ListFiles", filter=f'name:"{name}"')["data"] == [message]


@case(
    "files.messages.uploaded",
    *("files.upload", "files.get"),
    evidence="documented",
    source=f"{SHARED}; files.proto: UploadFile",
)
def test_uploaded(client: Client, rest: RestClient, name: str) -> None:
    """A file that is uploaded over gRPC is over REST what its upload said, to the byte and the second."""
    file = client.upload_file(bytes(range(256)), f"{name}a.bin", expires_after=7200)
    assert rest.get_file(file.id) == file
    assert file.expires_at is not None
    assert 0 <= file.expires_at - file.created_at - 7200 <= 1
    assert rest.read_file(file.id) == bytes(range(256))


@case("files.messages.order", "files.list", evidence="documented", source="files.proto: ListFilesRequest")
def test_order(client: Client, rest: RestClient, name: str) -> None:
    """Over gRPC a list is ascending unless asked otherwise, in each of its columns, and its pages continue."""
    made = [rest.upload_file(b"x" * size, f"{name}{word}.txt").id for word, size in (("b", 3), ("c", 1), ("a", 2))]
    filter = f'name:"{name}"'
    for fields, order in (
        ({}, (0, 1, 2)),
        ({"order": 1}, (2, 1, 0)),
        ({"sort_by": 1}, (2, 0, 1)),
        ({"sort_by": 2}, (1, 2, 0)),
        ({"sort_by": 2, "order": 1}, (0, 2, 1)),
    ):
        listed = client.call_rpc("ListFiles", filter=filter, **fields)
        assert [file["id"] for file in listed["data"]] == [made[place] for place in order], fields
        first = client.call_rpc("ListFiles", filter=filter, limit=2, **fields)
        assert [file["id"] for file in first["data"]] == [made[place] for place in order[:2]], fields
        rest_of = client.call_rpc(
            "ListFiles", filter=filter, limit=2, pagination_token=first["pagination_token"], **fields
        )
        assert [file["id"] for file in rest_of["data"]] == [made[order[2]]], fields
        assert rest_of["pagination_token"] is None
    exactly = client.call_rpc("ListFiles", filter=filter, limit=3)
    assert exactly["pagination_token"] is None


@case(
    "files.messages.keys",
    *("files.get", "auth.api_key"),
    evidence="assumed",
    source="xai-sdk's own test server answers UNAUTHENTICATED",
    refusal="incorrect key",
    refusing=("files.get",),
)
def test_keys(client: Client, rest: RestClient, name: str) -> None:
    """A key that does not exist is refused over gRPC too."""
    file = rest.upload_file(b"x", f"{name}a.txt")
    assert client.team_of_key() == rest.team_of_key()
    assert client.get_file(file.id) == file
    other = client.with_keys(*INVALID_KEYS)
    try:
        with pytest.raises(ApiError) as refused:
            other.get_file(file.id)
        assert refused.value.kind == "unauthenticated"
    finally:
        other.close()


@case("auth.messages", "auth.api_key", evidence="documented", source=f"{SHARED}; auth.proto: ApiKey")
def test_key(client: Client, rest: RestClient) -> None:
    """A key has the same fields over gRPC as over REST, its permissions included."""
    names = {"disabled": "api_key_disabled"}
    shown = rest.json("GET", "/v1/api-key")
    agree({names.get(key, key): each for key, each in client.describe_key().items()}, shown)


CONFIGURED = {
    "collection_description": "about ferns",
    "chunk_configuration": {
        "chars_configuration": {"max_chunk_size_chars": 30, "chunk_overlap_chars": 10},
        "strip_whitespace": True,
        "inject_name_into_chunks": True,
    },
    "field_definitions": [
        {"key": "isbn", "required": True, "unique": False, "inject_into_chunk": False, "description": "of the book"},
        {"key": "shelf", "required": False, "unique": True, "inject_into_chunk": False},
        {"key": "author", "required": False, "unique": False, "inject_into_chunk": True},
    ],
}


@case(
    "collections.messages",
    *("collections.create", "collections.get", "collections.list", "collections.update"),
    evidence="documented",
    source=f"{SHARED}; collections.proto: CollectionMetadata",
)
def test_collections(client: Client, rest: RestClient, name: str) -> None:
    """A collection with everything set has the same fields in the message of each call, and over REST."""
    made = client.call_rpc("CreateCollection", collection_name=f"{name}notes", **CONFIGURED)
    id = made["collection_id"]
    shown = rest.json("GET", f"/v1/collections/{id}")
    agree(made, shown)
    matchers.check(shown, CONFIGURED | {"collection_name": f"{name}notes"})
    assert client.call_rpc("GetCollectionMetadata", collection_id=id) == made
    listed = client.call_rpc("ListCollections", filter=f'collection_id = "{id}"')
    assert listed["collections"] == [made]
    fields = [{"field_definition": {"key": "author"}, "operation": "FIELD_DEFINITION_DELETE"}]
    changed = client.call_rpc("UpdateCollection", collection_id=id, field_definition_updates=fields)
    matchers.check(changed["field_definitions"], [{"key": "isbn", "required": True}, {"key": "shelf", "unique": True}])
    other = client.call_rpc(
        "UpdateCollection", collection_id=id, collection_name=f"{name}b", collection_description="b"
    )
    matchers.check(other, {"collection_name": f"{name}b", "collection_description": "b"})
    agree(other, rest.json("GET", f"/v1/collections/{id}"))


@case(
    "collections.messages.lists",
    *("collections.list", "documents.list"),
    evidence="documented",
    source="collections.proto: ListCollectionsRequest, ListDocumentsRequest",
)
def test_lists(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """Collections and documents are listed over gRPC in each order, page by page."""
    made = [rest.create_collection(f"{name}{word}").id for word in "bca"]
    filter = f'collection_name:"{name}"'
    for fields, order in (({}, (1, 0, 2)), ({"order": 1}, (2, 0, 1)), ({"sort_by": 1}, (2, 1, 0))):
        listed = client.call_rpc("ListCollections", filter=filter, **fields)["collections"]
        assert [each["collection_id"] for each in listed] == [made[place] for place in order], fields
        page = client.call_rpc("ListCollections", filter=filter, limit=2, **fields)
        assert len(page["collections"]) == 2
        page = client.call_rpc("ListCollections", filter=filter, pagination_token=page["pagination_token"], **fields)
        assert [each["collection_id"] for each in page["collections"]] == [made[order[2]]], fields
    files = [rest.upload_file(b"x" * size, f"{name}{word}.txt").id for word, size in (("b", 3), ("c", 1), ("a", 2))]
    for file in files:
        rest.add_document(made[0], file)
    for fields, order in (({}, (1, 0, 2)), ({"order": 1}, (2, 0, 1)), ({"sort_by": 1}, (0, 2, 1))):
        listed = client.call_rpc("ListDocuments", collection_id=made[0], **fields)["documents"]
        assert [each["file_metadata"]["file_id"] for each in listed] == [files[place] for place in order], fields
    page = client.call_rpc("ListDocuments", collection_id=made[0], limit=2)
    page = client.call_rpc("ListDocuments", collection_id=made[0], limit=2, pagination_token=page["pagination_token"])
    assert [each["file_metadata"]["file_id"] for each in page["documents"]] == [files[2]]
    named = client.call_rpc("ListDocuments", collection_id=made[0], filter='name:"a.txt"', limit=1)
    assert [each["file_metadata"]["file_id"] for each in named["documents"]] == [files[2]]
    assert named["pagination_token"] is None


def document(client: RestClient, target: Target, name: str, fields: dict[str, str] | None = None) -> tuple[str, str]:
    """The ids of a collection and of a document in it, indexed."""
    definitions: list[dict[str, Any]] = [{"key": "author", "inject_into_chunk": True}, {"key": "year"}]
    collection = client.create_collection(f"{name}notes", fields=definitions).id
    file = client.upload_file(TEXT, f"{name}a.txt", expires_after=7200).id
    client.add_document(collection, file, fields)
    indexed(client, target, collection, file)
    return collection, file


def indexed(client: RestClient, target: Target, collection: str, file: str) -> None:
    """Wait until a document is indexed."""
    matchers.wait_until(
        lambda: client.get_document(collection, file).status,
        "PROCESSED",
        within_seconds=target.wait_seconds_max,
        what=f"the status of {file}",
    )


@case(
    "collections.messages.documents",
    *("documents.get", "documents.list", "documents.batch_get"),
    evidence="documented",
    source=f"{SHARED}; collections.proto: DocumentMetadata",
)
def test_documents(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """A document has the same fields in the message of each call, and over REST; those of its indexing are set."""
    collection, file = document(rest, target, name, {"author": "Sappho"})
    shown = rest.json("GET", f"/v1/collections/{collection}/documents/{file}")
    message = client.call_rpc("GetDocumentMetadata", collection_id=collection, file_id=file)
    agree(message, shown)
    matchers.check(message, {"fields": {"author": "Sappho"}})
    indexing = {"last_indexed_at": "$text", "chunk_count": 1, "chunks_processed_count": 1}
    matchers.check(message, {key: each for key, each in indexing.items() if key in message})  # older SDKs lack some
    matchers.check(message["file_metadata"], {"file_id": file, "size_bytes": len(TEXT), "expires_at": "$text"})
    assert client.call_rpc("ListDocuments", collection_id=collection)["documents"] == [message]
    assert client.call_rpc("BatchGetDocuments", collection_id=collection, file_ids=[file])["documents"] == [message]
    others = [rest.upload_file(TEXT, f"{name}{number}.txt").id for number in range(4)]
    for other in others:
        rest.add_document(collection, other)
    for ids in ([file, *others], [*reversed(others), file], others[2:3]):
        found = client.call_rpc("BatchGetDocuments", collection_id=collection, file_ids=ids)["documents"]
        assert [each["file_metadata"]["file_id"] for each in found] == ids


@case(
    "collections.messages.updated",
    *("documents.update", "documents.search"),
    evidence="documented",
    source="collections.proto: UpdateDocument",
)
def test_updated(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """A change of a document keeps what it does not name, and what it changes is found."""
    collection, file = document(rest, target, name, {"author": "Sappho"})
    request = {"collection_id": collection, "file_id": file}
    changed = client.call_rpc("UpdateDocument", **request, fields={"year": "2020"})
    matchers.check(changed["fields"], {"$is": {"author": "Sappho", "year": "2020"}})
    assert rest.read_file(file) == TEXT
    client.call_rpc("UpdateDocument", **request, name=f"{name}b.txt")
    assert rest.get_file(file).name == f"{name}b.txt"
    client.call_rpc("UpdateDocument", **request, data=b"The copper kettle.")
    indexed(rest, target, collection, file)
    [match] = rest.search("kettle", [collection], mode="keyword")
    assert match.content == "The copper kettle."
    assert rest.search("ferns", [collection], mode="keyword") == []
    matchers.check(rest.get_document(collection, file).fields, {"$is": {"author": "Sappho", "year": "2020"}})
    with pytest.raises(ApiError) as refused:
        client.call_rpc("UpdateDocument", **request, name="a;b.txt")
    assert refused.value.kind == "invalid"
    client.call_rpc("UpdateDocument", **request, fields={"author": "Homer"})  # which is part of every chunk
    indexed(rest, target, collection, file)
    for word, expected in (("Homer", 1), ("Sappho", 0), ("kettle", 1)):
        assert len(rest.search(word, [collection], mode="keyword")) == expected, word


@case(
    "search.messages",
    *("documents.search",),
    evidence="documented",
    source=f"{SHARED}; documents.proto: SearchMatch and SearchRequest",
)
def test_search(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """In each mode, with a limit and with weights, matches over gRPC are those over REST, field by field."""
    collection, file = document(rest, target, name, {"author": "Sappho"})
    others = (b"Lighthouses, lighthouse keeping.", b"Copper coins.")  # the second has no word of the query
    for number, content in enumerate(others):
        other = rest.upload_file(content, f"{name}{number}.txt").id
        rest.add_document(collection, other)
        indexed(rest, target, collection, other)
    reranker = {"type": "rrf", "k": 3, "embedding_weight": 1.0, "text_weight": 0.25}
    fusion = {"k": 3, "embedding_weight": 1.0, "text_weight": 0.25}
    weights: tuple[dict[str, Any], ...] = (
        {"embedding_weight": 0.75, "text_weight": 0.0},
        {"embedding_weight": 0.0, "text_weight": 0.75},
        {"k": 0},
    )
    rows: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
        ({}, {}),
        ({"limit": 1}, {"limit": 1}),
        *(
            (
                {"hybrid_retrieval": {"reciprocal_rank_fusion": each}},
                {"retrieval_mode": {"type": "hybrid", "reranker": {"type": "rrf", **each}}},
            )
            for each in weights
        ),
        ({"keyword_retrieval": {}}, {"retrieval_mode": {"type": "keyword"}}),
        ({"semantic_retrieval": {}}, {"retrieval_mode": {"type": "semantic"}}),
        ({"hybrid_retrieval": {}}, {"retrieval_mode": {"type": "hybrid"}}),
        (
            {"hybrid_retrieval": {"reciprocal_rank_fusion": fusion}},
            {"retrieval_mode": {"type": "hybrid", "reranker": reranker}},
        ),
        (
            {"hybrid_retrieval": {"search_multiplier": 3}},
            {"retrieval_mode": {"type": "hybrid", "search_multiplier": 3}},
        ),
        ({"instructions": "Prefer kettles."}, {"instructions": "Prefer kettles."}),
        ({"ranking_metric": "RANKING_METRIC_L2_DISTANCE"}, {"ranking_metric": "RANKING_METRIC_L2_DISTANCE"}),
    )
    for message, body in rows:
        request = {"query": "keeper of lighthouses", "source": {"collection_ids": [collection]}}
        shown = rest.json("POST", "/v1/documents/search", json_body={**request, **body})["matches"]
        found = client.call_rpc("Search", **request, **message)["matches"]
        agree(found, shown)
        assert len(found) >= 1, body
    [match] = client.call_rpc("Search", query="Sappho", source={"collection_ids": [collection]}, keyword_retrieval={})[
        "matches"
    ]
    matchers.check(match, {"file_id": file, "chunk_id": "$uuid", "collection_ids": [collection]})
    assert match["chunk_content"] == TEXT.decode()


def costs_at(batch: dict[str, Any]) -> str:
    """When the costs of a batch were summed up: the time of the call."""
    return str(batch["cost_breakdown"]["calculation_time"])


def without_costs(batch: dict[str, Any]) -> dict[str, Any]:
    """The fields of a batch that REST has too."""
    return {key: each for key, each in batch.items() if key != "cost_breakdown"}


def answered(client: RestClient, target: Target, name: str) -> str:
    """The id of a batch of two requests that succeed and one that fails."""
    batch = client.create_batch(f"{name}batch").id
    client.add_chats(batch, {"a": "Say a.", "c": "Say a long c."})
    bad = {"model": MODEL, "max_tokens": -5, "messages": [{"role": "user", "content": "Say b."}]}
    requests = [{"batch_request_id": "b", "batch_request": {"chat_get_completion": bad}}]
    client.call("POST", f"/v1/batches/{batch}/requests", json_body={"batch_requests": requests})

    def ask() -> dict[str, Any]:
        return vars(client.get_batch(batch))

    matchers.wait_until(ask, {"requests": 3, "pending": 0}, within_seconds=target.wait_seconds_max, what="the batch")
    return batch


@case(
    "batches.messages",
    *("batches.get", "batches.list"),
    evidence="documented",
    source=f"{SHARED}; batch.proto: Batch, BatchCostBreakdown",
    destructive=True,
)
def test_batches(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """A batch has the same fields in the message of each call, and over REST; its costs are the sum of its results'."""
    id = answered(rest, target, name)
    message = client.call_rpc("GetBatch", batch_id=id)
    agree(without_costs(message), rest.json("GET", f"/v1/batches/{id}"))
    matchers.check(message["state"], {"num_requests": 3, "num_pending": 0, "num_success": 2, "num_error": 1})
    usages = [
        result["batch_result"]["response"]["chat_get_completion"]["usage"]["cost_in_usd_ticks"]
        for result in rest.json("GET", f"/v1/batches/{id}/results")["results"]
        if "response" in result["batch_result"]
    ]
    endpoint = {"endpoint": "$text", "cost_usd_ticks": sum(usages), "request_count": 2}
    costs = {"total_cost_usd_ticks": sum(usages), "endpoint_costs": [endpoint], "calculation_time": "$text"}
    matchers.check(message["cost_breakdown"], costs)
    made, costed = (datetime.fromisoformat(each) for each in (message["create_time"], costs_at(message)))
    assert 0 <= (costed - made).total_seconds() <= target.case_seconds
    [listed] = client.call_rpc("ListBatches", limit=1)["batches"]
    matchers.check(listed, without_costs(message))
    matchers.check(listed["cost_breakdown"], costs)


@case(
    "batches.messages.results",
    *("batches.list_results", "batches.list_requests", "batches.get_request"),
    evidence="documented",
    source=f"{SHARED}; batch.proto: BatchResult, BatchRequestMetadata",
    destructive=True,
)
def test_results(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """Results and requests match those over REST; a failed one has a code other than OK and the message of REST."""
    id = answered(rest, target, name)
    shown = rest.json("GET", f"/v1/batches/{id}/results")["results"]
    found = client.call_rpc("ListBatchResults", batch_id=id)["results"]
    assert [each["batch_request_id"] for each in found] == ["a", "b", "c"]
    for result, json in zip(found, shown, strict=True):
        if "error" in json["batch_result"]:
            matchers.check(result, {"response": "$null", "error": {"code": INVALID_ARGUMENT}})
            assert result["error"]["message"] == json["batch_result"]["error"]
            continue
        matchers.check(result, {"error": "$null"})
        completion, expected = result["response"]["completion_response"], json["batch_result"]["response"]
        expected = expected["chat_get_completion"]
        assert (completion["id"], completion["model"]) == (expected["id"], expected["model"])
        contents = [each["message"]["content"] for each in completion["outputs"]]
        assert contents == [each["message"]["content"] for each in expected["choices"]]
        for word in ("prompt_tokens", "completion_tokens", "total_tokens", "cost_in_usd_ticks"):
            assert completion["usage"][word] == expected["usage"][word], word
        one = client.call_rpc("GetBatchRequestResult", batch_id=id, batch_request_id=result["batch_request_id"])
        assert one["result"] == result
        [message] = one["request"]["completion_request"]["messages"]
        matchers.check(message["content"], [{"text": {"$starts": "Say a"}}])
        assert one["request"]["completion_request"]["model"] == MODEL
    rows = client.call_rpc("ListBatchRequestMetadata", batch_id=id)["batch_request_metadata"]
    agree(rows, rest.json("GET", f"/v1/batches/{id}/requests")["batch_request_metadata"])
    failed = client.call_rpc("ListBatchRequestMetadata", batch_id=id, status=[4])["batch_request_metadata"]
    assert [row["batch_request_id"] for row in failed] == ["b"]
    finished = client.call_rpc("ListBatchRequestMetadata", batch_id=id, status=[2, 4])["batch_request_metadata"]
    assert finished == rows
    page = client.call_rpc("ListBatchRequestMetadata", batch_id=id, limit=2)
    page = client.call_rpc("ListBatchRequestMetadata", batch_id=id, limit=2, pagination_token=page["pagination_token"])
    assert [row["batch_request_id"] for row in page["batch_request_metadata"]] == ["c"]
    assert [result.error is None for result in client.list_batch_results(id).items] == [True, False, True]


@case(
    "batches.messages.cancelled",
    *("batches.cancel", "batches.list_results"),
    evidence="documented",
    source="batch.proto; google.rpc.Code: a result that was cancelled is an error",
    destructive=True,
)
def test_cancelled(client: Client, rest: RestClient, name: str) -> None:
    """A batch that is cancelled says so in its message, as every other call does."""
    id = rest.create_batch(f"{name}batch").id
    message = client.call_rpc("CancelBatch", batch_id=id)
    matchers.check(message, {"batch_id": id, "cancel_time": "$text"})
    agree(without_costs(message), rest.json("GET", f"/v1/batches/{id}"))
    assert without_costs(client.call_rpc("GetBatch", batch_id=id)) == without_costs(message)
    assert client.call_rpc("ListBatchResults", batch_id=id)["results"] == []


@case(
    "batches.messages.cancelled-requests",
    *("batches.cancel", "batches.list_results", "batches.get_request"),
    evidence="documented",
    source="batch.proto; google.rpc.Code: a result that was cancelled is an error",
    control=True,
    destructive=True,
)
@pytest.mark.own_team
def test_cancelled_requests(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """A request that was pending when its batch was cancelled has the code CANCELLED and the message of REST."""
    target.control("PATCH", f"/teams/{target.team}", {"batches": "manual"}, team=None)
    id = rest.create_batch(f"{name}batch").id
    rest.add_chats(id, {"a": "Say a."})
    client.call_rpc("CancelBatch", batch_id=id)
    [result] = client.call_rpc("ListBatchResults", batch_id=id)["results"]
    [shown] = rest.json("GET", f"/v1/batches/{id}/results")["results"]
    error = {"code": CANCELLED, "message": shown["batch_result"]["error"]}
    matchers.check(result, {"batch_request_id": "a", "response": "$null", "error": error})
    assert client.call_rpc("GetBatchRequestResult", batch_id=id, batch_request_id="a")["result"] == result
    [row] = client.call_rpc("ListBatchRequestMetadata", batch_id=id, status=[3])["batch_request_metadata"]
    assert row["batch_request_id"] == "a"
