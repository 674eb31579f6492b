"""The clock of a team: stopped, set, moved on by so much, moved on until something has happened."""

from __future__ import annotations

import itertools
from typing import Any

import httpx
import pytest

from emulator import Emulator

END = "9999-12-31T23:59:59.000000Z"

DAY = 86_400


def upload(rest: httpx.Client, name: str = "a.txt", **fields: Any) -> str:
    """Upload a file; its id."""
    reply = rest.post("/v1/files", data=fields, files={"file": (name, b"hello")})
    assert reply.status_code == 200, reply.text
    return str(reply.json()["id"])


def test_frozen_clock_moves_only_when_advanced(control: httpx.Client, rest: httpx.Client) -> None:
    """What is made meanwhile has the very same time."""
    control.post("/clock/freeze", json={"at": "2026-03-01T10:00:00+01:00"})
    first, second = upload(rest), upload(rest)
    assert {rest.get(f"/v1/files/{id}").json()["created_at"] for id in (first, second)} == {1772355600}
    moved = control.post("/clock/advance", json={"seconds": 1.5}).json()
    assert (moved["now"], moved["frozen"]) == ("2026-03-01T09:00:01.500000Z", True)
    assert control.get("/clock").json()["now"] == "2026-03-01T09:00:01.500000Z"
    running = control.post("/clock/resume").json()
    assert not running["frozen"]
    assert running["now"] >= "2026-03-01T09:00:01.500000Z"
    assert control.post("/clock/reset").json()["offset_seconds"] == 0


def test_clock_of_one_team_does_not_move_another(control: httpx.Client) -> None:
    """Each team has its own clock."""
    control.post("/clock/advance", params={"team": "later"}, json={"seconds": 1000 * DAY})
    here, there = (control.get("/clock", params={"team": team}).json() for team in ("default", "later"))
    assert here["now"] < there["now"]
    assert there["offset_seconds"] == 1000 * DAY


def test_advance_until_file_expired(control: httpx.Client, rest: httpx.Client) -> None:
    """The clock stops at the second of the expiry; all jobs up to it are returned, those of other files too."""
    control.post("/clock/freeze", json={"at": "2026-01-01T00:00:00Z"})
    early, late = upload(rest, expires_after=3600), upload(rest, expires_after=7200)
    moved = control.post("/clock/advance", json={"until": {"file_expired": late}}).json()
    assert moved["now"] == "2026-01-01T02:00:00.000000Z"
    assert [(job["kind"], job["subject"], job["at"][11:19]) for job in moved["jobs"]] == [
        ("expire_file", early, "01:00:00"),
        ("expire_file", late, "02:00:00"),
    ]
    assert moved["transitions"] == [
        {"at": "2026-01-01T02:00:00.000000Z", "subject": late, "before": "present", "after": "expired"}
    ]
    assert rest.get("/v1/files").json()["data"] == []


def test_running_clock_advances_until_file_expired(control: httpx.Client, rest: httpx.Client) -> None:
    """A running clock continues from there."""
    id = upload(rest, expires_after=3600)
    moved = control.post("/clock/advance", json={"until": {"file_expired": id}}).json()
    assert not moved["frozen"]
    assert 3590 < moved["offset_seconds"] <= 3600


def test_advance_until_impossible_event_returns_409(control: httpx.Client, rest: httpx.Client) -> None:
    """409 with what is left: nothing is planned, or later than the bound; 404 for what is not there."""
    never = upload(rest)
    reply = control.post("/clock/advance", json={"until": {"file_expired": never}})
    assert reply.status_code == 409
    assert reply.json()["error"] == f"{never} is present, and no planned job will change that"
    late = upload(rest, expires_after=7200)
    reply = control.post("/clock/advance", json={"until": {"file_expired": late}, "within_seconds": 60})
    assert reply.status_code == 409
    assert "later than within_seconds" in reply.json()["error"]
    assert control.get("/clock").json()["offset_seconds"] == 0
    assert control.get("/jobs").json()["planned"] == 1
    for until in (
        {"file_expired": "nope"},
        {"batch_done": "nope"},
        {"document_indexed": {"collection_id": "c", "file_id": "f"}},
    ):
        assert control.post("/clock/advance", json={"until": until}).status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"seconds": 1, "until": {"file_expired": "x"}}, 422),
        ({"until": {}}, 422),
        ({"until": {"file_expired": "x", "batch_done": "y"}}, 422),
        ({"seconds": -1}, 400),
        ({"seconds": "1"}, 400),
        ({"seconds": True}, 400),
        ({"seconds": 9e11}, 422),  # past the year 9999
        ({"second": 1}, 400),
    ],
)
def test_invalid_clock_advance_is_refused(control: httpx.Client, body: Any, status: int) -> None:
    """And the clock stays where it is."""
    before = control.post("/clock/freeze", json={"at": "2026-01-01T00:00:00Z"}).json()["now"]
    assert control.post("/clock/advance", json=body).status_code == status
    assert control.get("/clock").json()["now"] == before


@pytest.mark.parametrize("at", ["2026-01-01T00:00:00", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59-01:00"])
def test_freeze_at_invalid_instant_is_refused(control: httpx.Client, at: str) -> None:
    """Without a zone it could be any of 24."""
    assert control.post("/clock/freeze", json={"at": at}).status_code == 422


@pytest.mark.parametrize("running", [False, True])
def test_requests_succeed_at_end_of_year_9999(
    control: httpx.Client, rest: httpx.Client, management: httpx.Client, running: bool
) -> None:
    """At the end of the year 9999 every clock stands still, and what would come later comes then."""
    control.put("/limits", json={"expires_after_seconds_max": None, "batch_expiry_seconds": 2**62})
    control.patch("/teams/default", json={"indexing": "realistic", "batches": "manual"})
    control.post("/clock/freeze", json={"at": "9999-12-31T23:59:59Z"})
    if running:
        control.post("/clock/resume")
    assert control.get("/clock").json()["now"] == END
    body = {"name": "a.txt", "content_type": "text/plain", "expires_after": 10**18}
    assert rest.post("/v1/files:initialize", json=body).json()["expires_at"] == END
    id = rest.post("/v1/files", files={"file": ("a.txt", b"text")}).json()["id"]
    collection = management.post("/v1/collections", json={"collection_name": "c"}).json()["collection_id"]
    document = f"/v1/collections/{collection}/documents/{id}"
    assert management.post(document, json={}).status_code == 200
    assert control.post("/clock/advance", json={"seconds": 0}).status_code == 200
    assert management.get(document).json()["status"] == "DOCUMENT_STATUS_PROCESSED"
    batch = rest.post("/v1/batches", json={"name": "b"}).json()
    assert batch["expire_time"] == END[:10]
    for path in ("/jobs", "/teams", "/requests"):
        assert control.get(path).status_code == 200
    assert control.post("/snapshots", json={"name": "end"}).json()["snapshot"]["at"] == END


def test_manual_jobs_wait_for_release_at_end_of_year_9999(control: httpx.Client, rest: httpx.Client) -> None:
    """However far a clock is moved, only a release runs what a manual speed holds back."""
    control.patch("/teams/default", json={"batches": "manual"})
    id = rest.post("/v1/batches", json={"name": "b"}).json()["batch_id"]
    request = {"batch_request": {"chat_get_completion": {"messages": [{"role": "user", "content": "x"}]}}}
    rest.post(f"/v1/batches/{id}/requests", json={"batch_requests": [request]})
    control.put("/limits", json={"batch_expiry_seconds": 2**62})
    control.post("/clock/freeze", json={"at": "9999-12-31T23:59:59Z"})
    ran = control.post("/clock/advance", json={"seconds": 0}).json()["jobs"]
    assert "process_batch" not in [job["kind"] for job in ran]
    assert {"kind": "process_batch", "subject": id, "at": None} in control.get("/jobs").json()["jobs"]


def test_advance_until_document_indexed() -> None:
    """Through every stage that the speed gives it, to PROCESSED or FAILED."""
    with Emulator(indexing="realistic") as emulator, httpx.Client(base_url=f"{emulator.url}/_emulator") as control:
        control.post("/clock/freeze")
        rest = httpx.Client(base_url=emulator.url, headers={"authorization": f"Bearer {emulator.api_key}"})
        headers = {"authorization": f"Bearer {emulator.management_key}"}
        with rest, httpx.Client(base_url=emulator.url, headers=headers) as management:
            file = upload(rest)
            collection = management.post("/v1/collections", json={"collection_name": "c"}).json()["collection_id"]
            path = f"/v1/collections/{collection}/documents/{file}"
            assert management.post(path, json={}).status_code == 200
            until = {"document_indexed": {"collection_id": collection, "file_id": file}}
            moved = control.post("/clock/advance", json={"until": until}).json()
            assert management.get(path).json()["status"] == "DOCUMENT_STATUS_PROCESSED"
    steps = [(each["before"], each["after"]) for each in moved["transitions"]]
    assert steps[0][0] == "PROCESSING"
    assert steps[-1][1] == "PROCESSED"
    assert all(one[1] == other[0] for one, other in itertools.pairwise(steps))


def test_advance_until_batch_done() -> None:
    """However long its speed makes it take."""
    with Emulator(batches="realistic") as emulator, httpx.Client(base_url=f"{emulator.url}/_emulator") as control:
        control.post("/clock/freeze")
        headers = {"authorization": f"Bearer {emulator.api_key}"}
        with httpx.Client(base_url=emulator.url, headers=headers) as rest:
            id = rest.post("/v1/batches", json={"name": "b"}).json()["batch_id"]
            body = {"model": "grok-4", "messages": [{"role": "user", "content": "hi"}]}
            requests = [{"batch_request_id": str(n), "batch_request": {"chat_get_completion": body}} for n in range(3)]
            assert rest.post(f"/v1/batches/{id}/requests", json={"batch_requests": requests}).status_code == 200
            moved = control.post("/clock/advance", json={"until": {"batch_done": id}}).json()
            assert rest.get(f"/v1/batches/{id}").json()["state"]["num_success"] == 3
    assert moved["transitions"][-1]["after"] == "done"
