"""REST as a Starlette route: a table of routes, the checks around it, and the call of the pipeline."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request as StarletteRequest

from emulator.core import ids
from emulator.core.errors import ApiError, CallerGone, Dropped, Kind
from emulator.core.profiles import Reaction
from emulator.domain.keys import bearer, team_of
from emulator.http.disconnect import CancelOnDisconnect
from emulator.http.middleware import StepsMiddleware, allow_origins, answer_preflight, label
from emulator.http.requests import Request, connection_of, header, headers_of
from emulator.http.responses import (
    NO_CONNECTION,
    ContentResponse,
    Headers,
    JsonResponse,
    ReadResponse,
    Response,
    response_headers,
)
from emulator.http.routing import MATCH, TableRoute, raw_path
from emulator.operations import OPERATIONS
from emulator.operations.base import Call
from emulator.pipeline.begin import begin
from emulator.pipeline.chaos.responses import alter_json
from emulator.pipeline.origin_check import OriginCheck
from emulator.pipeline.outcomes import LEFT
from emulator.pipeline.perform import perform
from emulator.rest.field_suggestions import suggest
from emulator.rest.protojson import FromProtoJson, FromProtoQuery
from emulator.rest.request_metadata import Scope, envelope_of
from emulator.rest.requests import FromJson, FromQuery, FromStream, query_names
from emulator.rest.responses import encoded, refusal
from emulator.rest.route import Route
from emulator.rest.routes import NOT_EMULATED, ROUTES, plane_of
from emulator.rest.unknown_fields import Ignored, unread_fields, unread_parameters
from emulator.state.services import Services

NAMES_SHOWN = 8  # in a header
PATH_CHARS_SHOWN = 100  # in a header

# Recorded on the inference host, 2025-07 and later. For the management host only the message of paths below /auth is
# known; its other paths get this message in the dialect of its other refusals.
UNKNOWN_ROUTE_CODE = "Some requested entity was not found"
UNKNOWN_ROUTE = (
    "No handler found on route. Please double check your URL and consult https://api.x.ai/docs for more information."
)


class Rest:
    """Serves `/v1` and public URLs: `route` for Starlette's router, and the handlers of the exceptions it raises."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._origin_check = OriginCheck.of(services.settings)
        self._requests = itertools.count(1)
        self._request_prefix = ids.fixed_uuid(services.ids.seed, "", "requests")[:24].encode()
        self.route = TableRoute(
            ROUTES,
            self._call,
            [
                Middleware(
                    StepsMiddleware,
                    allow_origins(self._origin_check),
                    label(self._request_id),
                    self._refuse_host,
                    answer_preflight,
                )
            ],
        )
        self.exception_handlers: dict[Any, Callable[..., Awaitable[Response | None]]] = {
            404: self._not_found,
            405: self._method_not_allowed,
            ApiError: self._refused,
            CallerGone: self._gone,
        }

    def _request_id(self) -> bytes:
        """Return an id in the format of a UUID, from a counter, which is cheap."""
        return b"%b%012x" % (self._request_prefix, next(self._requests))

    def _refuse_host(self, scope: Scope, headers: Headers) -> Response | None:
        """Refuse a call to a host name that can be rebound.

        A call within the process, to `Emulator.app`, has no browser.
        """
        refused = self._origin_check.api_refusal(header(scope, b"host"))
        if refused is None or connection_of(scope) is None:
            return None
        return refusal(ApiError(Kind.PERMISSION_DENIED, refused, rule="host"), plane_of(raw_path(scope)))

    async def _not_found(self, request: StarletteRequest, error: HTTPException) -> Response:
        unknown = _unknown(request.method, raw_path(request.scope))
        # OpenAI's clients retry a 5xx unless a header forbids it.
        more = [(b"x-should-retry", b"false")] if unknown.kind is Kind.NOT_EMULATED else []
        return self._unmatched(request.scope, unknown, *more)

    async def _method_not_allowed(self, request: StarletteRequest, error: HTTPException) -> Response:
        allowed = [*(error.headers or {})["Allow"].split(", "), "OPTIONS"]
        wrong = ApiError(Kind.METHOD_NOT_ALLOWED, "Method Not Allowed", rule="method")
        return self._unmatched(request.scope, wrong, (b"allow", ", ".join(sorted(allowed)).encode()))

    async def _refused(self, request: StarletteRequest, error: ApiError) -> Response:
        return self._unmatched(request.scope, error)

    async def _gone(self, request: StarletteRequest, gone: CallerGone) -> None:
        """Send no response. If there is no connection to drop, raise the error to the caller."""
        if isinstance(gone, Dropped) and connection_of(request.scope) is None:
            raise ConnectionResetError(NO_CONNECTION) from None

    async def _call(self, route: Route, request: Request) -> Response:
        scope, operation = request.scope, OPERATIONS[route.operation]
        headers = headers_of(scope)
        call = begin(
            self._services,
            operation,
            "rest",
            credentials=_credentials(headers),
            origin=_origin(scope, headers),
            read=lambda call: route.read(request, call),
            envelope=envelope_of(scope, headers, scope[MATCH].raw_path),
        )
        try:
            if isinstance(route.read, FromStream):  # it detects the disconnect when it reads the body
                result = await perform(self._services, call)
            else:
                with CancelOnDisconnect(scope):
                    result = await perform(self._services, call)
            response = route.write(request, result)
            if call.chaos is not None and isinstance(response, JsonResponse):
                response.replace_body(alter_json(call, response.body))
        except ApiError as error:
            call.entry.refused(error)
            response = refusal(error, operation.plane)
        self._note(call, route, request, response)
        if isinstance(response, ReadResponse):
            response.on_left = partial(call.entry.end, LEFT)
        return response

    def _note(self, call: Call, route: Route, request: Request, response: Response) -> None:
        """Record the request and response in the journal, and warn the client of unknown fields."""
        if request.received_bytes:
            call.envelope.body_bytes = request.received_bytes
            if request.received and not isinstance(route.read, FromStream):
                call.envelope.body = request.received
        ignored = _ignored(call, route, request)
        if ignored:
            call.unread = list(ignored)
            if call.team.profile.unread_fields is not Reaction.ACCEPT:
                call.warn(f"unknown fields ignored: {_listed(route.operation, ignored)}")
        if call.faults or call.warnings:
            response.raw_headers += encoded(call.labels)
        size = response.content_bytes if isinstance(response, ContentResponse) else None
        headers = response.begin_with(response_headers(request.scope))
        self._services.journal.replied(call, response.status_code, response.body, size, headers)

    def _unmatched(self, scope: Scope, error: ApiError, *more: tuple[bytes, bytes]) -> Response:
        """Refuse a request that matches no route, and record it in the journal; `more` are headers of this refusal."""
        response = refusal(error, plane_of(raw_path(scope)))
        response.raw_headers += more
        headers = headers_of(scope)
        credentials, envelope = _credentials(headers), envelope_of(scope, headers, raw_path(scope))
        team = self._services.teams.get(team_of(credentials))
        self._services.journal.unmatched(
            *(team.name, team.clock.now(), "rest", envelope, credentials, error, response.status_code),
            headers=response.begin_with(response_headers(scope)),
        )
        return response


def _credentials(headers: Mapping[bytes, bytes]) -> str | None:
    return bearer(headers.get(b"authorization", b"").decode("latin-1"))


def _ignored(call: Call, route: Route, request: Request) -> Ignored:
    """Return the fields of a request that the server ignores."""
    read = route.read
    if request.received and isinstance(read, FromJson):
        return unread_fields(request.received, read.shape, camel_case=isinstance(read, FromProtoJson))
    if request.scope["query_string"] and isinstance(read, FromQuery):
        names = query_names(request, call.team.limits)
        return unread_parameters(names, read.shape, camel_case=isinstance(read, FromProtoQuery))
    return {}


def _listed(operation: str, ignored: Ignored) -> str:
    """Return the names for a header, each with its suggested field."""
    names = []
    for name, known in itertools.islice(ignored.items(), NAMES_SHOWN):
        meant = suggest(operation, name, known)
        names.append(name if meant is None else f"{name} (use {meant})")
    more = len(ignored) - NAMES_SHOWN
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")


def _unknown(method: str, path: str) -> ApiError:
    """Return the refusal of a path that is no route: 501 for one that is not emulated, else the recorded 404."""
    for prefix, reason in NOT_EMULATED.items():
        if path == prefix or path.startswith(f"{prefix}/"):
            return ApiError(Kind.NOT_EMULATED, f"{path[:200]}: {reason}.", rule="not_emulated")
    from emulator.http.near_misses import near_misses

    hint = f"There is no {path[:PATH_CHARS_SHOWN]} in this API."
    nearest = near_misses(method, path, ROUTES, limit=1)
    if nearest:
        hint += f" Nearest: {nearest[0].method} {nearest[0].path}"
    sentence = "Not Found" if path.startswith(("/auth/", "/audit/")) else UNKNOWN_ROUTE
    return ApiError(Kind.NOT_FOUND, sentence, rule="unknown_route", code=UNKNOWN_ROUTE_CODE, hint=hint)


def _origin(scope: Scope, headers: Mapping[bytes, bytes]) -> str:
    """Return the URL under which the caller reaches the emulator, which may be mounted in another application."""
    host = (headers.get(b"host") or b"localhost").decode("latin-1")
    return f"{scope['scheme']}://{host}{scope.get('root_path', '')}"
