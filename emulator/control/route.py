"""What a control path is: how it is asked, what it answers, how it refuses."""

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
    """What every reply begins with."""

    schema_version: int = SCHEMA_VERSION


class Refusal(Answer):
    """Why a call was not carried out."""

    error: str


class TeamQuery(Struct, forbid_unknown_fields=True):
    """Whose state a call is about."""

    team: TeamName = DEFAULT_TEAM


class ControlError(Exception):
    """A control call that cannot be carried out.

    400: it is not of the shape that is documented. 401: without the token. 403: from elsewhere, or about a setting that
    only the start of the emulator can set. 404: what it names is not there. 409: not as things are now.
    422: the shape is right, but it can never be done.
    """

    def __init__(self, status: int, message: str, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        super().__init__(message)
        self.status, self.headers = status, list(headers)


class Api(msgspec.Struct, frozen=True):
    """What the control API shows of the REST API: its routes, and its OpenAPI document for a team at an origin."""

    routes: Sequence[ApiRoute]
    describe: Callable[[Team, str], dict[str, Any]]


JournalCall = tuple[Entry, CallShown]


class Snippets(msgspec.Struct, frozen=True):
    """A call as a command line and as a test; None where that cannot be, for a reason."""

    curl: str | None
    pytest: str | None
    reason: str | None


class Exports(msgspec.Struct, frozen=True):
    """How calls of the journal leave the emulator: as a HAR file, and the last of several as a command and a test."""

    har: Callable[[Sequence[JournalCall], str], bytes]
    snippets: Callable[[Sequence[JournalCall], str, dict[Plane, str]], Snippets]


class Parts(msgspec.Struct, frozen=True):
    """What the control plane controls."""

    services: Services
    runner: Runner
    journal: Journal
    faults: Faults
    api: Api
    exports: Exports


class Asked(msgspec.Struct, frozen=True):
    """One control call, decoded."""

    parts: Parts
    path: Mapping[str, str]
    query: Any
    body: Any
    stream: Callable[[], AsyncIterator[bytes]]

    @property
    def services(self) -> Services:
        """The state of the emulator."""
        return self.parts.services

    @property
    def team(self) -> Team:
        """The team that the call is about."""
        return self.services.teams.get(self.query.team)


class ControlRoute(msgspec.Struct, frozen=True):
    """One method of one control path."""

    method: str
    path: str  # below /_emulator; `{name}` is a parameter
    run: Callable[[Asked], Awaitable[Any]]
    reply: type  # an Answer, or EventStream, FileDownload or TextResponse
    body: type | None = None
    query: type = TeamQuery
    optional_body: bool = False
    uploads: bool = False  # the body is a file
    refusals: tuple[int, ...] = ()  # beside 400, 401 and 403
    public: bool = False  # needs no control token
    reads: bool = False  # it changes nothing of the team, although its method is not GET
