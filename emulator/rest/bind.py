"""The REST door as an ASGI application: dispatch, call the pipeline, answer."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any

from emulator import ids
from emulator.domain.keys import bearer, team_of
from emulator.errors import ApiError, CallerGone, Dropped, Kind
from emulator.operations import OPERATIONS
from emulator.operations.base import Call
from emulator.pipeline.chaos.responses import alter_json
from emulator.pipeline.origin_check import OriginCheck
from emulator.pipeline.perform import perform
from emulator.profiles import Reaction
from emulator.rest.bodies import JSON, Headers, Reply, cors, encoded, head, refusal
from emulator.rest.dispatch import Dispatch, Match
from emulator.rest.envelope import Scope, cancelled_on_disconnect, envelope_of, header, headers_of, transport_of
from emulator.rest.protojson import FromProtoJson
from emulator.rest.reading import Exchange, FromJson, FromStream
from emulator.rest.route import Route
from emulator.rest.routes import NOT_EMULATED, ROUTES, plane_of
from emulator.rest.unread import unread_fields
from emulator.world import World

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

NO_CONNECTION = "a planned fault ends the connection, and a call within the process has none"
NAMES_SHOWN = 8  # in a header


class Rest:
    """Serves `/v1` and public URLs."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._origin_check = OriginCheck.of(world.settings)
        self._requests = itertools.count(1)
        self._request_prefix = ids.fixed_uuid(world.seed, "", "requests")[:24]
        self._dispatch: Dispatch[Route] = Dispatch()
        for route in ROUTES:
            self._dispatch.add(route.method, route.path, route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = f"{self._request_prefix}{next(self._requests):012x}"  # a UUID's shape at the price of a counter
        try:
            reply = self._refuse_host(scope) or await self._answer(scope, receive, request_id)
        except CallerGone as gone:
            if isinstance(gone, Dropped) and transport_of(scope) is None:
                raise ConnectionResetError(NO_CONNECTION) from None
            return
        try:
            await _send(scope, reply, self._head(scope, reply, request_id), send)
        except ApiError:  # too late for a refusal: the response ends in the middle
            transport = transport_of(scope)
            if transport is None:
                raise ConnectionResetError(NO_CONNECTION) from None
            transport.close()

    def _refuse_host(self, scope: Scope) -> Reply | None:
        """Refuse a call to a name that may be rebound. A call within the process, to `Emulator.app`, has no browser."""
        refused = self._origin_check.api_refusal(header(scope, b"host"))
        if refused is None or transport_of(scope) is None:
            return None
        return refusal(ApiError(Kind.PERMISSION_DENIED, refused, rule="host"), plane_of(scope["path"]))

    def _head(self, scope: Scope, reply: Reply, request_id: str) -> Headers:
        """All headers of a reply to a request, with those that tell a browser whether its page may read it."""
        origin = self._origin_check.cors_origin(header(scope, b"origin"))
        return head(reply, request_id, cors(origin, preflight=scope["method"] == "OPTIONS"))

    async def _answer(self, scope: Scope, receive: Receive, request_id: str) -> Reply:
        method, path = scope["method"], scope["raw_path"].decode("latin-1").partition("?")[0]
        if method == "OPTIONS":
            return Reply(200, content_type=None)
        try:
            match = self._dispatch.find(path)
        except ApiError as error:  # a segment that is no UTF-8
            return self._unmatched(scope, path, error, request_id)
        if match is None:
            unknown = _unknown(path)
            # OpenAI's clients try a 5xx again unless they are told not to.
            more = [(b"x-should-retry", b"false")] if unknown.kind is Kind.NOT_EMULATED else []
            return self._unmatched(scope, path, unknown, request_id, *more)
        route = match.methods.get("GET" if method == "HEAD" else method)
        if route is None:
            wrong = ApiError(Kind.METHOD_NOT_ALLOWED, "Method Not Allowed", rule="method")
            return self._unmatched(scope, path, wrong, request_id, (b"allow", _allowed(match)))
        return await self._call(route, Exchange(scope, receive, match.parameters), request_id)

    async def _call(self, route: Route, exchange: Exchange, request_id: str) -> Reply:
        scope, operation = exchange.scope, OPERATIONS[route.operation]
        headers = headers_of(scope)
        call = Call(
            operation=operation,
            door="rest",
            credentials=_credentials(headers),
            origin=f"{scope['scheme']}://{(headers.get(b'host') or b'localhost').decode('latin-1')}",
            read=lambda call: route.read(exchange, call),
            envelope=envelope_of(scope, headers),
        )
        try:
            if isinstance(route.read, FromStream):  # which sees the disconnect where it reads the body
                result = await perform(self._world, call)
            else:
                with cancelled_on_disconnect(scope):
                    result = await perform(self._world, call)
            reply = route.write(exchange, result)
            if reply.content_type == JSON:
                reply.body = alter_json(call, reply.body)
        except ApiError as error:
            call.entry.refused(error)
            reply = refusal(error, operation.plane)
        self._note(call, route, exchange, reply, request_id)
        return reply

    def _note(self, call: Call, route: Route, exchange: Exchange, reply: Reply, request_id: str) -> None:
        """Tell the journal what came and what was answered, and the client which fields nobody read."""
        envelope = call.envelope
        envelope.body_bytes = exchange.received_bytes
        if exchange.received and not isinstance(route.read, FromStream):
            envelope.body = exchange.received
            if isinstance(route.read, FromJson):
                camel_case = isinstance(route.read, FromProtoJson)
                call.unread = unread_fields(exchange.received, route.read.shape, camel_case=camel_case)
        if call.unread and call.team.profile.unread_fields is not Reaction.ACCEPT:
            call.warn(f"nobody reads {_listed(call.unread)}")
        reply.headers += encoded(call.labels)
        size = (
            None if reply.content is None else (reply.content.size if reply.stop is None else reply.stop) - reply.start
        )
        self._world.journal.replied(call, reply.status, reply.body, size, self._head(exchange.scope, reply, request_id))

    def _unmatched(
        self, scope: Scope, path: str, error: ApiError, request_id: str, *more: tuple[bytes, bytes]
    ) -> Reply:
        """Refuse what fits no route, and let the journal know; `more` are headers of this refusal."""
        reply = refusal(error, plane_of(path))
        reply.headers += more
        headers = headers_of(scope)
        credentials, envelope = _credentials(headers), envelope_of(scope, headers)
        team = self._world.team(team_of(credentials))
        self._world.journal.unmatched(
            *(team.name, team.clock.now(), "rest", envelope, credentials, error, reply.status),
            headers=self._head(scope, reply, request_id),
        )
        return reply


def _credentials(headers: Mapping[bytes, bytes]) -> str | None:
    return bearer(headers.get(b"authorization", b"").decode("latin-1"))


def _listed(names: list[str]) -> str:
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _unknown(path: str) -> ApiError:
    for prefix, reason in NOT_EMULATED.items():
        if path == prefix or path.startswith(f"{prefix}/"):
            return ApiError(Kind.NOT_EMULATED, f"{path[:200]}: {reason}.", rule="not_emulated")
    return ApiError(Kind.NOT_FOUND, f"There is no {path[:200]} in this API.", rule="unknown_route")


def _allowed(match: Match[Route]) -> bytes:
    allowed = {*match.methods, "OPTIONS"} | ({"HEAD"} if "GET" in match.methods else set())
    return ", ".join(sorted(allowed)).encode()


async def _send(scope: Scope, reply: Reply, headers: Headers, send: Send) -> None:
    is_head = scope["method"] == "HEAD"
    body = b"" if is_head else reply.body
    transport = transport_of(scope)
    if reply.content is None and transport is not None and transport.respond(reply.status, headers, body):
        return
    start = {"type": "http.response.start", "status": reply.status, "headers": headers}
    if reply.content is None or is_head:
        await send(start)
        await send({"type": "http.response.body", "body": body})
        return
    async with aclosing(reply.content.read(reply.start, reply.stop)) as pieces:  # type: ignore[type-var]
        try:
            # Before anything is sent, and so before another call can delete what is read: from here on it stays open.
            piece = await anext(pieces, None)
        except ApiError:  # a planned fault, which cuts a response that has begun
            await send(start)
            raise
        await send(start)
        while piece is not None:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0)  # a fast reader must not keep the loop from others
            piece = await anext(pieces, None)
    await send({"type": "http.response.body", "body": b""})
