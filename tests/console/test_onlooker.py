"""A call marked `x-emulator-aside` looks on: it disturbs neither what is counted nor what is planned."""

from __future__ import annotations

import httpx

from emulator import Emulator

ASIDE = {"x-emulator-aside": "1"}


def test_an_onlooker_is_not_noted(rest: httpx.Client, control: httpx.Client) -> None:
    """The journal tells what the client under test did, not what the page looked at meanwhile."""
    rest.get("/v1/files")
    rest.get("/v1/files", headers=ASIDE)
    rest.get("/v1/files/file_unknown", headers=ASIDE)
    requests = control.get("/requests").json()["requests"]
    assert [call["operation"] for call in requests] == ["files.list"]


def test_an_onlooker_is_no_call_that_a_fault_waits_for(rest: httpx.Client, control: httpx.Client) -> None:
    """A fault that is planned for the next call meets the next call of a rest."""
    planned = control.post("/faults", json={"operation": "*", "error": "unavailable"})
    assert planned.status_code == 200
    assert rest.get("/v1/files", headers=ASIDE).status_code == 200
    assert rest.get("/v1/files").status_code == 503
    rule = control.get("/faults").json()["rules"][0]
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
