"""The REST API itself as a client, over either transport; every response is validated against its schema."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

from .. import pages, response_schemas
from ..observed_objects import ObservedObjects
from ..target import MANAGEMENT_PATHS, Target
from .client import Client, chat_request
from .http import FilePart, Form, ObservedTransport, Request, Response, Transport
from .models import (
    Batch,
    BatchResult,
    BatchRow,
    Collection,
    Document,
    File,
    Page,
    PublicUrl,
    SearchMatch,
    api_error_from_http,
)


class RestClient(Client):
    """Calls the REST API as its reference writes it."""

    observes = True

    def __init__(self, target: Target, transport: Transport, *, shares_transport: bool = False) -> None:
        self._shares_transport = shares_transport
        self.name, self.version = transport.name, transport.version
        self._target, self._transport = target, ObservedTransport.of(transport, target.observed)

    def close(self) -> None:
        """Close the connections."""
        if not self._shares_transport:
            self._transport.close()

    def with_keys(self, api_key: str, management_key: str) -> RestClient:
        return RestClient(
            replace(self._target, api_key=api_key, management_key=management_key),
            self._transport,
            shares_transport=True,
        )

    def in_case(self, observed: ObservedObjects) -> RestClient:
        return RestClient(replace(self._target, observed=observed), self._transport, shares_transport=True)

    @staticmethod
    def encode(body: Any) -> bytes:
        """The bytes of a JSON body."""
        return json.dumps(body).encode()

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | Sequence[tuple[str, str]] = (),
        json_body: Any = None,
        form: Form | None = None,
    ) -> Response:
        """One call. Raises ApiError."""
        management = path.startswith(MANAGEMENT_PATHS)
        base = self._target.management_url if management else self._target.base_url
        key = self._target.management_key if management else self._target.api_key
        headers = {"authorization": f"Bearer {key}"}
        body = None
        if json_body is not None:
            headers["content-type"] = "application/json"
            body = self.encode(json_body)
        pairs = query.items() if isinstance(query, Mapping) else query
        text = urlencode([(name, str(value)) for name, value in pairs if value is not None])
        observed = self._target.observed
        version = observed.version + (method != "GET")
        answer = self._transport.send(Request(method, f"{base}{path}{'?' if text else ''}{text}", headers, body, form))
        reason = response_schemas.violation(method, path, answer)
        assert reason is None, reason
        if answer.status >= 400:
            raise api_error_from_http(answer.status, response_schemas.error_message(answer))
        if answer.is_json:
            observed.rest(version, method, path, answer.json())
        return answer

    def json(self, method: str, path: str, **more: Any) -> Any:
        """The answer to one call. Raises ApiError."""
        return self.call(method, path, **more).json()

    def load(self, url: str) -> Response:
        """What is behind a URL that needs no key."""
        return self._transport.send(Request("GET", url))

    # --- files

    def upload_file(
        self, content: bytes, filename: str, *, expires_after: int | None = None, content_type: str | None = None
    ) -> File:
        expiry = [] if expires_after is None else [("expires_after", str(expires_after))]
        form: Form = [*expiry, ("file", FilePart(filename, content, content_type))]
        return _file(self.json("POST", "/v1/files", form=form))

    def get_file(self, file_id: str) -> File:
        return _file(self.json("GET", f"/v1/files/{quote(file_id, safe='')}"))

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
        found = self.json("GET", "/v1/files", query=query)
        return Page([_file(each) for each in found["data"]], found.get("pagination_token"))

    def walk_files(self, limit: int) -> list[str]:
        files = pages.walk(lambda token: self.list_files(limit=limit, token=token), page_items=limit)
        return pages.each_once((file.id for file in files), self._target.budget, limit)

    def read_file(self, file_id: str) -> bytes:
        return self.call("GET", f"/v1/files/{quote(file_id, safe='')}/content").body

    def delete_file(self, file_id: str) -> None:
        found = self.json("DELETE", f"/v1/files/{quote(file_id, safe='')}")
        assert found["deleted"] is True

    def create_public_url(self, file_id: str, *, expires_after: int | None = None) -> PublicUrl:
        body = {} if expires_after is None else {"expires_after": expires_after}
        found = self.json("POST", f"/v1/files/{file_id}/public-url", json_body=body)
        return PublicUrl(found["public_url"], found.get("expires_at"))

    def revoke_public_url(self, file_id: str) -> bool:
        return bool(self.json("POST", f"/v1/files/{file_id}/public-url/revoke")["revoked"])

    # --- keys

    def team_of_key(self) -> str:
        return str(self.json("GET", "/v1/api-key")["team_id"])

    # --- collections and documents

    def create_collection(
        self, name: str, *, description: str | None = None, fields: Sequence[Mapping[str, Any]] = ()
    ) -> Collection:
        body = {"collection_name": name, "field_definitions": list(fields)}
        if description is not None:
            body["collection_description"] = description
        return _collection(self.json("POST", "/v1/collections", json_body=body))

    def get_collection(self, collection_id: str) -> Collection:
        return _collection(self.json("GET", f"/v1/collections/{collection_id}"))

    def list_collections(
        self, *, limit: int | None = None, token: str | None = None, filter: str | None = None
    ) -> Page[Collection]:
        query = {"limit": limit, "pagination_token": token, "filter": filter}
        found = self.json("GET", "/v1/collections", query=query)
        return Page([_collection(each) for each in found["collections"]], found.get("pagination_token"))

    def rename_collection(self, collection_id: str, name: str) -> Collection:
        body = {"collection_name": name}
        return _collection(self.json("PUT", f"/v1/collections/{collection_id}", json_body=body))

    def delete_collection(self, collection_id: str) -> None:
        self.call("DELETE", f"/v1/collections/{collection_id}")

    def add_document(self, collection_id: str, file_id: str, fields: Mapping[str, str] | None = None) -> None:
        body = None if fields is None else {"fields": dict(fields)}
        self.call("POST", f"/v1/collections/{collection_id}/documents/{file_id}", json_body=body)

    def upload_document(
        self, collection_id: str, name: str, content: bytes, fields: Mapping[str, str] | None = None
    ) -> Document:
        form: Form = [
            ("name", name),
            ("data", FilePart(name, content, "text/plain")),
            ("content_type", "text/plain"),
            ("fields", json.dumps(dict(fields or {}))),
        ]
        return _document(self.json("POST", f"/v1/collections/{collection_id}/documents", form=form))

    def get_document(self, collection_id: str, file_id: str) -> Document:
        return _document(self.json("GET", f"/v1/collections/{collection_id}/documents/{file_id}"))

    def list_documents(
        self, collection_id: str, *, limit: int | None = None, token: str | None = None, filter: str | None = None
    ) -> Page[Document]:
        query = {"limit": limit, "pagination_token": token, "filter": filter}
        found = self.json("GET", f"/v1/collections/{collection_id}/documents", query=query)
        return Page([_document(each) for each in found["documents"]], found.get("pagination_token"))

    def batch_get_documents(self, collection_id: str, file_ids: Sequence[str]) -> list[Document]:
        query = [("file_ids", file_id) for file_id in file_ids]
        found = self.json("GET", f"/v1/collections/{collection_id}/documents:batchGet", query=query)
        return [_document(each) for each in found["documents"]]

    def reindex_document(self, collection_id: str, file_id: str) -> None:
        self.call("PATCH", f"/v1/collections/{collection_id}/documents/{file_id}")

    def remove_document(self, collection_id: str, file_id: str) -> None:
        self.call("DELETE", f"/v1/collections/{collection_id}/documents/{file_id}")

    def search(
        self, query: str, collection_ids: Sequence[str], *, limit: int | None = None, mode: str | None = None
    ) -> list[SearchMatch]:
        body: dict[str, Any] = {"query": query, "source": {"collection_ids": list(collection_ids)}}
        if limit is not None:
            body["limit"] = limit
        if mode is not None:
            body["retrieval_mode"] = {"type": mode}
        return [_match(each) for each in self.json("POST", "/v1/documents/search", json_body=body)["matches"]]

    # --- batches

    def create_batch(self, name: str, *, input_file_id: str | None = None) -> Batch:
        body = {"name": name} if input_file_id is None else {"name": name, "input_file_id": input_file_id}
        return _batch(self.json("POST", "/v1/batches", json_body=body))

    def add_chats(self, batch_id: str, prompts: Mapping[str, str]) -> None:
        requests = [
            {"batch_request_id": id, "batch_request": {"chat_get_completion": chat_request(prompt)}}
            for id, prompt in prompts.items()
        ]
        self.call("POST", f"/v1/batches/{batch_id}/requests", json_body={"batch_requests": requests})

    def get_batch(self, batch_id: str) -> Batch:
        return _batch(self.json("GET", f"/v1/batches/{quote(batch_id, safe='')}"))

    def list_batches(self, *, limit: int | None = None, token: str | None = None) -> Page[Batch]:
        found = self.json("GET", "/v1/batches", query={"limit": limit, "pagination_token": token})
        return Page([_batch(each) for each in found["batches"]], found.get("pagination_token"))

    def cancel_batch(self, batch_id: str) -> Batch:
        return _batch(self.json("POST", f"/v1/batches/{batch_id}:cancel"))

    def list_batch_requests(
        self, batch_id: str, *, limit: int | None = None, token: str | None = None
    ) -> Page[BatchRow]:
        query = {"limit": limit, "pagination_token": token}
        found = self.json("GET", f"/v1/batches/{batch_id}/requests", query=query)
        rows = [BatchRow(each["batch_request_id"], each["state"]) for each in found["batch_request_metadata"]]
        return Page(rows, found.get("pagination_token"))

    def list_batch_results(
        self, batch_id: str, *, limit: int | None = None, token: str | None = None
    ) -> Page[BatchResult]:
        query = {"limit": limit, "pagination_token": token}
        found = self.json("GET", f"/v1/batches/{batch_id}/results", query=query)
        return Page([_result(each) for each in found["results"]], found.get("pagination_token"))


def _file(found: Mapping[str, Any]) -> File:
    return File(found["id"], found["filename"], found["bytes"], found["created_at"], found.get("expires_at"))


def _collection(found: Mapping[str, Any]) -> Collection:
    return Collection(
        found["collection_id"],
        found["collection_name"],
        found["documents_count"],
        found.get("collection_description"),
        tuple(each["key"] for each in found["field_definitions"]),
    )


def _document(found: Mapping[str, Any]) -> Document:
    file = found["file_metadata"]
    return Document(
        file["file_id"],
        file["name"],
        int(file["size_bytes"]),
        found["status"].removeprefix("DOCUMENT_STATUS_"),
        found["fields"],
        file["hash"],
    )


def _match(found: Mapping[str, Any]) -> SearchMatch:
    return SearchMatch(
        found["file_id"], found["chunk_id"], found["chunk_content"], found["score"], tuple(found["collection_ids"])
    )


def _batch(found: Mapping[str, Any]) -> Batch:
    state = found["state"]
    return Batch(
        found["batch_id"],
        found["name"],
        state["num_requests"],
        state["num_pending"],
        state["num_success"],
        state["num_error"],
        state["num_cancelled"],
        found["cancel_by_xai_message"],
        found["cancel_time"] is not None,
    )


def _result(found: Mapping[str, Any]) -> BatchResult:
    result = found["batch_result"]
    if "error" in result:
        return BatchResult(found["batch_request_id"], None, str(result["error"]))
    completion = result["response"]["chat_get_completion"]
    return BatchResult(found["batch_request_id"], completion["choices"][0]["message"]["content"])
