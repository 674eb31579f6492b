"""Documents.Search on the wire: its own request shape, presence and defaults, and its refusals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest

from emulator import Emulator
from tests.rpc.client import Rpc, message, trailers

SEARCH = "xai_api.Documents/Search"


@pytest.fixture
def rpc(emulator: Emulator) -> Iterator[Rpc]:
    with Rpc(emulator.grpc_target, emulator.api_key) as client:
        yield client


@pytest.fixture
def collection(rest: httpx.Client, management: httpx.Client) -> str:
    """A collection of three documents."""
    id = management.post("/v1/collections", json={"collection_name": "c"}).json()["collection_id"]
    for name, text in (("a.txt", "ash ash elm"), ("b.txt", "elm"), ("c.txt", "oaken ashes")):
        file = rest.post("/v1/files", files={"file": (name, text.encode())}).json()["id"]
        fields = {"fields": {"name": name}}
        management.post(f"/v1/collections/{id}/documents/{file}", json=fields).raise_for_status()
    return str(id)


def request(*collections: str, query: str = "ash", **fields: Any) -> Any:
    """A SearchRequest."""
    source = message("xai_api.DocumentsSource", collection_ids=collections)
    return message("xai_api.SearchRequest", query=query, source=source, **fields)


@pytest.mark.parametrize("mode", [None, "hybrid", "semantic", "keyword"])
def test_rest_and_grpc_return_the_same(rpc: Rpc, rest: httpx.Client, collection: str, mode: str | None) -> None:
    """The same matches, in the same order, with the same scores to 32-bit precision; no fields here."""
    retrieval = {} if mode is None else {f"{mode}_retrieval": message(f"xai_api.{mode.title()}Retrieval")}
    body = {"query": "ash", "source": {"collection_ids": [collection]}}
    if mode is not None:
        body["retrieval_mode"] = {"type": mode}
    by_rest = rest.post("/v1/documents/search", json=body).json()["matches"]
    by_rpc = rpc.call(SEARCH, request(collection, **retrieval)).matches
    assert len(by_rpc) == (2 if mode == "keyword" else 3)
    for one, other in zip(by_rpc, by_rest, strict=True):
        assert (one.file_id, one.chunk_id, one.chunk_content) == (
            other["file_id"],
            other["chunk_id"],
            other["chunk_content"],
        )
        assert list(one.collection_ids) == other["collection_ids"]
        assert one.score == pytest.approx(other["score"], rel=1e-6)


def test_weights_that_are_not_set_are_the_defaults(rpc: Rpc, collection: str) -> None:
    """Weights have no presence in protobuf: two zeros are none. A single one is taken as it is."""

    def best(**fusion: Any) -> float:
        rrf = message("xai_api.ReciprocalRankFusion", **fusion)
        hybrid = message("xai_api.HybridRetrieval", reciprocal_rank_fusion=rrf)
        return float(rpc.call(SEARCH, request(collection, hybrid_retrieval=hybrid)).matches[0].score)

    assert best() == pytest.approx(1 / 61)
    assert best(k=0) == pytest.approx(1)
    assert best(k=0, text_weight=0.25) == pytest.approx(0.25)
    assert best(k=0, text_weight=0.25, embedding_weight=0.5) == pytest.approx(0.75)


def test_unset_limit_is_ten(rpc: Rpc, collection: str) -> None:
    """And zero is not the same as nothing."""
    assert len(rpc.call(SEARCH, request(collection, limit=2)).matches) == 2
    refused = rpc.refusal(SEARCH, request(collection, limit=0))
    assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert trailers(refused)["x-emulator-rule"] == "search_limit_min"


def test_search_parameter_without_effect_is_accepted(rpc: Rpc, collection: str) -> None:
    """Instructions, reranker models and the deprecated metric, which old clients still send."""
    reranker = message("xai_api.RerankerModel", model="m")
    semantic = message("xai_api.SemanticRetrieval", reranker=reranker)
    sent = request(collection, instructions="i", ranking_metric=2, semantic_retrieval=semantic)
    call = rpc.start(SEARCH, sent)
    assert len(call.result().matches) == 3
    assert "instructions, reranker_model, ranking_metric" in trailers(call)["x-emulator-warning"]


@pytest.mark.parametrize(
    ("sent", "code", "details"),
    [
        (request("nope"), "NOT_FOUND", "Collection not found"),
        (request(), "INVALID_ARGUMENT", "source.collection_ids"),
        (message("xai_api.SearchRequest", query="x"), "INVALID_ARGUMENT", "source.collection_ids"),
        (request("nope", query=""), "INVALID_ARGUMENT", "query"),
        (request("nope", ranking_metric=7), "INVALID_ARGUMENT", "ranking_metric"),
        (
            request("c", hybrid_retrieval=message("xai_api.HybridRetrieval", search_multiplier=101)),
            "INVALID_ARGUMENT",
            "search_multiplier must be at least 1 and at most 100",
        ),
        (
            request(
                "c",
                hybrid_retrieval=message(
                    "xai_api.HybridRetrieval",
                    reciprocal_rank_fusion=message("xai_api.ReciprocalRankFusion", text_weight=float("nan")),
                ),
            ),
            "INVALID_ARGUMENT",
            "text_weight",
        ),
        (b"\xff", "INVALID_ARGUMENT", "SearchRequest"),
    ],
)
def test_refusals(rpc: Rpc, sent: Any, code: str, details: str) -> None:
    """The codes of the contract, with a sentence."""
    refused = rpc.refusal(SEARCH, sent)
    assert refused.code() is grpc.StatusCode[code]
    assert details in refused.details()


def test_search_without_key_is_unauthenticated(emulator: Emulator) -> None:
    """UNAUTHENTICATED without one."""
    with Rpc(emulator.grpc_target, None) as rpc:
        assert rpc.refusal(SEARCH, request("c")).code() is grpc.StatusCode.UNAUTHENTICATED
