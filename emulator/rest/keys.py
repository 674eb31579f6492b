"""The paths of API keys, of their possible permissions, and of the audit log."""

from __future__ import annotations

from emulator.rest.protojson import FromProtoJson, FromProtoQuery
from emulator.rest.requests import FromPath
from emulator.rest.responses import AsJson
from emulator.rest.route import Route
from emulator.rest.schemas import collections
from emulator.rest.schemas import keys as shapes

_KEY = AsJson(shapes.ApiKeyJson, shapes.key_json)
_EMPTY = AsJson(collections.EmptyJson, lambda result: collections.EmptyJson())
_KEYS = "/auth/teams/{team_id}/api-keys"
_ONE = "/auth/api-keys/{api_key_id}"

ROUTES: tuple[Route, ...] = (
    Route("POST", _KEYS, "keys.create", FromProtoJson(shapes.CreateApiKeyBody, shapes.create), _KEY),
    Route(
        *("GET", _KEYS, "keys.list", FromProtoQuery(shapes.ApiKeysQuery, shapes.list_keys)),
        AsJson(shapes.ApiKeysJson, shapes.keys_json),
    ),
    Route("PUT", _ONE, "keys.update", FromProtoJson(shapes.UpdateApiKeyBody, shapes.update), _KEY),
    Route("DELETE", _ONE, "keys.delete", FromPath(shapes.key_id), _EMPTY),
    Route("POST", f"{_ONE}/rotate", "keys.rotate", FromProtoJson(shapes.RotateApiKeyBody, shapes.rotate), _KEY),
    Route(
        *("GET", f"{_ONE}/propagation", "keys.get_propagation", FromPath(shapes.key_id)),
        AsJson(shapes.PropagationJson, shapes.propagation_json),
    ),
    Route(
        *("GET", "/auth/management-keys/validation", "keys.validate_management", FromPath(shapes.no_parameters)),
        AsJson(shapes.ManagementKeyJson, shapes.management_key_json),
    ),
    Route(
        *("GET", "/auth/teams", "teams.list", FromPath(shapes.no_parameters)),
        AsJson(shapes.TeamsJson, shapes.teams_json),
    ),
    Route(
        *("GET", "/auth/teams/{team_id}/models", "teams.list_models", FromPath(shapes.team_id)),
        AsJson(shapes.ModelNamesJson, shapes.models_json),
    ),
    Route(
        *("GET", "/auth/teams/{team_id}/endpoints", "teams.list_endpoints", FromPath(shapes.team_id)),
        AsJson(shapes.EndpointAclsJson, shapes.endpoints_json),
    ),
    Route(
        *("GET", "/audit/teams/{team_id}/events", "audit.list_events"),
        FromProtoQuery(shapes.EventsQuery, shapes.list_events),
        AsJson(shapes.EventsJson, shapes.events_json),
    ),
)
