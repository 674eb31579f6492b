"""The control API as a Starlette application: `/_emulator/…`. Unknown paths are 404."""

from __future__ import annotations

from typing import Any, cast

import msgspec
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response as StarletteResponse
from starlette.routing import Mount
from starlette.types import Scope

from emulator.control import (
    answers,
    chaos,
    chat,
    chunks,
    clock,
    faults,
    filters,
    guide,
    journal,
    limits,
    metrics,
    overview,
    rules,
    search,
    server,
    snapshots,
    teams,
)
from emulator.control.access import NEEDED, ControlToken
from emulator.control.openapi import document
from emulator.control.page import Console, Page, PageRoute, to_console
from emulator.control.route import Api, ControlError, ControlRequest, ControlRoute, Exports, Parts, Refusal, TeamQuery
from emulator.core.errors import WIRE, ApiError, CallerGone, disk_unusable, is_of_disk
from emulator.core.validation_errors import explain
from emulator.http.application import Application
from emulator.http.middleware import StepsMiddleware, label
from emulator.http.requests import Request, header, query_pairs
from emulator.http.responses import Headers, JsonResponse, Response
from emulator.http.routing import MATCH, Match, TableRoute, raw_path
from emulator.jobs.runner import Runner
from emulator.pipeline.faults.plan import Faults
from emulator.pipeline.journal.journal import Journal
from emulator.pipeline.origin_check import OriginCheck
from emulator.state.services import Services

BODY_BYTES_MAX = 4 * 1024 * 1024  # of JSON
MODULES = (
    server,
    clock,
    limits,
    faults,
    answers,
    chaos,
    journal,
    rules,
    search,
    chat,
    filters,
    chunks,
    snapshots,
    teams,
    overview,
    metrics,
    guide,
)


async def _describe(request: ControlRequest) -> dict[str, Any]:
    """Return this API as an OpenAPI 3.1 document."""
    return document(ROUTES, request.services.address.origin)


ROUTES: tuple[ControlRoute, ...] = (
    *(route for module in MODULES for route in module.ROUTES),
    ControlRoute("GET", "/control/openapi.json", _describe, dict),
)


class Control:
    """Serves every control path: `app` is mounted at PREFIX."""

    def __init__(self, services: Services, runner: Runner, api: Api, exports: Exports) -> None:
        # `runtime/app` sets these classes of the pipeline, which Services declares as protocols
        self._parts = Parts(
            services, runner, cast(Journal, services.journal), cast(Faults, services.faults), api, exports
        )
        self._origin_check = OriginCheck.of(services.settings)
        self._token = None if services.control_token is None else ControlToken(services.control_token)
        self._console = Console()
        pages = (Page("", to_console), Page("/", self._page))
        table = TableRoute(ROUTES, self._call, [Middleware(StepsMiddleware, self._refuse_without_token)])
        self.app = Application(
            routes=[PageRoute(pages, _open), table, Mount("/console", self._console)],
            not_found=table.not_found,
            exception_handlers={
                HTTPException: _unrouted,
                ControlError: _refused,
                ApiError: _refused_by_kit,
                OSError: _disk_unusable,
                CallerGone: _gone,
            },
            middleware=[Middleware(StepsMiddleware, label(), self._refuse_foreign)],
        )

    def _refuse_foreign(self, scope: Scope, headers: Headers) -> Response | None:
        refused = self._origin_check.control_refusal(header(scope, b"host"), header(scope, b"origin"))
        return None if refused is None else _refusal(ControlError(403, refused))

    def _refuse_without_token(self, scope: Scope, headers: Headers) -> Response | None:
        """Refuse a request without the token, also for unknown paths; public routes need none."""
        match: Any = scope.get(MATCH)
        route: ControlRoute | None = match.row if isinstance(match, Match) else None
        if self._token is None or (route is not None and route.public) or self._token.admits(scope["headers"]):
            return None
        return _refusal(ControlError(401, NEEDED, [(b"www-authenticate", b"Bearer")]))

    def _page(self, request: Request) -> StarletteResponse:
        """Return the console page, which asks for the token. Its scripts and styles are public."""
        scope, question = request.scope, None
        if self._token is not None:
            question = self._token.page(scope["query_string"], scope["headers"], scope["root_path"])
        return question or self._console.index(scope)

    async def _call(self, route: ControlRoute, request: Request) -> StarletteResponse:
        query = _query(request.scope["query_string"], route.query)
        control_request = ControlRequest(
            self._parts, request.path_params, query, await _body(route, request), request.stream
        )
        if isinstance(control_request.query, TeamQuery) and not (route.reads or route.method == "GET"):
            control_request.services.teams.keep(control_request.team)  # store the team, so that the change lasts
        reply = await route.run(control_request)
        return reply if isinstance(reply, StarletteResponse) else JsonResponse(reply)


async def _open(page: Page, request: Request) -> StarletteResponse:
    return page.respond(request)


def _query(raw: bytes, shape: type) -> Any:
    """Decode the query. Unknown and repeated parameters are refused, because they are mistakes."""
    values: dict[str, str] = {}
    try:
        for name, value in query_pairs(raw.decode("ascii")):
            if name in values:
                raise ControlError(400, f"the query parameter {name!r} is repeated")
            values[name] = value
        return msgspec.convert(values, shape, strict=False)
    except UnicodeDecodeError:
        raise ControlError(400, "the query is not percent-encoded UTF-8") from None
    except msgspec.ValidationError as error:
        raise ControlError(400, f"the query: {explain(error)}") from None
    except ValueError as error:
        raise ControlError(400, f"the query: {error}") from None


async def _body(route: ControlRoute, request: Request) -> Any:
    if route.body is None:
        return None
    raw = await request.read_body(BODY_BYTES_MAX)
    if route.optional_body and not raw.strip():
        return route.body()
    try:
        return msgspec.json.decode(raw, type=route.body)
    except msgspec.ValidationError as error:
        raise ControlError(400, f"the body: {explain(error)}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ControlError(400, f"the body is not JSON: {error}") from None


# --- refusals


def _refusal(error: ControlError) -> Response:
    return JsonResponse(Refusal(error=str(error)), error.status, error.headers)


async def _refused(request: StarletteRequest, error: ControlError) -> Response:
    return _refusal(error)


async def _refused_by_kit(request: StarletteRequest, error: ApiError) -> Response:
    """Refuse a body that is too large, or a path that is not UTF-8."""
    return _refusal(ControlError(WIRE[error.kind].http, error.message))


async def _unrouted(request: StarletteRequest, error: HTTPException) -> Response:
    path = raw_path({**request.scope, "root_path": request.scope["app_root_path"]})[
        :220
    ]  # with the paths of the mounts
    if error.status_code != 405:
        return _refusal(ControlError(404, f"there is no control path {path}"))
    allowed = (error.headers or {})["Allow"]
    return _refusal(ControlError(405, f"{path} takes {allowed}", [(b"allow", allowed.encode())]))


async def _disk_unusable(request: StarletteRequest, error: OSError) -> Response:
    if not is_of_disk(error):
        raise error
    return _refusal(ControlError(503, disk_unusable(error).message))


async def _gone(request: StarletteRequest, error: CallerGone) -> None:
    """Refuse every request."""
