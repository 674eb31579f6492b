"""Cassettes: VCR.py and Betamax (YAML and JSON), the VCR and NDJSON reports of schemathesis.

VCR.py writes bodies as texts, as bytes (`!!binary`) or in base64, and stores a gzipped response as it is, or decoded
but with the header. It writes no times, so those of the Date header are used.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from emulator.recordings.bounded_json import BAD_JSON
from emulator.recordings.bounded_yaml import load
from emulator.recordings.entries import Pair
from emulator.recordings.foreign import ForeignExchange

LISTS = ("interactions", "http_interactions")


def exchanges_of_yaml(data: bytes) -> list[ForeignExchange | None] | None:
    """Return the exchanges of a YAML cassette; None if the YAML is no cassette. Raises BadYaml."""
    return exchanges_of(load(data))


def exchanges_of(cassette: Any) -> list[ForeignExchange | None] | None:
    """Return the exchanges of a decoded cassette, with None for an invalid item; None if it is no cassette."""
    for name in LISTS:
        found = cassette.get(name) if isinstance(cassette, dict) else None
        if isinstance(found, list):
            return [_exchange(each) for each in found]
    return None


def exchanges_of_ndjson(data: bytes) -> list[ForeignExchange | None]:
    """Return the exchanges in the events of schemathesis; None for a line that is no JSON."""
    found: list[ForeignExchange | None] = []
    for line in data.splitlines():
        if line.startswith(b'{"ScenarioFinished"'):
            try:
                event = msgspec.json.decode(line)
            except BAD_JSON:
                found.append(None)
                continue
            found += _scenario(event)
    return found


def _scenario(event: Any) -> Iterator[ForeignExchange | None]:
    match event:
        case {"ScenarioFinished": {"recorder": {"interactions": dict(interactions)}}}:
            for each in interactions.values():
                yield _exchange(each)


def _exchange(interaction: Any) -> ForeignExchange | None:
    match interaction:
        case {"request": {"method": str(method), "uri": str(url)} as request}:
            pass
        case _:
            return None
    response = interaction.get("response")
    if not isinstance(response, dict):
        response = {}
    status = response.get("status")
    code, reason = (status.get("code"), status.get("message")) if isinstance(status, dict) else (status, "")
    if "status_code" in response:  # schemathesis
        code, reason = response["status_code"], ""
    content = _body(response.get("content", response.get("body")))
    return ForeignExchange(
        method,
        url,
        _pairs(request.get("headers")),
        _body(request.get("body")),
        status=_status(code),
        status_text=reason if isinstance(reason, str) else "",
        response_headers=_pairs(response.get("headers")),
        content=content,
        size=len(content or b""),
        started=_time(interaction),
    )


def _status(code: Any) -> int:
    try:
        return int(code)
    except (TypeError, ValueError, OverflowError):
        return 0


def _time(interaction: dict[str, Any]) -> str:
    """Return the time of an interaction: a text, or seconds since 1970 (NDJSON)."""
    match interaction.get("recorded_at", interaction.get("timestamp")):
        case str() as text:
            return text
        case int() | float() as seconds:
            try:
                return datetime.fromtimestamp(seconds, UTC).isoformat()
            except (ValueError, OverflowError, OSError):
                return ""
        case _:
            return ""


def _pairs(headers: Any) -> list[Pair]:
    found = []
    for name, value in headers.items() if isinstance(headers, dict) else []:
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, bytes):
                found.append(Pair(str(name), each.decode("latin-1")))
            elif isinstance(each, str | int | float):
                found.append(Pair(str(name), str(each)))
    return found


def _body(body: Any) -> bytes | None:
    match body:
        case bytes():
            return body
        case str():
            return body.encode("utf-8", "replace")
        case {"base64_string": str(text)} | {"$base64": str(text)}:
            try:
                return base64.b64decode(text)
            except (ValueError, binascii.Error):
                return None
        case {"string": str() | bytes() as text}:
            return _body(text)
        case _:
            return None
