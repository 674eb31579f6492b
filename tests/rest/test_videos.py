"""Videos over REST: pending, done, failed and expired by the clock of the team, and refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator import Emulator
from fixtures.team import EmulatedTeam
from tests.serving import KEY, PATIENCE_SECONDS, Served

PATH = "/v1/videos/generations"
EDITS, EXTENSIONS = "/v1/videos/edits", "/v1/videos/extensions"
VIDEO = {"url": "https://example.com/a.mp4"}
DAY = 86_400


@pytest.fixture
def team(emulator: Emulator, rest: httpx.Client) -> EmulatedTeam:
    """The default team, its clock frozen."""
    team = EmulatedTeam(emulator, "default")
    team.freeze()
    return team


def start(rest: httpx.Client, path: str = PATH, **body: Any) -> str:
    """The path of a new video."""
    reply = rest.post(path, json={"prompt": "a kettle", **body})
    assert (reply.status_code, list(reply.json())) == (200, ["request_id"])
    return f"/v1/videos/{reply.json()['request_id']}"


def test_video_is_done_at_once_at_instant_speed(rest: httpx.Client, emulator: Emulator) -> None:
    done = rest.get(start(rest))
    body = done.json()
    assert done.status_code == 200
    assert list(body) == ["status", "video", "model", "usage", "progress"]
    assert list(body["video"]) == ["url", "duration", "respect_moderation"]
    assert body["video"]["url"].startswith(f"{emulator.url}/_media/")
    assert body["usage"] == {"cost_in_usd_ticks": 4_000_000_000}  # recorded, 2026-09: 8 seconds
    assert (body["status"], body["progress"], body["model"]) == ("done", 100, "grok-imagine-video")
    fetched = httpx.get(body["video"]["url"])
    assert (fetched.headers["content-type"], fetched.content[4:8]) == ("video/mp4", b"ftyp")


@pytest.mark.parametrize(
    ("path", "body", "seconds"),
    [
        (PATH, {"duration": 3}, 3),
        (PATH, {"seconds": "4"}, 4),
        (PATH, {"image": {"url": "https://example.com/a.png"}, "prompt": None}, 8),
        (EDITS, {"video": VIDEO}, 8),
        (EXTENSIONS, {"video": VIDEO}, 6),
        (EXTENSIONS, {"video": VIDEO, "duration": 10}, 10),
    ],
)
def test_video_has_asked_duration(rest: httpx.Client, path: str, body: dict[str, Any], seconds: int) -> None:
    video = rest.get(start(rest, path, **body)).json()
    assert video["video"]["duration"] == seconds
    assert video["usage"]["cost_in_usd_ticks"] == 500_000_000 * seconds


def test_video_is_pending_until_due_at_realistic_speed(team: EmulatedTeam, rest: httpx.Client) -> None:
    team.configure(batches="realistic")
    path = start(rest)
    seen = []
    for _ in range(5):
        reply = rest.get(path)
        seen.append((reply.status_code, reply.json()["status"], reply.json()["progress"]))
        team.advance(0.25)
    assert seen == [(202, "pending", percent) for percent in (0, 25, 50, 75)] + [(200, "done", 100)]


def test_video_is_pending_until_released_at_manual_speed(team: EmulatedTeam, rest: httpx.Client) -> None:
    team.configure(batches="manual")
    path = start(rest)
    team.advance(3600)
    pending = rest.get(path)
    assert (pending.status_code, pending.json()) == (202, {"status": "pending", "progress": 0})
    team.call("POST", "/_emulator/jobs/run")
    url = rest.get(path).json()["video"]["url"]
    team.advance(3599)  # the hour begins when the video is made
    assert httpx.get(url).status_code == 200
    team.advance(1)
    assert httpx.get(url).status_code == 404


@pytest.mark.parametrize(
    ("seconds", "status"), [(DAY - 1, (200, "done")), (DAY, (200, "expired")), (2 * DAY - 1, (200, "expired"))]
)
def test_video_expires_after_a_day(
    team: EmulatedTeam, rest: httpx.Client, seconds: int, status: tuple[int, str]
) -> None:
    path = start(rest)
    team.advance(seconds)
    reply = rest.get(path)
    assert (reply.status_code, reply.json()["status"]) == status


def test_expired_video_is_deleted_a_day_later(team: EmulatedTeam, rest: httpx.Client) -> None:
    path = start(rest)
    team.advance(2 * DAY)
    assert rest.get(path).status_code == 404


def test_video_can_be_fetched_again(rest: httpx.Client) -> None:
    path = start(rest)
    assert rest.get(path).json() == rest.get(path).json()


def test_video_is_stored_as_file_when_it_is_done(team: EmulatedTeam, rest: httpx.Client) -> None:
    team.configure(batches="manual")
    path = start(rest, storage_options={"filename": "kettle.mp4"})
    assert rest.get("/v1/files").json()["data"] == []
    team.call("POST", "/_emulator/jobs/run")
    output = rest.get(path).json()["video"]["file_output"]
    assert rest.get(f"/v1/files/{output['file_id']}").json()["filename"] == "kettle.mp4"


def test_video_that_responder_refuses_fails() -> None:
    def refuse(request: Any) -> Any:
        raise RuntimeError("no film today")

    with Emulator(responder=refuse) as own, httpx.Client(base_url=own.url, headers=KEY) as rest:
        failed = rest.get(start(rest))
    assert failed.status_code == 200
    assert failed.json() == {
        "status": "failed",
        "video": {"url": "", "duration": 0, "respect_moderation": True},
        "error": {"code": "internal_error", "message": "no film today"},
        "progress": 0,
    }


def test_snapshot_holds_videos(emulator: Emulator, rest: httpx.Client) -> None:
    team = EmulatedTeam(emulator, "default")
    team.configure(batches="manual")
    path = start(rest)
    team.call("POST", "/_emulator/snapshots", {"name": "videos"})
    team.call("POST", "/_emulator/reset")
    assert rest.get(path).status_code == 404
    team.call("POST", "/_emulator/snapshots/videos/restore")
    assert rest.get(path).json()["status"] == "pending"
    team.call("POST", "/_emulator/jobs/run")
    assert rest.get(path).json()["status"] == "done"


def test_video_of_another_team_is_not_found(emulator: Emulator, rest: httpx.Client) -> None:
    path = start(rest)
    refused = rest.get(path, headers={"authorization": f"Bearer {emulator.api_key}@other"})
    assert refused.status_code == 404
    sentence = "No deferred video could be found with the given request_id."
    assert refused.json() == {"code": "not-found", "error": sentence}


def test_video_outlives_process(tmp_path: Path) -> None:
    with Served("--data-dir", tmp_path, "--batches", "manual") as served:
        with httpx.Client(base_url=served.url, headers=KEY, timeout=PATIENCE_SECONDS) as rest:
            path = start(rest)
        served.stop()
    with (
        Served("--data-dir", tmp_path) as served,
        httpx.Client(base_url=served.url, headers=KEY, timeout=PATIENCE_SECONDS) as rest,
    ):
        assert rest.get(path).json() == {"status": "pending", "progress": 0}
        rest.post("/_emulator/jobs/run").raise_for_status()
        assert rest.get(path).json()["status"] == "done"


@pytest.mark.parametrize(
    ("path", "body", "sentence"),
    [
        (PATH, {"duration": 0}, "duration must be between 1 and 15 seconds, got 0"),
        (PATH, {"duration": -1}, "duration must be between 1 and 15 seconds, got -1"),
        (PATH, {"duration": 16}, "duration must be between 1 and 15 seconds, got 16"),
        (EXTENSIONS, {"duration": 11, "video": VIDEO}, "duration must be between 1 and 10 seconds, got 11"),
        (PATH, {"prompt": ""}, "A prompt is required unless an image is given."),
        (EDITS, {"video": {**VIDEO, "file_id": "file_x"}}, "Only one of video.url or video.file_id can be set."),
    ],
)
def test_argument_that_cannot_be_is_400(rest: httpx.Client, path: str, body: dict[str, Any], sentence: str) -> None:
    refused = rest.post(path, json={"prompt": "a", **body})
    assert (refused.status_code, refused.json()) == (400, {"code": "invalid-argument", "error": sentence})


def test_file_that_is_no_video_is_400(rest: httpx.Client) -> None:
    id = rest.post("/v1/files", files={"file": ("a.txt", b"text")}).json()["id"]
    refused = rest.post(EDITS, json={"prompt": "a", "video": {"file_id": id}})
    assert (refused.status_code, refused.json()["error"]) == (400, f"File {id} is not a video.")


def test_model_that_makes_no_videos_is_404(rest: httpx.Client) -> None:
    assert rest.post(PATH, json={"prompt": "a", "model": "grok-imagine-image"}).status_code == 404


def test_video_without_url_is_422(rest: httpx.Client) -> None:
    refused = rest.post(EDITS, json={"prompt": "a", "video": {}})
    assert refused.status_code == 422
    assert "video: missing field `url` at line 1 column " in refused.text
