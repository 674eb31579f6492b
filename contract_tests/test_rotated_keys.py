"""Keys that are rotated: which secrets work then, what of the key stays, and when it was changed."""

from __future__ import annotations

from typing import Any

import pytest

from . import matchers
from .case import case
from .clients.models import refusal_kind
from .clients.rest import RestClient
from .target import Target
from .test_key_parameters import ENDPOINTS, GUIDE, MODELS, START, keys_path

pytestmark = [pytest.mark.own_team, pytest.mark.usefixtures("transport")]
KEPT = ("apiKeyId", "name", "acls", "createTime", "teamId", "userId", "qpm", "disabled")


@case(
    "keys.rotations",
    *("keys.create", "keys.rotate", "keys.list", "keys.update", "keys.delete", "auth.api_key"),
    evidence="assumed",
    source=GUIDE,
    refusal="incorrect key",
    refusing=("auth.api_key",),
    control=True,
    destructive=True,
)
def test_rotations(rest: RestClient, target: Target, name: str) -> None:
    """A rotation replaces the secret alone, whatever became of the one before, and every change of a key is dated."""
    target.control("POST", "/clock/freeze", {"at": START})
    path = keys_path(rest)
    body = {"name": f"{name}key", "acls": [MODELS, ENDPOINTS], "qpm": 1000}
    made = rest.json("POST", path, json_body=body)
    other = rest.json("POST", path, json_body={**body, "name": f"{name}other"})
    key = f"/auth/api-keys/{made['apiKeyId']}"
    secrets = [made["apiKey"]]

    def working() -> list[bool]:
        """Whether the last two secrets of the key and that of the other key work; those before them never do."""
        kinds = [
            refusal_kind(lambda secret=secret: rest.with_keys(secret, "").json("GET", "/v1/api-key"))  # type: ignore[misc]
            for secret in (*secrets, other["apiKey"])
        ]
        assert not any(kind == "" for kind in kinds[:-3]), kinds
        return [kind == "" for kind in kinds[-3:]]

    def changed(found: dict[str, Any], minute: int) -> None:
        """Check that a key was changed at a minute, and nothing else was."""
        time = f"2031-05-06T07:{8 + minute:02}:09.000000Z"
        expected = {word: made[word] for word in KEPT} | {"modifyTime": time}
        shown = {each["apiKeyId"]: each for each in rest.json("GET", path)["apiKeys"]}
        for each in (found, shown[made["apiKeyId"]]):
            matchers.check(each, expected, f"minute {minute}")
            assert each["redactedApiKey"][-4:] == secrets[-1].partition("@")[0][-4:]
        assert shown[other["apiKeyId"]]["modifyTime"] == other["modifyTime"]

    assert working() == [True, True]
    for minute, (until, expected) in enumerate(
        (
            ("2031-05-06T10:00:00Z", [True, True]),
            ("2031-05-06T09:00:00Z", [True, True]),
            (None, [False, True]),
            ("2031-05-06T09:00:00Z", [True, True]),
        ),
        start=1,
    ):
        target.control("POST", "/clock/advance", {"seconds": 60})
        more = {} if until is None else {"oldSecretExpireTime": until}
        found = rest.json("POST", f"{key}/rotate", json_body=more)
        secrets.append(found["apiKey"])
        assert working() == [*expected, True], minute
        changed(found, minute)
    assert len({*secrets}) == len(secrets)
    target.control("POST", "/clock/advance", {"seconds": 60})
    for disabled, expected in ((True, [False, False]), (False, [True, True])):
        update = {"apiKey": {"disabled": disabled}, "fieldMask": "disabled"}
        made["disabled"] = disabled
        changed(rest.json("PUT", key, json_body=update), 5)
        assert working() == [*expected, True], disabled
    target.control("POST", "/clock/advance", {"seconds": 2 * 3600})
    assert working() == [False, True, True]
    rest.call("DELETE", key)
    assert working() == [False, False, True]
    assert refusal_kind(lambda: rest.json("POST", f"{key}/rotate", json_body={})) == "not_found"
