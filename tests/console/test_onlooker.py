"""A call marked `x-emulator-aside` looks on: it disturbs neither what is counted nor what is planned."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from emulator import Emulator

ASIDE = {"x-emulator-aside": "1"}


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """An emulator for all tests of this module."""
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def client(emulator: Emulator) -> Iterator[httpx.Client]:
    """A client of the default team, which has nothing."""
    emulator.reset()
    with httpx.Client(base_url=emulator.url, headers={"authorization": f"Bearer {emulator.api_key}"}) as client:
        yield client


def test_an_onlooker_is_not_noted(client: httpx.Client) -> None:
    """The journal tells what the client under test did, not what the page looked at meanwhile."""
    client.get("/v1/files")
    client.get("/v1/files", headers=ASIDE)
    client.get("/v1/files/file_unknown", headers=ASIDE)
    requests = client.get("/_emulator/requests").json()["requests"]
    assert [call["operation"] for call in requests] == ["files.list"]


def test_an_onlooker_is_no_call_that_a_fault_waits_for(client: httpx.Client) -> None:
    """A fault that is planned for the next call meets the next call of a client."""
    planned = client.post("/_emulator/faults", json={"operation": "*", "error": "unavailable"})
    assert planned.status_code == 200
    assert client.get("/v1/files", headers=ASIDE).status_code == 200
    assert client.get("/v1/files").status_code == 503
    rule = client.get("/_emulator/faults").json()["rules"][0]
    assert (rule["calls"], rule["hits"]) == (1, 1)


def test_an_onlooker_steps_into_no_trap() -> None:
    """What hostile mode does to clients, it does not do to the page."""
    with Emulator(hostile="1:unknown_fields") as emulator:
        key = {"authorization": f"Bearer {emulator.api_key}"}
        honest = httpx.get(f"{emulator.base_url}/files", headers={**key, **ASIDE})
        hostile = httpx.get(f"{emulator.base_url}/files", headers=key)
    assert honest.json() == {"data": [], "pagination_token": None}
    assert "x_unheard_of" in hostile.json()


def test_an_onlooker_needs_a_key_like_anybody(emulator: Emulator) -> None:
    """To look on is no way around authentication."""
    assert httpx.get(f"{emulator.base_url}/files", headers=ASIDE).status_code == 401
