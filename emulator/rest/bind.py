"""The REST door as an ASGI application: dispatch, call the pipeline, answer."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any

from emulator import ids
from emulator.domain.keys import Plane, bearer
from emulator.errors import ApiError, CallerGone, Kind
from emulator.operations import OPERATIONS
from emulator.operations.base import Call
from emulator.pipeline.run import perform
from emulator.rest.bodies import PREFLIGHT, Reply, head, refusal
from emulator.rest.dispatch import Dispatch, Match
from emulator.rest.reading import Exchange
from emulator.rest.route import Route
from emulator.rest.routes import NOT_EMULATED, ROUTES, plane_of
from emulator.world import World

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Rest:
    """Serves `/v1` and public URLs."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._requests = itertools.count(1)
        self._request_prefix = ids.fixed_uuid(world.seed, "", "requests")[:24]
        self._dispatch: Dispatch[Route] = Dispatch()
        for route in ROUTES:
            self._dispatch.add(route.method, route.path, route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["raw_path"].decode("latin-1").partition("?")[0]
        warnings: list[str] = []
        request_id = f"{self._request_prefix}{next(self._requests):012x}"  # a UUID's shape at the price of a counter
        try:
            reply = await self._answer(scope, receive, method, path, warnings)
        except CallerGone:
            return
        await _send(reply, head(reply, request_id, warnings), send, body=method != "HEAD")

    async def _answer(self, scope: Scope, receive: Receive, method: str, path: str, warnings: list[str]) -> Reply:
        plane = plane_of(path)
        try:
            if method == "OPTIONS":
                return Reply(200, content_type=None, headers=PREFLIGHT)
            match = self._dispatch.find(path)
            if match is None:
                raise _unknown(path)
            route = match.methods.get("GET" if method == "HEAD" else method)
            if route is None:
                return _wrong_method(match, plane)
            plane = OPERATIONS[route.operation].plane
            return await self._call(route, Exchange(scope, receive, match.parameters), warnings)
        except ApiError as error:
            return refusal(error, plane)

    async def _call(self, route: Route, exchange: Exchange, warnings: list[str]) -> Reply:
        authorization, host = exchange.header(b"authorization"), exchange.header(b"host")
        call = Call(
            operation=OPERATIONS[route.operation],
            door="rest",
            credentials=bearer(authorization),
            origin=f"{exchange.scope['scheme']}://{host or 'localhost'}",
            read=lambda call: route.read(exchange, call),
            warnings=warnings,
        )
        return route.write(exchange, await perform(self._world, call))


def _unknown(path: str) -> ApiError:
    for prefix, reason in NOT_EMULATED.items():
        if path == prefix or path.startswith(f"{prefix}/"):
            return ApiError(Kind.NOT_EMULATED, f"{path}: {reason}.", rule="not_emulated")
    return ApiError(Kind.NOT_FOUND, f"There is no {path[:200]} in this API.", rule="unknown_route")


def _wrong_method(match: Match[Route], plane: Plane) -> Reply:
    reply = refusal(ApiError(Kind.METHOD_NOT_ALLOWED, "Method Not Allowed", rule="method"), plane)
    allowed = {*match.methods, "OPTIONS"} | ({"HEAD"} if "GET" in match.methods else set())
    reply.headers.append((b"allow", ", ".join(sorted(allowed)).encode()))
    return reply


async def _send(reply: Reply, headers: list[tuple[bytes, bytes]], send: Send, *, body: bool) -> None:
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if reply.content is None or not body:
        await send({"type": "http.response.body", "body": reply.body if body else b""})
        return
    async with aclosing(reply.content.read(reply.start, reply.stop)) as pieces:  # type: ignore[type-var]
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0)  # a fast reader must not keep the loop from others
    await send({"type": "http.response.body", "body": b""})
