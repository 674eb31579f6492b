"""LiteLLM's xAI provider: files and batches, in the forms of OpenAI's."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from typing import Any

from ..target import Target
from .client import Client
from .models import Batch, BatchResult, File, Page, api_error_from_http


class LiteLLM(Client):
    """`litellm.create_file`, `litellm.create_batch` and the others, for the provider `xai`."""

    name = "litellm"

    def __init__(self, target: Target) -> None:
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else it looks for prices on the network
        self._litellm: Any = import_module("litellm")
        self.version = version("litellm")
        self._where = {"custom_llm_provider": "xai", "api_base": target.base_url, "api_key": target.api_key}

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # it has many kinds; those of the server have its status
            status = getattr(error, "status_code", None)
            if status is None:
                raise
            raise api_error_from_http(int(status), str(error)) from None

    # --- files

    def upload_file(
        self, content: bytes, filename: str, *, expires_after: int | None = None, content_type: str | None = None
    ) -> File:
        if expires_after is not None:
            self._cannot("expires_after for xAI: it is left out on the way")
        file = (filename, content) if content_type is None else (filename, content, content_type)
        with self._refusals():
            return _file(self._litellm.create_file(file=file, purpose="batch", **self._where))

    def get_file(self, file_id: str) -> File:
        with self._refusals():
            return _file(self._litellm.file_retrieve(file_id, **self._where))

    def read_file(self, file_id: str) -> bytes:
        with self._refusals():
            content: bytes = self._litellm.file_content(file_id, **self._where).content
        return content

    def delete_file(self, file_id: str) -> None:
        with self._refusals():
            assert self._litellm.file_delete(file_id, **self._where).deleted is True

    # --- batches

    def create_batch(self, name: str, *, input_file_id: str | None = None) -> Batch:
        if input_file_id is None:
            self._cannot("batches without an input file")
        with self._refusals():
            made = self._litellm.create_batch(
                completion_window="24h",
                endpoint="/v1/chat/completions",
                input_file_id=input_file_id,
                metadata={"name": name},
                **self._where,
            )
        return _batch(made)

    def get_batch(self, batch_id: str) -> Batch:
        with self._refusals():
            return _batch(self._litellm.retrieve_batch(batch_id, **self._where))

    def list_batches(self, *, limit: int | None = None, token: str | None = None) -> Page[Batch]:
        with self._refusals():
            found = self._litellm.list_batches(limit=limit, after=token, **self._where)
        return Page([_batch(each) for each in found.data], found.next_page_token)

    def cancel_batch(self, batch_id: str) -> Batch:
        with self._refusals():
            return _batch(self._litellm.cancel_batch(batch_id, **self._where))

    def list_batch_results(
        self, batch_id: str, *, limit: int | None = None, token: str | None = None
    ) -> Page[BatchResult]:
        """All results at once, as lines of JSON, which is how LiteLLM hands them out."""
        with self._refusals():
            lines = self._litellm.file_content(batch_id, **self._where).content.splitlines()
        return Page([_result(json.loads(line)) for line in lines], None)


def _file(found: Any) -> File:
    return File(found.id, found.filename, found.bytes, found.created_at, getattr(found, "expires_at", None))


def _batch(found: Any) -> Batch:
    """`failed` counts the cancelled ones too: OpenAI's form has no place for them."""
    counts = found.request_counts
    return Batch(
        found.id,
        (found.metadata or {}).get("name", ""),
        counts.total,
        counts.total - counts.completed - counts.failed,
        counts.completed,
        counts.failed,
        0,
        None if found.errors is None else found.errors.data[0].message,
        found.status == "cancelled" or bool(found.errors),
    )


def _result(found: dict[str, Any]) -> BatchResult:
    if found.get("error") or found["response"]["status_code"] >= 400:
        return BatchResult(found["custom_id"], None, json.dumps(found.get("error") or found["response"]["body"]))
    return BatchResult(found["custom_id"], found["response"]["body"]["choices"][0]["message"]["content"])
