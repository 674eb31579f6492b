"""The console page and its files: the web page of an emulator. It calls only the emulator that served it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import Match as Fit
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from emulator.http.requests import Request
from emulator.http.responses import FileResponse
from emulator.http.responses import Response as WholeResponse
from emulator.http.routing import TableRoute

FOLDER = Path(__file__).parent / "console"
INDEX = FOLDER / "index.html"
CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
# A font is large and does not change between versions; everything else is asked for again.
CACHED = {".woff2": "max-age=604800"}
# File names, metadata and bodies that the page shows come from anywhere: nothing in them may run, load or call out.
POLICY = (
    "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'"
)
GUARDED = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


class Console(StaticFiles):
    """The files of the page, with content types of our own table: the machine's may lack one, or say something else."""

    def __init__(self) -> None:
        super().__init__(directory=FOLDER)

    def index(self, scope: Scope) -> Response:
        """The page itself."""
        return self.file_response(INDEX, INDEX.stat(), scope)

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        suffix = Path(full_path).suffix
        headers = {"cache-control": CACHED.get(suffix, "no-cache"), **GUARDED}
        response = FileResponse(
            full_path, status_code, headers, media_type=CONTENT_TYPES[suffix], stat_result=stat_result
        )
        if not self.is_not_modified(response.headers, Headers(scope=scope)):
            return response
        kept = [each for each in response.raw_headers if each[0] not in (b"content-length", b"content-type")]
        return WholeResponse(b"", 304, None, kept)


class Page(msgspec.Struct, frozen=True):
    """A path that a browser opens."""

    path: str
    respond: Callable[[Request], Response]
    method: str = "GET"


class PageRoute(TableRoute[Page]):
    """The pages. A page is read: with another method its path is one that the control API does not know."""

    def matches(self, scope: Scope) -> tuple[Fit, Scope]:
        fit, child_scope = super().matches(scope)
        return (fit, child_scope) if fit is Fit.FULL else (Fit.NONE, {})


def redirect(status: int, location: str, *more: tuple[bytes, bytes]) -> WholeResponse:
    """The way to another path, which is not to be remembered."""
    headers = [(b"location", location.encode()), *more, (b"cache-control", b"no-store")]
    return WholeResponse(b"", status, None, headers)


def to_console(request: Request) -> Response:
    """The way to the page, from a path without its last slash."""
    return redirect(307, f"{request.scope.get('root_path', '')}/")


def wants_page(scope: Scope) -> bool:
    """Whether this is a browser at the root path, for which the page is meant, and not a client that lost its way."""
    return any(name == b"accept" and b"text/html" in value.lower() for name, value in scope["headers"])
