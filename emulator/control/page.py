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
# Fonts and icons do not change between versions, and a browser asks for the icon whenever the address changes;
# everything else is revalidated.
CACHED = {".woff2": "max-age=604800", ".svg": "max-age=604800"}
# The page shows untrusted file names, metadata and bodies: nothing in them may run, load or call other hosts.
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
    """The files of the page, with content types of our own table, because that of the machine may differ."""

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
    """The routes of the pages, for GET only: with another method the path is unknown."""

    def matches(self, scope: Scope) -> tuple[Fit, Scope]:
        fit, child_scope = super().matches(scope)
        return (fit, child_scope) if fit is Fit.FULL else (Fit.NONE, {})


def redirect(status: int, location: str, *more: tuple[bytes, bytes]) -> WholeResponse:
    """Return a redirect that is not cached."""
    headers = [(b"location", location.encode()), *more, (b"cache-control", b"no-store")]
    return WholeResponse(b"", status, None, headers)


def to_console(request: Request) -> Response:
    """Redirect to the page from its path without the trailing slash."""
    return redirect(307, f"{request.scope.get('root_path', '')}/")


def wants_page(scope: Scope) -> bool:
    """Return whether a browser opens the root path, as opposed to an API client with a wrong path."""
    return any(name == b"accept" and b"text/html" in value.lower() for name, value in scope["headers"])
