"""The console page and its files: what a browser shows of an emulator. It asks nobody but the emulator it came from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from emulator.control.openapi import PREFIX

FOLDER = Path(__file__).parent / "console"
CONTENT_TYPES = {
    ".css": b"text/css; charset=utf-8",
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
    ".txt": b"text/plain; charset=utf-8",
    ".woff2": b"font/woff2",
}
# A font is large and does not change between versions; everything else is asked for again.
CACHED = {".woff2": b"max-age=604800"}
# File names, metadata and bodies that the page shows come from anywhere: nothing in them may run, load or call out.
POLICY = (
    "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'"
)
GUARDED = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Asset(msgspec.Struct, frozen=True):
    """A file of the page, or the way to it."""

    content: bytes = b""
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()


_WAY = Asset(status=307, headers=((b"location", f"{PREFIX}/".encode()), (b"cache-control", b"no-store")))


def asset(path: str) -> Asset | None:
    """What a path below the prefix shows a browser; None where it is no part of the page."""
    return _WAY if path == PREFIX else _files().get(path)


def wants_page(scope: Mapping[str, Any]) -> bool:
    """Whether this is a browser at the front door, for which the page is meant, and not a client that lost its way."""
    return scope["path"] == "/" and any(
        name == b"accept" and b"text/html" in value.lower() for name, value in scope["headers"]
    )


@cache
def _files() -> dict[str, Asset]:
    """Every file of the page by its path. Nothing that is not in the folder can be asked for."""
    files = {f"{PREFIX}/console/{path.relative_to(FOLDER).as_posix()}": _file(path) for path in FOLDER.rglob("*.*")}
    return {**files, f"{PREFIX}/": _file(FOLDER / "index.html")}


def _file(path: Path) -> Asset:
    content = path.read_bytes()
    headers = (
        (b"content-type", CONTENT_TYPES[path.suffix]),
        (b"content-length", str(len(content)).encode()),
        (b"cache-control", CACHED.get(path.suffix, b"no-cache")),
    )
    return Asset(content, headers=(*headers, *GUARDED))
