"""Search under the unmodified xai-sdk, synchronous and asynchronous, and with the curl commands of the guides."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
import xai_sdk
from xai_sdk.proto import documents_pb2

from emulator import Emulator

TEXTS = {
    "10q.txt": b"Key revenue drivers based on the SEC filings were deferred revenue and energy storage.",
    "memo.txt": b"Cafeteria hours change in August: lunch is served until three.",
    "fox.txt": b"The quick brown fox jumps over the lazy dog.",
}
MODES = [
    None,
    "hybrid",
    "semantic",
    "keyword",
    documents_pb2.HybridRetrieval(search_multiplier=5),
    documents_pb2.HybridRetrieval(reciprocal_rank_fusion=documents_pb2.ReciprocalRankFusion(k=10)),
    documents_pb2.HybridRetrieval(reranker_model=documents_pb2.RerankerModel(model="m")),
    documents_pb2.SemanticRetrieval(),
    documents_pb2.KeywordRetrieval(),
]
GUIDE = """
curl -sS --fail-with-body https://api.x.ai/v1/documents/search \\
  -H "Content-Type: application/json" \\
  -H "Authorization: Bearer $XAI_API_KEY" \\
  -d '{ "query": "What were the key revenue drivers based on the SEC filings?",
        "source": { "collection_ids": ["collection_dbc087b1-6c99-493d-86c6-b401fee34a9d"] }%s }'
"""


def arguments(emulator: Emulator) -> dict[str, Any]:
    """How a client of xai-sdk finds the emulator."""
    return {
        "api_key": emulator.api_key,
        "management_api_key": emulator.management_key,
        "api_host": emulator.grpc_target,
        "management_api_host": emulator.grpc_target,
    }


@pytest.fixture(scope="module")
def client(emulator: Emulator) -> Iterator[xai_sdk.Client]:
    client = xai_sdk.Client(**arguments(emulator))
    yield client
    client.close()


@pytest.fixture(scope="module")
def collection(client: xai_sdk.Client) -> str:
    """A collection with a document for each text."""
    collection = client.collections.create(name="SEC filings").collection_id
    for name, text in TEXTS.items():
        client.collections.upload_document(collection, name, text, wait_for_indexing=True)
    return str(collection)


@pytest.mark.parametrize("mode", MODES, ids=repr)
def test_xai_client_searches_in_every_mode(client: xai_sdk.Client, collection: str, mode: Any) -> None:
    """Named by a word or by a message; the best match first, with its text."""
    response = client.collections.search("quick brown fox", [collection], retrieval_mode=mode)
    best = response.matches[0]
    assert best.chunk_content.encode() == TEXTS["fox.txt"]
    assert list(best.collection_ids) == [collection]
    assert best.score > 0
    assert [match.score for match in response.matches] == sorted((m.score for m in response.matches), reverse=True)


def test_search_accepts_limit_and_instructions(client: xai_sdk.Client, collection: str) -> None:
    """A limit counts chunks; instructions are accepted."""
    response = client.collections.search("revenue", [collection], limit=1, instructions="Only the newest")
    assert [match.chunk_content.encode() for match in response.matches] == [TEXTS["10q.txt"]]


def test_hybrid_and_semantic_search_find_misspelt_words(client: xai_sdk.Client, collection: str) -> None:
    """By hybrid and semantic search; a keyword search finds what is spelt alike, and nothing else."""
    for mode in ("hybrid", "semantic"):
        best = client.collections.search("caffeterria ours", [collection], retrieval_mode=mode).matches[0]
        assert best.chunk_content.encode() == TEXTS["memo.txt"]
    assert not client.collections.search("caffeterria", [collection], retrieval_mode="keyword").matches


def test_search_in_unknown_collection_is_not_found(client: xai_sdk.Client) -> None:
    """NOT_FOUND, in the words of the service."""
    with pytest.raises(grpc.RpcError, match="Collection not found"):
        client.collections.search("x", ["collection_nope"])


async def test_async_xai_client_searches(emulator: Emulator, collection: str) -> None:
    """The same answers."""
    client = xai_sdk.AsyncClient(**arguments(emulator))
    try:
        response = await client.collections.search("lazy dog", [collection], retrieval_mode="keyword")
        assert [match.chunk_content.encode() for match in response.matches] == [TEXTS["fox.txt"]]
    finally:
        await client.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
@pytest.mark.parametrize(
    "mode", ["", ', "retrieval_mode": {"type": "hybrid"}', ', "retrieval_mode": {"type": "keyword"}']
)
def test_curl_search_commands_of_guide(emulator: Emulator, collection: str, mode: str) -> None:
    """Verbatim, but for the host, the key and the collection."""
    command = (GUIDE % mode).replace("https://api.x.ai", emulator.url)
    command = command.replace("collection_dbc087b1-6c99-493d-86c6-b401fee34a9d", collection)
    environment = {"XAI_API_KEY": emulator.api_key, "PATH": os.environ["PATH"]}
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=True, text=True, env=environment)
    assert done.stdout.startswith('{"matches":[{"file_id":"file_')
    assert "deferred revenue" in done.stdout
