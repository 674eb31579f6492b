"""Who am I: the key's own description."""

from __future__ import annotations

import msgspec

from emulator.core import ids
from emulator.domain.keys import Plane
from emulator.operations.base import Call, Operation
from emulator.state.services import Services


class DescribeKey(msgspec.Struct, frozen=True):
    """No parameters: the key itself is the question."""


class KeyDescription(msgspec.Struct, frozen=True):
    """What the API reports about a key. No key is blocked or disabled: the emulator has no such state."""

    redacted_api_key: str
    user_id: str
    team_id: str
    api_key_id: str
    name: str
    acls: tuple[str, ...]


async def describe_key(services: Services, call: Call, request: DescribeKey) -> KeyDescription:
    """Describe the calling key; its ids are derived from the seed, so they stay the same."""
    team, secret = call.team.name, call.principal.secret
    return KeyDescription(
        redacted_api_key=f"xai-...{secret[-4:]}" if len(secret) > 8 else "xai-...",
        user_id=ids.fixed_uuid(services.ids.seed, team, "user"),
        team_id=services.ids.of_team(call.team),
        api_key_id=services.ids.of_key(call.team, secret),
        name="emulator",
        acls=("api-key:model:*", "api-key:endpoint:*"),
    )


OPERATIONS = (
    Operation("auth.api_key", Plane.INFERENCE, DescribeKey, describe_key, "OpenAPI: GET /v1/api-key"),
    Operation("auth.me", Plane.INFERENCE, DescribeKey, describe_key, "OpenAPI: GET /v1/me"),
)
