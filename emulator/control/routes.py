"""The control plane as an ASGI application: `/_emulator/…`. Unknown paths are 404, never silently OK."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import aclosing
from typing import Any, cast
from urllib.parse import parse_qsl, unquote

import msgspec

from emulator.control import (
    chaos,
    chunks,
    clock,
    faults,
    journal,
    limits,
    overview,
    rules,
    search,
    server,
    snapshots,
    teams,
)
from emulator.control.access import NEEDED, ControlToken
from emulator.control.openapi import PREFIX, document
from emulator.control.page import Asset, asset
from emulator.control.route import Asked, ControlError, ControlRoute, Download, Events, Parts, Refusal, TeamQuery
from emulator.errors import disk_unusable, is_of_disk
from emulator.jobs.runner import Runner
from emulator.pipeline.faults import Faults
from emulator.pipeline.journal import Journal
from emulator.pipeline.origin_check import OriginCheck
from emulator.rest.envelope import header
from emulator.validation_errors import explain
from emulator.version import VERSION
from emulator.world import World

Scope = Mapping[str, Any]
Headers = list[tuple[bytes, bytes]]

BODY_BYTES_MAX = 4 * 1024 * 1024  # of JSON
ROOMS = (server, clock, limits, faults, chaos, journal, rules, search, chunks, snapshots, teams, overview)


async def _describe(asked: Asked) -> dict[str, Any]:
    """This control plane in OpenAPI 3.1."""
    return document(ROUTES, asked.world.origin)


ROUTES: tuple[ControlRoute, ...] = (
    *(route for room in ROOMS for route in room.ROUTES),
    ControlRoute("GET", "/control/openapi.json", _describe, dict),
)


class Control:
    """Serves every control path."""

    def __init__(self, world: World, runner: Runner) -> None:
        # app has put the pipeline's own kinds into the world, which knows them by their protocols
        self._parts = Parts(world, runner, cast(Journal, world.journal), cast(Faults, world.faults))
        self._origin_check = OriginCheck.of(world.settings)
        self._token = None if world.control_token is None else ControlToken(world.control_token)
        self._paths: dict[str, dict[str, ControlRoute]] = {}
        for route in ROUTES:
            self._paths.setdefault(route.path, {})[route.method] = route
        self._patterns = [
            (re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path))), methods)
            for path, methods in self._paths.items()
            if "{" in path
        ]

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        try:
            reply, headers = await self._answer(scope, receive), []
        except ControlError as error:
            reply, headers = Refusal(error=str(error)), error.headers
            await _send_json(send, error.status, reply, headers, body=scope["method"] != "HEAD")
            return
        except OSError as error:
            if not is_of_disk(error):
                raise
            refusal = Refusal(error=disk_unusable(error).message)
            await _send_json(send, 503, refusal, [], body=scope["method"] != "HEAD")
            return
        try:
            await _send_reply(scope, receive, send, reply, headers)
        finally:
            if isinstance(reply, Download) and reply.copy is not None:
                reply.copy.unlink(missing_ok=True)

    async def _answer(self, scope: Scope, receive: Any) -> Any:
        refused = self._origin_check.control_refusal(header(scope, b"host"), header(scope, b"origin"))
        if refused is not None:
            raise ControlError(403, refused)
        page = self._page(scope) if scope["method"] in ("GET", "HEAD") else None
        if page is not None:
            return page
        if not (self._is_public(scope) or self._token is None or self._token.admits(scope["headers"])):
            raise ControlError(401, NEEDED, [(b"www-authenticate", b"Bearer")])
        route, path = self._find(scope)
        asked = Asked(
            self._parts,
            path,
            _query(scope["query_string"], route.query),
            await _body(route, receive),
            lambda: _stream(receive),
        )
        if isinstance(asked.query, TeamQuery) and not (route.reads or route.method == "GET"):
            asked.world.keep(asked.team)  # what is changed of a team has to last
        return await route.run(asked)

    def _page(self, scope: Scope) -> Asset | None:
        """A part of the console. Its scripts and styles are no secret; the page itself asks for the token."""
        question = None
        if self._token is not None and scope["path"] == f"{PREFIX}/":
            question = self._token.page(scope["query_string"], scope["headers"])
        return question or asset(scope["path"])

    def _is_public(self, scope: Scope) -> bool:
        route = self._paths.get(scope["path"].removeprefix(PREFIX), {}).get("GET")
        return route is not None and route.public and scope["method"] in ("GET", "HEAD")

    def _find(self, scope: Scope) -> tuple[ControlRoute, dict[str, str]]:
        """The route of a request and its path parameters, which are decoded after the path is split."""
        raw = scope["raw_path"].partition(b"?")[0].decode("latin-1").removeprefix(PREFIX)
        methods, path = self._paths.get(raw, {}), {}
        for pattern, candidate in () if methods else self._patterns:
            found = pattern.fullmatch(raw)
            if found is not None:
                methods, path = candidate, {name: unquote(text) for name, text in found.groupdict().items()}
        if not methods:
            raise ControlError(404, f"there is no control path {PREFIX}{raw[:200]}")
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        if method not in methods:
            allowed = sorted({*methods, *(("HEAD",) if "GET" in methods else ())})
            raise ControlError(
                405, f"{PREFIX}{raw[:200]} takes {', '.join(allowed)}", [(b"allow", ", ".join(allowed).encode())]
            )
        return methods[method], path


def _query(raw: bytes, shape: type) -> Any:
    """The query as its shape. A parameter that is unknown or given twice is a mistake that would go unnoticed."""
    values: dict[str, str] = {}
    try:
        for name, value in parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict"):
            if name in values:
                raise ControlError(400, f"the query has {name!r} twice")
            values[name] = value
        return msgspec.convert(values, shape, strict=False)
    except UnicodeDecodeError:
        raise ControlError(400, "the query is not percent-encoded UTF-8") from None
    except msgspec.ValidationError as error:
        raise ControlError(400, f"the query: {explain(error)}") from None
    except ValueError as error:
        raise ControlError(400, f"the query: {error}") from None


async def _body(route: ControlRoute, receive: Any) -> Any:
    if route.body is None:
        return None
    raw = b""
    async for piece in _stream(receive):
        raw += piece
        if len(raw) > BODY_BYTES_MAX:
            raise ControlError(413, f"the body has more than {BODY_BYTES_MAX} bytes")
    if route.optional_body and not raw.strip():
        return route.body()
    try:
        return msgspec.json.decode(raw, type=route.body)
    except msgspec.ValidationError as error:
        raise ControlError(400, f"the body: {explain(error)}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ControlError(400, f"the body is not JSON: {error}") from None


async def _stream(receive: Any) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ControlError(400, "the body ended too soon")
        more = message.get("more_body", False)
        yield message.get("body", b"")


def _download_headers(file: Download) -> Headers:
    return [
        (b"content-type", b"application/octet-stream"),
        (b"content-length", str(file.size).encode()),
        (b"content-disposition", f'attachment; filename="{file.name}"'.encode()),
    ]


async def _send_reply(scope: Scope, receive: Any, send: Any, reply: Any, headers: Headers) -> None:
    if isinstance(reply, Events | Download) and scope["method"] == "HEAD":
        await _send_head(send, _EVENT_HEADERS if isinstance(reply, Events) else _download_headers(reply))
    elif isinstance(reply, Events):
        await _while_connected(receive, _send_stream(send, _EVENT_HEADERS, reply))
    elif isinstance(reply, Download):
        await _send_stream(send, _download_headers(reply), reply)
    elif isinstance(reply, Asset):
        await _send_asset(send, reply, body=scope["method"] != "HEAD")
    else:
        await _send_json(send, 200, reply, headers, body=scope["method"] != "HEAD")


async def _send_json(send: Any, status: int, reply: Any, headers: Headers, *, body: bool) -> None:
    content = msgspec.json.encode(reply)
    start = [
        *_LABELS,
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": content if body else b""})


async def _while_connected(receive: Any, work: Coroutine[Any, Any, None]) -> None:
    """Do work that does not end by itself until the client leaves. Raises what the work raises."""
    working, leaving = asyncio.create_task(work), asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)
    if not working.cancelled():
        working.result()


async def _disconnected(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


_EVENT_HEADERS: Headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
_LABELS: Headers = [(b"x-emulator", VERSION.encode())]


async def _send_asset(send: Any, page: Asset, *, body: bool) -> None:
    await send({"type": "http.response.start", "status": page.status, "headers": [*_LABELS, *page.headers]})
    await send({"type": "http.response.body", "body": page.content if body else b""})


async def _send_head(send: Any, headers: Headers) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [*_LABELS, *headers]})
    await send({"type": "http.response.body", "body": b""})


async def _send_stream(send: Any, headers: Headers, reply: Events | Download) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [*_LABELS, *headers]})
    async with aclosing(reply.read()) as pieces:  # type: ignore[type-var]
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
