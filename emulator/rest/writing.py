"""How a route answers: a JSON struct, or bytes with ranges. Each way also tells its schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from emulator.http.requests import Request
from emulator.http.responses import ContentResponse, JsonResponse, Response, byte_range
from emulator.operations.base import Content


class Writing(Protocol):
    """A way to answer."""

    def __call__(self, request: Request, result: Any) -> Response: ...


class AsJson(msgspec.Struct, frozen=True):
    """A struct, rendered from the operation's result."""

    shape: type
    make: Callable[[Any], Any]

    def __call__(self, request: Request, result: Any) -> Response:
        return JsonResponse(self.make(result))


class AsBytes(msgspec.Struct, frozen=True):
    """Content, whole or, over GET, one byte range of it (RFC 9110 §14). Where its type is always the same, that one."""

    media_type: str = "*/*"

    def __call__(self, request: Request, result: Content) -> Response:
        wanted = byte_range(request.header(b"range"), result.size) if request.method == "GET" else None
        return ContentResponse(result, wanted)
