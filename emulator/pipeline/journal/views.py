"""JSON views of journal entries, with decoded bodies, and with everything redacted that looks like a key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal
from urllib.parse import unquote

from msgspec import UNSET, Struct, UnsetType

from emulator.core.clock import rfc3339
from emulator.core.redaction import REDACTED
from emulator.pipeline.journal.journal import Body, Entry, Length, blake3_of
from emulator.pipeline.redact import is_secret_name, redact, redact_raw, redact_text


class BodyShown(Struct):
    """A body: its length, its BLAKE3 hash if known, and its beginning, which is JSON if the body is whole and valid.

    Uploads and downloads have only the length.
    """

    bytes: int | None
    hash: str | None
    truncated: bool = False
    json: Any = UNSET
    text: str | UnsetType = UNSET


class CallShown(Struct):
    """One call. `operation` is null for a request that matches no route, and `reason` says why it does not.

    `at` is the team's time and `real_at` the wall clock, both at the arrival of the call. Over gRPC `headers` and
    `response_headers` are metadata.
    """

    number: int
    at: str
    real_at: str
    team: str
    transport: Literal["rest", "grpc"]
    operation: str | None
    method: str
    target: str
    headers: dict[str, str]
    outcome: str | None
    status: int | str | None
    rule: str | None
    reason: str | None
    faults: list[str]
    ms: float
    request: BodyShown | None
    response: BodyShown | None
    response_headers: dict[str, str]
    unread_fields: list[str]
    warnings: list[str]


def shown(entry: Entry, team: str) -> CallShown:
    """Return the view of an entry."""
    return CallShown(
        number=entry.number,
        at=rfc3339(entry.at),
        real_at=rfc3339(entry.real_at),
        team=team,
        transport=entry.transport,
        operation=entry.operation,
        method=entry.method,
        target=shown_target(entry.target),
        headers=_headers(entry.headers),
        outcome=entry.outcome,
        status=entry.status,
        rule=entry.rule,
        reason=None if entry.reason is None else redact_text(entry.reason),
        faults=list(entry.faults),
        ms=round(entry.ms, 3),
        request=_body(entry, entry.request, is_request=True),
        response=_body(entry, entry.response, is_request=False),
        response_headers=_headers(entry.response_headers),
        unread_fields=[redact_text(name) for name in unread(entry)],
        warnings=[redact_text(sentence) for sentence in entry.warnings],
    )


def request_json(entry: Entry) -> Any:
    """Return the JSON value of a request; None if there is none or it is truncated."""
    return _decoded(entry, entry.request, is_request=True)


def unread(entry: Entry) -> list[str]:
    """Return the names of the request fields that the server ignored."""
    if entry.codec is None or not isinstance(entry.request, Body) or entry.request.truncated:
        return list(entry.unread)
    try:
        return [*entry.unread, *entry.codec.unread(entry.request.kept)]
    except ValueError:
        return list(entry.unread)


def _headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers by name, with values of secret headers and everything that looks like a key redacted."""
    texts = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in pairs)
    return {name: REDACTED if is_secret_name(name) else redact_text(value) for name, value in texts}


def shown_target(target: str) -> str:
    """Return a path and query, with secret parameters and everything that looks like a key redacted."""
    path, mark, query = target.partition("?")
    pairs = []
    for pair in query.split("&"):
        name, equals, _ = pair.partition("=")
        pairs.append(f"{name}={REDACTED}" if equals and is_secret_name(unquote(name)) else redact_text(pair))
    return redact_text(path) + mark + "&".join(pairs)


def _body(entry: Entry, body: Body | Length | None, *, is_request: bool) -> BodyShown | None:
    if body is None:
        return None
    if isinstance(body, Length):
        return BodyShown(body.size, body.hash)
    seen = BodyShown(body.size, body.hash or blake3_of(body.kept), body.truncated)
    value = _decoded(entry, body, is_request=is_request)
    if value is not None:
        seen.json = redact(value)
    elif entry.transport == "rest":  # gRPC messages are binary
        seen.text = redact_raw(body.kept.decode("utf-8", "replace"))
    return seen


def _decoded(entry: Entry, body: Body | Length | None, *, is_request: bool) -> Any:
    if entry.codec is None or not isinstance(body, Body) or body.truncated:
        return None
    try:
        return entry.codec.request(body.kept) if is_request else entry.codec.response(body.kept)
    except (ValueError, RecursionError):
        return None
