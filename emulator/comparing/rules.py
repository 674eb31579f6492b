"""Tolerated differences, which are not the emulator's fault: one row for each, with its reason."""

from __future__ import annotations

from fnmatch import fnmatchcase

import msgspec

FORM, KIND, MAP, SKIP = "form", "kind", "map", "skip"


class Rule(msgspec.Struct, frozen=True):
    """A tolerance. `path` is the end of a path without its `$.`; `if_left_out` binds it to recordings without contents.

    `form`: of the same form. `kind`: a text for a text, a number for a number. `map`: its keys in any order.
    `skip`: anything.
    """

    operation: str
    path: str
    treat: str
    reason: str
    if_left_out: bool = False


RULES: tuple[Rule, ...] = (
    Rule("*", "redacted_api_key", FORM, "it shows the end of the key"),
    Rule("*", "redactedApiKey", FORM, "it shows the end of the key"),
    Rule("*", "fields", MAP, "a map of protobuf has no order, and each process writes it in another one"),
    Rule("auth.*", "name", KIND, "the owner of the key chose it"),
    Rule("auth.*", "acls", SKIP, "the permissions of the key"),
    Rule("auth.*", "zdr_status", KIND, "a setting of the team"),
    Rule("*", "*_by_model", SKIP, "what a model wrote"),
    Rule("collections.describe", "description", KIND, "a model writes it"),
    Rule("collections.describe", "collection_description", KIND, "a model writes it"),
    Rule("documents.search", "matches[*].score", KIND, "another embedder ranks otherwise"),
    Rule("documents.search", "matches[*].chunk_content", KIND, "another embedder finds another chunk"),
    Rule("documents.search", "matches[*].page_number", KIND, "another embedder finds another chunk"),
    Rule("documents.search", "matches", SKIP, "what is found depends on the contents", if_left_out=True),
    Rule("documents.*", "error_message", KIND, "extraction depends on the contents", if_left_out=True),
    Rule("documents.*", "chunk_count", KIND, "chunks depend on the contents", if_left_out=True),
    Rule("documents.*", "chunks_count", KIND, "chunks depend on the contents", if_left_out=True),
    Rule("documents.*", "chunks_processed_count", KIND, "chunks depend on the contents", if_left_out=True),
    Rule("*", "hash", FORM, "the contents were left out", if_left_out=True),
    Rule("*", "content_hash", FORM, "the contents were left out", if_left_out=True),
    Rule("batches.*", "cost_breakdown", SKIP, "a model's answer has its price"),
    Rule("batches.*", "cost_in_usd_ticks", KIND, "a model's answer has its price"),
    Rule("batches.*", "cost_usd_ticks", KIND, "a model's answer has its price"),
    Rule("batches.*", "total_cost_usd_ticks", KIND, "a model's answer has its price"),
    Rule("batches.*", "usage", SKIP, "tokens are counted by the model"),
    Rule("batches.list_results", "batch_result", SKIP, "what a model answered"),
    Rule("batches.list_results", "response", SKIP, "what a model answered"),
    Rule("batches.get_request", "batch_result", SKIP, "what a model answered"),
    Rule("batches.get_request", "response", SKIP, "what a model answered"),
)

# Headers that are compared. Of all others only the names are noted, once.
HEADERS = frozenset(
    {
        "content-type",
        "content-disposition",
        "content-range",
        "accept-ranges",
        "retry-after",
        "allow",
        "location",
        "www-authenticate",
        "access-control-allow-origin",
        "access-control-allow-methods",
        "access-control-allow-headers",
    }
)
# Headers of connections, proxies and content delivery, which say nothing about the API.
HEADERS_OF_TRANSPORT = frozenset(
    {
        *(
            "connection",
            "keep-alive",
            "transfer-encoding",
            "date",
            "server",
            "content-length",
            "vary",
            "via",
            "alt-svc",
        ),
        *("content-encoding", "set-cookie", "strict-transport-security", "cf-ray", "cf-cache-status", "x-request-id"),
    }
)
# Values of `status` and `state` in the order in which the service goes through them. What is pending comes before all.
PROGRESS: tuple[tuple[str, ...], ...] = (
    (
        "DOCUMENT_STATUS_UNKNOWN",
        "DOCUMENT_STATUS_PROCESSING",
        "DOCUMENT_STATUS_CHUNKED",
        "DOCUMENT_STATUS_EMBEDDING",
        "DOCUMENT_STATUS_WRITING",
        "DOCUMENT_STATUS_PROCESSED",
    ),
)
# Fields that depend on the progress of the service.
DEPENDS_ON_PROGRESS = frozenset(
    {"last_indexed_at", "lastIndexedAt", "error_message", "chunk_count", "chunks_count", "finish_time", "finished_at"}
)
LISTS_OF_THE_TEAM = frozenset({"files.list", "collections.list", "batches.list"})  # with objects of other clients
# Lists whose items all have the same members, so that those of others are comparable with ours. Batches and collections
# have members that depend on how they were made.
FIXED_MEMBERS = frozenset({"files.list"})
PAGE_TOKENS = frozenset(
    {"pagination_token", "paginationToken", "next_page_token", "nextPageToken", "has_more", "last_id"}
)
TIME_NAMES = ("_at", "At", "_time", "Time", "created", "expires", "timestamp")


def treatment(operation: str, place: str, *, left_out: bool) -> str | None:
    """How a path of an operation is compared: FORM, KIND, MAP or SKIP, or None for exactly."""
    path = place.removeprefix("$.")
    for rule in RULES:
        if rule.if_left_out and not left_out:
            continue
        if fnmatchcase(operation, rule.operation) and _ends_with(path, rule.path):
            return rule.treat
    return None


def _ends_with(path: str, end: str) -> bool:
    if end.startswith("*"):
        return path.rpartition(".")[2].endswith(end[1:])
    return path == end or path.endswith((f".{end}", f"].{end}"))
