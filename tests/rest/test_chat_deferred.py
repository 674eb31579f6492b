"""Deferred chat completions: when they are ready, who may fetch them, and for how long."""

from __future__ import annotations

import httpx
import pytest

from emulator import Emulator
from fixtures.team import EmulatedTeam
from tests.rest.batch_helpers import chat_body
from tests.serving import PATIENCE_SECONDS, Served

PATH = "/v1/chat/completions"
BODY = chat_body("later", model="grok-4.3", deferred=True)
DAY = 86_400


def start(rest: httpx.Client) -> str:
    """The path of a new deferred completion."""
    id = rest.post(PATH, json=BODY).json()["request_id"]
    return f"/v1/chat/deferred-completion/{id}"


def test_deferred_completion_is_pending_until_released(emulator: Emulator, rest: httpx.Client) -> None:
    team = EmulatedTeam(emulator, "default")
    team.configure(batches="manual")
    path = start(rest)
    pending = rest.get(path)
    assert (pending.status_code, pending.content) == (202, b"")
    httpx.post(f"{emulator.url}/_emulator/jobs/run").raise_for_status()
    assert rest.get(path).json()["choices"][0]["message"]["content"] == "later"


def test_deferred_completion_takes_its_time_at_realistic_speed(emulator: Emulator, rest: httpx.Client) -> None:
    team = EmulatedTeam(emulator, "default")
    team.configure(batches="realistic")
    team.freeze()
    path = start(rest)
    assert rest.get(path).status_code == 202
    team.advance(1)
    assert rest.get(path).status_code == 200


@pytest.mark.parametrize(("seconds", "status"), [(DAY - 1, 200), (DAY, 404)])
def test_deferred_completion_expires_after_24_hours(
    emulator: Emulator, rest: httpx.Client, seconds: int, status: int
) -> None:
    team = EmulatedTeam(emulator, "default")
    team.freeze()
    path = start(rest)
    team.advance(seconds)
    assert rest.get(path).status_code == status


def test_deferred_completion_of_another_team_is_not_found(emulator: Emulator, rest: httpx.Client) -> None:
    path = start(rest)
    other = {"authorization": f"Bearer {emulator.api_key}@other"}
    assert rest.get(path, headers=other).status_code == 404
    assert rest.get(path).status_code == 200


def test_refused_request_is_not_deferred(rest: httpx.Client) -> None:
    assert rest.post(PATH, json={**BODY, "max_tokens": 0}).status_code == 400


def test_snapshot_holds_deferred_completions(emulator: Emulator, rest: httpx.Client) -> None:
    path = start(rest)
    with httpx.Client(base_url=f"{emulator.url}/_emulator", timeout=PATIENCE_SECONDS) as control:
        control.post("/snapshots", json={"name": "before"}).raise_for_status()
        control.post("/reset").raise_for_status()
        assert rest.get(path).status_code == 404
        control.post("/snapshots/before/restore").raise_for_status()
    assert rest.get(path).status_code == 200


def test_deferred_completion_outlives_the_process(tmp_path: object) -> None:
    with Served("--data-dir", str(tmp_path)) as served:
        headers = {"authorization": "Bearer xai-emulator"}
        with httpx.Client(base_url=served.url, headers=headers, timeout=PATIENCE_SECONDS) as rest:
            path = start(rest)
        served.stop()
    with Served("--data-dir", str(tmp_path)) as served:
        assert httpx.get(f"{served.url}{path}", headers=headers, timeout=PATIENCE_SECONDS).status_code == 200
