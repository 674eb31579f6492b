"""Keys, with every client library that asks about them."""

from __future__ import annotations

from . import matchers
from .case import case
from .clients.client import Client


@case("auth.team-with-clients", "auth.api_key", evidence="documented", source="OpenAPI: GET /v1/api-key; auth.proto")
def test_team(client: Client, others: list[Client]) -> None:
    """Every client gets the same team for the same key."""
    team = client.team_of_key()
    matchers.check(team, "$uuid")
    assert {other.team_of_key() for other in others if other.name in ("httpx", "xai-sdk")} <= {team}
