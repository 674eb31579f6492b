"""Each parameter of the calls about API keys and of the audit log has its effect, alone and beside the others."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from . import matchers
from .case import case
from .clients.client import MODEL, chat_request
from .clients.models import ApiError, Page, refusal_kind
from .clients.rest import RestClient
from .pages import walk
from .target import Target

pytestmark = [pytest.mark.own_team, pytest.mark.usefixtures("transport")]
START = "2031-05-06T07:08:09Z"
GUIDE = "Management API guide: the parameters; names of members were seen in clients of the live service"
MODELS, ENDPOINTS, FILES = "api-key:model:*", "api-key:endpoint:*", "api-key:endpoint:files"
OTHER_MODEL = "grok-4.20-0309-non-reasoning"  # which batches support too
# Keys that differ in each member; the last one has no rates and no end.
KEYS: tuple[dict[str, Any], ...] = (
    {"acls": [MODELS, ENDPOINTS], "qps": 2, "qpm": 30, "tpm": "400", "expireTime": "2031-05-06T09:08:09.000000Z"},
    {"acls": [MODELS, FILES], "qps": 3, "qpm": 40, "tpm": "2000000000", "expireTime": "2032-01-02T03:04:05.000000Z"},
    {"acls": [ENDPOINTS]},
)
OPTIONAL = ("qps", "qpm", "tpm", "expireTime")


def keys_path(rest: RestClient) -> str:
    """The path of the keys of the team."""
    return f"/auth/teams/{rest.json('GET', '/auth/teams')['teams'][0]['teamId']}/api-keys"


def walked(listed: Callable[..., Any], names: tuple[str, str, str, str]) -> list[str]:
    """The ids on all pages of a list; the names of its items and their id, of a token as it is sent and as it comes."""
    items, id, sent, received = names

    def page(token: str | None) -> Page[str]:
        found = listed() if token is None else listed(**{sent: token})
        return Page([each[id] for each in found[items]], found.get(received))

    return list(walk(page))


@case(
    "keys.parameters",
    *("keys.create", "keys.update", "keys.list", "keys.rotate"),
    evidence="assumed",
    source=GUIDE,
    control=True,
    destructive=True,
)
def test_keys(rest: RestClient, target: Target, name: str) -> None:
    """Each member of a key is kept, alone and in lists, changed by its mask alone, and access lists select keys."""
    target.control("POST", "/clock/freeze", {"at": START})
    path = keys_path(rest)
    made = []
    for number, members in enumerate(KEYS):
        found = rest.json("POST", path, json_body={"name": f"{name}{number}", **members})
        expected = {**dict.fromkeys(OPTIONAL, "$absent"), **members, "name": f"{name}{number}", "disabled": False}
        matchers.check(found, expected, f"{members}")
        made.append((found["apiKeyId"], expected))
        target.control("POST", "/clock/advance", {"seconds": 60})
    ids = [id for id, _ in made]

    def listed(*acls: str, **more: Any) -> dict[str, Any]:
        query = [*(("aclFilters", each) for each in acls), *((key, str(each)) for key, each in more.items())]
        found: dict[str, Any] = rest.json("GET", path, query=query)
        return found

    def check_all() -> None:
        shown = {each["apiKeyId"]: each for each in listed()["apiKeys"]}
        for id, expected in made:
            matchers.check(shown[id], expected)

    for acls, places in (((), (2, 1, 0)), ((MODELS,), (1, 0)), ((MODELS, ENDPOINTS), (0,)), ((FILES, ENDPOINTS), ())):
        expected_ids = [ids[place] for place in places]
        assert [each["apiKeyId"] for each in listed(*acls)["apiKeys"]] == expected_ids, acls
        for size in (1, 2, 3):
            names = ("apiKeys", "apiKeyId", "paginationToken", "paginationToken")
            assert walked(partial(listed, *acls, pageSize=size), names) == expected_ids, (acls, size)
    changes = {**KEYS[1], "name": f"{name}new", "disabled": True}
    id, expected = made[2]
    for mask in changes:  # the other members of the body are not in the mask
        found = rest.json("PUT", f"/auth/api-keys/{id}", json_body={"apiKey": changes, "fieldMask": mask})
        expected[mask] = changes[mask]
        matchers.check(found, expected, mask)
        check_all()
    both = {"apiKey": {"qps": 7, "qpm": 8, "tpm": "9"}, "fieldMask": "qps,tpm"}
    matchers.check(rest.json("PUT", f"/auth/api-keys/{ids[1]}", json_body=both), {"qps": 7, "qpm": 40, "tpm": "9"})
    before = listed()
    for body in (
        {"apiKey": {"qps": 9}, "fieldMask": "qps,speed"},
        {"apiKey": {"qps": 9}, "fieldMask": ""},
        *({"apiKey": {rate: 0}, "fieldMask": rate} for rate in ("qps", "qpm", "tpm")),
        {"apiKey": {"acls": ["api-key:speed:*"]}, "fieldMask": "acls"},
        {"apiKey": {"name": ""}, "fieldMask": "name"},
        {"apiKey": {"expireTime": "tomorrow"}, "fieldMask": "expireTime"},
    ):
        assert refusal_kind(partial(rest.json, "PUT", f"/auth/api-keys/{ids[1]}", json_body=body)) == "invalid", body
        assert listed() == before, body
    for members in ({"qps": 0}, {"qpm": -1}, {"tpm": "0"}, {"acls": ["chat"]}, {"name": ""}):
        body = {"name": f"{name}wrong", **members}
        assert refusal_kind(partial(rest.json, "POST", path, json_body=body)) == "invalid", body
    rotated = rest.json("POST", f"/auth/api-keys/{ids[0]}/rotate", json_body={})
    matchers.check(rotated, made[0][1])


@case(
    "keys.times",
    *("keys.create", "keys.rotate", "keys.update", "auth.api_key"),
    evidence="assumed",
    source=GUIDE,
    refusal="incorrect key",
    refusing=("auth.api_key",),
    control=True,
    destructive=True,
)
def test_times(rest: RestClient, target: Target, name: str) -> None:
    """A key works until its end, and an old secret until the end that its rotation named, else not at all."""
    target.control("POST", "/clock/freeze", {"at": START})
    path = keys_path(rest)

    def create(word: str, **members: Any) -> dict[str, Any]:
        body = {"name": f"{name}{word}", "acls": [MODELS, ENDPOINTS], **members}
        found: dict[str, Any] = rest.json("POST", path, json_body=body)
        return found

    def works(secret: str) -> bool:
        kind = refusal_kind(lambda: rest.with_keys(secret, "").json("GET", "/v1/api-key"))
        assert kind in ("", "invalid", "unauthenticated")
        return not kind

    ends, stays = create("ends", expireTime="2031-05-06T08:08:09Z"), create("stays")
    later = create("later", expireTime="2031-05-06T08:08:09Z")
    body = {"apiKey": {"expireTime": "2031-05-06T10:08:09Z"}, "fieldMask": "expireTime"}
    rest.json("PUT", f"/auth/api-keys/{later['apiKeyId']}", json_body=body)
    until = {"oldSecretExpireTime": "2031-05-06T09:08:09Z"}
    new = rest.json("POST", f"/auth/api-keys/{stays['apiKeyId']}/rotate", json_body=until)
    gone = create("gone")
    renewed = rest.json("POST", f"/auth/api-keys/{gone['apiKeyId']}/rotate", json_body={})
    secrets = [each["apiKey"] for each in (ends, stays, new, later, gone, renewed)]
    for seconds, expected in (
        (0, (True, True, True, True, False, True)),
        (3599, (True, True, True, True, False, True)),
        (1, (False, True, True, True, False, True)),
        (3599, (False, True, True, True, False, True)),
        (1, (False, False, True, True, False, True)),
        (3600, (False, False, True, False, False, True)),
    ):
        target.control("POST", "/clock/advance", {"seconds": seconds})
        assert tuple(map(works, secrets)) == expected, seconds
    past = {"oldSecretExpireTime": "2031-05-06T07:08:09Z"}
    with pytest.raises(ApiError):
        rest.json("POST", f"/auth/api-keys/{stays['apiKeyId']}/rotate", json_body=past)


@case(
    "keys.rates",
    *("keys.create", "chat.create"),
    evidence="documented",
    source="Management API guide: qps, qpm and tpm",
    refusal="key rate",
    refusing=("chat.create",),
    control=True,
    destructive=True,
    paid=True,
)
def test_rates(rest: RestClient, target: Target, name: str) -> None:
    """A key has its own calls a second and a minute and its own tokens a minute, which come back with time."""
    target.control("POST", "/clock/freeze", {"at": START})
    path = keys_path(rest)

    def client(word: str, **members: Any) -> RestClient:
        body = {"name": f"{name}{word}", "acls": [MODELS, ENDPOINTS], **members}
        return rest.with_keys(rest.json("POST", path, json_body=body)["apiKey"], "")

    def is_refused(other: RestClient) -> bool:
        kind = refusal_kind(lambda: other.json("POST", "/v1/chat/completions", json_body=chat_request("Say a.")))
        assert kind in ("", "exhausted")
        return bool(kind)

    second, minute, tokens, free = (
        client("second", qps=2),
        client("minute", qpm=2),
        client("tokens", tpm=1),
        client("free"),
    )
    for seconds, expected in (
        (0, ([False, False, True], [False, False, True], [False, True, True])),
        (1, ([False, False, True], [True] * 3, [True] * 3)),
        (58, ([False, False, True], [True] * 3, [True] * 3)),
        (1, ([False, False, True], [False, False, True], [False, True, True])),
    ):
        target.control("POST", "/clock/advance", {"seconds": seconds})
        for other, refused in zip((second, minute, tokens), expected, strict=True):
            assert [is_refused(other) for _ in range(3)] == refused, (seconds, expected)
        assert not is_refused(free)


@case(
    "keys.models",
    *("keys.create", "chat.create", "responses.create", "batches.add_requests"),
    evidence="assumed",
    source="Management API guide: access lists of models and endpoints; that responses belong to chat is assumed",
    refusal="access list",
    refusing=("chat.create", "responses.create", "batches.add_requests"),
    destructive=True,
    paid=True,
)
def test_models(rest: RestClient, name: str) -> None:
    """A key reaches the models and endpoints of its access lists and no others, alone and in batches."""
    path = keys_path(rest)
    models = {each["id"]: each for each in rest.json("GET", "/v1/language-models")["models"]}
    batch = rest.create_batch(f"{name}batch").id

    def kinds(model: str, *acls: str) -> list[str]:
        """How the calls of a key with these access lists are refused."""
        secret = rest.json("POST", path, json_body={"name": f"{name}{model}", "acls": acls})["apiKey"]
        limited = rest.with_keys(secret, "")
        chat = {**chat_request("Say a."), "model": model}
        requests = {"batch_requests": [{"batch_request": {"chat_get_completion": chat}}]}
        calls = (
            ("/v1/chat/completions", chat),
            ("/v1/responses", {"model": model, "input": "Say a.", "store": False}),
            (f"/v1/batches/{batch}/requests", requests),
        )
        return [refusal_kind(partial(limited.json, "POST", each, json_body=body)) for each, body in calls]

    one = f"api-key:model:{MODEL}"
    for model in (MODEL, *models[MODEL]["aliases"]):
        assert kinds(model, one, ENDPOINTS) == ["", "", ""], model
    assert kinds(OTHER_MODEL, one, ENDPOINTS) == ["forbidden"] * 3
    assert kinds(MODEL, ENDPOINTS) == ["forbidden"] * 3
    assert kinds(MODEL, MODELS, "api-key:endpoint:chat") == ["", "", "forbidden"]


@case(
    "keys.audit.parameters",
    *("audit.list_events", "keys.create"),
    evidence="assumed",
    source="Management API guide: eventFilter, eventTimeFrom and eventTimeTo",
    control=True,
    destructive=True,
)
def test_events(rest: RestClient, target: Target, name: str) -> None:
    """Events are selected by user, by words in any case and by time with both ends, and come in pages."""
    target.control("POST", "/clock/freeze", {"at": START})
    path = keys_path(rest)
    user = rest.json("GET", "/v1/api-key")["user_id"]
    events_path = f"{path.removesuffix('/api-keys').replace('/auth/', '/audit/')}/events"
    times = [f"2031-05-06T0{hour}:08:09Z" for hour in (7, 8, 9)]
    ids = []
    for word in ("Ferns", "kettle", "ferns kettle"):
        ids.append(rest.json("POST", path, json_body={"name": f"{name}{word}", "acls": []})["apiKeyId"])
        target.control("POST", "/clock/advance", {"seconds": 3600})

    def listed(**query: Any) -> dict[str, Any]:
        found: dict[str, Any] = rest.json("GET", events_path, query=query)
        return found

    for query, places in (
        ({}, (2, 1, 0)),
        ({"eventFilter.userId": user}, (2, 1, 0)),
        ({"eventFilter.userId": "00000000-0000-4000-8000-000000000000"}, ()),
        ({"eventFilter.query": "ferns"}, (2, 0)),
        ({"eventFilter.query": "KETTLE ferns"}, (2,)),
        ({"eventFilter.query": "nothing"}, ()),
        ({"eventTimeFrom": times[1]}, (2, 1)),
        ({"eventTimeTo": times[1]}, (1, 0)),
        ({"eventTimeFrom": times[1], "eventTimeTo": times[1]}, (1,)),
        ({"eventTimeFrom": "2031-05-06T08:08:09.000001Z"}, (2,)),
        ({"eventTimeTo": "2031-05-06T10:08:08+02:00"}, (0,)),
        ({"eventTimeFrom": times[1], "eventFilter.query": "ferns", "eventFilter.userId": user}, (2,)),
    ):
        expected = [ids[place] for place in places]
        assert [each["subject"] for each in listed(**query)["events"]] == expected, query
        for size in (1, 2):
            names = ("events", "subject", "pageToken", "nextPageToken")
            assert walked(partial(listed, **query, pageSize=size), names) == expected, (query, size)
    token = listed(pageSize=1)["nextPageToken"]
    for query in ({"pageToken": token, "eventTimeFrom": times[1]}, {"eventTimeFrom": "yesterday"}, {"pageToken": "x"}):
        with pytest.raises(ApiError) as refused:
            listed(**query)
        assert refused.value.kind == "invalid", query
