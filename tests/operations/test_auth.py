"""The operation that describes the caller's API key."""

from __future__ import annotations

import httpx
import pytest

from emulator import Emulator


@pytest.mark.parametrize(
    ("key", "shown"), [("sk-34567", "xai-..."), ("sk-345678", "xai-...5678"), ("sk-345678@b", "xai-...78@b")]
)
def test_redacted_key_shows_last_four_characters(emulator: Emulator, key: str, shown: str) -> None:
    """The last four characters, and none of a key that is hardly longer."""
    described = httpx.get(f"{emulator.url}/v1/api-key", headers={"authorization": f"Bearer {key}"}).json()
    assert described["redacted_api_key"] == shown
    assert key not in str(described)


def test_api_key_info_allows_all_models_and_endpoints(emulator: Emulator) -> None:
    """As far as it says: all models, all endpoints (OpenAPI: GET /v1/api-key)."""
    described = httpx.get(f"{emulator.url}/v1/api-key", headers={"authorization": "Bearer xai-1"}).json()
    assert described["acls"] == ["api-key:model:*", "api-key:endpoint:*"]


def test_users_teams_and_keys_are_different_things(emulator: Emulator) -> None:
    """The same key has the same ids each time; two keys of a team differ in the key's id alone."""

    def ids(key: str) -> dict[str, str]:
        described = httpx.get(f"{emulator.url}/v1/api-key", headers={"authorization": f"Bearer {key}"}).json()
        return {name: described[name] for name in ("user_id", "team_id", "api_key_id")}

    one, other, outsider = ids("xai-1"), ids("xai-2"), ids("xai-1@b")
    assert one == ids("xai-1")
    assert len(set(one.values())) == 3
    assert {name for name in one if one[name] != other[name]} == {"api_key_id"}
    assert not set(one.values()) & set(outsider.values())
