"""What a run of the contract kit leaves behind."""

from __future__ import annotations

import httpx

from contract_tests import cleanup
from contract_tests.target import Target
from emulator import Emulator
from tests.serving import PATIENCE_SECONDS


def test_cleanup_deletes_the_api_keys_of_the_run() -> None:
    """A key that a failed case left behind would otherwise stay valid."""
    with Emulator() as emulator, httpx.Client(base_url=emulator.url, timeout=PATIENCE_SECONDS) as http:
        http.headers["authorization"] = f"Bearer {emulator.management_key}"
        keys = f"/auth/teams/{http.get('/auth/teams').json()['teams'][0]['teamId']}/api-keys"
        for name in ("kit-run-a", "kit-run-b", "other"):
            http.post(keys, json={"name": name})
        target = Target(
            *(emulator.url, emulator.url, None, None, emulator.api_key, emulator.management_key, "kit-run-"),
            features=frozenset({"keys"}),
            destructive=True,
        )
        assert cleanup.clean_up(target) == []
        assert [key["name"] for key in http.get(keys).json()["apiKeys"]] == ["other"]
