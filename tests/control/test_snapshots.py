"""Snapshots: a team as it was, in another team, in another emulator, and files that are none."""

from __future__ import annotations

import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from emulator import Emulator
from emulator.state.settings import shown_all
from tests.blobs import blobs_on_disk


@pytest.fixture(autouse=True)
def no_snapshots(emulator: Emulator) -> None:
    """Each test begins without the snapshots of those before it, which a reset keeps."""
    emulator._running().services.store.snapshots.kept.remove_all("default")


PNG = b"\x89PNG and so on"


def everything(emulator: Emulator, team: str = "default") -> dict[str, Any]:
    """What a team's clients see."""
    suffix = "" if team == "default" else f"@{team}"
    with httpx.Client(base_url=emulator.base_url) as client:
        client.headers["authorization"] = f"Bearer {emulator.api_key}{suffix}"
        files = client.get("/files", params={"order": "asc"}).json()["data"]
        contents = {file["id"]: client.get(f"/files/{file['id']}/content").content for file in files}
        client.headers["authorization"] = f"Bearer {emulator.management_key}{suffix}"
        collections = client.get("/collections").json()
        return {"files": files, "contents": contents, "collections": collections}


def fill(rest: httpx.Client, management: httpx.Client) -> str:
    """Give the default team some things; the id of a file with a public URL."""
    ids = []
    for name, content in (("a.txt", b"alpha"), ("b.txt", b""), ("c.png", PNG)):
        content_type = "image/png" if name.endswith("png") else "text/plain"
        reply = rest.post("/v1/files", data={"expires_after": 7200}, files={"file": (name, content, content_type)})
        ids.append(reply.json()["id"])
    rest.delete(f"/v1/files/{ids[1]}")
    rest.post(f"/v1/files/{ids[2]}/public-url")
    assert management.post("/v1/collections", json={"collection_name": "docs"}).status_code == 200
    return str(ids[2])


def save(control: httpx.Client, name: str = "one", team: str = "default") -> dict[str, Any]:
    """Save a snapshot."""
    reply = control.post("/snapshots", params={"team": team}, json={"name": name})
    assert reply.status_code == 200, reply.text
    snapshot: dict[str, Any] = reply.json()["snapshot"]
    return snapshot


def test_restore_brings_back_whole_team(
    emulator: Emulator, rest: httpx.Client, management: httpx.Client, control: httpx.Client
) -> None:
    """Files, bytes, collections, clock and limits come back; what was made since is gone, on disk too."""
    fill(rest, management)
    control.post("/clock/freeze", json={"at": "2027-01-01T00:00:00Z"})
    control.put("/limits", json={"file_bytes_max": 1000})
    before = everything(emulator)
    saved = save(control)
    assert saved["team"] == "default"
    assert saved["at"].startswith("2027-01-01T00:00:00")
    assert control.get("/snapshots").json()["snapshots"] == [saved]

    control.post("/reset")
    rest.post("/v1/files", files={"file": ("other.txt", b"other")})
    assert everything(emulator) != before
    assert control.post("/snapshots/one/restore").json()["snapshot"] == saved
    assert everything(emulator) == before
    assert control.get("/clock").json()["now"] == "2027-01-01T00:00:00.000000Z"
    assert control.get("/limits").json()["limits"]["file_bytes_max"]["value"] == 1000
    assert emulator._server is not None
    store = emulator._server.services.store
    assert {path.name for path in blobs_on_disk(emulator)} == store.files.blobs()


def test_restored_team_accepts_new_changes(rest: httpx.Client, management: httpx.Client, control: httpx.Client) -> None:
    """New ids are new, page tokens of before still lead on, files still expire."""
    id = fill(rest, management)
    token = rest.get("/v1/files", params={"limit": 1}).json()["pagination_token"]
    save(control)
    control.post("/snapshots/one/restore")
    assert [file["filename"] for file in rest.get("/v1/files", params={"pagination_token": token}).json()["data"]] == [
        "a.txt"
    ]
    new = rest.post("/v1/files", files={"file": ("d.txt", b"delta")}).json()["id"]
    assert len({file["id"] for file in rest.get("/v1/files").json()["data"]} | {new}) == 3
    moved = control.post("/clock/advance", json={"until": {"file_expired": id}}).json()
    assert [(each["before"], each["after"]) for each in moved["transitions"]] == [("present", "expired")]
    assert [file["filename"] for file in rest.get("/v1/files").json()["data"]] == ["d.txt"]


def test_snapshot_of_one_team_restores_into_another(
    emulator: Emulator, rest: httpx.Client, management: httpx.Client, control: httpx.Client
) -> None:
    """The other team has copies; a public URL stays with the team that has it."""
    id = fill(rest, management)
    url = rest.get(f"/v1/files/{id}").json()["public_url"]
    before = everything(emulator)
    save(control)
    reply = control.post("/snapshots/one/restore", params={"team": "b"}, json={"from_team": "default"})
    assert reply.status_code == 200, reply.text
    copied = everything(emulator, "b")
    assert copied["contents"] == before["contents"]
    assert [file["filename"] for file in copied["files"]] == ["a.txt", "c.png"]
    assert not any("public_url" in file for file in copied["files"])
    assert everything(emulator) == before
    assert httpx.get(url).content == PNG
    control.delete("/teams/b")
    assert everything(emulator) == before


def test_snapshot_file_restores_in_another_emulator(
    emulator: Emulator, rest: httpx.Client, management: httpx.Client, control: httpx.Client
) -> None:
    """The one file is all there is to a snapshot."""
    id = fill(rest, management)
    before = everything(emulator)
    save(control)
    file = control.get("/snapshots/one")
    assert file.headers["content-disposition"] == 'attachment; filename="one.xai-snapshot"'
    with Emulator() as other, httpx.Client(base_url=f"{other.url}/_emulator") as there:
        httpx.post(f"{other.base_url}/files", headers={"authorization": "Bearer k"}, files={"file": ("x", b"x")})
        assert there.put("/snapshots/two", content=file.content).status_code == 200
        assert there.post("/snapshots/two/restore").status_code == 200
        after = everything(other)
        for each in (before, after):
            public_url = each["files"][-1].pop("public_url")
            assert httpx.get(public_url).content == PNG
        assert after == before
        assert id in after["contents"]


@pytest.mark.parametrize("kind", ["garbage", "other database", "newer", "truncated"])
def test_uploaded_file_that_is_no_snapshot_is_refused(control: httpx.Client, tmp_path: Path, kind: str) -> None:
    """Nothing is kept of it, and the sentence says what is wrong."""
    save(control)
    path = tmp_path / "file"
    path.write_bytes(control.get("/snapshots/one").content)
    if kind == "garbage":
        path.write_bytes(b"not a database at all" * 100)
    elif kind == "truncated":
        path.write_bytes(path.read_bytes()[:5000])
    else:
        database = sqlite3.connect(path)
        database.execute("PRAGMA user_version=99" if kind == "newer" else "PRAGMA application_id=7")
        database.commit()
        database.close()
    reply = control.put("/snapshots/bad", content=path.read_bytes())
    assert reply.status_code == 422, reply.text
    assert "snapshot" in reply.json()["error"]
    assert [snapshot["name"] for snapshot in control.get("/snapshots").json()["snapshots"]] == ["one"]


def test_restore_of_damaged_snapshot_changes_nothing(
    emulator: Emulator, rest: httpx.Client, management: httpx.Client, control: httpx.Client, tmp_path: Path
) -> None:
    """A snapshot that breaks off in the middle of a restore leaves the team, and its bytes, alone."""
    fill(rest, management)
    before = everything(emulator)
    save(control)
    path = tmp_path / "file"
    path.write_bytes(control.get("/snapshots/one").content)
    database = sqlite3.connect(path)
    database.execute("DROP TABLE jobs")
    database.commit()
    database.close()
    assert control.put("/snapshots/bad", content=path.read_bytes()).status_code == 200
    assert control.post("/snapshots/bad/restore").status_code == 409
    assert everything(emulator) == before


DAMAGE = {
    "UPDATE teams SET overrides='{'": "damaged",
    "UPDATE teams SET overrides='[1]'": "damaged",
    """UPDATE teams SET overrides='{"limits": {"nope": 1}}'""": "does not fit: .* no limit named 'nope'",
    """UPDATE teams SET overrides='{"nope": 1}'""": "does not fit: nope: there is no such setting",
    "UPDATE teams SET clock_offset='x'": "damaged",
    f"UPDATE teams SET clock_offset={-(2**62)}": "damaged",
    f"UPDATE teams SET frozen_at={2**62}": "damaged",
    "DELETE FROM teams": "damaged",
    "UPDATE snapshot SET at='x'": "from when",
    f"UPDATE snapshot SET at={2**62}": "from when",
    "UPDATE snapshot SET team=NULL": "from when",
    "DELETE FROM snapshot": "no snapshot",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_restore_of_inconsistent_snapshot_is_refused(
    emulator: Emulator, rest: httpx.Client, management: httpx.Client, control: httpx.Client, damage: str
) -> None:
    """By another version, or by hand: a clock out of this services, settings that there are not. Nothing changes."""
    fill(rest, management)
    save(control)
    before = everything(emulator)
    assert emulator._server is not None
    path = emulator._server.services.store.snapshots.kept.path("default", "other")
    path.write_bytes(control.get("/snapshots/one").content)
    database = sqlite3.connect(path)
    database.execute(damage)
    database.commit()
    database.close()
    assert "one" in [snapshot["name"] for snapshot in control.get("/snapshots").json()["snapshots"]]
    refused = control.post("/snapshots/other/restore")
    assert refused.status_code == 409, refused.text
    assert re.search(DAMAGE[damage], refused.json()["error"])
    assert everything(emulator) == before
    assert control.get("/clock").status_code == 200
    store = emulator._server.services.store
    assert {path.name for path in blobs_on_disk(emulator)} == store.files.blobs()


@pytest.mark.parametrize("name", ["..", ".hidden", "a/b", "a%2Fb", "%2e%2e", "x" * 65, "", "a%0A"])
def test_snapshot_name_that_is_a_path_is_refused(control: httpx.Client, name: str) -> None:
    """A name that could lead elsewhere is not found, and nothing is written under it."""
    assert control.put(f"/snapshots/{name}", content=b"x").status_code in (404, 405, 422)
    assert control.post("/snapshots", json={"name": unquote(name)}).status_code == 400
    assert control.post(f"/snapshots/{name}/restore").status_code in (404, 405)


def test_put_with_line_break_in_name_returns_422(control: httpx.Client) -> None:
    """The path reaches the operation, which refuses the name."""
    assert control.put("/snapshots/a%0Ab", content=b"x").status_code == 422


def test_snapshot_can_be_removed_while_being_saved(emulator: Emulator, control: httpx.Client) -> None:
    """Each of the calls is answered by itself, whichever comes first."""

    def repeated(*method: str, body: Any = None) -> set[int]:
        with httpx.Client(base_url=control.base_url) as client:
            return {client.request(*method, json=body).status_code for _ in range(60)}

    with ThreadPoolExecutor() as pool:
        made = [pool.submit(repeated, "POST", "/snapshots", body={"name": "one"}) for _ in range(2)]
        removed = [pool.submit(repeated, "DELETE", "/snapshots/one") for _ in range(2)]
        listed = pool.submit(repeated, "GET", "/snapshots")
        assert [each.result() for each in made] == [{200}, {200}]
        assert all(each.result() <= {200, 404} for each in removed)
        assert listed.result() == {200}


def test_snapshot_has_no_upstream_key(emulator: Emulator, control: httpx.Client, rest: httpx.Client) -> None:
    """It may be given away, and the responder of a team may be a server that wants a key."""
    rest.get("/v1/files")
    upstream = "http://sk-upstream-secret@localhost:1/v1"
    settings = {"responder": upstream, "embedder": f"{upstream}/embeddings", "profile": "strict"}
    emulator.configure(**settings)
    save(control)
    file = control.get("/snapshots/one").content
    assert b"upstream-secret" not in file
    assert control.post("/snapshots/one/restore").status_code == 200
    assert control.get("/teams/default").json()["team"]["overrides"] == shown_all(settings)


def test_snapshots_survive_a_restart(tmp_path: Path) -> None:
    """Below a data directory they are there again."""
    with Emulator(data_dir=tmp_path) as emulator, httpx.Client(base_url=f"{emulator.url}/_emulator") as control:
        save(control, "kept")
    with Emulator(data_dir=tmp_path) as emulator, httpx.Client(base_url=f"{emulator.url}/_emulator") as control:
        assert [snapshot["name"] for snapshot in control.get("/snapshots").json()["snapshots"]] == ["kept"]
        assert control.delete("/snapshots/kept").status_code == 200
        assert control.get("/snapshots").json()["snapshots"] == []
        assert control.get("/snapshots/kept").status_code == 404


@pytest.mark.measure
def test_restore_of_typical_state_takes_milliseconds(control: httpx.Client, rest: httpx.Client) -> None:
    """Fifty files are saved and restored in well under a tenth of a second, whatever else the machine does."""
    for number in range(50):
        rest.post("/v1/files", files={"file": (f"{number}.txt", b"x" * 1000)})
    seconds = []
    for _ in range(5):
        save(control)
        seconds.append(control.post("/snapshots/one/restore").elapsed.total_seconds())
    assert min(seconds) < 0.1, seconds
