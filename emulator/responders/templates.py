"""Render the answer of a canned rule: its response with placeholders filled in, or its refusal.

Texts may contain `{prompt}`, `{quote}`, `{file_name}`, `{file_id}`, `{collection_id}`, `{chunk_id}`, `{score}`,
`{citation}`, `{tool_result}` and `{turn}`; unknown values are empty, and other braces are not changed.
"""

from __future__ import annotations

import json
import re
from typing import Any

from emulator.core.errors import WIRE, ApiError, Kind
from emulator.domain.batches.batch import ResultKind
from emulator.domain.chat.answers import marker, quote_of
from emulator.domain.chat.bodies import Json
from emulator.domain.chat.evidence import Passage
from emulator.domain.chat.pace import Paced
from emulator.domain.chat.requests import ModelRequest
from emulator.responders.rules import CannedError, CannedRule, is_whole, results_of, turn_of

NAMES = (
    *("prompt", "quote", "file_name", "file_id", "collection_id", "chunk_id", "score"),
    *("citation", "tool_result", "turn"),
)
_PLACEHOLDER = re.compile(rf"\{{({'|'.join(NAMES)})\}}")
_OF_COMPLETION = ("citations", "model", "usage")
_KINDS_BY_STATUS = {
    **{wire.http: kind for kind, wire in reversed(WIRE.items())},
    400: Kind.INVALID_ARGUMENT,
    422: Kind.INVALID_ARGUMENT,
    500: Kind.INTERNAL,
}


def answer_of_rule(rule: CannedRule, number: int, request: ModelRequest) -> Any:
    """Return the answer of a rule to the n-th request that it matches, with its pace."""
    if rule.error is not None:
        said: Any = _refusal(rule.error)
    else:
        said = _response(rule.response_of(number), request)
    return said if rule.pace is None else Paced(said, rule.pace)


def _refusal(error: str | CannedError) -> Exception:
    if isinstance(error, str):
        return RuntimeError(error)
    kind = _KINDS_BY_STATUS.get(error.status, Kind.INTERNAL if error.status >= 500 else Kind.INVALID_ARGUMENT)
    return ApiError(
        kind, error.message, rule="canned", status=error.status, code=error.code, retry_after=error.retry_after
    )


def _response(response: Any, request: ModelRequest) -> Any:
    if request.result_kind is not ResultKind.CHAT:
        return response
    values = _values(request)
    if isinstance(response, str):
        return _filled(response, values)
    return response if is_whole(response) else _message(response, values, request.count)


def _message(response: Json, values: dict[str, str], count: int) -> Json:
    """Return a message, or a whole completion if the response has more than a message."""
    known = ("json", "reasoning", *_OF_COMPLETION)
    message = {name: value for name, value in response.items() if name not in known}
    if "json" in response:
        message["content"] = json.dumps(_filled(response["json"], values))
    elif "content" in message:
        message["content"] = _filled(message["content"], values)
    if "reasoning" in response:
        message["reasoning_content"] = _filled(response["reasoning"], values)
    if isinstance(message.get("tool_calls"), list):
        message["tool_calls"] = _filled(message["tool_calls"], values)
    if response.keys().isdisjoint(_OF_COMPLETION):
        return message if message.keys() - {"role", "finish_reason"} else {**message, "content": ""}
    about = {name: _filled(response[name], values) for name in _OF_COMPLETION if name in response}
    return {"choices": [{"message": message}] * count, **about}


def _filled(value: Any, values: dict[str, str]) -> Any:
    """Return a value with the placeholders in its texts filled in."""
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda name: values[name[1]], value)
    if isinstance(value, list):
        return [_filled(each, values) for each in value]
    if isinstance(value, dict):
        return {name: _filled(each, values) for name, each in value.items()}
    return value


def _values(request: ModelRequest) -> dict[str, str]:
    """Return the values of placeholders."""
    found = (search.best for search in request.evidence)
    best = next((passage for passage in found if passage is not None), None) or Passage("", 0.0, "", "")
    results = results_of(request)
    return {
        "prompt": request.prompt,
        "quote": quote_of(best.text),
        "file_name": best.filename,
        "file_id": best.file_id,
        "collection_id": best.collection_ids[0] if best.collection_ids else "",
        "chunk_id": best.chunk_id,
        "score": str(best.score) if best.text else "",
        "citation": marker(1, best.uri) if best.uri is not None else "",
        "tool_result": results[-1] if results else "",
        "turn": str(turn_of(request)),
    }
