"""What both APIs do before a request is handed on: label its response, allow other origins, refuse it.

Each of these is a step of one middleware, in plain ASGI: Starlette's BaseHTTPMiddleware costs most of the throughput,
and a middleware of its own for each step a twentieth of a small request.
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


# Takes a request and the headers that its response begins with, to which it may add. A response it returns is sent.
Step = Callable[[Scope, Headers], Response | None]


class StepsMiddleware:
    """Take steps before an HTTP request is handed on, in order, until one makes the response itself.

    A function that returns what the application returns: a coroutine less.
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
    """Add the CORS headers: which pages of a browser may read the response."""

    def step(scope: Scope, headers: Headers) -> None:
        sent = headers_of(scope).get(b"origin")
        if sent is None and not check.any_origin:
            return
        origin = check.cors_origin(None if sent is None else str(sent, "latin-1"))
        if origin is not None:
            headers += cors(origin, preflight=scope["method"] == "OPTIONS")

    return step


def label(request_id: Callable[[], bytes] | None = None) -> Step:
    """Say in a header that this is an emulator; `request_id`, where given, makes the id of each response."""

    def step(scope: Scope, headers: Headers) -> None:
        headers += LABEL
        if request_id is not None:
            headers.append((REQUEST_ID, request_id()))

    return step


def answer_preflight(scope: Scope, headers: Headers) -> Response | None:
    """Answer every OPTIONS request: what it is allowed to do, `allow_origins` has put into the headers."""
    return Response(content_type=None) if scope["method"] == "OPTIONS" else None


def cors(origin: str, *, preflight: bool) -> Headers:
    """The CORS headers for the origin that may read a response: `*`, or one origin."""
    headers = [(b"access-control-allow-origin", origin.encode("latin-1")), *_EXPOSED]
    if preflight:
        headers += _PREFLIGHT
    return headers if origin == "*" else [*headers, (b"vary", b"origin")]
