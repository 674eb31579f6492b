"""Every control path. Unknown ones are 404, never silently OK; every reply carries `schema_version`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from emulator.clock import MICROSECONDS, rfc3339
from emulator.domain.keys import DEFAULT_TEAM, check_team_name
from emulator.limits import DEFAULTS, ROWS
from emulator.version import VERSION
from emulator.world import Team, World

if TYPE_CHECKING:
    from emulator.jobs.runner import Runner

SCHEMA_VERSION = 1
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


class ControlError(Exception):
    """A control call that cannot be carried out."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Control:
    """The control plane as an ASGI application."""

    def __init__(self, world: World, runner: Runner) -> None:
        self._world, self._runner = world, runner
        self._router = Router(
            [
                self._route("GET", "/health", self.health),
                self._route("GET", "/ready", self.health),
                self._route("POST", "/reset", self.reset),
                self._route("GET", "/clock", self.clock),
                self._route("POST", "/clock/advance", self.advance),
                self._route("POST", "/clock/freeze", self.freeze),
                self._route("POST", "/clock/resume", self.resume),
                self._route("POST", "/clock/reset", self.reset_clock),
                self._route("POST", "/jobs/run", self.run_jobs),
                self._route("GET", "/limits", self.limits),
                self._route("PUT", "/limits", self.set_limits),
                self._route("GET", "/requests", self.requests),
                self._route("GET", "/openapi.json", self.openapi),
            ],
            default=self._unknown,
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        refused = foreign_caller(Request(scope))
        if refused is not None:
            await _reply({"error": refused}, 403)(scope, receive, send)
            return
        await self._router(scope, receive, send)

    def _route(self, method: str, path: str, run: Callable[[Request], Awaitable[Any]]) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                return _reply(await run(request))
            except ControlError as error:
                return _reply({"error": str(error)}, error.status)

        return Route(f"/_emulator{path}", endpoint, methods=[method])

    async def _unknown(self, scope: Any, receive: Any, send: Any) -> None:
        await _reply({"error": f"there is no control path {scope['path']}"}, 404)(scope, receive, send)

    def _team(self, request: Request) -> Team:
        try:
            return self._world.team(check_team_name(request.query_params.get("team", DEFAULT_TEAM)))
        except ValueError as error:
            raise ControlError(400, str(error)) from None

    # --- the calls

    async def health(self, request: Request) -> dict[str, Any]:
        """Answers as soon as the port accepts connections, which is when both doors do."""
        return {"status": "ok", "version": VERSION, "url": self._world.origin}

    async def reset(self, request: Request) -> dict[str, Any]:
        """Forget everything a team has, and set its clock back."""
        return {"cleared": self._world.reset(self._team(request))}

    async def clock(self, request: Request) -> dict[str, Any]:
        """A team's time."""
        clock = self._team(request).clock
        return {"now": rfc3339(clock.now()), "frozen": clock.frozen, "offset_seconds": clock.offset / MICROSECONDS}

    async def advance(self, request: Request) -> dict[str, Any]:
        """Move a team's clock forward by `seconds`, and run what becomes due."""
        body = await _json(request)
        seconds = body.get("seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < 1e12:
            raise ControlError(400, "seconds is a number of seconds, 0 or more")
        try:
            ran = await self._runner.advance(self._team(request), round(seconds * MICROSECONDS))
        except ValueError as error:
            raise ControlError(400, str(error)) from None
        return {**await self.clock(request), "jobs": [_job(job) for job in ran]}

    async def freeze(self, request: Request) -> dict[str, Any]:
        """Stop a team's clock."""
        self._world.change_clock(self._team(request), lambda clock: clock.freeze())
        return await self.clock(request)

    async def resume(self, request: Request) -> dict[str, Any]:
        """Let a team's clock run on from where it stopped."""
        self._world.change_clock(self._team(request), lambda clock: clock.resume())
        return await self.clock(request)

    async def reset_clock(self, request: Request) -> dict[str, Any]:
        """Set a team's clock to the wall clock."""
        self._world.change_clock(self._team(request), lambda clock: clock.reset())
        return await self.clock(request)

    async def run_jobs(self, request: Request) -> dict[str, Any]:
        """Run what a team's manual speeds hold back."""
        return {"jobs": [_job(job) for job in await self._runner.release(self._team(request))]}

    async def limits(self, request: Request) -> dict[str, Any]:
        """Every limit: the value in force for a team, the default, where it is from and how sure that is."""
        limits = self._team(request).limits
        return {
            "limits": {
                name: {
                    "value": getattr(limits, name),
                    "default": DEFAULTS[name],
                    "source": row.source,
                    "confidence": row.confidence.value,
                }
                for name, row in ROWS.items()
            }
        }

    async def set_limits(self, request: Request) -> dict[str, Any]:
        """Override limits of a team: `{"file_bytes_max": 1024}`, null for none."""
        changes = await _json(request)
        if not all(value is None or (isinstance(value, int) and value is not True) for value in changes.values()):
            raise ControlError(400, "each limit is a whole number, or null for none")
        try:
            self._world.set_limits(self._team(request), changes)
        except ValueError as error:
            raise ControlError(400, str(error)) from None
        return await self.limits(request)

    async def requests(self, request: Request) -> dict[str, Any]:
        """The calls of a team that are remembered, oldest first."""
        journal: Any = self._world.journal
        entries = journal.entries(self._team(request).name)
        return {"evicted": journal.evicted, "requests": [_entry(entry) for entry in entries]}

    async def openapi(self, request: Request) -> dict[str, Any]:
        """The OpenAPI document of `/v1`."""
        from emulator.rest.openapi import document

        return document(self._world.team(DEFAULT_TEAM), self._world.origin)


def foreign_caller(request: Request) -> str | None:
    """Why a browser page of elsewhere may not call: a foreign Origin, or a Host that was rebound to this machine."""
    host = urlsplit(f"//{request.headers.get('host', 'localhost')}").hostname
    if host not in _LOCAL_HOSTS:
        return f"the control plane answers local hosts only, not {host}"
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).hostname not in _LOCAL_HOSTS:
        return f"the control plane does not answer pages of {origin}"
    return None


async def _json(request: Request) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(await request.body() or b"{}")
    except msgspec.DecodeError as error:
        raise ControlError(400, f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise ControlError(400, "the body is a JSON object")
    return body


def _job(job: Any) -> dict[str, Any]:
    return {"kind": job.kind, "subject": job.subject, "at": rfc3339(job.due_at)}


def _entry(entry: Any) -> dict[str, Any]:
    values = {name: value for name, value in asdict(entry).items() if not name.startswith("_")}
    return {**values, "at": rfc3339(entry.at)}


def _reply(body: dict[str, Any], status: int = 200) -> Response:
    content = msgspec.json.encode(body if "openapi" in body else {"schema_version": SCHEMA_VERSION, **body})
    return Response(content, status, {"x-emulator": VERSION}, "application/json")
