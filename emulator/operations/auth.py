"""The operation that describes the calling key."""

from __future__ import annotations

import msgspec

from emulator.domain.api_keys import ALL_ACLS
from emulator.domain.keys import Plane
from emulator.operations.base import Call, NoParameters, Operation
from emulator.state.services import Services


class KeyDescription(msgspec.Struct, frozen=True):
    """The description of a key. It is never blocked or disabled, because such a key is refused."""

    redacted_api_key: str
    user_id: str
    team_id: str
    api_key_id: str
    name: str
    acls: tuple[str, ...]


async def describe_key(services: Services, call: Call, request: NoParameters) -> KeyDescription:
    """Describe the calling key. The ids of a key that was not created here are derived from the seed."""
    secret, made = call.principal.secret, call.principal.api_key
    ending = secret[-4:] if made is None else made.ending
    return KeyDescription(
        redacted_api_key=f"xai-...{ending}" if len(secret) > 8 else "xai-...",
        user_id=services.ids.of_user(call.team),
        team_id=services.ids.of_team(call.team),
        api_key_id=services.ids.of_key(call.team, secret) if made is None else made.id,
        name="emulator" if made is None else made.name,
        acls=ALL_ACLS if made is None else made.acls,
    )


OPERATIONS = (
    Operation("auth.api_key", Plane.INFERENCE, NoParameters, describe_key, "OpenAPI: GET /v1/api-key"),
    Operation("auth.me", Plane.INFERENCE, NoParameters, describe_key, "OpenAPI: GET /v1/me"),
)
