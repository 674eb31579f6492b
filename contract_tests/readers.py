"""Reads everything of a team through every call; what the calls show is compared by `observed_objects`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from . import matchers
from .clients.client import Client
from .clients.rest import RestClient
from .messages import disagreement
from .target import Target

IMAGE, VIDEO = (
    {"model": "grok-imagine-image", "prompt": "A kettle."},
    {"model": "grok-imagine-video", "prompt": "Fern."},
)


@dataclass
class Readers:
    """Reads everything of a team through every call."""

    rest: RestClient
    client: Client
    target: Target

    def rpc(self, rpc: str, **fields: Any) -> Any:
        """The answer of a method, if the client of the case speaks gRPC."""
        if self.client.protocol != "grpc":
            return None
        found = self.client.call_rpc(rpc, **fields)
        self._check_costs(found)
        return found

    def _check_costs(self, found: Any) -> None:
        """Fail where the costs of batches are not of now."""
        now = self._now()
        for batch in found.get("batches", [found]):
            if (costs := batch.get("cost_breakdown")) is not None:
                at = datetime.fromisoformat(costs["calculation_time"])
                assert at == now, f"calculation_time is {at}, now is {now}"

    def _check_answers(self, results: Any) -> None:
        """Fail where the answers of a batch were made later than now."""
        now = self._now().timestamp()
        for result in results:
            answer = result["batch_result"].get("response", {}).get("chat_get_completion")
            assert answer is None or answer["created"] <= now, f"created is {answer['created']}, now is {now}"

    def _now(self) -> datetime:
        return datetime.fromisoformat(self.target.control("GET", "/clock")["now"])

    def pause(self) -> None:
        """Let an hour and some microseconds pass, so that nothing has the time of anything else."""
        self.target.control("POST", "/clock/advance", {"seconds": 3600.001007})

    def files(self, ids: Sequence[str]) -> None:
        """Read files."""
        self.rest.json("GET", "/v1/files")
        self.rpc("ListFiles")
        for id in ids:
            self.rest.json("GET", f"/v1/files/{id}")
            self.rpc("RetrieveFile", file_id=id)

    def collections(self, ids: Sequence[str]) -> None:
        """Read collections."""
        self.rest.json("GET", "/v1/collections")
        self.rpc("ListCollections")
        for id in ids:
            self.rest.json("GET", f"/v1/collections/{id}")
            self.rpc("GetCollectionMetadata", collection_id=id)

    def documents(self, collection: str, files: Sequence[str]) -> None:
        """Read documents, and what a search finds in them."""
        path = f"/v1/collections/{collection}/documents"
        self.rest.json("GET", path)
        self.rest.json("GET", f"{path}:batchGet", query=[("file_ids", file) for file in files])
        self.rpc("ListDocuments", collection_id=collection)
        self.rpc("BatchGetDocuments", collection_id=collection, file_ids=list(files))
        for file in files:
            self.rest.json("GET", f"{path}/{file}")
            self.rpc("GetDocumentMetadata", collection_id=collection, file_id=file)
        source = {"collection_ids": [collection]}
        for mode in ("keyword", "semantic", "hybrid"):
            body = {"query": "kettle ferns", "source": source, "retrieval_mode": {"type": mode}}
            self.rest.json("POST", "/v1/documents/search", json_body=body)
            self.rpc("Search", query="kettle ferns", source=source, **{f"{mode}_retrieval": {}})

    def batches(self, ids: Sequence[str]) -> None:
        """Read batches, their requests and their results."""
        self.target.control("POST", "/jobs/run")
        self.rest.json("GET", "/v1/batches")
        self.rpc("ListBatches")
        for id in ids:
            self.rest.json("GET", f"/v1/batches/{id}")
            self.rpc("GetBatch", batch_id=id)
            self.rest.json("GET", f"/v1/batches/{id}/requests")
            self.rpc("ListBatchRequestMetadata", batch_id=id)
            results = self.rest.json("GET", f"/v1/batches/{id}/results")["results"]
            self._check_answers(results)
            listed = self.rpc("ListBatchResults", batch_id=id)
            for number, result in enumerate(results if listed else ()):
                one = self.rpc("GetBatchRequestResult", batch_id=id, batch_request_id=result["batch_request_id"])
                assert one["result"] == listed["results"][number]
                assert one["request"]["batch_request_id"] == result["batch_request_id"]
                check_chat(result["batch_result"].get("response", {}), one)
                check_media(result["batch_result"].get("response", {}), one)


def check_chat(shown: Any, message: Any) -> None:
    """Fail where the completion of a batch differs between REST and gRPC."""
    if "chat_get_completion" not in shown:
        return
    whole, found = shown["chat_get_completion"], message["result"]["response"]["completion_response"]
    for choice, output in zip(whole["choices"], found["outputs"], strict=True):
        assert output["index"] == choice["index"]
        assert output["message"]["content"] == (choice["message"].get("content") or "")
        calls = [
            [(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in each or ()]
            for each in (choice["message"].get("tool_calls"), output["message"]["tool_calls"])
        ]
        assert calls[0] == calls[1], f"{calls[1]} over gRPC, {calls[0]} over REST"
        assert output["finish_reason"].lower().endswith(f"_{choice['finish_reason']}")
    for name in ("total_tokens", "prompt_tokens", "completion_tokens", "cost_in_usd_ticks"):
        assert found["usage"].get(name, whole["usage"][name]) == whole["usage"][name], name


def check_media(shown: Any, message: Any) -> None:
    """Fail where images and videos of a batch differ between REST and gRPC, or their request is not repeated."""
    response, request = message["result"]["response"], message["request"]
    for name, word, body in (("image_generation", "image", IMAGE), ("video_generation", "video", VIDEO)):
        if name not in shown:
            continue
        matchers.check(request[f"{word}_request"], body)
        found = response[f"{word}_response"]
        assert found["model"] == shown[name]["model"]
        assert found["usage"]["cost_in_usd_ticks"] == shown[name]["usage"]["cost_in_usd_ticks"]
        assert {found["usage"][f"{each}_tokens"] for each in ("total", "prompt", "completion")} == {0}
        if word == "image":
            assert [each["url"] for each in found["images"]] == [each["url"] for each in shown[name]["data"]]
            matchers.check(shown[name]["data"], {"$each": {"mime_type": "image/png", "storage_error": "$absent"}})
            for each, other in zip(found["images"], shown[name]["data"], strict=True):
                disagrees = disagreement(each.get("file_output"), other.get("file_output"))
                assert disagrees is None, disagrees
        else:
            disagrees = disagreement(found["video"], shown[name]["video"])
            assert disagrees is None, disagrees
            assert (found["progress"], shown[name]["progress"], shown[name]["status"]) == (100, 100, "done")
