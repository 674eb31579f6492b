"""A batch input file: one JSON object per line, with `custom_id`, `method`, `url` and `body` (Batch guide)."""

from __future__ import annotations

from typing import Any

import msgspec

from emulator.core.errors import ApiError
from emulator.core.limits import Limits
from emulator.domain.batches.batch import NewRequest, check_model, model_of
from emulator.domain.batches.bodies import URLS, check_body
from emulator.domain.json_depth import is_deeper

PREFIX = "JSONL file validation failed: "
# The message of serde_json if msgspec only reports the end of its input.
_CUT_OFF = "EOF while parsing a value"


class BadFile(Exception):
    """The file cannot be a batch; the cancelled batch shows the message."""

    def __init__(self, complaint: str) -> None:
        super().__init__(PREFIX + complaint)


class Line(msgspec.Struct):
    """One line; its values are checked one by one, to name the invalid one."""

    custom_id: Any = None
    method: Any = None
    url: Any = None
    body: Any = None


def read_line(number: int, raw: bytes, limits: Limits) -> NewRequest:
    """Return the request on a line; the first line is number 1. Raises BadFile."""
    most = limits.batch_request_bytes_max
    if most is not None and len(raw) > most:
        raise BadFile(f"line {number}: a request may have at most {most} bytes, this one has {len(raw)}")
    if is_deeper(raw, limits.json_depth_max):
        raise BadFile(f"line {number}: invalid JSON: recursion limit exceeded")
    try:
        line = msgspec.json.decode(raw, type=Line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        text = str(error).removeprefix("JSON is malformed: ")
        raise BadFile(f"line {number}: invalid JSON: {_CUT_OFF if 'truncated' in text else text}") from None
    return _request(number, line)


def _request(number: int, line: Line) -> NewRequest:
    for name in ("custom_id", "method", "url", "body"):
        if getattr(line, name) is None:
            raise BadFile(f"line {number}: missing field `{name}`")
    if not isinstance(line.custom_id, str) or not line.custom_id:
        raise BadFile(f"line {number}: custom_id must be a non-empty string")
    if line.method != "POST":
        raise BadFile(f"line {number}: unsupported method {line.method!r}, only POST is")
    found = URLS.get(line.url) if isinstance(line.url, str) else None
    if found is None:
        raise BadFile(f"line {number}: unsupported url {line.url!r}")
    kind, shape = found
    wrong = check_body(line.body, shape)
    if wrong is not None:
        raise BadFile(f"line {number}: invalid body: {wrong}")
    try:
        check_model(model_of(line.body))
    except ApiError as error:
        raise BadFile(error.message) from None  # observed live, 2026-08: this one names no line
    return NewRequest(line.custom_id, kind, line.body)


def body_of(raw: bytes) -> bytes:
    """Return the JSON of the body on a line that was read before."""
    return bytes(msgspec.json.decode(raw, type=_Body).body)


class _Body(msgspec.Struct):
    body: msgspec.Raw
