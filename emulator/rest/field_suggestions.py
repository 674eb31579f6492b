"""Suggest a declared field for one that the server ignores.

Clients that were written for other services send fields such as `top_k`, which have no effect. The table has the known
ones; other names are compared with the names that the request declares.
"""

from __future__ import annotations

from collections.abc import Collection

SIMILARITY_MIN = 0.8  # of difflib, from 0 to 1: one wrong letter in five
NAME_CHARS_MAX = 64  # longer names are not compared

_LIMIT = ("top_k", "topK", "k", "n", "count", "max_results", "max_num_results", "n_results", "num_results", "page_size")

_PAGE = {
    **dict.fromkeys(("max_results", "per_page"), "limit"),
    **dict.fromkeys(("cursor", "page_token", "next_token", "next_page_token"), "pagination_token"),
}
_AFTER = {"after": "pagination_token"}

# By operation: the last part of an ignored name, and the suggested field.
SUGGESTIONS: dict[str, dict[str, str]] = {
    "documents.search": {
        **dict.fromkeys(_LIMIT, "limit"),
        **dict.fromkeys(
            ("collection_id", "collection_ids", "collections", "vector_store_ids"), "source.collection_ids"
        ),
        **dict.fromkeys(("filters", "where", "metadata_filter"), "filter"),
        **dict.fromkeys(("mode", "search_mode", "search_type", "retrieval_type"), "retrieval_mode"),
        **dict.fromkeys(("text", "q", "input"), "query"),
    },
    "batches.add_requests": {
        **dict.fromkeys(("unique_id", "custom_id", "request_id", "id"), "batch_request_id"),
        **dict.fromkeys(("requests", "items"), "batch_requests"),
        **dict.fromkeys(("body", "request"), "batch_request"),
    },
    "batches.create": {"input_file": "input_file_id", "file_id": "input_file_id", "batch_name": "name"},
    "collections.create": {"name": "collection_name", "description": "collection_description"},
    "collections.update": {
        "name": "collection_name",
        "description": "collection_description",
        "field_definitions": "field_definition_updates",
    },
    "files.list": _PAGE | {"page_size": "limit"},
    **dict.fromkeys(
        ("collections.list", "documents.list"), _PAGE | {"page_size": "limit", "after": "pagination_token"}
    ),
    **dict.fromkeys(
        ("batches.list", "batches.list_requests", "batches.list_results"), _PAGE | {"after": "pagination_token"}
    ),
    "documents.add": {"metadata": "fields"},
    "documents.update": {"metadata": "fields"},
}


def suggest(operation: str, ignored: str, known: Collection[str]) -> str | None:
    """Return the declared field for an ignored one, if any; `known` are the declared names beside it."""
    name = ignored.rpartition(".")[2]
    meant = SUGGESTIONS.get(operation, {}).get(name)
    if meant is None and len(name) <= NAME_CHARS_MAX:
        import difflib

        normalized = {field.replace("_", "").lower(): field for field in known}
        near = difflib.get_close_matches(name.replace("_", "").lower(), normalized, n=1, cutoff=SIMILARITY_MIN)
        meant = normalized[near[0]] if near else None
    return meant
