"""API keys and audit events in JSON: in camelCase, as in the Management API guide, and outside of /v1.

The guide has no complete response. Members of a key follow the gRPC message `ApiKey`; those of an event are assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import UNSET, Struct, UnsetType, field

from emulator.core.clock import LATEST, Instant, from_datetime, rfc3339
from emulator.core.errors import invalid
from emulator.domain.api_keys import ENDPOINT_ACL
from emulator.domain.collections import form_error
from emulator.domain.paging import Page
from emulator.operations.api_keys import (
    CreateKey,
    KeyId,
    KeyView,
    ListKeys,
    ManagementKeyView,
    Propagation,
    RotateKey,
    TeamId,
    TeamView,
    UpdateKey,
)
from emulator.operations.audit import EventView, ListEvents
from emulator.operations.base import NoParameters
from emulator.rest.protojson import camel_case

Path = Mapping[str, str]

CLUSTER = "emulator"


# --- responses


class ApiKeyJson(Struct, kw_only=True, rename="camel"):
    """An API key.

    `apiKey`, its secret, is present only when it was created or rotated. An int64 such as `tpm` is a string.
    """

    redacted_api_key: str
    user_id: str
    name: str
    create_time: str
    modify_time: str
    modified_by: str
    team_id: str
    acls: list[str]
    api_key_id: str
    api_key_blocked: bool = False
    team_blocked: bool = False
    disabled: bool
    qps: int | UnsetType = UNSET
    qpm: int | UnsetType = UNSET
    tpm: str | UnsetType = UNSET
    expire_time: str | UnsetType = UNSET
    api_key: str | UnsetType = UNSET


class ApiKeysJson(Struct, rename="camel"):
    """A page of keys; no token on the last one."""

    api_keys: list[ApiKeyJson]
    pagination_token: str | UnsetType = UNSET


class PropagationJson(Struct, rename="camel"):
    """Whether each cluster knows a key."""

    ic_propagation: dict[str, bool]


class TeamJson(Struct, rename="camel"):
    """A team."""

    team_id: str
    name: str


class TeamsJson(Struct):
    """The teams of a management key."""

    teams: list[TeamJson]


class ModelNameJson(Struct):
    """A model that an access list may name."""

    name: str


class ModelNamesJson(Struct):
    """The models of a team."""

    models: list[ModelNameJson]


class EndpointAclsJson(Struct):
    """The access lists of endpoints."""

    acls: list[str]


class ManagementKeyJson(Struct, kw_only=True, rename="camel"):
    """A management key: clients of the live service read `teamId`, `scope` and `scopeId`."""

    redacted_api_key: str
    user_id: str
    name: str = "emulator"
    team_id: str
    acls: list[str]
    api_key_id: str
    scope: str = "SCOPE_TEAM"
    scope_id: str


class EventJson(Struct, kw_only=True, rename="camel"):
    """An event of the audit log."""

    event_id: str
    event_time: str
    team_id: str
    user_id: str
    api_key_id: str
    action: str
    subject: str
    description: str


class EventsJson(Struct, rename="camel"):
    """A page of events; no token on the last one."""

    events: list[EventJson]
    next_page_token: str | UnsetType = UNSET


def key_json(view: KeyView) -> ApiKeyJson:
    """Return the JSON of a key."""
    key = view.key
    return ApiKeyJson(
        redacted_api_key=f"xai-...{key.ending}",
        user_id=view.user_id,
        name=key.name,
        create_time=rfc3339(key.created_at),
        modify_time=rfc3339(key.modified_at),
        modified_by=view.user_id,
        team_id=view.team_id,
        acls=list(key.acls),
        api_key_id=key.id,
        disabled=key.disabled,
        qps=UNSET if key.qps is None else key.qps,
        qpm=UNSET if key.qpm is None else key.qpm,
        tpm=UNSET if key.tpm is None else str(key.tpm),
        expire_time=UNSET if key.expires_at is None else rfc3339(key.expires_at),
        api_key=view.secret or UNSET,
    )


def keys_json(page: Page[KeyView]) -> ApiKeysJson:
    """Return a page of keys."""
    return ApiKeysJson([key_json(view) for view in page.items], page.token_if_more or UNSET)


def propagation_json(propagation: Propagation) -> PropagationJson:
    """Return the only cluster."""
    return PropagationJson({CLUSTER: propagation.is_known})


def teams_json(teams: list[TeamView]) -> TeamsJson:
    """Return the teams of a management key."""
    return TeamsJson([TeamJson(team.id, team.name) for team in teams])


def models_json(names: list[str]) -> ModelNamesJson:
    """Return the models of a team."""
    return ModelNamesJson([ModelNameJson(name) for name in names])


def endpoints_json(names: list[str]) -> EndpointAclsJson:
    """Return the access lists of endpoints."""
    return EndpointAclsJson([f"{ENDPOINT_ACL}{name}" for name in ("*", *names)])


def management_key_json(view: ManagementKeyView) -> ManagementKeyJson:
    """Return the description of a management key."""
    return ManagementKeyJson(
        redacted_api_key=view.redacted,
        user_id=view.user_id,
        team_id=view.team_id,
        acls=list(view.acls),
        api_key_id=view.id,
        scope_id=view.team_id,
    )


def events_json(page: Page[EventView]) -> EventsJson:
    """Return a page of events."""
    events = [
        EventJson(
            event_id=view.id,
            event_time=rfc3339(view.event.at),
            team_id=view.team_id,
            user_id=view.event.user_id,
            api_key_id=view.event.api_key_id,
            action=view.event.action,
            subject=view.event.subject,
            description=view.event.description,
        )
        for view in page.items
    ]
    token = page.token_if_more
    return EventsJson(events, token or UNSET)


# --- requests


class CreateApiKeyBody(Struct, rename="camel"):
    """The body of `POST /auth/teams/{teamId}/api-keys`; `tpm` is an int64, and so usually a string."""

    name: str = ""
    acls: list[str] = []
    qps: int | None = None
    qpm: int | None = None
    tpm: int | None = None
    expire_time: str | None = None


class ApiKeyBody(CreateApiKeyBody, rename="camel"):
    """The fields of a key that can be changed."""

    disabled: bool = False


class UpdateApiKeyBody(Struct, rename="camel"):
    """The body of `PUT /auth/api-keys/{apiKeyId}`: `fieldMask` names the fields to update, separated by commas."""

    api_key: ApiKeyBody = field(default_factory=ApiKeyBody)
    field_mask: str = ""


class RotateApiKeyBody(Struct, rename="camel"):
    """The body of `POST /auth/api-keys/{apiKeyId}/rotate`."""

    old_secret_expire_time: str | None = None


class ApiKeysQuery(Struct, rename="camel"):
    """The query of `GET /auth/teams/{teamId}/api-keys`."""

    page_size: int | None = None
    pagination_token: str | None = None
    acl_filters: list[str] = []


class EventsQuery(Struct, rename="camel"):
    """The query of `GET /audit/teams/{teamId}/events`."""

    page_size: int | None = None
    page_token: str | None = None
    event_filter_user_id: str | None = field(default=None, name="eventFilter.userId")
    event_filter_query: str | None = field(default=None, name="eventFilter.query")
    event_time_from: str | None = None
    event_time_to: str | None = None


_MASKED = {name: name for name in ApiKeyBody.__struct_fields__} | {"expire_time": "expires_at"}


def create(path: Path, body: CreateApiKeyBody) -> CreateKey:
    """Return a request to create a key."""
    return CreateKey(
        path["team_id"],
        body.name,
        tuple(body.acls),
        *(body.qps, body.qpm, body.tpm),
        _instant("expireTime", body.expire_time),
    )


def update(path: Path, body: UpdateApiKeyBody) -> UpdateKey:
    """Return a request to update the masked fields; those that the body does not have get their defaults."""
    names = [name.strip() for name in body.field_mask.split(",") if name.strip()]
    if not names:
        raise form_error("field_mask", "Field is empty but must not be empty", "not-empty")
    changes: dict[str, object] = {}
    for name in names:
        known = next((each for each in _MASKED if name in (each, camel_case(each))), None)
        if known is None:
            sentence = f"fieldMask: {name[:100]!r} is none of {', '.join(map(camel_case, _MASKED))}."
            raise invalid(sentence, rule="field_mask", param="field_mask")
        changes[_MASKED[known]] = getattr(body.api_key, known)
    if "acls" in changes:
        changes["acls"] = tuple(body.api_key.acls)
    if "expires_at" in changes:
        changes["expires_at"] = _instant("expireTime", body.api_key.expire_time)
    return UpdateKey(path["api_key_id"], changes)


def rotate(path: Path, body: RotateApiKeyBody) -> RotateKey:
    """Return a request for a new secret of the key in the path."""
    return RotateKey(path["api_key_id"], _instant("oldSecretExpireTime", body.old_secret_expire_time))


def list_keys(path: Path, query: ApiKeysQuery) -> ListKeys:
    """Return a request for a page of keys."""
    return ListKeys(path["team_id"], query.page_size or 0, query.pagination_token, tuple(query.acl_filters))


def key_id(path: Path) -> KeyId:
    """Return a request for the key in the path."""
    return KeyId(path["api_key_id"])


def team_id(path: Path) -> TeamId:
    """Return a request for the team in the path."""
    return TeamId(path["team_id"])


def no_parameters(path: Path) -> NoParameters:
    """Return a request without parameters."""
    return NoParameters()


def list_events(path: Path, query: EventsQuery) -> ListEvents:
    """Return a request for a page of events."""
    start, stop = _instant("eventTimeFrom", query.event_time_from), _instant("eventTimeTo", query.event_time_to)
    return ListEvents(
        path["team_id"],
        query.page_size or 0,
        query.page_token,
        query.event_filter_user_id,
        query.event_filter_query,
        0 if start is None else start,
        LATEST + 1 if stop is None else stop + 1,
    )


def _instant(name: str, text: str | None) -> Instant | None:
    """Parse an ISO 8601 time with a time zone, or return None for None. Raises ApiError."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return from_datetime(moment)
    except (ValueError, OverflowError):
        pass
    raise invalid(f"{name}: {text[:100]!r} is not a time such as 2026-11-21T00:00:00Z.", rule="time", param=name)
