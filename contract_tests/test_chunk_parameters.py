"""Each switch of a chunk configuration has its effect, whichever call sets it."""

from __future__ import annotations

from typing import Any

import pytest

from . import matchers
from .case import case
from .clients.client import Client
from .clients.rest import RestClient
from .target import Target

pytestmark = pytest.mark.over_both_protocols
TEXT = "  one two three   \n\n   four five six  \n"
SIZES: dict[str, dict[str, int]] = {
    "chars_configuration": {"max_chunk_size_chars": 20, "chunk_overlap_chars": 0},
    "bytes_configuration": {"max_chunk_size_bytes": 20, "chunk_overlap_bytes": 0},
}
# The switches, in an order in which each of them changes alone.
SWITCHES: tuple[dict[str, bool], ...] = (
    {"strip_whitespace": True, "inject_name_into_chunks": False},
    {"strip_whitespace": False, "inject_name_into_chunks": False},
    {"strip_whitespace": False, "inject_name_into_chunks": True},
    {"strip_whitespace": True, "inject_name_into_chunks": True},
)


@case(
    "collections.chunks.switches",
    *("collections.create", "collections.update", "documents.reindex", "documents.search", "collections.get"),
    evidence="documented",
    source="Collections reference: chunk_configuration.strip_whitespace and inject_name_into_chunks",
)
def test_switches(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """Chunks are trimmed with strip_whitespace alone and found by the name of their document where that is injected."""
    file = rest.upload_file(TEXT.encode(), f"{name}heron.txt").id
    for strategy, sizes in SIZES.items():
        is_grpc = client.protocol == "grpc"
        collection = rest.create_collection(f"{name}{strategy}").id
        rest.add_document(collection, file)
        for switches in SWITCHES:
            configuration = {strategy: sizes, **switches}
            body: dict[str, Any] = {"chunk_configuration": configuration}
            created = {**body, "collection_name": f"{name}new"}
            if is_grpc:
                client.call_rpc("UpdateCollection", collection_id=collection, **body)
                new = client.call_rpc("CreateCollection", **created)["collection_id"]
            else:
                rest.json("PUT", f"/v1/collections/{collection}", json_body=body)
                new = rest.json("POST", "/v1/collections", json_body=created)["collection_id"]
            rest.reindex_document(collection, file)
            rest.add_document(new, file)
            for each in (collection, new):
                check(rest, target, each, file, switches)


def check(rest: RestClient, target: Target, collection: str, file: str, switches: dict[str, bool]) -> None:
    """Fail where the configuration that is shown, or the chunks of the file, are those of other switches."""
    is_stripped = switches["strip_whitespace"]
    is_named = switches["inject_name_into_chunks"]
    shown = rest.json("GET", f"/v1/collections/{collection}")["chunk_configuration"]
    assert (shown["strip_whitespace"], shown["inject_name_into_chunks"]) == (is_stripped, is_named), switches
    wait_until_indexed(rest, target, collection, file)
    chunks = [match.content for match in rest.search("one two", [collection], limit=100, mode="semantic")]
    assert len(chunks) > 1, (switches, chunks)
    if is_stripped:
        assert all(chunk == chunk.strip() for chunk in chunks), (switches, chunks)
    else:
        assert any(chunk != chunk.strip() for chunk in chunks), (switches, chunks)
    found = rest.search("heron", [collection], limit=100, mode="keyword")
    assert len(found) == (len(chunks) if is_named else 0), (switches, found)


@case(
    "collections.chunks.injected",
    *("collections.create", "documents.add", "documents.search", "documents.reindex"),
    evidence="documented",
    source="Collections guide: the value of an inject_into_chunk field is prepended to every chunk",
)
def test_injected(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """Every chunk of a document is found by the values of its injected fields, and none by those of other fields."""
    file = rest.upload_file(TEXT.encode(), f"{name}a.txt").id
    fields = {"author": "Sappho", "place": "Lesbos", "shelf": "Papyrus"}
    definitions = [{"key": key, "inject_into_chunk": key != "shelf"} for key in fields]
    configuration = {"chars_configuration": SIZES["chars_configuration"]}
    body = {"collection_name": f"{name}notes", "field_definitions": definitions, "chunk_configuration": configuration}
    if client.protocol == "grpc":
        collection = client.call_rpc("CreateCollection", **body)["collection_id"]
        client.call_rpc("AddDocumentToCollection", collection_id=collection, file_id=file, fields=fields)
    else:
        collection = rest.json("POST", "/v1/collections", json_body=body)["collection_id"]
        rest.add_document(collection, file, fields)
    for _ in range(2):  # as added, and indexed again
        wait_until_indexed(rest, target, collection, file)
        chunks = rest.search("one two", [collection], limit=100, mode="semantic")
        assert len(chunks) > 1, chunks
        for key, value in fields.items():
            found = rest.search(value, [collection], limit=100, mode="keyword")
            assert len(found) == (0 if key == "shelf" else len(chunks)), (key, found)
        rest.reindex_document(collection, file)


def wait_until_indexed(rest: RestClient, target: Target, collection: str, file: str) -> None:
    """Return once a document can be searched."""
    matchers.wait_until(
        lambda: rest.get_document(collection, file).status, "PROCESSED", within_seconds=target.wait_seconds_max
    )
