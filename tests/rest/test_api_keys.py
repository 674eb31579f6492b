"""API keys of the management API: made, listed, changed, rotated, deleted, and held to what they may do."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import httpx
import pytest

from emulator import Emulator
from tests.rest.key_helpers import ALL, Json, Team, client

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module", params=["shape", "strict"])
def http(request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    with Emulator(auth=request.param) as emulator, client(emulator) as http:
        yield http


@pytest.fixture
def team(http: httpx.Client) -> Team:
    return Team(http, f"team-{next(NUMBERS)}")


def test_new_key_works_at_once_and_its_secret_is_shown_once(team: Team) -> None:
    made = team.create(qps=5, qpm=100, tpm=None)
    assert made["apiKey"].startswith("xai-")
    assert made["apiKey"] not in str({**made, "apiKey": ""})
    assert (made["name"], made["acls"], made["qps"], made["qpm"]) == ("ci", ALL, 5, 100)
    assert team.with_key(made["apiKey"]).status_code == 200
    listed = team.call("GET", f"/auth/teams/{team.id}/api-keys").json()
    assert listed == {"apiKeys": [{name: value for name, value in made.items() if name != "apiKey"}]}
    assert made["apiKey"].partition("@")[0].endswith(made["redactedApiKey"][-4:])


def test_key_describes_itself(team: Team) -> None:
    made = team.create(acls=["api-key:endpoint:chat"])
    described = team.with_key(made["apiKey"], path="/v1/api-key").json()
    assert described["api_key_id"] == made["apiKeyId"]
    assert (described["name"], described["acls"]) == ("ci", ["api-key:endpoint:chat"])
    assert described["team_id"] == made["teamId"] == team.id
    assert described["redacted_api_key"] == made["redactedApiKey"]


@pytest.mark.parametrize(
    ("acls", "allowed"),
    [
        (["api-key:endpoint:*"], {"files", "chat", "batches"}),
        (["api-key:endpoint:chat"], {"chat"}),
        (["api-key:endpoint:files", "api-key:endpoint:batches"], {"files", "batches"}),
        ([], set()),
    ],
)
def test_endpoint_outside_of_the_access_list_is_refused(team: Team, acls: list[str], allowed: set[str]) -> None:
    secret = team.create(acls=[*acls, "api-key:model:*"])["apiKey"]
    calls = {
        "files": team.with_key(secret),
        "batches": team.with_key(secret, path="/v1/batches"),
        "chat": team.ask(secret),
    }
    assert {name for name, reply in calls.items() if reply.status_code == 200} == allowed
    for name in calls.keys() - allowed:
        assert calls[name].status_code == 403
        assert calls[name].json()["code"] == "permission-denied"
        assert f"api-key:endpoint:{name}" in calls[name].json()["error"]


@pytest.mark.parametrize("listed", ["grok-4.3", "grok-4.3-latest"])
def test_model_outside_of_the_access_list_is_refused(team: Team, listed: str) -> None:
    secret = team.create(acls=["api-key:endpoint:*", f"api-key:model:{listed}"])["apiKey"]
    assert team.ask(secret, "grok-4.3").status_code == 200
    refused = team.ask(secret, "grok-4.20-0309-reasoning")
    assert (refused.status_code, refused.json()["code"]) == (403, "permission-denied")
    batch = team.with_key(secret, "POST", "/v1/batches", json={"name": "b"}).json()["batch_id"]
    body = {"model": "grok-4.20-0309-reasoning", "messages": [{"role": "user", "content": "Hello"}]}
    item = {"batch_request_id": "one", "batch_request": {"chat_get_completion": body}}
    added = team.with_key(secret, "POST", f"/v1/batches/{batch}/requests", json={"batch_requests": [item]})
    assert added.status_code == 403
    assert team.with_key(secret, path=f"/v1/batches/{batch}").json()["state"]["num_requests"] == 0


def test_rates_hold_in_the_time_of_the_team(team: Team) -> None:
    secret = team.create(qps=2, qpm=3)["apiKey"]
    team.clock("freeze")
    assert [team.with_key(secret).status_code for _ in range(3)] == [200, 200, 429]
    refused = team.with_key(secret)
    assert refused.json()["code"] == "resource-exhausted"
    assert refused.headers["retry-after"] == "1"
    team.clock("advance", seconds=1)
    assert [team.with_key(secret).status_code for _ in range(2)] == [200, 429]
    assert "per Minute" in team.with_key(secret).json()["error"]
    team.clock("advance", seconds=60)
    assert team.with_key(secret).status_code == 200


def test_tokens_hold_in_the_time_of_the_team(team: Team) -> None:
    secret = team.create(tpm="5")["apiKey"]
    team.clock("freeze")
    assert team.ask(secret).status_code == 200  # whatever it uses: running calls continue
    assert team.ask(secret).status_code == 429
    team.clock("advance", seconds=60)
    assert team.ask(secret).status_code == 200


def test_key_is_refused_when_it_has_expired(team: Team) -> None:
    team.clock("freeze", at="2026-11-21T00:00:00Z")
    secret = team.create(expireTime="2026-11-21T00:01:00Z")["apiKey"]
    assert team.with_key(secret).status_code == 200
    team.clock("advance", seconds=60)
    refused = team.with_key(secret)
    assert refused.status_code == 400
    assert refused.json()["error"].startswith("Incorrect API key provided: ")


def test_disabled_key_is_refused_until_it_is_enabled(team: Team) -> None:
    made = team.create()
    assert team.update(made["apiKeyId"], "disabled", disabled=True).json()["disabled"] is True
    assert team.with_key(made["apiKey"]).status_code == 403
    assert team.update(made["apiKeyId"], "disabled").json()["disabled"] is False
    assert team.with_key(made["apiKey"]).status_code == 200


def test_deleted_key_is_refused_and_not_found(team: Team) -> None:
    made = team.create()
    assert team.call("DELETE", f"/auth/api-keys/{made['apiKeyId']}").json() == {}
    assert team.with_key(made["apiKey"]).json()["error"].startswith("Incorrect API key provided: ")
    again = team.call("DELETE", f"/auth/api-keys/{made['apiKeyId']}")
    assert (again.status_code, again.json()) == (404, {"code": 5, "message": "Cannot find API key", "details": []})
    assert team.call("GET", f"/auth/teams/{team.id}/api-keys").json() == {"apiKeys": []}


def test_rotated_key_has_a_new_secret_and_the_old_one_ends(team: Team) -> None:
    made = team.create()
    rotated = team.call("POST", f"/auth/api-keys/{made['apiKeyId']}/rotate", {}).json()
    assert rotated["apiKeyId"] == made["apiKeyId"]
    assert rotated["apiKey"] != made["apiKey"]
    assert [team.with_key(each["apiKey"]).status_code for each in (made, rotated)] == [400, 200]


def test_old_secret_holds_as_long_as_asked(team: Team) -> None:
    team.clock("freeze", at="2026-11-21T00:00:00Z")
    made = team.create()
    until = {"oldSecretExpireTime": "2026-11-21T01:00:00Z"}
    rotated = team.call("POST", f"/auth/api-keys/{made['apiKeyId']}/rotate", until).json()
    assert [team.with_key(each["apiKey"]).status_code for each in (made, rotated)] == [200, 200]
    team.clock("advance", seconds=3600)
    assert [team.with_key(each["apiKey"]).status_code for each in (made, rotated)] == [400, 200]


def test_every_old_secret_is_refused_after_several_rotations(team: Team) -> None:
    """Also one that should have held for longer: a key has two secrets at most."""
    team.clock("freeze", at="2026-11-21T00:00:00Z")
    made = team.create()
    path, until = f"/auth/api-keys/{made['apiKeyId']}/rotate", {"oldSecretExpireTime": "2026-11-21T01:00:00Z"}
    secrets = [made["apiKey"], *(team.call("POST", path, body).json()["apiKey"] for body in (until, {}, until))]
    assert [team.with_key(each).status_code for each in secrets] == [400, 400, 200, 200]
    team.call("DELETE", f"/auth/api-keys/{made['apiKeyId']}")
    assert [team.with_key(each).status_code for each in secrets] == [400] * 4


def test_update_changes_what_the_mask_names_alone(team: Team) -> None:
    made = team.create(qps=5, qpm=100, tpm="1000")
    changed = team.update(made["apiKeyId"], "qpm,name", qpm=200, name="other", qps=1).json()
    assert (changed["qps"], changed["qpm"], changed["tpm"], changed["name"]) == (5, 200, "1000", "other")
    cleared = team.update(made["apiKeyId"], "qpm, tpm").json()
    assert ("qpm" in cleared, "tpm" in cleared, cleared["qps"]) == (False, False, 5)


@pytest.mark.parametrize(
    ("mask", "fields"),
    [
        ("", {"qpm": 5}),
        ("secret", {}),
        ("name", {"name": ""}),
        ("qps", {"qps": 0}),
        ("acls", {"acls": ["api-key:endpoint:everything"]}),
        ("acls", {"acls": ["api-key:model:"]}),
        ("acls", {"acls": ["chat"]}),
        ("expireTime", {"expireTime": "tomorrow"}),
        ("expireTime", {"expireTime": "2026-11-21T00:00:00"}),
    ],
)
def test_bad_update_is_refused_and_changes_nothing(team: Team, mask: str, fields: Json) -> None:
    made = team.create(qps=5)
    refused = team.update(made["apiKeyId"], mask, **fields)
    assert (refused.status_code, refused.json()["code"]) == (400, 3)
    [kept] = team.call("GET", f"/auth/teams/{team.id}/api-keys").json()["apiKeys"]
    assert kept == {name: value for name, value in made.items() if name != "apiKey"}


def test_list_has_pages_and_filters(team: Team) -> None:
    ids = [team.create(f"key {number}", acls=ALL[: number % 2 + 1])["apiKeyId"] for number in range(5)]
    path = f"/auth/teams/{team.id}/api-keys"
    first = team.call("GET", path, pageSize=3).json()
    rest = team.call("GET", path, pageSize=3, paginationToken=first["paginationToken"]).json()
    assert [key["apiKeyId"] for key in first["apiKeys"] + rest["apiKeys"]] == ids[::-1]
    assert "paginationToken" not in rest
    filtered = team.call("GET", path, aclFilters="api-key:endpoint:*").json()
    assert [key["apiKeyId"] for key in filtered["apiKeys"]] == [ids[3], ids[1]]


def test_another_team_has_neither_the_keys_nor_the_team(team: Team) -> None:
    made, other = team.create(), Team(team.http, f"{team.name}-other")
    assert other.call("GET", f"/auth/teams/{team.id}/api-keys").status_code == 403
    assert other.call("DELETE", f"/auth/api-keys/{made['apiKeyId']}").status_code == 404
    assert other.call("GET", f"/auth/teams/{other.id}/api-keys").json() == {"apiKeys": []}
    assert team.with_key(made["apiKey"]).status_code == 200


def test_made_key_is_none_of_the_management_api(team: Team) -> None:
    made = team.create()
    refused = team.with_key(made["apiKey"], path="/v1/collections")
    assert (refused.status_code, refused.json()["code"]) == (401, 16)
    assert team.with_key(made["apiKey"], path="/auth/teams").status_code == 401


def test_management_key_and_team_describe_themselves(team: Team) -> None:
    found = team.call("GET", "/auth/management-keys/validation").json()
    assert (found["teamId"], found["scope"], found["scopeId"]) == (team.id, "SCOPE_TEAM", team.id)
    models = team.call("GET", f"/auth/teams/{team.id}/models").json()["models"]
    assert {"name": "grok-4.3"} in models
    acls = team.call("GET", f"/auth/teams/{team.id}/endpoints").json()["acls"]
    assert {"api-key:endpoint:*", "api-key:endpoint:chat", "api-key:endpoint:image"} <= set(acls)
    team.create(acls=[*acls, *(f"api-key:model:{model['name']}" for model in models)])


def test_propagation_is_instant(team: Team) -> None:
    made = team.create()
    found = team.call("GET", f"/auth/api-keys/{made['apiKeyId']}/propagation").json()
    assert set(found["icPropagation"].values()) == {True}


def test_path_of_a_key_below_its_team_is_not_found(team: Team) -> None:
    found = team.call("DELETE", f"/auth/teams/{team.id}/api-keys/some")
    assert (found.status_code, found.json()["message"]) == (404, "Not Found")


def test_chaos_lets_a_new_key_be_unknown_to_its_first_call() -> None:
    with Emulator(chaos="1:key_lag") as emulator, client(emulator) as http:
        team = Team(http)
        made = team.create()
        path = f"/auth/api-keys/{made['apiKeyId']}/propagation"
        assert set(team.call("GET", path).json()["icPropagation"].values()) == {False}
        refused = team.with_key(made["apiKey"])
        assert (refused.status_code, refused.headers["x-emulator-fault"]) == (400, "chaos:key_lag")
        assert team.with_key(made["apiKey"]).status_code == 200
        assert set(team.call("GET", path).json()["icPropagation"].values()) == {True}


def test_team_makes_no_more_keys_than_its_limit() -> None:
    with Emulator(limits={"api_keys_per_team_max": 2}) as emulator, client(emulator) as http:
        team = Team(http)
        made = [team.create() for _ in range(2)]
        team.call("DELETE", f"/auth/api-keys/{made[0]['apiKeyId']}")
        refused = team.call("POST", f"/auth/teams/{team.id}/api-keys", {"name": "third"})
        assert (refused.status_code, refused.json()["code"]) == (429, 8)
        assert refused.headers["x-emulator-rule"] == "api_keys_per_team_max"
