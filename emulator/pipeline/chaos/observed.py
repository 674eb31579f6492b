"""Behaviours of the live service that contradict its documentation; `domain/chaos.py` says when each was observed."""

from __future__ import annotations

from typing import Any

import msgspec

from emulator.core.errors import ApiError, Kind
from emulator.domain.chaos import ChaosFlag, ChaosState
from emulator.domain.search import Mode
from emulator.operations.base import Call
from emulator.operations.search import Match, SearchDocuments
from emulator.pipeline.chaos import report

CANCELLED, UNKNOWN = 1, 2  # google.rpc.Code
_PLAIN = "text/plain"


def alter_request(call: Call, request: Any, state: ChaosState) -> Any:
    """Return the request as the flags alter it, or refuse the call. Raises ApiError."""
    name = call.operation.name
    if name == "files.list" and state.has(ChaosFlag.TOKEN_DOES_NOT_ADVANCE) and request.pagination_token:
        report(call, ChaosFlag.TOKEN_DOES_NOT_ADVANCE)
        return msgspec.structs.replace(request, pagination_token=None)
    if name == "files.delete" and state.has(ChaosFlag.DELETE_FAILS) and request.file_id not in state.undeleted:
        state.undeleted.add(request.file_id)
        report(call, ChaosFlag.DELETE_FAILS)
        raise ApiError(Kind.INTERNAL, "Internal server error")
    return request


def alter_matches(call: Call, request: SearchDocuments, state: ChaosState, matches: list[Match]) -> list[Match]:
    """Return the matches of a search as the flags alter them."""
    if state.has(ChaosFlag.DUPLICATE_MATCHES) and matches and request.mode is Mode.HYBRID:
        report(call, ChaosFlag.DUPLICATE_MATCHES)
        matches = [matches[0], *matches]
    if state.has(ChaosFlag.JSON_CHUNK_CONTENT):
        matches = [_as_json(call, match) for match in matches]
    return matches


def _as_json(call: Call, match: Match) -> Match:
    if match.document.file.content_type != _PLAIN:
        return match
    report(call, ChaosFlag.JSON_CHUNK_CONTENT)
    content = msgspec.json.encode([{"page_number": 0, "text": match.chunk.content}]).decode()
    return msgspec.structs.replace(match, chunk=msgspec.structs.replace(match.chunk, content=content))


def with_error_objects(results: Any) -> Any:
    """Return the JSON of a page of batch results with objects in place of the bare strings of errors."""
    for item in results["results"]:
        error = item["batch_result"].get("error")
        if isinstance(error, str):
            code = CANCELLED if "cancelled" in error else UNKNOWN
            item["batch_result"]["error"] = {"code": code, "message": error}
    return results
