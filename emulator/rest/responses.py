"""Responses of routes: a JSON struct, a model's answer, bytes with ranges, or a refusal in one of the two dialects."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, ClassVar, Protocol

import msgspec

from emulator.core.errors import WIRE, ApiError, Kind
from emulator.domain.chat.answers import Answer
from emulator.domain.keys import BAD_MANAGEMENT_KEY, Plane
from emulator.http.requests import Request
from emulator.http.responses import (
    TEXT,
    ContentResponse,
    Headers,
    JsonResponse,
    Response,
    SseResponse,
    byte_range,
    set_request_id,
)
from emulator.operations.base import Content, Stream


class Writing(Protocol):
    """Interface of the writers."""

    def __call__(self, request: Request, result: Any) -> Response: ...


class AsJson(msgspec.Struct, frozen=True):
    """Renders the result of the operation as a JSON struct."""

    shape: type
    make: Callable[[Any], Any]

    def __call__(self, request: Request, result: Any) -> Response:
        return JsonResponse(self.make(result))


class AsBytes(msgspec.Struct, frozen=True):
    """Sends content, whole or, for GET, one byte range of it (RFC 9110 §14); with a fixed type if there is only one."""

    media_type: str = "*/*"

    def __call__(self, request: Request, result: Content) -> Response:
        wanted = byte_range(request.header(b"range"), result.size) if request.method == "GET" else None
        return ContentResponse(result, wanted)


_RETENTION: Headers = [(b"x-zero-data-retention", b"false")]  # recorded, 2026-04
REQUESTS_LIMIT, TOKENS_LIMIT = 600, 2_000_000  # per minute; the names are recorded, 2026-04 to 2026-09, not the values
_RATES: Headers = [
    *_RETENTION,
    (b"x-ratelimit-limit-requests", b"%d" % REQUESTS_LIMIT),
    (b"x-ratelimit-limit-tokens", b"%d" % TOKENS_LIMIT),
    (b"x-ratelimit-remaining-requests", b"%d" % (REQUESTS_LIMIT - 1)),
]


def _model_headers(answer: Answer, *, is_stream: bool) -> Headers:
    """Return the headers of a model's response: rates that never decrease, and times that follow the responder's pace.

    A stream has no times: it is not complete when its headers are sent, and no recording has them.
    """
    left = max(0, TOKENS_LIMIT - answer.usage.total_tokens)
    headers = [*_RATES, (b"x-ratelimit-remaining-tokens", b"%d" % left)]
    return headers if is_stream else headers + _metrics(answer)


def _metrics(answer: Answer) -> Headers:
    pace = answer.pace
    if pace is None:
        return _NO_METRICS
    first, each = pace.delay + pace.ttft, 1 / pace.tokens_per_second if pace.tokens_per_second else 0.0
    times = (first + each * answer.usage.completion_tokens, first, each)
    return [(name, b"%d" % round(seconds * 1000)) for (name, _), seconds in zip(_NO_METRICS, times, strict=True)]


_NO_METRICS: Headers = [
    (name, b"0") for name in (b"x-metrics-e2e-ms", b"x-metrics-ttft-ms", b"x-metrics-mean-itl-ms")
]  # in milliseconds


class AsAnswer(AsJson, frozen=True):
    """Sends a model's answer in JSON, or as server-sent events; `x-request-id` is its id (recorded, 2026-04)."""

    events: Callable[[Stream], AsyncIterator[bytes]]
    media_type: ClassVar[str] = "text/event-stream"

    def __call__(self, request: Request, result: Any) -> Response:
        answer = result.answer if isinstance(result, Stream) else result
        if isinstance(answer, Answer):
            set_request_id(request.scope, answer.id)
        is_stream = isinstance(result, Stream)
        response = SseResponse(lambda: self.events(result)) if is_stream else super().__call__(request, result)
        is_answer = isinstance(answer, Answer)
        response.raw_headers += _model_headers(answer, is_stream=is_stream) if is_answer else _RETENTION
        return response


class AsFetched(AsJson, frozen=True):
    """Sends a deferred answer: 202 without a body while it is pending."""

    def __call__(self, request: Request, result: Any) -> Response:
        content = self.make(result)
        return Response(b"", 202, None) if content is None else JsonResponse(content)


def refusal(error: ApiError, plane: Plane) -> Response:
    """Return a refusal in the dialect of its plane."""
    wire = WIRE[error.kind]
    headers = encoded(error.labels)
    if plane is Plane.MANAGEMENT:
        if error.message == BAD_MANAGEMENT_KEY:
            # Observed live: the value repeats the message.
            headers.append((b"www-authenticate", BAD_MANAGEMENT_KEY.encode()))
        # Observed live, 2026-04: unlike in all other responses, a space follows each comma.
        message = msgspec.json.encode(error.message).decode()
        status_json = f'{{"code":{wire.number}, "message":{message}, "details":[]}}'
        return Response(status_json.encode(), error.status or wire.management_http or wire.http, headers=headers)
    status = error.status or wire.http
    if error.kind is Kind.METHOD_NOT_ALLOWED:
        return Response(b"", status, None, headers)
    if wire.plain and error.as_json:
        return JsonResponse({"error": error.message}, status, headers)
    if wire.plain:
        return Response(error.message.encode("utf-8", "replace"), status, TEXT, headers)
    body = {"code": error.code or wire.code, "error": error.message}
    return JsonResponse(body, status, headers)


def encoded(labels: list[tuple[str, str]]) -> Headers:
    """Return names and values as headers."""
    return [(name.encode(), value.encode()) for name, value in labels]
