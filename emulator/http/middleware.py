"""Middleware of both APIs: label the response, add CORS headers, refuse a request.

All of these are steps of one plain ASGI middleware. Starlette's BaseHTTPMiddleware would cost most of the throughput,
and a separate middleware for each step 5 % of a small request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from emulator.core.version import VERSION
from emulator.http.requests import headers_of
from emulator.http.responses import REQUEST_ID, Headers, Response, response_headers
from emulator.pipeline.origin_check import OriginCheck

LABEL: Headers = [(b"x-emulator", VERSION.encode())]
# Observed live on both planes: any origin may call, with any method and header, and read every header.
_EXPOSED: Headers = [(b"access-control-expose-headers", b"*")]
_PREFLIGHT: Headers = [(b"access-control-allow-methods", b"*"), (b"access-control-allow-headers", b"*")]


# Takes the scope of a request and the headers of its response, and may append headers. Returns a response to send, or
# None.
Step = Callable[[Scope, Headers], Response | None]


class StepsMiddleware:
    """Run steps in order before the application; the first step that returns a response ends the request.

    This is no coroutine: it returns the application's awaitable, which saves one coroutine for each request.
    """

    def __init__(self, app: ASGIApp, *steps: Step) -> None:
        self._app, self._steps = app, steps

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "http":
            headers = response_headers(scope)
            for step in self._steps:
                response = step(scope, headers)
                if response is not None:
                    return response(scope, receive, send)
        return self._app(scope, receive, send)


def allow_origins(check: OriginCheck) -> Step:
    """Add the CORS headers, which say which web pages may read the response."""

    def step(scope: Scope, headers: Headers) -> None:
        sent = headers_of(scope).get(b"origin")
        if sent is None and not check.any_origin:
            return
        origin = check.cors_origin(None if sent is None else str(sent, "latin-1"))
        if origin is not None:
            headers += cors(origin, preflight=scope["method"] == "OPTIONS")

    return step


def label(request_id: Callable[[], bytes] | None = None) -> Step:
    """Add the header that identifies the emulator, and an id from `request_id` if given."""

    def step(scope: Scope, headers: Headers) -> None:
        headers += LABEL
        if request_id is not None:
            headers.append((REQUEST_ID, request_id()))

    return step


def answer_preflight(scope: Scope, headers: Headers) -> Response | None:
    """Answer every OPTIONS request with 200 and the headers of `allow_origins`."""
    return Response(content_type=None) if scope["method"] == "OPTIONS" else None


def cors(origin: str, *, preflight: bool) -> Headers:
    """The CORS headers for the origin that may read a response: `*`, or one origin."""
    headers = [(b"access-control-allow-origin", origin.encode("latin-1")), *_EXPOSED]
    if preflight:
        headers += _PREFLIGHT
    return headers if origin == "*" else [*headers, (b"vary", b"origin")]
