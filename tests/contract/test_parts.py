"""The parts of the contract kit: matchers, schemas, cases as data, and how it waits."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract_tests import matchers, messages, response_schemas, steps
from contract_tests.case import Case, read_cases
from contract_tests.clients import http
from contract_tests.clients.client import batch_input
from contract_tests.target import Budget, BudgetExhausted, Target, as_team
from emulator.operations import OPERATIONS
from emulator.rest.responses import AsJson
from emulator.rest.routes import ROUTES
from tests.serving import PATIENCE_SECONDS

TEXTS = st.text(alphabet="abcö $", max_size=4).filter(lambda text: not text.startswith("$"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
# No official shape of these is known: they were withdrawn, or never published.
WITHOUT_A_SHAPE = {"files.initialize", "files.upload_chunks", "files.batch_upload", "files.complete_batch_upload"}


@given(JSON)
def test_mismatch_of_equal_value_is_none(value: Any) -> None:
    """Every JSON value matches the expectation that is the same value."""
    assert matchers.mismatch(value, value) is None


@given(JSON, JSON)
def test_mismatch_of_other_value_has_reason(value: Any, expected: Any) -> None:
    """A list or a scalar matches nothing but an equal one; the reason says where they differ."""
    if isinstance(expected, dict) or isinstance(value, dict | list):
        return
    reason = matchers.mismatch(value, expected)
    assert (reason is None) == (value == expected and type(value) is type(expected))


@given(st.dictionaries(TEXTS, JSON, min_size=1, max_size=4))
def test_mismatch_ignores_additional_members(value: dict[str, Any]) -> None:
    """An object matches one with fewer members; `$absent` and `$keys` forbid members."""
    name = sorted(value)[0]
    assert matchers.mismatch(value, {name: value[name]}) is None
    assert matchers.mismatch(value, {name: "$absent"}) is not None
    assert matchers.mismatch(value, {"$keys": list(value)}) is None
    assert matchers.mismatch({**value, "one more": 1}, {"$keys": list(value)}) is not None


@pytest.mark.parametrize(
    ("value", "expected", "reason"),
    [
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, "a[0].b is 1, not 2"),
        ({"a": True}, {"a": 1}, "a is True, not 1"),
        ({}, {"a": "$null"}, "a is nothing, not $null"),
        ([1, 2], [1], "the value is [1, 2], not a list of 1"),
        ({"a": "x"}, {"a": {"$contains": "y"}}, "a is 'x', which fails $contains 'y'"),
        ([1, "x"], {"$each": "$whole"}, "the value is [1, 'x'], which fails $each '$whole'"),
    ],
)
def test_mismatch_reason_names_place_and_expectation(value: Any, expected: Any, reason: str) -> None:
    """A reason names the place, what is there, and what was expected."""
    assert matchers.mismatch(value, expected) == reason


@pytest.mark.parametrize("expected", ["$nonsense", {"$nonsense": 1}])
def test_mismatch_with_unknown_word_raises(expected: Any) -> None:
    """A kind or a relation that does not exist is a mistake in the case, never a match."""
    with pytest.raises(ValueError, match="known are"):
        matchers.mismatch("x", expected)


def test_wait_until_repeats_until_match() -> None:
    """An expectation over time asks again until it holds, and gives up with the last reason."""
    numbers = iter(range(100))
    assert matchers.wait_until(lambda: next(numbers), {"$above": 2}, within_seconds=PATIENCE_SECONDS) == 3
    with pytest.raises(AssertionError, match="after 0 seconds the value is"):
        matchers.wait_until(lambda: next(numbers), 0, within_seconds=0)


# --- shapes


@pytest.mark.parametrize("path", sorted(response_schemas.SCHEMAS.glob("*.json")), ids=lambda path: path.stem)
def test_schemas_are_valid_and_have_sources(path: Any) -> None:
    """Every schema is valid, and the file and each of its answers say where they are from."""
    schema = json.loads(path.read_text("utf-8"))
    assert jsonschema_rs.meta.is_valid(schema)
    assert "ource" in schema["$comment"] or "observed live" in schema["$comment"]
    objects = {name: each for name, each in schema["$defs"].items() if each.get("type") == "object"}
    assert [name for name, each in objects.items() if not each.get("$comment")] == []


def test_json_routes_have_response_schema() -> None:
    """Each route that returns JSON has a response schema, if the official documentation has one."""
    routes = {
        (route.method, route.path)
        for route in ROUTES
        if isinstance(route.write, AsJson) and route.operation not in WITHOUT_A_SHAPE
    }
    shapes = [(method, response_schemas._pattern(path)) for method, path, _ in response_schemas.SCHEMA_BY_ROUTE]
    missing = [(m, p) for m, p in routes if not any(m == verb and pattern.fullmatch(p) for verb, pattern in shapes)]
    assert missing == []
    for _, _, shape in response_schemas.SCHEMA_BY_ROUTE:
        assert response_schemas.schema_error("no answer", shape) is not None


def test_response_against_schema_has_violation() -> None:
    """An answer without a member, of another content type, or in the other plane's dialect has a reason."""
    head = {"content-type": "application/json"}
    deleted = http.Response(200, head, b'{"id": "file_1", "deleted": true, "object": "file"}')
    assert response_schemas.violation("DELETE", "/v1/files/file_1", deleted) is None
    for path, answer in (
        ("/v1/files/file_1", http.Response(200, head, b'{"id": "file_1", "deleted": true}')),
        ("/v1/files/file_1", http.Response(200, {"content-type": "text/html"}, deleted.body)),
        ("/v1/files/file_1", http.Response(404, head, b'{"code": 5, "message": "no", "details": []}')),
        ("/v1/collections/collection_1", http.Response(404, head, b'{"code": "not-found", "error": "no"}')),
        ("/auth/api-keys/one", http.Response(404, head, b'{"code": "not-found", "error": "no"}')),
        ("/auth/api-keys/one", http.Response(200, head, b'{"deleted": true}')),
        ("/v1/files/file_1", http.Response(500, {"content-type": "text/html"}, b"<html>")),
    ):
        assert response_schemas.violation("DELETE", path, answer) is not None, answer


# --- cases


def test_toml_cases_are_complete() -> None:
    """Every case that is data has an id of its own, under its feature, and operations that exist."""
    cases = read_cases()
    assert len({case.id for case in cases}) == len(cases)
    for case in cases:
        assert case.id.startswith(f"{case.feature}."), case.id
        assert set(case.operations) <= set(OPERATIONS), case.id
        assert set(case.refusing) <= set(case.operations), case.id
        assert not case.sentence.endswith("."), case.id


def test_created_names_begin_with_run_prefix() -> None:
    """Whatever a case makes can be found again by its name."""
    for case in read_cases():
        for step in case.steps:
            for _, part in step.get("form", []):
                if isinstance(part, dict) and "/documents" not in step["request"]:
                    assert part["name"].startswith("{run"), case.id
            for key in ("name", "collection_name", "collectionName", "filename"):
                value = step.get("json", {}).get(key)
                assert not value or value.startswith("{run"), case.id  # the refused name is empty


TARGET = Target("http://api", "http://management", None, None, "xai-a", "xai-token-m", "run-")


def request(known: dict[str, Any] | None = None, **step: Any) -> http.Request:
    """The request of a step."""
    return steps.build_request(step, {"run": "run-", **(known or {})}, TARGET)


def test_build_request_follows_step() -> None:
    """A step becomes a request to the right plane, with the right key, its values filled in and encoded."""
    plain = request({"file": "a/b"}, request="GET /v1/files/{file}?x=1", query={"filter": 'name:"{run}"', "l": [1, 2]})
    assert plain.url == "http://api/v1/files/a%2Fb?x=1&filter=name%3A%22run-%22&l=1&l=2"
    assert plain.headers["authorization"] == "Bearer xai-a"
    managed = request(request="POST /v1/collections", json={"collection_name": "{run:6}"})
    assert (managed.url, managed.body) == (
        "http://management/v1/collections",
        b'{"collection_name": "run-\\u00f6\\u00f6"}',
    )
    assert managed.headers["authorization"] == "Bearer xai-token-m"
    assert request(request="POST /v1/collections", key="other").headers["authorization"] == "Bearer xai-a"
    assert "authorization" not in request(request="GET /v1/files", key="none").headers
    assert request({"url": "http://elsewhere/x"}, request="GET {url}") == http.Request("GET", "http://elsewhere/x")
    saved = request({"secret": "xai-saved"}, request="GET /v1/files", key="{secret}")
    assert saved.headers["authorization"] == "Bearer xai-saved"
    for path in ("/auth/teams", "/audit/teams/one/events"):
        managed = request(request=f"GET {path}")
        assert (managed.url, managed.headers["authorization"]) == (f"http://management{path}", "Bearer xai-token-m")
    with pytest.raises(ValueError, match="is not own, other, foreign, wrong, none or a saved key"):
        request(request="GET /v1/files", key="mine")


@pytest.mark.parametrize("host", ["http://management", "http://audit/behind/a/proxy"])
@pytest.mark.parametrize(
    ("path", "fine", "unlike"),
    [
        ("/v1/files/file_1", '{"id": "file_1", "deleted": true, "object": "file"}', "{}"),
        ("/auth/api-keys/one", "{}", '{"deleted": true}'),
    ],
)
def test_step_holds_response_against_schema_of_its_path(host: str, path: str, fine: str, unlike: str) -> None:
    """A response of each host that is not of the official shape fails its step, wherever the host's paths begin."""
    case = Case(
        *("keys.x", "x", ("keys.delete",), "assumed", "nowhere", "keys"), steps=({"request": f"DELETE {path}?a=1"},)
    )
    target = replace(TARGET, base_url=host, management_url=host)
    head = {"content-type": "application/json"}
    steps.run(case, target, Replies(http.Response(200, head, fine.encode())))
    with pytest.raises(AssertionError, match="step 1"):
        steps.run(case, target, Replies(http.Response(200, head, unlike.encode())))


def test_step_with_unknown_key_raises() -> None:
    """A word that steps do not have is a mistake in the case."""
    case = Case("auth.x", "x", ("auth.me",), "assumed", "nowhere", "auth", steps=({"request": "GET /", "expects": {}},))
    with pytest.raises(ValueError, match=r"auth\.x, step 1: there is no expects"):
        steps.run(case, TARGET, Replies())


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("evidence", "rumoured"),
        ("feature", "news"),
        ("operations", ()),
        ("feature", "faults"),
        ("evidence", "emulator"),
    ],
)
def test_case_with_unknown_word_raises(word: str, value: Any) -> None:
    """A case without operations, or known in an unknown way, is refused."""
    members = {"evidence": "assumed", "feature": "auth", "operations": ("auth.me",), word: value}
    with pytest.raises(ValueError, match=r"auth\.x: "):
        Case("auth.x", "x", source="nowhere", **members)


def test_batch_input_matches_guide() -> None:
    """The input file of a batch has one line for each request, with the four members of the guide."""
    (line,) = batch_input({"one": "Say one."}).splitlines()
    assert json.loads(line).keys() == {"custom_id", "method", "url", "body"}


# --- manners


class Replies:
    """A transport that has its answers ready."""

    name, version = "replies", "1"

    def __init__(self, *replies: http.Response) -> None:
        self.replies = list(replies)
        self.sent = 0

    def send(self, request: http.Request) -> http.Response:
        """The next answer."""
        self.sent += 1
        return self.replies.pop(0)

    def close(self) -> None:
        """Nothing."""


TOO_OFTEN = http.Response(429, {"retry-after": "0"}, b"")
FINE = http.Response(200, {}, b"")


@pytest.mark.parametrize(
    ("replies", "status", "sent"),
    [
        ([FINE], 200, 1),
        ([TOO_OFTEN, FINE], 200, 2),
        ([TOO_OFTEN, TOO_OFTEN, TOO_OFTEN, FINE], 429, 3),
        ([http.Response(429, {}, b""), FINE], 429, 1),
    ],
)
def test_retrying_transport_repeats_429_with_retry_after(replies: list[http.Response], status: int, sent: int) -> None:
    """A 429 with Retry-After is sent again, three times at most; one without is an answer."""
    transport = Replies(*replies)
    answer = http.RetryingTransport(transport).send(http.Request("GET", "http://api"))
    assert (answer.status, transport.sent) == (status, sent)


def test_budget_over_calls_or_time_raises() -> None:
    """A budget allows so many calls and no more."""
    budget = Budget(2)
    budget.spend()
    budget.spend()
    with pytest.raises(BudgetExhausted):
        budget.spend()


@pytest.mark.parametrize(
    ("value", "since", "holds"),
    [
        (1_767_225_600, (1_767_222_000, 3600), True),
        (1_767_225_602, (1_767_222_000, 3600), False),
        ("2026-01-31", ("2026-01-01", 30 * 86_400), True),
        ("2026-01-02", ("2026-01-01", 30 * 86_400), False),
        ("2026-01-01T01:00:00.500000Z", ("2026-01-01T00:00:00.500000Z", 3600), True),
        ("2026-01-01T01:00:00Z", (1_767_225_600, 3600), True),
        (None, ("2026-01-01", 0), False),
        ("soon", ("2026-01-01", 0), False),
    ],
)
def test_after_compares_times_in_all_spellings(value: Any, since: tuple[Any, int], holds: bool) -> None:
    """`$after` holds for a time so many seconds after another one, give or take a cut-off second."""
    assert (matchers.mismatch(value, {"$after": list(since)}) is None) == holds


@pytest.mark.parametrize(
    ("message", "shown", "agrees"),
    [
        ({"size": 5}, {"size": "5", "more": 1}, True),
        ({"size": 5}, {"size": "6"}, False),
        ({"text": ""}, {}, True),
        ({"text": "a"}, {}, False),
        ({"list": [{"a": 1}]}, {"list": [{"a": 1}]}, True),
        ({"list": [{"a": 1}]}, {"list": []}, False),
        ("DOCUMENT_STATUS_FAILED", "DOCUMENT_STATUS_FAILED", True),
        ("STATE_FAILED", "failed", True),
        ("STATE_FAILED", "pending", False),
        ("2026-01-01T00:00:00.500000+00:00", 1_767_225_600, True),
        ("2026-01-01T00:00:00+00:00", "2026-01-01", True),
        ("2026-01-01T00:00:00+00:00", "2026-01-02", False),
        ("2026-01-01T00:00:00.250000+00:00", "2026-01-01T00:00:00.250000Z", True),
        ("2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00.250000Z", False),
        (0.016393441706895828, 0.01639344, True),
        (0.5, 0.25, False),
        (False, None, True),
        (True, False, False),
    ],
)
def test_message_agrees_with_json_in_its_spelling(message: Any, shown: Any, agrees: bool) -> None:
    """What gRPC and REST spell in two ways is the same, and nothing else is."""
    assert (messages.disagreement(message, shown) is None) == agrees


def test_foreign_key_belongs_to_other_team() -> None:
    """A step with a foreign key asks as a second team of the run, on either plane."""
    step = {"request": "GET /v1/files", "key": "foreign"}
    target = as_team(TARGET, "mine")
    headers = steps.build_request(step, {}, target).headers
    assert headers["authorization"] == "Bearer xai-emulator@mine-foreign"
    headers = steps.build_request({**step, "request": "GET /v1/collections"}, {}, target).headers
    assert headers["authorization"] == "Bearer xai-token-emulator@mine-foreign"


def test_cases_option_selects_by_id_prefix() -> None:
    """--cases chooses cases by their ids, or by how they begin."""
    target = replace(TARGET, cases=("auth.m", "files.get"))
    chosen = [case.id for case in read_cases() if target.includes(case)]
    assert {"auth.me", "auth.management-key", "files.get", "files.get.unknown"} <= set(chosen)
    assert all(id.startswith(("auth.m", "files.get")) for id in chosen)
