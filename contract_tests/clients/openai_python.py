"""OpenAI's Python SDK, which the Files API is documented to work with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from .. import pages
from ..target import Target
from .client import Client
from .models import File, Page, api_error_from_http


class OpenAIPython(Client):
    """`openai.OpenAI` on the files of xAI."""

    name = "openai"

    def __init__(self, target: Target) -> None:
        self._openai: Any = import_module("openai")
        self.version = self._openai.__version__
        self._budget = target.budget
        self._client = self._openai.OpenAI(base_url=f"{target.base_url}/v1", api_key=target.api_key, max_retries=0)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except self._openai.APIStatusError as error:
            body = error.body if isinstance(error.body, str) else error.message
            raise api_error_from_http(error.status_code, body) from None

    def upload_file(
        self, content: bytes, filename: str, *, expires_after: int | None = None, content_type: str | None = None
    ) -> File:
        more: dict[str, Any] = {}
        if expires_after is not None:
            more["expires_after"] = {"anchor": "created_at", "seconds": expires_after}
        file = (filename, content) if content_type is None else (filename, content, content_type)
        with self._refusals():
            return _file(self._client.files.create(file=file, purpose="assistants", **more))

    def get_file(self, file_id: str) -> File:
        with self._refusals():
            return _file(self._client.files.retrieve(file_id))

    def list_files(
        self,
        *,
        limit: int | None = None,
        ascending: bool | None = None,
        sort_by: str | None = None,
        token: str | None = None,
        filter: str | None = None,
    ) -> Page[File]:
        known = {"limit": limit, "order": None if ascending is None else "asc" if ascending else "desc"}
        further = {"sort_by": sort_by, "pagination_token": token, "filter": filter}  # parameters OpenAI does not have
        with self._refusals():
            page = self._client.files.list(**_given(known), extra_query=_given(further))
        return Page([_file(each) for each in page.data], getattr(page, "pagination_token", None))

    def walk_files(self, limit: int) -> list[str]:
        with self._refusals():
            files = self._client.files.list(limit=limit)
            return pages.each_once((file.id for file in files), self._budget, limit)

    def read_file(self, file_id: str) -> bytes:
        with self._refusals():
            content: bytes = self._client.files.content(file_id).read()
        return content

    def delete_file(self, file_id: str) -> None:
        with self._refusals():
            assert self._client.files.delete(file_id).deleted is True


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _file(found: Any) -> File:
    return File(found.id, found.filename, found.bytes, found.created_at, getattr(found, "expires_at", None))
