"""A Starlette route for a whole table of routes, matched by the raw path.

Starlette's own `Route` differs in two ways from what this API needs:

- It matches the decoded path. Here the path is split first and its segments are decoded afterwards, so that an id may
  hold any character: `batch_1%3Acancel` is an id; `team%2Fbatch:cancel` is the id `team/batch` and the verb `cancel`
  (as the official TypeScript SDK sends it).
- Starlette tries its routes one after the other. Forty of them cost half the throughput of a small request; a
  `TableRoute` is one route to Starlette and finds its own by walking a tree of segments.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, NoReturn, Protocol, TypeVar
from urllib.parse import quote, unquote

import msgspec
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, NoMatchFound
from starlette.routing import Match as Fit
from starlette.types import ASGIApp, Receive, Scope, Send

from emulator.core.errors import ApiError, invalid
from emulator.core.lazy_pattern import lazy_pattern
from emulator.http.requests import Request

MATCH = "xai_emulator.match"  # key in the scope of a request: its Match, or the ApiError for its path

_PARAMETER = re.compile(r"\{(\w+)\}(:\w+)?")


class Row(Protocol):
    """A row of a routing table. In its path `{name}` is a parameter, and a `:verb` after it is literal."""

    @property
    def method(self) -> str: ...

    @property
    def path(self) -> str: ...


R = TypeVar("R", bound=Row)
T = TypeVar("T")


class _Node(msgspec.Struct, Generic[T]):
    literals: dict[str, _Node[T]] = {}
    verbs: dict[str, tuple[str, _Node[T]]] = {}  # `:verb` -> parameter, node
    parameter: tuple[str, _Node[T]] | None = None
    methods: dict[str, T] = {}


class Match(msgspec.Struct, Generic[T], frozen=True):
    """A matched path: the rows by method, the row of the request's method if any, and the decoded parameters."""

    raw_path: str
    methods: dict[str, T]
    row: T | None
    parameters: dict[str, str]


class RouteTree(Generic[T]):
    """A tree of path segments: the cost of a lookup does not depend on the number of rows."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()

    def add(self, method: str, path: str, row: T) -> None:
        """Add one row."""
        node = self._root
        for segment in path.split("/")[1:]:
            found = _PARAMETER.fullmatch(segment)
            if found is None:
                node = node.literals.setdefault(segment, _Node())
            elif found[2]:
                node = node.verbs.setdefault(found[2], (found[1], _Node()))[1]
            else:
                if node.parameter is None:
                    node.parameter = (found[1], _Node())
                assert node.parameter[0] == found[1], f"{path}: the same parameter has two names"
                node = node.parameter[1]
        assert method not in node.methods, f"{method} {path} stands twice in the table"
        node.methods[method] = row

    def find(self, raw_path: str, method: str) -> Match[T] | None:
        """The rows of a raw (still percent-encoded) path. Raises ApiError where a parameter is not valid UTF-8.

        HEAD is answered as GET without its body.
        """
        node, parameters = self._root, {}
        for segment in raw_path.split("/")[1:]:
            literal = node.literals.get(segment)
            if literal is not None:
                node = literal
                continue
            value, found = segment, node.parameter
            if node.verbs:
                start, colon, verb = segment.rpartition(":")
                if start and colon + verb in node.verbs:
                    value, found = start, node.verbs[colon + verb]
            if found is None or not value:
                return None
            name, node = found
            parameters[name] = _decoded(value) if "%" in value else value
        row = node.methods.get("GET" if method == "HEAD" else method)
        return Match(raw_path, node.methods, row, parameters) if node.methods else None


class TableRoute(BaseRoute, Generic[R]):
    """A table of routes as one Starlette route: `endpoint(row, request)` answers for every row.

    `middleware` wraps the endpoint for all requests that reach this route. `not_found`, for the last route of a router,
    refuses an unmatched request, and is wrapped likewise. Refusals are raised, for the application's exception
    handlers: HTTPException 404 and 405 (with `Allow`), and ApiError for a path that cannot be decoded.
    """

    def __init__(
        self,
        rows: Iterable[R],
        endpoint: Callable[[R, Request], Awaitable[Response]],
        middleware: Sequence[Middleware] = (),
    ) -> None:
        self._tree: RouteTree[R] = RouteTree()
        for row in rows:
            self._tree.add(row.method, row.path, row)
        self._endpoint = endpoint
        self.app = _wrapped(self._respond, middleware)
        self.not_found = _wrapped(_raise_not_found, middleware)

    def find(self, scope: Scope) -> Match[R] | None:
        """Return the match for the path of an HTTP request; None if there is none or the path cannot be decoded."""
        try:
            return self._tree.find(raw_path(scope), scope["method"])
        except ApiError:
            return None

    def matches(self, scope: Scope) -> tuple[Fit, Scope]:
        if scope["type"] != "http":
            return Fit.NONE, {}
        try:
            match = self._tree.find(raw_path(scope), scope["method"])
        except ApiError as error:
            return Fit.FULL, {MATCH: error}
        if match is None:
            return Fit.NONE, {}
        fit = Fit.PARTIAL if match.row is None else Fit.FULL
        return fit, {MATCH: match, "endpoint": self._endpoint, "path_params": match.parameters}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)

    def url_path_for(self, name: str, /, **path_params: Any) -> NoReturn:
        """Raise NoMatchFound: the rows have no names."""
        raise NoMatchFound(name, path_params)

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        match: Match[R] | ApiError = scope[MATCH]
        if isinstance(match, ApiError):
            raise match
        if match.row is None:
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(_allowed(match.methods)))})
        response = await self._endpoint(match.row, Request(scope, receive, send))
        await response(scope, receive, send)


class Alias(BaseRoute):
    """A second path for a path of a mounted application, for requests that satisfy `condition`."""

    def __init__(
        self, path: str, prefix: str, target: str, app: ASGIApp, condition: Callable[[Scope], bool] = lambda scope: True
    ) -> None:
        self.path, self.app = path, app
        self._prefix, self._target, self._condition = prefix, target, condition

    def matches(self, scope: Scope) -> tuple[Fit, Scope]:
        if scope["type"] != "http" or raw_path(scope) != self.path or not self._condition(scope):
            return Fit.NONE, {}
        above = scope.get("root_path", "")
        path = above + self._prefix + self._target
        return Fit.FULL, {
            "app_root_path": scope.get("app_root_path", above),  # as Starlette's Mount does
            "root_path": above + self._prefix,
            "path": path,
            "raw_path": quote(path).encode(),
        }

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)

    def url_path_for(self, name: str, /, **path_params: Any) -> NoReturn:
        """Raise NoMatchFound: an alias has no name."""
        raise NoMatchFound(name, path_params)


def raw_path(scope: Scope) -> str:
    """Return the path of a request as it was sent, without its query and the mount path of its application."""
    raw: bytes | None = scope.get("raw_path")  # optional in ASGI
    path = quote(scope["path"]) if raw is None else raw.partition(b"?")[0].decode("latin-1")
    mounted: str | None = scope.get("root_path")
    root_path = mounted.rstrip("/") if mounted else ""
    if root_path and f"{scope['path']}/".startswith(f"{root_path}/"):
        # Mounts match the decoded path, so remove as many segments as the mount path has, whatever their encoding.
        segments = path.split("/")[1 + root_path.count("/") :]
        return "".join(f"/{segment}" for segment in segments)
    return path


def _decoded(raw: str) -> str:
    """Decode a path parameter, after the path was split."""
    try:
        return unquote(raw, errors="strict")
    except UnicodeDecodeError:
        raise invalid("The path is not valid UTF-8.", rule="path") from None


def _allowed(methods: Mapping[str, Any]) -> set[str]:
    return {*methods, "HEAD"} if "GET" in methods else {*methods}


def _wrapped(app: ASGIApp, middleware: Sequence[Middleware]) -> ASGIApp:
    for each, arguments, keywords in reversed(middleware):
        app = each(app, *arguments, **keywords)
    return app


async def _raise_not_found(scope: Scope, receive: Receive, send: Send) -> None:
    raise HTTPException(404)


class Prefix(Mount):
    """A Mount for HTTP requests only, whose path may contain a line break (Starlette's `.*` does not match one).

    WebSockets are excluded because they run on the server's loop, and the application must be loaded on the state's
    loop.
    """

    def __init__(self, path: str, app: ASGIApp) -> None:
        super().__init__(path, app)
        self.path_regex = lazy_pattern(self.path_regex.pattern, re.DOTALL)

    def matches(self, scope: Scope) -> tuple[Fit, Scope]:
        return super().matches(scope) if scope["type"] == "http" else (Fit.NONE, {})
