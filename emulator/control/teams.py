"""The teams, their settings, and the keys that select them."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from emulator.control.route import Answer, ControlError, ControlRequest, ControlRoute, TeamName
from emulator.control.server import Cleared, NoQuery
from emulator.core.clock import rfc3339
from emulator.domain.keys import DEFAULT_TEAM, INFERENCE_KEY, MANAGEMENT_KEY
from emulator.state.settings import PER_TEAM, BadSetting, shown_all
from emulator.state.teams import NotAllowed, Team


class TeamShown(Struct):
    """A team. `overrides` are the settings that differ from the server's; keys in URLs are redacted.

    The keys are derived from the default ones. If the emulator accepts other keys only, append the same `@name` to
    yours.
    """

    name: str
    api_key: str
    management_key: str
    now: str
    frozen: bool
    overrides: dict[str, Any]


class OneTeam(Answer):
    """One team."""

    team: TeamShown


class AllTeams(Answer):
    """Every team, in order of name."""

    teams: list[TeamShown]


def _settings_shape(name: str, *extra: tuple[str, Any]) -> type[Struct]:
    """Return a struct with a field for every setting that a team can override; null removes an override."""
    fields: list[Any] = list(extra)
    for setting in PER_TEAM:
        shape: Any = dict[str, int | None] if setting == "limits" else str
        fields.append((setting, shape | None | UnsetType, UNSET))
    return msgspec.defstruct(name, fields, forbid_unknown_fields=True, module=__name__, kw_only=True)


NewTeam = _settings_shape("NewTeam", ("name", TeamName))
TeamChange = _settings_shape("TeamChange")


def _shown(team: Team) -> TeamShown:
    suffix = "" if team.name == DEFAULT_TEAM else f"@{team.name}"
    return TeamShown(
        name=team.name,
        api_key=INFERENCE_KEY + suffix,
        management_key=MANAGEMENT_KEY + suffix,
        now=rfc3339(team.clock.now()),
        frozen=team.clock.frozen,
        overrides=shown_all(team.overrides),
    )


def _existing(request: ControlRequest, *, or_visitor: bool = False) -> Team:
    """Return the team of the path; for a change also one that has called but stored nothing so far."""
    name = request.path["name"]
    known = or_visitor and name in request.services.teams.visitors
    if not known and not request.services.store.teams.exists(name):
        raise ControlError(404, f"there is no team {name[:200]!r}")
    return request.services.teams.get(name)


def _configure(request: ControlRequest, team: Team, changes: dict[str, Any]) -> None:
    try:
        request.services.teams.configure(team, changes)
    except NotAllowed as error:
        raise ControlError(403, str(error)) from None
    except BadSetting as error:
        raise ControlError(422, str(error)) from None


async def list_all(request: ControlRequest) -> AllTeams:
    """List the teams. The first call that stores something creates the team of its key."""
    return AllTeams(teams=[_shown(request.services.teams.get(name)) for name in request.services.store.teams.names()])


async def create(request: ControlRequest) -> OneTeam:
    """Create a team, optionally with overrides of settings; 409 if the name is taken.

    `responder` and `embedder` take known values only, as when a team is changed.
    """
    changes = msgspec.to_builtins(request.body)
    name = changes.pop("name")
    if request.services.store.teams.exists(name):
        raise ControlError(409, f"there is a team {name!r} already")
    team = request.services.teams.get(name)
    try:
        _configure(request, team, changes)  # also without changes, to check whether the team can be created
    except ControlError:
        request.services.teams.delete(team)
        raise
    except OSError:
        request.services.teams.visitors.pop(name, None)  # it could not be written, so it does not exist
        raise
    return OneTeam(team=_shown(team))


async def get(request: ControlRequest) -> OneTeam:
    """Show a team."""
    return OneTeam(team=_shown(_existing(request)))


async def change(request: ControlRequest) -> OneTeam:
    """Change the settings of a team; settings left out stay, null restores the server's.

    `responder` and `embedder` name code, files or servers: 403 unless the value is `echo` or `stand-in`, or was given
    at the start with `--responder`, `--embedder`, `--allow`, the seed file or in Python.
    """
    team = _existing(request, or_visitor=True)
    _configure(request, team, msgspec.to_builtins(request.body))
    return OneTeam(team=_shown(team))


async def delete(request: ControlRequest) -> Cleared:
    """Delete a team with all its objects."""
    return Cleared(cleared=request.services.teams.delete(_existing(request, or_visitor=True)))


ROUTES = (
    ControlRoute("GET", "/teams", list_all, AllTeams, query=NoQuery),
    ControlRoute("POST", "/teams", create, OneTeam, NewTeam, query=NoQuery, refusals=(409, 422)),
    ControlRoute("GET", "/teams/{name}", get, OneTeam, query=NoQuery, refusals=(404,)),
    ControlRoute("PATCH", "/teams/{name}", change, OneTeam, TeamChange, query=NoQuery, refusals=(404, 422)),
    ControlRoute("DELETE", "/teams/{name}", delete, Cleared, query=NoQuery, refusals=(404,)),
)
