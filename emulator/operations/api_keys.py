"""API keys of a team: create, list, change, rotate and delete them, and list the permissions they can have."""

from __future__ import annotations

from typing import Annotated

import msgspec

from emulator.core.clock import Instant
from emulator.core.errors import invalid
from emulator.core.limits import Confidence, PageSize
from emulator.domain.api_keys import (
    ENDPOINTS,
    ApiKey,
    OldSecret,
    cannot_find,
    check_acls,
    check_rate,
    ending_of,
    hash_of,
    new_secret,
)
from emulator.domain.chat.models import MODELS
from emulator.domain.collections import form_error
from emulator.domain.keys import Plane
from emulator.domain.paging import Page
from emulator.domain.quotas import check_team_quota
from emulator.operations.base import Call, NoParameters, Operation
from emulator.operations.collections import check_team_id
from emulator.operations.pagination import page
from emulator.state.services import Services

_RATES = ("qps", "qpm", "tpm")


class CreateKey(msgspec.Struct, frozen=True):
    """A new key. Without access lists it has no permissions; a rate of None is unlimited."""

    team_id: str
    name: str
    acls: tuple[str, ...] = ()
    qps: int | None = None
    qpm: int | None = None
    tpm: int | None = None
    expires_at: Instant | None = None


class ListKeys(msgspec.Struct, frozen=True):
    """A page of a team's keys; `acl_filters` selects keys that have all of these entries."""

    team_id: str
    limit: Annotated[int, PageSize()]
    pagination_token: str | None = None
    acl_filters: tuple[str, ...] = ()


class UpdateKey(msgspec.Struct, frozen=True):
    """New values of the fields that `changes` names."""

    api_key_id: str
    changes: dict[str, object]


class KeyId(msgspec.Struct, frozen=True):
    """One key."""

    api_key_id: str


class RotateKey(msgspec.Struct, frozen=True):
    """Replace the secret of a key; the old one stays valid until a given time, or not at all."""

    api_key_id: str
    old_secret_expires_at: Instant | None = None


class TeamId(msgspec.Struct, frozen=True):
    """One team."""

    team_id: str


class KeyView(msgspec.Struct, frozen=True):
    """A key as its team sees it, with the secret only when it was just created."""

    key: ApiKey
    user_id: str
    team_id: str
    secret: str | None = None


class Propagation(msgspec.Struct, frozen=True):
    """Whether a key has reached the servers."""

    is_known: bool


class TeamView(msgspec.Struct, frozen=True):
    """A team of the calling key."""

    id: str
    name: str


class ManagementKeyView(msgspec.Struct, frozen=True):
    """The description of a management key."""

    id: str
    team_id: str
    redacted: str
    user_id: str
    acls: tuple[str, ...]


async def create(services: Services, call: Call, request: CreateKey) -> KeyView:
    """Create a key. Only this response contains its secret."""
    check_team_id(services, call, request.team_id)
    _check(request)
    present = services.store.api_keys.total(call.team.name)
    check_team_quota(present, call.team.limits, "api_keys_per_team_max", "API keys, including deleted ones")
    secret = _new_secret(services, call)
    key = ApiKey(
        id=services.ids.uuid(call.team),
        name=request.name,
        acls=request.acls,
        qps=request.qps,
        qpm=request.qpm,
        tpm=request.tpm,
        created_at=call.at,
        modified_at=call.at,
        expires_at=request.expires_at,
        disabled=False,
        deleted=False,
        hash=hash_of(secret),
        ending=ending_of(secret),
    )
    services.store.api_keys.insert(call.team.name, key)
    return _view(services, call, key, secret)


def _check(key: CreateKey | ApiKey) -> None:
    """Refuse invalid values. Raises ApiError."""
    if not key.name:
        raise form_error("name", "Field is empty but must not be empty", "not-empty")
    check_acls(key.acls)
    for name in _RATES:
        check_rate(name, getattr(key, name))


def _new_secret(services: Services, call: Call) -> str:
    return new_secret(call.team.name, services.ids.key_token(call.team))


def _view(services: Services, call: Call, key: ApiKey, secret: str | None = None) -> KeyView:
    return KeyView(key, services.ids.of_user(call.team), services.ids.of_team(call.team), secret)


def _get(services: Services, call: Call, id: str) -> ApiKey:
    key = services.store.api_keys.get(call.team.name, id)
    if key is None:
        raise cannot_find()
    return key


async def list_keys(services: Services, call: Call, request: ListKeys) -> Page[KeyView]:
    """Return a page of the team's keys, newest first."""
    check_team_id(services, call, request.team_id)
    store, team, wanted = services.store.api_keys, call.team.name, set(request.acl_filters)
    found = await page(
        lambda after, limit: store.page(team, after, limit),
        store.cursor,
        query=("keys", team, request.acl_filters),
        token=request.pagination_token,
        limit=request.limit,
        accepts=(lambda key: wanted <= set(key.acls)) if wanted else None,
    )
    return Page([_view(services, call, key) for key in found.items], found.next_token, found.more)


async def update(services: Services, call: Call, request: UpdateKey) -> KeyView:
    """Change the fields of the field mask."""
    key = _get(services, call, request.api_key_id)
    changed: ApiKey = msgspec.structs.replace(key, **request.changes, modified_at=call.at)
    _check(changed)
    services.store.api_keys.update(call.team.name, changed)
    return _view(services, call, changed)


async def rotate(services: Services, call: Call, request: RotateKey) -> KeyView:
    """Replace the secret of a key. The old one is refused at once, or after the given time; older ones are refused."""
    key = _get(services, call, request.api_key_id)
    until = request.old_secret_expires_at
    if until is not None and until <= call.at:
        raise invalid("oldSecretExpireTime must be in the future.", rule="expire_time", param="old_secret_expire_time")
    secret = _new_secret(services, call)
    changed: ApiKey = msgspec.structs.replace(
        key,
        hash=hash_of(secret),
        ending=ending_of(secret),
        modified_at=call.at,
        old=OldSecret(key.hash, call.at if until is None else until),
    )
    with services.store.transaction():
        if key.old is not None:
            services.store.api_keys.retire(call.team.name, key, key.old)
        services.store.api_keys.update(call.team.name, changed)
    return _view(services, call, changed, secret)


async def delete(services: Services, call: Call, request: KeyId) -> None:
    """Delete a key; its secret is refused from now on."""
    key = _get(services, call, request.api_key_id)
    services.store.api_keys.update(call.team.name, msgspec.structs.replace(key, deleted=True, modified_at=call.at))


async def get_propagation(services: Services, call: Call, request: KeyId) -> Propagation:
    """Return whether a key has reached the servers: at once, unless chaos delays it."""
    key = _get(services, call, request.api_key_id)
    return Propagation(call.chaos is None or key.id not in call.chaos.new_keys)


async def list_teams(services: Services, call: Call, request: NoParameters) -> list[TeamView]:
    """Return the teams of the management key: exactly one."""
    return [TeamView(services.ids.of_team(call.team), call.team.name)]


async def list_models(services: Services, call: Call, request: TeamId) -> list[str]:
    """Return the models that access lists may contain."""
    check_team_id(services, call, request.team_id)
    return [model.id for model in MODELS]


async def list_endpoints(services: Services, call: Call, request: TeamId) -> list[str]:
    """Return the endpoints that access lists may contain."""
    check_team_id(services, call, request.team_id)
    return sorted(set(ENDPOINTS.values()))


async def validate_management_key(services: Services, call: Call, request: NoParameters) -> ManagementKeyView:
    """Describe the calling management key. It needs no permission."""
    secret, permissions = call.principal.secret, call.principal.permissions
    return ManagementKeyView(
        services.ids.of_key(call.team, secret),
        services.ids.of_team(call.team),
        f"xai-token-...{ending_of(secret)}",
        services.ids.of_user(call.team),
        ("*",) if permissions is None else tuple(sorted(permissions)),
    )


_GUIDE = "Management API guide; members assumed"

OPERATIONS = (
    Operation("keys.create", Plane.MANAGEMENT, CreateKey, create, _GUIDE),
    Operation("keys.list", Plane.MANAGEMENT, ListKeys, list_keys, _GUIDE),
    Operation("keys.update", Plane.MANAGEMENT, UpdateKey, update, _GUIDE),
    Operation(
        *("keys.rotate", Plane.MANAGEMENT, RotateKey, rotate),
        "seen in clients of the live service; members assumed",
        Confidence.ASSUMED,
    ),
    Operation("keys.delete", Plane.MANAGEMENT, KeyId, delete, _GUIDE),
    Operation("keys.get_propagation", Plane.MANAGEMENT, KeyId, get_propagation, _GUIDE),
    Operation("keys.validate_management", Plane.MANAGEMENT, NoParameters, validate_management_key, _GUIDE),
    Operation(
        *("teams.list", Plane.MANAGEMENT, NoParameters, list_teams),
        "seen in clients of the live service; members assumed",
        Confidence.ASSUMED,
    ),
    Operation("teams.list_models", Plane.MANAGEMENT, TeamId, list_models, _GUIDE),
    Operation("teams.list_endpoints", Plane.MANAGEMENT, TeamId, list_endpoints, _GUIDE),
)
