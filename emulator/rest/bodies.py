"""The two dialects of refusals, and the headers every reply carries."""

from __future__ import annotations

import msgspec

from emulator.domain.keys import BAD_MANAGEMENT_KEY, Plane
from emulator.errors import WIRE, ApiError, Kind
from emulator.operations.base import Content
from emulator.version import VERSION

Headers = list[tuple[bytes, bytes]]

JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"
# Observed live on both planes: any origin may call, with any method and header, and read every header.
_EXPOSED: Headers = [(b"access-control-expose-headers", b"*")]
_PREFLIGHT: Headers = [(b"access-control-allow-methods", b"*"), (b"access-control-allow-headers", b"*")]
_LABEL: Headers = [(b"x-emulator", VERSION.encode())]


class Reply(msgspec.Struct):
    """One HTTP response: a body in memory, or content that is streamed."""

    status: int
    body: bytes = b""
    content_type: bytes | None = JSON
    headers: Headers = msgspec.field(default_factory=list)
    content: Content | None = None
    start: int = 0  # the bytes of the content to send
    stop: int | None = None


def refusal(error: ApiError, plane: Plane) -> Reply:
    """A refusal in the dialect of the plane it comes from."""
    wire = WIRE[error.kind]
    headers = encoded(error.labels)
    if plane is Plane.MANAGEMENT:
        if error.message == BAD_MANAGEMENT_KEY:
            headers.append((b"www-authenticate", BAD_MANAGEMENT_KEY.encode()))  # observed live: the message again
        body = {"code": wire.number, "message": error.message, "details": []}
        status = error.status or wire.management_http or wire.http
        return Reply(status, msgspec.json.encode(body), headers=headers)
    status = error.status or wire.http
    if error.kind is Kind.METHOD_NOT_ALLOWED:
        return Reply(status, content_type=None, headers=headers)
    if wire.plain:
        return Reply(status, error.message.encode("utf-8", "replace"), TEXT, headers)
    body = {"code": error.code or wire.code, "error": error.message}
    return Reply(status, msgspec.json.encode(body), headers=headers)


def encoded(labels: list[tuple[str, str]]) -> Headers:
    """Names and values as headers."""
    return [(name.encode(), value.encode()) for name, value in labels]


def cors(origin: str | None, *, preflight: bool) -> Headers:
    """The CORS headers for the origin that may read a reply: `*`, one origin, or None for no page of elsewhere."""
    if origin is None:
        return []
    headers = [(b"access-control-allow-origin", origin.encode("latin-1")), *_EXPOSED]
    if preflight:
        headers += _PREFLIGHT
    return headers if origin == "*" else [*headers, (b"vary", b"origin")]


def head(reply: Reply, request_id: str, cors: Headers) -> Headers:
    """All headers of a reply."""
    headers = [*cors, *_LABEL, (b"x-request-id", request_id.encode()), *reply.headers]
    if reply.content_type is not None:
        headers.append((b"content-type", reply.content_type))
    if reply.content is None:
        headers.append((b"content-length", str(len(reply.body)).encode()))
    return headers
