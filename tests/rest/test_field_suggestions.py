"""The warning about unknown fields names the field that was probably meant."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from emulator.rest.field_suggestions import SUGGESTIONS, suggest
from emulator.rest.protojson import FromProtoJson
from emulator.rest.requests import FromJson, FromQuery
from emulator.rest.routes import ROUTES
from emulator.rest.unknown_fields import unread_fields, unread_parameters

SEARCH: dict[str, Any] = {"query": "ash", "source": {"collection_ids": ["collection_1"]}}


@pytest.mark.parametrize("name", ["top_k", "k", "max_results", "max_num_results"])
def test_count_of_another_search_api_suggests_limit(rest: httpx.Client, name: str) -> None:
    """Observed in clients: they send it, and believe that it limits."""
    reply = rest.post("/v1/documents/search", json={**SEARCH, name: 3})
    assert reply.headers["x-emulator-warning"] == f"unknown fields ignored: {name} (use limit)"


def test_requests_of_a_batch_under_another_key_suggest_batch_requests(rest: httpx.Client) -> None:
    """Observed live: `requests` is refused with 422."""
    batch = rest.post("/v1/batches", json={"name": "a"}).json()["batch_id"]
    reply = rest.post(f"/v1/batches/{batch}/requests", json={"requests": []})
    assert reply.status_code == 422
    assert reply.headers["x-emulator-warning"] == "unknown fields ignored: requests (use batch_requests)"


def test_unknown_id_key_of_a_request_suggests_batch_request_id(rest: httpx.Client) -> None:
    """Observed live: `unique_id` is ignored, and an id is made."""
    batch = rest.post("/v1/batches", json={"name": "a"}).json()["batch_id"]
    chat = {"chat_get_completion": {"model": "grok-4.3", "messages": [{"role": "user", "content": "x"}]}}
    body = {"batch_requests": [{"unique_id": "mine", "batch_request": chat}]}
    reply = rest.post(f"/v1/batches/{batch}/requests", json=body)
    assert reply.status_code == 200
    warning = reply.headers["x-emulator-warning"]
    assert warning == "unknown fields ignored: batch_requests.unique_id (use batch_request_id)"
    made = rest.get(f"/v1/batches/{batch}/requests").json()["batch_request_metadata"]
    assert [each["batch_request_id"] == "mine" for each in made] == [False]


def test_unknown_query_parameter_is_named_in_the_warning(rest: httpx.Client) -> None:
    reply = rest.get("/v1/files", params={"page_size": 5, "limit": 5, "whatever": "x"})
    assert reply.headers["x-emulator-warning"] == "unknown fields ignored: page_size (use limit), whatever"
    assert "x-emulator-warning" not in rest.get("/v1/files", params={"limit": 5}).headers


@pytest.mark.parametrize(
    ("ignored", "known", "meant"),
    [
        ("expire_after", ["name", "expires_after"], "expires_after"),
        ("expiresAfter", ["name", "expires_after"], "expires_after"),
        ("files.contentType", ["content_type"], "content_type"),
        ("nested", ["name", "expires_after"], None),
        ("e" * 65, ["e" * 64], None),
    ],
)
def test_name_nearest_to_an_unknown_one_is_suggested(ignored: str, known: list[str], meant: str | None) -> None:
    assert suggest("files.initialize", ignored, known) == meant


def test_suggested_fields_are_declared() -> None:
    """A suggestion that names a field that does not exist would mislead."""
    for route in ROUTES:
        for name, meant in SUGGESTIONS.get(route.operation, {}).items():
            read = route.read
            if isinstance(read, FromQuery):
                assert list(unread_parameters([meant, name], read.shape, camel_case=False)) == [name], route.operation
                continue
            assert isinstance(read, FromJson), route
            camel_case = isinstance(read, FromProtoJson)
            body: Any = 1
            for part in reversed(meant.split(".")):
                body = {part: body}
            if meant in ("batch_request", "batch_request_id"):
                body = {"batch_requests": [body]}
            assert not unread_fields(_json(body), read.shape, camel_case=camel_case), (route.operation, meant)
            top = {name: 1} if route.operation != "batches.add_requests" else {"batch_requests": [{name: 1}]}
            assert unread_fields(_json(top), read.shape, camel_case=camel_case), (route.operation, name)


def _json(value: Any) -> bytes:
    import msgspec

    return msgspec.json.encode(value)
