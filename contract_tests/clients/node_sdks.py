"""JavaScript libraries in a Node process: OpenAI's SDK, and the xAI provider of Vercel's AI SDK."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from ..target import Target
from .client import MODEL, Client
from .models import Batch, BatchResult, File, Page
from .node import Node


class _NodeClient(Client):
    """What the adapters have in common: each function of the bridge gets the address of the server."""

    package: str
    prefix: str

    def __init__(self, target: Target, node: Node) -> None:
        self.version = node.package(self.package)
        self._node = node
        self._where = {"baseURL": f"{target.base_url}/v1", "apiKey": target.api_key}

    def _call(self, name: str, /, **arguments: Any) -> Any:
        return self._node.call(f"{self.prefix}.{name}", **arguments, **self._where)

    def upload_file(
        self, content: bytes, filename: str, *, expires_after: int | None = None, content_type: str | None = None
    ) -> File:
        found = self._call(
            "upload",
            content=base64.b64encode(content).decode(),
            filename=filename,
            type=content_type,
            expires_after=expires_after,
        )
        return _file(found)

    def get_file(self, file_id: str) -> File:
        return _file(self._call("get", id=file_id))

    def read_file(self, file_id: str) -> bytes:
        return base64.b64decode(self._call("content", id=file_id))

    def delete_file(self, file_id: str) -> None:
        assert self._call("delete", id=file_id)["deleted"] is True


class OpenAINode(_NodeClient):
    """npm: `openai`."""

    name = "openai-node"
    package = "openai"
    prefix = "openai"

    def list_files(
        self,
        *,
        limit: int | None = None,
        ascending: bool | None = None,
        sort_by: str | None = None,
        token: str | None = None,
        filter: str | None = None,
    ) -> Page[File]:
        order = None if ascending is None else "asc" if ascending else "desc"
        query = {"limit": limit, "order": order, "sort_by": sort_by, "pagination_token": token, "filter": filter}
        found = self._call("list", query={name: value for name, value in query.items() if value is not None})
        return Page([_file(each) for each in found["data"]], found["pagination_token"])


class AiSdk(_NodeClient):
    """npm: `@ai-sdk/xai`, the provider interface that `ai` calls."""

    name = "ai-sdk"
    package = "@ai-sdk/xai"
    prefix = "xai"

    def submit_chats(self, name: str, prompts: Mapping[str, str]) -> Batch:
        """The SDK writes the input file and names the batch."""
        return _batch(self._call("submit", prompts=dict(prompts), model=MODEL))

    def get_batch(self, batch_id: str) -> Batch:
        return _batch({"batchId": batch_id, **self._call("batch", id=batch_id)})

    def list_batches(self, *, limit: int | None = None, token: str | None = None) -> Page[Batch]:
        found = self._call("batches", limit=limit, token=token)
        return Page([_batch(each) for each in found["batches"]], found.get("nextCursor"))

    def cancel_batch(self, batch_id: str) -> Batch:
        """Its own answer says nothing, so the batch is asked for."""
        self._call("cancel", id=batch_id)
        return self.get_batch(batch_id)

    def list_batch_results(
        self, batch_id: str, *, limit: int | None = None, token: str | None = None
    ) -> Page[BatchResult]:
        """All results at once, as a stream hands them out."""
        return Page([_result(each) for each in self._call("results", id=batch_id)], None)


def _file(found: Mapping[str, Any]) -> File:
    """Times are named as in the API by OpenAI, and as in JavaScript by the AI SDK."""
    created_at = found.get("created_at", found.get("createdAt"))
    expires_at = found.get("expires_at", found.get("expiresAt"))
    return File(found["id"], found["filename"], found["bytes"], created_at, expires_at)


def _batch(found: Mapping[str, Any]) -> Batch:
    """`failed` counts the cancelled ones too: the provider interface has no place for them."""
    counts = found.get("requestCounts") or {}
    error = found.get("error") or {}
    return Batch(
        found["batchId"],
        "",
        counts.get("total", 0),
        counts.get("pending", 0),
        counts.get("completed", 0),
        counts.get("failed", 0),
        0,
        error.get("message"),
        error.get("code") == "batch_cancelled",
    )


def _result(found: Mapping[str, Any]) -> BatchResult:
    if found["status"] != "succeeded":
        return BatchResult(found["id"], None, found["error"]["message"])
    texts = [part["text"] for part in found["result"]["content"] if part["type"] == "text"]
    return BatchResult(found["id"], "".join(texts))
