"""Every limit as one row: name with its unit, value, source and confidence.

Checks, error texts, the README table, the boundary tests, the OpenAPI bounds and the control plane all read this table.
A team may override any row; `None` means that the limit is off.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

KIB, MIB, GIB = 1024, 1024**2, 1024**3
MINUTE, HOUR, DAY = 60, 3600, 86_400  # seconds


class Confidence(enum.Enum):
    """How a fact about the real service is known."""

    DOCUMENTED = "documented"  # xAI says so
    RECORDED = "recorded"  # seen on the live service
    ASSUMED = "assumed"  # our choice; no source is known


class Row(msgspec.Struct, frozen=True):
    """The metadata of one limit."""

    source: str
    confidence: Confidence
    safety: bool = False  # protects the emulator itself, so it also applies in the relaxed profile


_rows: list[Row] = []  # of the fields below, in their order


def _row(value: int, source: str, confidence: Confidence = Confidence.DOCUMENTED, *, safety: bool = False) -> Any:
    _rows.append(Row(source, confidence, safety))
    return value


class Limits(msgspec.Struct, frozen=True):
    """The limits in force for one team. Units are last in each name; `_max` and `_min` are inclusive."""

    # Files
    file_bytes_max: int | None = _row(48 * MIB, "Files guide: 48 MB per file (the OpenAPI rounds it to 50 MB)")
    jsonl_file_bytes_max: int | None = _row(200 * MIB, "Batch guide: 200 MB for a JSONL input file")
    filename_chars_max: int | None = _row(255, "files.proto: file names have at most 255 characters")
    expires_after_seconds_min: int | None = _row(HOUR, "OpenAPI: POST /v1/files, expires_after")
    expires_after_seconds_max: int | None = _row(30 * DAY, "OpenAPI: POST /v1/files, expires_after")
    files_per_team_max: int | None = _row(100_000, "Collections guide: usage limits")
    total_bytes_per_team_max: int | None = _row(100 * GIB, "Collections guide: usage limits, 100 GB")
    page_items_max: int | None = _row(100, "OpenAPI: GET /v1/files, limit; Collections reference")
    page_items_default: int = _row(100, "files.proto: a limit of 0 or less means 100")
    public_urls_max: int | None = _row(1000, "Public URL guide: active URLs per team")
    public_url_bytes_max: int | None = _row(50 * MIB, "Public URL guide: 50 MiB per file")
    batch_upload_files_max: int | None = _row(
        1000, "no contract is known for batch_upload", Confidence.ASSUMED, safety=True
    )
    # Collections and documents
    collection_document_bytes_max: int | None = _row(100 * MIB, "Collections guide: 100 MB per file")
    chunk_size_units_max: int | None = _row(
        1_000_000, "suggested bound, in the unit of the chunk configuration", Confidence.ASSUMED, safety=True
    )
    chunks_per_document_max: int | None = _row(
        50_000, "suggested bound; 100 MiB has 32,768 chunks by default", Confidence.ASSUMED, safety=True
    )
    indexed_bytes_per_document_max: int | None = _row(
        256 * MIB, "suggested bound; of all chunks with what is repeated in them", Confidence.ASSUMED, safety=True
    )
    field_definitions_max: int | None = _row(
        100, "suggested bound; of one collection, and updates in one call", Confidence.ASSUMED, safety=True
    )
    collection_bytes_max: int | None = _row(
        256 * KIB,
        "suggested bound; name, description and field definitions of one collection",
        Confidence.ASSUMED,
        safety=True,
    )
    document_fields_bytes_max: int | None = _row(
        64 * KIB, "suggested bound; keys and values of one document", Confidence.ASSUMED, safety=True
    )
    injected_bytes_max: int | None = _row(
        16 * KIB, "suggested bound; values that are added to each chunk", Confidence.ASSUMED, safety=True
    )
    batch_get_documents_max: int | None = _row(1000, "suggested bound", Confidence.ASSUMED, safety=True)
    # Search
    group_by_keys_max: int | None = _row(
        100, "suggested bound; of groups and of their order", Confidence.ASSUMED, safety=True
    )
    search_collections_max: int | None = _row(1000, "suggested bound", Confidence.ASSUMED, safety=True)
    search_files_max: int | None = _row(1000, "suggested bound; of source.file_ids", Confidence.ASSUMED, safety=True)
    search_response_bytes_max: int | None = _row(
        64 * MIB, "suggested bound; contents and fields of all matches", Confidence.ASSUMED, safety=True
    )
    search_limit_default: int = _row(10, "OpenAPI: POST /v1/documents/search, limit")
    search_limit_min: int | None = _row(1, "a number of chunks to return", Confidence.ASSUMED)
    search_limit_max: int | None = _row(10_000, "suggested bound", Confidence.ASSUMED, safety=True)
    search_query_chars_max: int | None = _row(32 * KIB, "suggested bound", Confidence.ASSUMED, safety=True)
    search_multiplier_min: int | None = _row(1, "OpenAPI: hybrid retrieval, search_multiplier")
    search_multiplier_max: int | None = _row(100, "OpenAPI: hybrid retrieval, search_multiplier")
    # Batches
    batch_page_items_max: int | None = _row(1000, "Batch reference: requests and results, limit")
    batch_request_bytes_max: int | None = _row(25 * MIB, "Batch guide: 25 MB per request")
    batch_result_bytes_max: int | None = _row(25 * MIB, "as a request may have", Confidence.ASSUMED, safety=True)
    batch_requests_per_call_max: int | None = _row(
        50_000, "suggested bound; as many as a JSONL file has lines", Confidence.ASSUMED, safety=True
    )
    jsonl_lines_max: int | None = _row(50_000, "Batch guide: 50,000 lines per JSONL file")
    batch_creates_per_second: int | None = _row(2, "Batch guide: rate limits, per team")
    add_calls_per_30s: int | None = _row(1000, "Batch guide: rate limits, per team")
    batch_expiry_seconds: int = _row(30 * DAY, "observed live: expire_time is 30 days on", Confidence.RECORDED)
    media_url_seconds: int = _row(HOUR, "Batch guide: media URLs die after an hour")
    # Chat
    chat_choices_max: int | None = _row(128, "the bound of OpenAI's API; xAI names none", Confidence.ASSUMED)
    chat_tools_max: int | None = _row(350, "OpenAPI of October 2026: tools; earlier 128")
    chat_stop_texts_max: int | None = _row(4, "OpenAPI: POST /v1/chat/completions, stop")
    chat_collections_max: int | None = _row(10, "OpenAPI: POST /v1/responses, file_search.vector_store_ids")
    attachment_bytes_max: int | None = _row(48 * MIB, "Files guide: 48 MB per attached file")
    deferred_completion_seconds: int = _row(DAY, "Deferred completions guide: kept for 24 hours")
    deferred_completions_max: int | None = _row(
        10_000, "suggested bound; of one team, not picked up", Confidence.ASSUMED, safety=True
    )
    stored_response_seconds: int = _row(30 * DAY, "OpenAPI: POST /v1/responses: stored for 30 days, then deleted")
    stored_responses_max: int | None = _row(
        10_000, "suggested bound; of one team, the oldest are deleted", Confidence.ASSUMED, safety=True
    )
    stored_response_bytes_max: int | None = _row(
        32 * MIB, "suggested bound; a conversation with its answer", Confidence.ASSUMED, safety=True
    )
    input_items_page_max: int | None = _row(100, "OpenAPI: GET /v1/responses/{response_id}/input_items, limit")
    input_items_page_default: int = _row(20, "OpenAPI: GET /v1/responses/{response_id}/input_items, limit")
    # Images and videos
    deferred_video_seconds: int = _row(DAY, "as long as a deferred completion is kept", Confidence.ASSUMED)
    deferred_videos_max: int | None = _row(
        10_000, "suggested bound; of one team, also expired ones", Confidence.ASSUMED, safety=True
    )
    media_items_max: int | None = _row(
        10_000, "suggested bound; of one team, outside of batches, not expired", Confidence.ASSUMED, safety=True
    )
    # Keys and audit log
    api_keys_per_team_max: int | None = _row(
        1000, "suggested bound; with those that were deleted", Confidence.ASSUMED, safety=True
    )
    audit_events_per_team_max: int | None = _row(
        10_000, "suggested bound; of more the oldest go", Confidence.ASSUMED, safety=True
    )
    # Safety of the emulator itself
    snapshot_bytes_per_team_max: int | None = _row(
        100 * GIB, "suggested bound: as much as a team's files", Confidence.ASSUMED, safety=True
    )
    filter_chars_max: int | None = _row(8192, "suggested bound", Confidence.ASSUMED, safety=True)
    filter_depth_max: int | None = _row(64, "suggested bound", Confidence.ASSUMED, safety=True)
    filter_terms_max: int | None = _row(1000, "suggested bound", Confidence.ASSUMED, safety=True)
    filter_comparisons_max: int | None = _row(
        20_000_000, "suggested bound; terms times items looked at in one call", Confidence.ASSUMED, safety=True
    )
    json_body_bytes_max: int | None = _row(32 * MIB, "suggested bound", Confidence.ASSUMED, safety=True)
    json_items_max: int | None = _row(
        100_000,
        "suggested bound; items and members of one JSON body, or of one request for a batch",
        Confidence.ASSUMED,
        safety=True,
    )
    json_depth_max: int | None = _row(128, "serde_json's recursion limit", Confidence.ASSUMED, safety=True)
    multipart_field_bytes_max: int | None = _row(64 * KIB, "suggested bound", Confidence.ASSUMED, safety=True)
    multipart_parts_max: int | None = _row(1000, "suggested bound", Confidence.ASSUMED, safety=True)
    query_string_bytes_max: int | None = _row(64 * KIB, "suggested bound", Confidence.ASSUMED, safety=True)


ROWS: dict[str, Row] = dict(zip(Limits.__struct_fields__, _rows, strict=True))
DEFAULTS: dict[str, int] = dict(zip(Limits.__struct_fields__, Limits.__struct_defaults__, strict=True))
DOCUMENTED = Limits()
_SWITCHABLE = ("_min", "_max", "_per_second", "_per_30s")  # the other rows are defaults

_DIGITS_MAX = 40  # of a text that is parsed as a number
_UNITS = {"": 1, "b": 1, "kib": KIB, "mib": MIB, "gib": GIB, "kb": 1000, "mb": 1000**2, "gb": 1000**3, "s": 1}


def parse_value(name: str, text: str) -> int | None:
    """Parse `512MiB`, `3600` or `none` as the value of a row. Raises ValueError with one sentence."""
    if name not in ROWS:
        raise ValueError(f"there is no limit named {name!r}; `xai-emulator limits` lists them")
    word = text.strip().lower()
    if word == "none":
        if not name.endswith(_SWITCHABLE):
            raise ValueError(f"{name} is a default, it cannot be switched off: give it a number")
        return None
    digits = word.rstrip("abcdefghijklmnopqrstuvwxyz ")
    unit = word[len(digits) :].strip()
    if not (digits.isascii() and digits.isdigit()) or unit not in _UNITS:
        raise ValueError(f"{name}={text!r} is not a whole number such as 100, 512MiB or none")
    if len(digits) > _DIGITS_MAX or int(digits) * _UNITS[unit] > 2**62:
        raise ValueError(f"{name}={text[: _DIGITS_MAX + 4]!r} is too large")
    return int(digits) * _UNITS[unit]


def override(limits: Limits, changes: Mapping[str, int | None]) -> Limits:
    """Return the limits with some rows changed. Raises ValueError with one sentence."""
    for name, value in changes.items():
        if name not in ROWS:
            raise ValueError(f"there is no limit named {name!r}; `xai-emulator limits` lists them")
        if value is None and not name.endswith(_SWITCHABLE):
            raise ValueError(f"{name} is a default, it cannot be switched off")
    values: dict[str, Any] = dict(changes)
    return msgspec.structs.replace(limits, **values)


RELAXED = override(
    DOCUMENTED, {name: None for name, row in ROWS.items() if not row.safety and name.endswith(_SWITCHABLE)}
)


# --- rules on request fields: declared once with the field (`Annotated[int | None, Between(...)]`), read by the
# pipeline to check, by the OpenAPI to state the same bounds, and by tests to generate values.


def whole(pattern: str) -> str:
    """Return a pattern that matches a whole text. Python's `$` would also match before a trailing line break."""
    return rf"^{pattern}(?!\n)$"


class Between(msgspec.Struct, frozen=True):
    """The number is between two rows, both inclusive."""

    low: str
    high: str


class Chars(msgspec.Struct, frozen=True):
    """The text has no more characters than a row allows."""

    high: str


class Items(msgspec.Struct, frozen=True):
    """The list has no more items than a row allows."""

    high: str


class PageSize(msgspec.Struct, frozen=True):
    """A page size. 0 or less, or an absent one, is the default; above the maximum the profile clamps or refuses it."""

    high: str = "page_items_max"
    usual: str = "page_items_default"

    def default(self, limits: Limits) -> int:
        """The default size, at most the maximum."""
        most: int | None = getattr(limits, self.high)
        usual: int = getattr(limits, self.usual)
        return usual if most is None else min(usual, most)


def utf8_bytes(text: str) -> int:
    """Return the length of a text in UTF-8; a lone surrogate counts as three bytes."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def exceeds(most: int | None, texts: Iterable[str]) -> bool:
    """Return whether texts together have more bytes in UTF-8 than a limit allows."""
    if most is None:
        return False
    for text in texts:  # stop as soon as the answer is known: there may be millions of texts
        most -= utf8_bytes(text)
        if most < 0:
            return True
    return False
