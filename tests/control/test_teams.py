"""Teams: each with its own settings, its own everything, and cheap."""

from __future__ import annotations

import gc
import socket
import statistics
import time
import tracemalloc
from typing import Any

import httpx
import pytest

from emulator import Emulator
from emulator.state.teams import VISITORS_MAX
from tests.serving import PATIENCE_SECONDS, until


def as_team(emulator: Emulator, team: str) -> httpx.Client:
    """A client of a team."""
    return httpx.Client(base_url=emulator.base_url, headers={"authorization": f"Bearer {emulator.api_key}@{team}"})


def test_team_settings_override_server_settings(control: httpx.Client, emulator: Emulator) -> None:
    """They are in force at once, survive other changes, and can be taken back one by one."""
    made = control.post("/teams", json={"name": "tight", "profile": "strict", "limits": {"file_bytes_max": 3}})
    assert made.json()["team"]["overrides"] == {"profile": "strict", "limits": {"file_bytes_max": 3}}
    assert made.json()["team"]["api_key"] == "xai-emulator@tight"
    with as_team(emulator, "tight") as rest:
        assert rest.post("/files", files={"file": ("a.txt", b"xxxx")}).status_code == 413
        assert rest.get("/files?limit=101").status_code == 400
        control.patch("/teams/tight", json={"profile": None})
        assert rest.get("/files?limit=101").status_code == 200
        assert rest.post("/files", files={"file": ("a.txt", b"xxxx")}).status_code == 413
        control.patch("/teams/tight", json={"limits": None})
        assert rest.post("/files", files={"file": ("a.txt", b"xxxx")}).status_code == 200
    assert control.get("/teams/tight").json()["team"]["overrides"] == {}


def test_invalid_team_setting_changes_nothing(control: httpx.Client) -> None:
    """Neither a team that is there nor one that was to be made."""
    assert control.post("/teams", json={"name": "x", "profile": "nope"}).status_code == 422
    assert control.get("/teams/x").status_code == 404
    control.post("/teams", json={"name": "y", "profile": "strict"})
    assert control.patch("/teams/y", json={"limits": {"nope": 1}}).status_code == 422
    assert control.patch("/teams/y", json={"port": "1"}).status_code == 400
    assert control.get("/teams/y").json()["team"]["overrides"] == {"profile": "strict"}
    assert control.post("/teams", json={"name": "y"}).status_code == 409
    for name in ("a/b", "", "a\n", "x" * 65):
        assert control.post("/teams", json={"name": name}).status_code == 400
        assert control.get("/clock", params={"team": name}).status_code == 400


def test_teams_do_not_see_each_other(control: httpx.Client, emulator: Emulator) -> None:
    """Files, calls, faults, limits, clocks and snapshots: what one has, another has not."""
    with as_team(emulator, "one") as one, as_team(emulator, "two") as two:
        id = one.post("/files", files={"file": ("a.txt", b"a")}).json()["id"]
        control.post("/faults?team=one", json={"operation": "files.delete", "error": "internal"})
        control.put("/limits?team=one", json={"file_bytes_max": 1})
        control.post("/clock/freeze?team=one")
        control.post("/snapshots?team=one", json={"name": "s"})
        assert two.get(f"/files/{id}").status_code == 404
        assert two.delete(f"/files/{id}").status_code == 404
        assert two.post("/files", files={"file": ("b.txt", b"bb")}).status_code == 200
    assert [call["operation"] for call in control.get("/requests?team=two").json()["requests"]] == [
        "files.get",
        "files.delete",
        "files.upload",
    ]
    assert control.get("/faults?team=two").json()["rules"] == []
    assert not control.get("/clock?team=two").json()["frozen"]
    assert control.get("/snapshots?team=two").json()["snapshots"] == []
    assert control.post("/snapshots/s/restore?team=two").status_code == 404


def test_reset_removes_all_changes_of_team(control: httpx.Client, emulator: Emulator) -> None:
    """What the team has, its clock, its settings, its faults, its calls; the reply counts them. Snapshots stay."""
    with as_team(emulator, "r") as rest:
        rest.post("/files", files={"file": ("a.txt", b"a")})
    control.post("/faults?team=r", json={"operation": "*", "error": "internal"})
    control.put("/limits?team=r", json={"file_bytes_max": 1})
    control.put("/chaos?team=r", json={"seed": "1"})
    control.post("/clock/advance?team=r", json={"seconds": 60})
    control.post("/snapshots?team=r", json={"name": "s"})
    cleared = control.post("/reset?team=r").json()["cleared"]
    assert {name: count for name, count in cleared.items() if count} == {
        "files": 1,
        "faults": 1,
        "requests": 1,
        "deleted_files": 1,
        "audit_events": 1,
    }
    team = control.get("/teams/r").json()["team"]
    assert (team["overrides"], team["frozen"]) == ({}, False)
    assert control.get("/clock?team=r").json()["offset_seconds"] == 0
    assert control.get("/chaos?team=r").json()["seed"] is None
    assert len(control.get("/snapshots?team=r").json()["snapshots"]) == 1


def test_deleted_team_is_gone_and_comes_back_empty(control: httpx.Client, emulator: Emulator) -> None:
    """With its snapshots; the next call with its key creates it again."""
    with as_team(emulator, "d") as rest:
        rest.post("/files", files={"file": ("a.txt", b"a")})
        control.post("/snapshots?team=d", json={"name": "s"})
        assert control.delete("/teams/d").json()["cleared"]["files"] == 1
        assert control.get("/teams/d").status_code == 404
        assert control.delete("/teams/d").status_code == 404
        assert rest.get("/files").json()["data"] == []
    assert control.get("/snapshots?team=d").json()["snapshots"] == []


OTHER_TEAMS = 1_000


def test_reads_of_unknown_teams_leave_nothing_that_lasts(control: httpx.Client, emulator: Emulator) -> None:
    """No row, and no more memory than for the last teams that called: reads, refused calls and control reads alike."""
    services, runner = emulator._running().services, emulator._running().runner
    rows, teams = services.store.teams.names(), len(services.teams.known)
    with httpx.Client(base_url=emulator.base_url) as client:
        for number in range(OTHER_TEAMS):
            client.headers["authorization"] = f"Bearer {emulator.api_key}@outsider-{number}"
            method, path = (("GET", "/files"), ("GET", "/nowhere"), ("DELETE", "/files/x"), ("POST", "/files"))[
                number % 4
            ]
            client.request(method, path)
            control.get("/requests", params={"team": f"other-{number}"}).raise_for_status()
    journal: Any = services.journal
    assert services.store.teams.names() == rows
    assert len(services.teams.known) == teams
    assert len(services.teams.visitors) <= VISITORS_MAX
    assert len(journal._rings) <= VISITORS_MAX + len(services.teams.known) + 1
    assert not any("outsider" in name for name, _ in runner._locks)
    assert not any("outsider" in name for name in runner._due)


@pytest.mark.parametrize(("verb", "body"), [("find", {}), ("count", {}), ("verify", {"times": 0})])
def test_query_of_the_calls_of_a_team_creates_no_team(control: httpx.Client, verb: str, body: dict[str, Any]) -> None:
    """These are reads, although their method is POST."""
    control.post(f"/requests/{verb}?team=asked", json=body).raise_for_status()
    assert "asked" not in [team["name"] for team in control.get("/teams").json()["teams"]]


def test_team_that_only_read_has_an_id_and_a_journal(control: httpx.Client, emulator: Emulator) -> None:
    """A team that stores nothing has a stable id and a readable journal, and keeps both when it stores something."""
    with as_team(emulator, "reader") as rest:
        id = rest.get("/api-key").json()["team_id"]
        assert "reader" not in [team["name"] for team in control.get("/teams").json()["teams"]]
        assert rest.post("/files", files={"file": ("a.txt", b"a")}).status_code == 200
        assert rest.get("/api-key").json()["team_id"] == id
    assert "reader" in [team["name"] for team in control.get("/teams").json()["teams"]]
    asked = [call["operation"] for call in control.get("/requests?team=reader").json()["requests"]]
    assert asked == ["auth.api_key", "files.upload", "auth.api_key"]


CHANGES = {
    "faults": ("POST", "/faults", {"operation": "files.list", "error": "internal"}),
    "limits": ("PUT", "/limits", {"page_items_max": 5}),
    "clock": ("POST", "/clock/freeze", {"at": "2030-01-01T00:00:00Z"}),
    "chaos": ("PUT", "/chaos", {"seed": "1"}),
    "settings": ("PATCH", "/teams/{}", {"profile": "strict"}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_change_of_team_that_has_nothing_makes_it_last(control: httpx.Client, emulator: Emulator, name: str) -> None:
    """A team that is configured before its first call keeps the configuration, however many unknown teams call."""
    method, path, body = CHANGES[name]
    team = f"changed-{name}"
    with as_team(emulator, team) as rest:
        rest.get("/files")
    changed = control.request(method, path.format(team), params={} if "{}" in path else {"team": team}, json=body)
    assert changed.status_code == 200, changed.text
    services = emulator._running().services
    assert services.store.teams.exists(team)
    assert team in services.teams.known
    assert team not in services.teams.visitors
    if name == "faults":
        with as_team(emulator, team) as rest:
            assert rest.get("/files").status_code == 500


class SlowUpload:
    """An upload that has begun, and of which the end is still to come."""

    FORM = b'--b\r\nContent-Disposition: form-data; name="file"; filename="slow.txt"\r\n\r\nslow\r\n--b--\r\n'

    def __init__(self, emulator: Emulator, team: str) -> None:
        assert emulator._server is not None
        blobs = emulator._server.services.store.blobs.directory / "blobs"
        there = len(list(blobs.glob("*.part")))
        head = f"POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {emulator.api_key}@{team}\r\n"
        head += f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(self.FORM)}\r\n\r\n"
        self.socket = socket.create_connection(("127.0.0.1", emulator.port), timeout=PATIENCE_SECONDS)
        self.socket.sendall(head.encode() + self.FORM[:-1])
        until(lambda: len(list(blobs.glob("*.part"))) > there)

    def end(self) -> bytes:
        """Send the end; the answer."""
        with self.socket, self.socket.makefile("rb") as answer:
            self.socket.sendall(self.FORM[-1:])
            self.socket.shutdown(socket.SHUT_WR)
            return answer.read()


def test_uploads_across_a_reset_do_not_collide(control: httpx.Client, emulator: Emulator) -> None:
    """Ids come again then, but not the names of what is written: it is stored, and so are those that began later."""
    with as_team(emulator, "u") as rest:
        slow = [SlowUpload(emulator, "u")]
        for _ in range(5):
            control.post("/reset?team=u")
            slow.append(SlowUpload(emulator, "u"))
        ids = [rest.post("/files", files={"file": ("a.txt", b"%d" % n)}).json()["id"] for n in range(10)]
        assert all(upload.end().startswith(b"HTTP/1.1 200 ") for upload in slow)
        assert [rest.get(f"/files/{id}/content").content for id in ids] == [b"%d" % n for n in range(10)]
        assert len(rest.get("/files").json()["data"]) == 16


def test_upload_to_team_deleted_meanwhile_returns_409(control: httpx.Client, emulator: Emulator) -> None:
    """It is not the team that it was meant for that a later call makes; nothing stays of it."""
    with as_team(emulator, "v") as rest:
        slow = SlowUpload(emulator, "v")
        control.delete("/teams/v")
        assert slow.end().startswith(b"HTTP/1.1 409 ")
        assert control.get("/teams/v").status_code == 404
        assert rest.get("/files").json()["data"] == []
    call = control.get("/requests?team=v").json()["requests"][0]
    assert (call["rule"], call["operation"]) != ("defect", "files.upload")


@pytest.mark.measure
def test_new_team_costs_little_time_and_memory() -> None:
    """A millisecond and 50 kB at most, with its rules, its journal and a call in it."""
    with Emulator() as emulator:
        assert emulator._server is not None
        services = emulator._server.services
        services.teams.get("warm")
        seconds = []
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for number in range(200):
            begin = time.perf_counter()
            team = services.teams.get(f"team-{number}")
            seconds.append(time.perf_counter() - begin)
            services.journal.ring(team.name)  # type: ignore[attr-defined]  # app puts the real journal in
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
    assert statistics.median(seconds) < 0.001
    assert grown / 200 < 50_000
