"""Middlewares of both APIs, in plain ASGI: Starlette's BaseHTTPMiddleware costs most of the throughput.

What they have to do is done before the request is handed on, so they are functions that return what the next one
returns: a coroutine less for each.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from emulator.core.version import VERSION
from emulator.http.requests import header
from emulator.http.responses import REQUEST_ID, Headers, Response, response_headers
from emulator.pipeline.origin_check import OriginCheck

LABEL: Headers = [(b"x-emulator", VERSION.encode())]
# Observed live on both planes: any origin may call, with any method and header, and read every header.
_EXPOSED: Headers = [(b"access-control-expose-headers", b"*")]
_PREFLIGHT: Headers = [(b"access-control-allow-methods", b"*"), (b"access-control-allow-headers", b"*")]


class CorsMiddleware:
    """Add the CORS headers: which pages of a browser may read the response."""

    def __init__(self, app: ASGIApp, check: OriginCheck) -> None:
        self._app, self._check = app, check

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        origin = self._check.cors_origin(header(scope, b"origin"))
        if origin is not None:
            response_headers(scope).extend(cors(origin, preflight=scope["method"] == "OPTIONS"))
        return self._app(scope, receive, send)


class PreflightMiddleware:
    """Answer every OPTIONS request: what it is allowed to do, CorsMiddleware has put into the headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        app = Response(content_type=None) if scope["method"] == "OPTIONS" else self._app
        return app(scope, receive, send)


class LabelMiddleware:
    """Say in a header that this is an emulator; `request_id`, where given, makes the id of each response."""

    def __init__(self, app: ASGIApp, request_id: Callable[[], str] | None = None) -> None:
        self._app, self._request_id = app, request_id

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        headers = response_headers(scope)
        headers += LABEL
        if self._request_id is not None:
            headers.append((REQUEST_ID, self._request_id().encode()))
        return self._app(scope, receive, send)


class CheckMiddleware:
    """Refuse requests for which `check` makes a response, and hand on the others."""

    def __init__(self, app: ASGIApp, check: Callable[[Scope], Response | None]) -> None:
        self._app, self._check = app, check

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        refusal = self._check(scope) if scope["type"] == "http" else None
        return (refusal or self._app)(scope, receive, send)


def cors(origin: str, *, preflight: bool) -> Headers:
    """The CORS headers for the origin that may read a response: `*`, or one origin."""
    headers = [(b"access-control-allow-origin", origin.encode("latin-1")), *_EXPOSED]
    if preflight:
        headers += _PREFLIGHT
    return headers if origin == "*" else [*headers, (b"vary", b"origin")]
