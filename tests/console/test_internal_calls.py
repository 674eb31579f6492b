"""Calls marked `x-emulator-internal`, as the console makes them, affect neither the journal nor planned faults."""

from __future__ import annotations

import httpx

from emulator import Emulator

INTERNAL = {"x-emulator-internal": "1"}


def test_internal_call_is_not_journalled(rest: httpx.Client, control: httpx.Client) -> None:
    """The journal lists the calls of the client under test only."""
    rest.get("/v1/files")
    rest.get("/v1/files", headers=INTERNAL)
    rest.get("/v1/files/file_unknown", headers=INTERNAL)
    requests = control.get("/requests").json()["requests"]
    assert [call["operation"] for call in requests] == ["files.list"]


def test_internal_call_leaves_planned_fault_to_the_next_call(rest: httpx.Client, control: httpx.Client) -> None:
    """A fault that is planned for the next call neither affects nor counts an internal call."""
    planned = control.post("/faults", json={"operation": "*", "error": "unavailable"})
    assert planned.status_code == 200
    assert rest.get("/v1/files", headers=INTERNAL).status_code == 200
    assert rest.get("/v1/files").status_code == 503
    rule = control.get("/faults").json()["rules"][0]
    assert (rule["calls"], rule["hits"]) == (1, 1)


def test_internal_call_is_exempt_from_chaos() -> None:
    """The console shows objects as they are."""
    with Emulator(chaos="1:unknown_fields") as emulator:
        key = {"authorization": f"Bearer {emulator.api_key}"}
        internal = httpx.get(f"{emulator.base_url}/files", headers={**key, **INTERNAL})
        external = httpx.get(f"{emulator.base_url}/files", headers=key)
    assert internal.json() == {"data": [], "pagination_token": None}
    assert "x_unheard_of" in external.json()


def test_internal_call_without_key_returns_401(emulator: Emulator) -> None:
    """The header does not bypass authentication."""
    assert httpx.get(f"{emulator.base_url}/files", headers=INTERNAL).status_code == 401
