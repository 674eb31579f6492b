"""Recorded exchanges are replayed, and every kind of difference is reported."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator import Emulator
from tools import recordings

ID = "00000000-0000-4000-8000-00000000000"
BATCH = {
    "batch_id": f"batch_{ID}1",
    "name": "nightly",
    "create_time": "2026-04-16",
    "expire_time": "2026-05-16",
    "create_api_key_id": f"{ID}2",
    "cancel_time": None,
    "cancel_by_xai_message": None,
    "state": {"num_requests": 0, "num_pending": 0, "num_success": 0, "num_error": 0, "num_cancelled": 0},
}
TEAMS = itertools.count(1)
CREATE = {"method": "POST", "url": "https://api.x.ai/v1/batches", "body": '{"name":"nightly"}', "status": 200}
GET = {"method": "GET", "url": f"https://api.x.ai/v1/batches/batch_{ID}1", "body": None, "status": 200}


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def exchange(what: dict[str, Any], response: Any, at: str = "2026-04-16T07:18:48.515Z", **changes: Any) -> Any:
    """A recorded exchange; a response that is no text is compact JSON."""
    is_text = isinstance(response, str)
    return {
        "content_type": None if what["body"] is None else "application/json",
        "at": at,
        "response_type": "application/json",
        "response": response if is_text else compact(response),
        **what,
        **changes,
    }


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


def differences(running: Emulator, *exchanges: Any) -> list[str]:
    return list(recordings.replay(list(exchanges), running, f"recording-{next(TEAMS)}"))


def test_same_exchanges_have_no_difference(running: Emulator) -> None:
    """Identifiers and keys differ from those of the recording, times are those of the recording."""
    assert differences(running, exchange(CREATE, BATCH), exchange(GET, BATCH)) == []


def without(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda batch: {key: value for key, value in batch.items() if key != name}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without("name"), "$: members batch_id, create_time"),
        (lambda batch: {**batch, "new": 1}, "$: members batch_id"),
        (lambda batch: dict(reversed(batch.items())), "$: members state"),
        (lambda batch: {**batch, "cancel_time": "2026-04-16"}, "$.cancel_time: '2026-04-16' recorded, None here"),
        (lambda batch: {**batch, "create_time": 1776323959}, "$.create_time: 1776323959 recorded"),
        (lambda batch: {**batch, "create_time": "2026-04-16T07:18:48.515000Z"}, "$.create_time: a timestamp such as"),
        (lambda batch: {**batch, "batch_id": f"job_{ID}1"}, "$.batch_id: an identifier such as"),
        (lambda batch: {**batch, "name": "other"}, "$.name: 'other' recorded, 'nightly' here"),
        (lambda batch: {**batch, "state": {**batch["state"], "num_error": 1}}, "$.state.num_error: 1 recorded, 0 here"),
        (lambda batch: json.dumps(batch), "spaces as in"),
    ],
)
def test_difference_is_reported_with_its_path(
    running: Emulator, change: Callable[[dict[str, Any]], Any], words: str
) -> None:
    [difference] = differences(running, exchange(CREATE, change(BATCH)))
    assert difference.startswith(f"1: POST /v1/batches: {words}")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": 404}, "status 404 recorded, 200 here"),
        ({"response_type": "text/plain"}, "content type 'text/plain' recorded, 'application/json' here"),
    ],
)
def test_other_status_or_content_type_is_reported(running: Emulator, changes: dict[str, Any], words: str) -> None:
    assert words in differences(running, exchange(CREATE, BATCH, **changes))[0]


def test_identifier_that_changes_is_reported(running: Emulator) -> None:
    """What was one thing in the recording is one thing here."""
    other = {**BATCH, "create_api_key_id": BATCH["batch_id"]}
    found = differences(running, exchange(CREATE, BATCH), exchange(GET, other))
    assert any("identifier" in difference for difference in found)


def test_items_of_others_in_a_list_have_their_shape_compared(running: Emulator) -> None:
    """The recorded team had more batches than the recording made."""
    listed = {"batches": [BATCH, {**BATCH, "batch_id": f"batch_{ID}9"}], "pagination_token": None}
    listing = {**GET, "url": "https://api.x.ai/v1/batches"}
    assert differences(running, exchange(CREATE, BATCH), exchange(listing, listed)) == []
    listed["batches"][1] = {"batch_id": f"batch_{ID}9"}  # type: ignore[index]
    [difference] = differences(running, exchange(CREATE, BATCH), exchange(listing, listed))
    assert "members batch_id recorded" in difference


def test_command_reports_and_fails_without_recordings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that compares nothing is no success."""
    assert recordings.main([str(tmp_path)]) == 1
    recording = {"name": "batch", "exchanges": [exchange(CREATE, BATCH), exchange(GET, {**BATCH, "name": "other"})]}
    (tmp_path / "live.json").write_text(json.dumps([recording]))
    assert recordings.main([str(tmp_path)]) == 1
    written = capsys.readouterr().out
    assert "batch 2: GET /v1/batches/" in written
    assert written.endswith("2 exchanges replayed, 1 differences\n")
    recording["exchanges"][1]["response"] = compact(BATCH)  # type: ignore[index]
    (tmp_path / "live.json").write_text(json.dumps([recording]))
    assert recordings.main([str(tmp_path)]) == 0


def test_management_refusal_has_the_recorded_bytes(running: Emulator) -> None:
    """Recorded 2026-04: a blank follows each comma."""
    reply = httpx.get(f"{running.url}/v1/collections", headers={"authorization": "Bearer xai-emulator"})
    assert reply.content == (
        b'{"code":16, "message":"Invalid bearer token. Please ensure you use a valid management key.", "details":[]}'
    )
