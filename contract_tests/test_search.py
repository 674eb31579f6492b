"""Search with every client library that has it."""

from __future__ import annotations

import pytest

from . import matchers
from .case import case
from .clients.client import Client
from .clients.models import ApiError
from .target import Target

TEXTS = {
    "invoice": b"Invoice 4711 is for the copper kettle that went to the lighthouse.",
    "ferns": b"The ferns in the hall are watered on Monday and on Thursday.",
    "stove": b"The iron stove burns birch wood and heats two rooms.",
}
MODES = "OpenAPI: POST /v1/documents/search, retrieval_mode; documents.proto"


def library(client: Client, target: Target, name: str) -> tuple[str, dict[str, str]]:
    """A collection with the texts, indexed, and the file ids by name."""
    collection = client.create_collection(f"{name}library").id
    files = {}
    for word, text in TEXTS.items():
        files[word] = client.upload_file(text, f"{name}{word}.txt").id
        client.add_document(collection, files[word])

    def found() -> int:
        documents = client.list_documents(collection).items
        return sum(document.status == "PROCESSED" for document in documents)

    matchers.wait_until(
        found, len(TEXTS), within_seconds=target.wait_seconds_max, what="the number of indexed documents"
    )
    return collection, files


@case("search.modes", "documents.search", evidence="documented", source=MODES)
@pytest.mark.parametrize("mode", ["keyword", "semantic", "hybrid", None])
def test_modes(client: Client, target: Target, name: str, mode: str | None) -> None:
    """In each mode, and without one, the document that has the words comes first, with its text."""
    collection, files = library(client, target, name)
    matches = client.search("copper kettle invoice 4711", [collection], mode=mode)
    matchers.check(vars(matches[0]), {"file_id": files["invoice"], "chunk_id": "$uuid", "collection_ids": "$any"})
    assert TEXTS["invoice"].decode() in matches[0].content
    assert [match.score for match in matches] == sorted((match.score for match in matches), reverse=True)


@case("search.same-for-all", "documents.search", evidence="documented", source=MODES)
def test_same_for_all(client: Client, others: list[Client], target: Target, name: str) -> None:
    """Every client is answered the same matches in the same order."""
    collection, _ = library(client, target, name)
    seen = [match.chunk_id for match in client.search("the ferns", [collection], limit=2)]
    assert len(seen) == 2
    for other in others:
        if other.name in ("httpx", "fetch", "xai-sdk", "xai-sdk-async"):
            assert [match.chunk_id for match in other.search("the ferns", [collection], limit=2)] == seen, other.name


@case(
    "search.unknown-with-clients",
    *("documents.search",),
    evidence="assumed",
    source="as for every other thing that does not exist; not recorded",
    refusal="not found",
)
def test_unknown(client: Client) -> None:
    """A collection that does not exist arrives as the client's error for things that are not found."""
    with pytest.raises(ApiError) as refused:
        client.search("kettle", ["collection_00000000-0000-4000-8000-000000000000"])
    assert refused.value.kind == "not_found"


@case(
    "search.limit.default",
    *("documents.search",),
    evidence="documented",
    source="OpenAPI: POST /v1/documents/search, limit",
    limit="search_limit_default",
)
@pytest.mark.one_client_per_protocol
def test_default_limit(client: Client, target: Target, name: str) -> None:
    """A search returns 10 chunks by default."""
    collection = client.create_collection(f"{name}library").id
    for number in range(11):
        client.add_document(collection, client.upload_file(b"The kettle.", f"{name}{number}.txt").id)

    def found(limit: int | None) -> int:
        return len(client.search("kettle", [collection], limit=limit))

    matchers.wait_until(lambda: found(20), 11, within_seconds=target.wait_seconds_max, what="the number of matches")
    assert found(None) == 10
