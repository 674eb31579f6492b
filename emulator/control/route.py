"""Routes of the control API: their requests, responses and errors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from emulator.core.limits import whole
from emulator.domain.keys import DEFAULT_TEAM, TEAM_NAME, Plane
from emulator.http.near_misses import ApiRoute
from emulator.jobs.runner import Runner
from emulator.pipeline.faults.plan import Faults
from emulator.pipeline.journal.journal import Entry, Journal
from emulator.pipeline.journal.views import CallShown
from emulator.state.services import Services
from emulator.state.teams import Team

SCHEMA_VERSION = 1

TeamName = Annotated[str, Meta(pattern=whole(TEAM_NAME.pattern), description="As in the suffix of a key: `KEY@team`.")]


class Answer(Struct, kw_only=True):
    """The common members of all responses."""

    schema_version: int = SCHEMA_VERSION


class Refusal(Answer):
    """The body of an error response."""

    error: str


class TeamQuery(Struct, forbid_unknown_fields=True):
    """The query parameter that selects the team."""

    team: TeamName = DEFAULT_TEAM


class ControlError(Exception):
    """An error response of the control API.

    400: the request does not have the documented schema. 401: without the token. 403: from a foreign page or host name,
    or about a setting that only the start of the emulator can set. 404: an object does not exist. 409: not possible in
    the current state. 422: valid by the schema, but never possible.
    """

    def __init__(self, status: int, message: str, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        super().__init__(message)
        self.status, self.headers = status, list(headers)


class Api(msgspec.Struct, frozen=True):
    """The REST API as the control API needs it: its routes, and its OpenAPI document for a team at an origin."""

    routes: Sequence[ApiRoute]
    describe: Callable[[Team, str], dict[str, Any]]


JournalCall = tuple[Entry, CallShown]


class Snippets(msgspec.Struct, frozen=True):
    """A call as a command line and as a test; None if that is impossible, with the reason."""

    curl: str | None
    pytest: str | None
    reason: str | None


class Exports(msgspec.Struct, frozen=True):
    """Exports of journal entries: as a HAR file, and the last one as a command and a test."""

    har: Callable[[Sequence[JournalCall], str], bytes]
    snippets: Callable[[Sequence[JournalCall], str, dict[Plane, str]], Snippets]


class Parts(msgspec.Struct, frozen=True):
    """The objects that the control API works on."""

    services: Services
    runner: Runner
    journal: Journal
    faults: Faults
    api: Api
    exports: Exports


class ControlRequest(msgspec.Struct, frozen=True):
    """A decoded request of the control API."""

    parts: Parts
    path: Mapping[str, str]
    query: Any
    body: Any
    stream: Callable[[], AsyncIterator[bytes]]

    @property
    def services(self) -> Services:
        """The services of the emulator."""
        return self.parts.services

    @property
    def team(self) -> Team:
        """The team that the request selects."""
        return self.services.teams.get(self.query.team)


class ControlRoute(msgspec.Struct, frozen=True):
    """One method of one control path."""

    method: str
    path: str  # below /_emulator; `{name}` is a parameter
    run: Callable[[ControlRequest], Awaitable[Any]]
    reply: type  # a subclass of Answer, or EventStream, FileDownload or TextResponse
    body: type | None = None
    query: type = TeamQuery
    optional_body: bool = False
    uploads: bool = False  # the request body is a file
    refusals: tuple[int, ...] = ()  # beside 400, 401 and 403
    public: bool = False  # needs no control token
    reads: bool = False  # it changes no state, although its method is not GET
