"""Numeric limits: what is exactly as large as allowed is accepted, and one more is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from .case import Case
from .clients.client import MODEL, chat_request
from .clients.models import ApiError
from .clients.rest import RestClient

pytestmark = pytest.mark.usefixtures("transport")

Call = Callable[[RestClient, str, int], Any]  # with the prefix of names, and the size


def _collection(rest: RestClient, name: str, body: Mapping[str, Any]) -> Any:
    return rest.json("POST", "/v1/collections", json_body={"collection_name": f"{name}notes", **body})


def _chunk_size(rest: RestClient, name: str, size: int) -> None:
    sizes = {"max_chunk_size_chars": size, "chunk_overlap_chars": 0}
    _collection(rest, name, {"chunk_configuration": {"chars_configuration": sizes}})


def _field_definitions(rest: RestClient, name: str, size: int) -> None:
    _collection(rest, name, {"field_definitions": [{"key": f"key-{number}"} for number in range(size)]})


def _group_keys(rest: RestClient, name: str, size: int) -> None:
    collection = _collection(rest, name, {})["collection_id"]
    keys = [f"key-{number}" for number in range(size - 1)]  # and the score, by which groups are ordered
    source = {"collection_ids": [collection]}
    rest.json("POST", "/v1/documents/search", json_body={"query": "x", "source": source, "group_by": {"keys": keys}})


def _searched_collections(rest: RestClient, name: str, size: int) -> None:
    ids = [_collection(rest, name, {})["collection_id"]] * size
    rest.json("POST", "/v1/documents/search", json_body={"query": "x", "source": {"collection_ids": ids}})


def _fields_bytes(rest: RestClient, name: str, size: int) -> None:
    collection = _collection(rest, name, {"field_definitions": [{"key": "key"}]})["collection_id"]
    rest.add_document(collection, rest.upload_file(b"x", f"{name}a.txt").id, {"key": "v" * (size - len("key"))})


def _injected_bytes(rest: RestClient, name: str, size: int) -> None:
    definitions = [{"key": "key", "inject_into_chunk": True}]
    collection = _collection(rest, name, {"field_definitions": definitions})["collection_id"]
    rest.add_document(collection, rest.upload_file(b"x", f"{name}a.txt").id, {"key": "v" * size})


def _batch_get(rest: RestClient, name: str, size: int) -> None:
    collection = _collection(rest, name, {})["collection_id"]
    ids = [f"file_00000000-0000-4000-8000-{number:012}" for number in range(size)]
    query = [("file_ids", id) for id in ids]
    rest.json("GET", f"/v1/collections/{collection}/documents:batchGet", query=query)


def _filter_terms(rest: RestClient, name: str, size: int) -> None:
    rest.list_files(filter=" ".join(["name:a"] * size))


def _json_depth(rest: RestClient, name: str, size: int) -> None:
    value: Any = "x"
    for _ in range(size - 1):  # the body itself is one more
        value = [value]
    _collection(rest, name, {"unknown": value})


def _chunk_overlap(rest: RestClient, name: str, size: int) -> None:
    sizes = {"max_chunk_size_chars": 100, "chunk_overlap_chars": size}
    _collection(rest, name, {"chunk_configuration": {"chars_configuration": sizes}})


def _multiplier(rest: RestClient, name: str, size: int) -> None:
    source = {"collection_ids": [_collection(rest, name, {})["collection_id"]]}
    mode = {"type": "hybrid", "search_multiplier": size}
    rest.json("POST", "/v1/documents/search", json_body={"query": "x", "source": source, "retrieval_mode": mode})


def _search_limit(rest: RestClient, name: str, size: int) -> None:
    source = {"collection_ids": [_collection(rest, name, {})["collection_id"]]}
    rest.json("POST", "/v1/documents/search", json_body={"query": "x", "source": source, "limit": size})


def _url_expiry(rest: RestClient, name: str, size: int) -> None:
    rest.create_public_url(rest.upload_file(b"PNG", f"{name}a.png").id, expires_after=size)


def _file_expiry(rest: RestClient, name: str, size: int) -> None:
    file = rest.upload_file(b"x", f"{name}a.txt").id
    rest.json("PUT", f"/v1/files/{file}", json_body={"expires_after": size})


def _file_name(rest: RestClient, name: str, size: int) -> None:
    file = rest.upload_file(b"x", f"{name}a.txt").id
    rest.json("PUT", f"/v1/files/{file}", json_body={"filename": name.ljust(size, "ö")})


def _completion(rest: RestClient, **members: Any) -> None:
    rest.json("POST", "/v1/chat/completions", json_body={**chat_request("Say a."), **members})


def _choices(rest: RestClient, name: str, size: int) -> None:
    _completion(rest, n=size)


def _stops(rest: RestClient, name: str, size: int) -> None:
    _completion(rest, stop=[f"stop {number}" for number in range(size)])


def _tools(rest: RestClient, name: str, size: int) -> None:
    functions = [{"name": f"look_up_{number}", "parameters": {"type": "object"}} for number in range(size)]
    _completion(rest, tools=[{"type": "function", "function": each} for each in functions])


def _completion_tokens(rest: RestClient, name: str, size: int) -> None:
    for member in ("max_tokens", "max_completion_tokens"):
        _completion(rest, **{member: size})


def _tool_collections(rest: RestClient, name: str, size: int) -> None:
    ids = [_collection(rest, name, {})["collection_id"]] * size
    tools = [{"type": "file_search", "vector_store_ids": ids}]
    rest.json("POST", "/v1/responses", json_body={"model": MODEL, "input": "Say a.", "tools": tools})


SUGGESTED = "suggested bound of the emulator"
# Case, operation, the largest size that is accepted, the smallest that is refused, the call, the limit, and the source.
BOUNDS: tuple[tuple[str, str, int, int, Call, str | None, str], ...] = (
    ("collections.bounds.chunk-size", "collections.create", 10**6, 10**6 + 1, _chunk_size, "chunk_size_units_max", ""),
    ("collections.bounds.overlap", "collections.create", 99, 100, _chunk_overlap, None, "less than a chunk"),
    ("collections.bounds.fields", "collections.create", 100, 101, _field_definitions, "field_definitions_max", ""),
    ("collections.bounds.batch-get", "documents.batch_get", 1000, 1001, _batch_get, "batch_get_documents_max", ""),
    (
        "collections.bounds.fields-bytes",
        "documents.add",
        2**16,
        2**16 + 1,
        _fields_bytes,
        "document_fields_bytes_max",
        "",
    ),
    ("collections.bounds.injected", "documents.add", 2**14, 2**14 + 1, _injected_bytes, "injected_bytes_max", ""),
    ("collections.bounds.json-depth", "collections.create", 128, 129, _json_depth, "json_depth_max", "serde_json"),
    ("search.bounds.group-keys", "documents.search", 100, 101, _group_keys, "group_by_keys_max", ""),
    ("search.bounds.collections", "documents.search", 1000, 1001, _searched_collections, "search_collections_max", ""),
    ("search.bounds.multiplier", "documents.search", 100, 101, _multiplier, "search_multiplier_max", "OpenAPI"),
    ("search.bounds.multiplier-least", "documents.search", 1, 0, _multiplier, "search_multiplier_min", "OpenAPI"),
    ("search.bounds.limit", "documents.search", 10_000, 10_001, _search_limit, "search_limit_max", ""),
    ("search.bounds.limit-least", "documents.search", 1, 0, _search_limit, "search_limit_min", ""),
    ("files.bounds.filter-terms", "files.list", 1000, 1001, _filter_terms, "filter_terms_max", ""),
    ("files.bounds.url-shortest", "files.create_public_url", 3600, 3599, _url_expiry, None, "Public URL guide"),
    ("files.bounds.url-longest", "files.create_public_url", 2592000, 2592001, _url_expiry, None, "Public URL guide"),
    ("files.bounds.update-shortest", "files.update", 3600, 3599, _file_expiry, "expires_after_seconds_min", ""),
    ("files.bounds.update-longest", "files.update", 2592000, 2592001, _file_expiry, "expires_after_seconds_max", ""),
    ("chat.bounds.choices", "chat.create", 128, 129, _choices, "chat_choices_max", ""),
    ("chat.bounds.choices-least", "chat.create", 1, 0, _choices, None, "OpenAPI"),
    ("chat.bounds.stops", "chat.create", 4, 5, _stops, "chat_stop_texts_max", "OpenAPI"),
    ("chat.bounds.tools", "chat.create", 350, 351, _tools, "chat_tools_max", "OpenAPI"),
    ("chat.bounds.tokens-least", "chat.create", 1, 0, _completion_tokens, None, "OpenAPI"),
    ("chat.bounds.collections", "responses.create", 10, 11, _tool_collections, "chat_collections_max", "OpenAPI"),
    ("files.bounds.update-name", "files.update", 255, 256, _file_name, "filename_chars_max", ""),
)
DOCUMENTED = ("OpenAPI", "Public URL guide")


def bound(id: str, operation: str, most: int, refused: int, call: Call, limit: str | None, source: str) -> Any:
    """The parameters of one case."""
    found = Case(
        id,
        f"{operation} accepts {most} and refuses {refused}",
        (operation,),
        evidence="documented" if source in DOCUMENTED else "assumed",
        source=source or SUGGESTED,
        feature=id.partition(".")[0],
        refusal="limit",
        limit=limit,
        paid=operation in ("chat.create", "responses.create"),
    )
    return pytest.param(most, refused, call, id=id, marks=pytest.mark.case(found))


@pytest.mark.parametrize(("most", "refused", "call"), [bound(*row) for row in BOUNDS])
def test_bound(rest: RestClient, name: str, most: int, refused: int, call: Call) -> None:
    """The sentence of the case."""
    call(rest, name, most)
    with pytest.raises(ApiError) as error:
        call(rest, name, refused)
    assert error.value.kind in ("invalid", "too_large"), error.value
