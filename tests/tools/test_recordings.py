"""The recordings that the project accepts agree with the emulator, and a difference in any of them fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from emulator import Emulator
from emulator.recordings.entries import About
from emulator.recordings.reading import read
from emulator.recordings.sanitize import Sanitizer
from tools import recordings

ACCEPTED = Path(__file__).parents[2] / "contract_tests" / "recordings"
SERVICE = {"https://api.x.ai", "https://management-api.x.ai"}
BYTES_MAX = 1_000_000
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
CREATE = {"method": "POST", "url": "https://api.x.ai/v1/batches", "body": '{"name":"nightly"}', "status": 200}
GET = {"method": "GET", "url": f"https://api.x.ai/v1/batches/batch_{ID}1", "body": None, "status": 200}


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def exchange(what: dict[str, Any], response: Any, **changes: Any) -> Any:
    """An exchange of a list; a response that is no text is compact JSON."""
    return {
        "content_type": None if what["body"] is None else "application/json",
        "at": "2026-04-16T07:18:48.515Z",
        "response_type": "application/json",
        "response": response if isinstance(response, str) else compact(response),
        **what,
        **changes,
    }


def write(path: Path, *exchanges: Any) -> Path:
    path.write_text(json.dumps([{"name": "nightly batch", "exchanges": exchanges}]))
    return path


# --- the accepted ones


def test_accepted_recordings_agree_with_the_emulator(capsys: pytest.CaptureFixture[str]) -> None:
    code = recordings.main([str(ACCEPTED)])
    assert code == 0, capsys.readouterr().out


@pytest.mark.parametrize("path", sorted(ACCEPTED.glob("*.har")), ids=lambda path: path.name)
def test_accepted_recording_is_of_the_service_small_and_without_secrets(path: Path) -> None:
    recording = read(path)
    about = recording.log.about
    assert isinstance(about, About)
    assert set(about.to) <= SERVICE
    assert about.contents == "lengths"
    assert recording.unreadable == 0
    assert path.stat().st_size < BYTES_MAX
    assert path.name in (ACCEPTED / "README.md").read_text("utf-8")
    sanitizer = Sanitizer()
    for entry in recording.entries:
        assert json.loads(sanitizer.encode(entry)) == json.loads(msgspec.json.encode(entry))


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ('"expire_time\\":\\"2026-05-16', '"expire_time\\":\\"2026-06-16', "$.expire_time"),
        ('\\"object\\":\\"file\\",\\"purpose\\":\\"\\"', '\\"purpose\\":\\"\\",\\"object\\":\\"file\\"', "order"),
        ('\\"code\\":16, ', '\\"code\\":16,', "spaces between members"),
        ("missing field `name` at line 1 column", "missing field `name` in line 1 column", "body"),
        ('"status":401', '"status":403', "status"),
        ("text/plain; charset=utf-8", "text/plain", "content-type"),
        ('\\"documents_count\\":0,', "", "$.documents_count"),
    ],
)
def test_difference_in_an_accepted_recording_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], was: str, becomes: str, says: str
) -> None:
    text = (ACCEPTED / "observed-2026-04.har").read_text("utf-8")
    assert was in text
    (tmp_path / "changed.har").write_text(text.replace(was, becomes), "utf-8")
    assert recordings.main([str(tmp_path)]) == 1
    assert says in capsys.readouterr().out


# --- lists of exchanges


def test_list_of_exchanges_is_compared_by_the_same_rules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "live.json", exchange(CREATE, BATCH), exchange(GET, BATCH))
    assert recordings.main([str(file)]) == 0
    assert capsys.readouterr().out == "2 exchanges replayed, 2 of them judged, 0 differences\n"
    write(file, exchange(CREATE, BATCH), exchange(GET, {**BATCH, "name": "other"}))
    assert recordings.main([str(tmp_path)]) == 1
    written = capsys.readouterr().out
    assert written.startswith("nightly batch:\n")
    assert "$.name" in written
    assert written.endswith("2 exchanges replayed, 2 of them judged, 1 differences\n")


def test_upload_of_a_list_has_its_recorded_size_or_what_is_downloaded(tmp_path: Path) -> None:
    file = {
        "bytes": 11,
        "created_at": 1776323928,
        "expires_at": None,
        "filename": "a.txt",
        "id": f"file_{ID}3",
        "object": "file",
        "purpose": "",
    }
    upload = {"method": "POST", "url": "https://api.x.ai/v1/files", "body": None, "status": 200}
    download = {
        "method": "GET",
        "url": f"https://api.x.ai/v1/files/file_{ID}3/content",
        "body": None,
        "status": 200,
        "response_type": "application/octet-stream",
    }
    assert recordings.main([str(write(tmp_path / "live.json", exchange(upload, file)))]) == 0
    both = exchange(upload, file), exchange(download, "some words.")
    assert recordings.main([str(write(tmp_path / "live.json", *both))]) == 0
    both[1]["response"] = "other words"
    assert recordings.main([str(write(tmp_path / "live.json", *both))]) == 0
    both[1]["response"] = "some more words"
    assert recordings.main([str(write(tmp_path / "live.json", *both))]) == 1


def test_refused_key_of_a_list_is_refused_here_too(tmp_path: Path) -> None:
    refused = (
        '{"code":16, "message":"Invalid bearer token. Please ensure you use a valid management key.", "details":[]}'
    )
    create = {"method": "POST", "url": "https://management-api.x.ai/v1/collections", "body": "{}", "status": 401}
    assert recordings.main([str(write(tmp_path / "live.json", exchange(create, refused)))]) == 0


@pytest.mark.parametrize("content", [None, "[]"])
def test_run_that_compares_nothing_is_no_success(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "live.json").write_text(content)
    assert recordings.main([str(tmp_path)]) == 1


def test_management_refusal_has_the_recorded_bytes() -> None:
    """Recorded 2026-04: a blank follows each comma."""
    with Emulator() as running:
        reply = httpx.get(
            f"{running.url}/v1/collections", headers={"authorization": "Bearer xai-emulator"}, trust_env=False
        )
    assert reply.content == (
        b'{"code":16, "message":"Invalid bearer token. Please ensure you use a valid management key.", "details":[]}'
    )
