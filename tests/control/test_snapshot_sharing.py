"""Snapshots share the bytes of files: how, with what limit, and what becomes of them."""

from __future__ import annotations

import errno
import os
import sqlite3
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from emulator import Emulator

SIZE = 100_000


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The data directory of `shared`."""
    return tmp_path / "state"


@pytest.fixture
def shared(directory: Path) -> Iterator[Emulator]:
    """An emulator with a data directory."""
    with Emulator(data_dir=directory) as emulator:
        yield emulator


@pytest.fixture
def control(shared: Emulator) -> Iterator[httpx.Client]:
    """A client of its control plane."""
    with httpx.Client(base_url=f"{shared.url}/_emulator") as client:
        yield client


@pytest.fixture
def rest(shared: Emulator) -> Iterator[httpx.Client]:
    """A client of its inference plane."""
    with httpx.Client(base_url=shared.base_url, headers={"authorization": f"Bearer {shared.api_key}"}) as client:
        yield client


def upload(rest: httpx.Client, content: bytes) -> str:
    """Upload a file; its id."""
    return str(rest.post("/files", files={"file": ("a.bin", content)}).raise_for_status().json()["id"])


def save(control: httpx.Client, name: str) -> int:
    """Save a snapshot; its bytes."""
    return int(control.post("/snapshots", json={"name": name}).raise_for_status().json()["snapshot"]["bytes"])


def disk_bytes(directory: Path) -> int:
    """The bytes of the files of a directory; those with several names once."""
    found = {(status := path.stat()).st_ino: status.st_size for path in directory.rglob("*") if path.is_file()}
    return sum(found.values())


def links(directory: Path) -> list[Path]:
    """The files through which snapshots hold bytes."""
    return list((directory / "snapshots" / "links").glob("*/*"))


def test_snapshots_and_restores_share_bytes(directory: Path, control: httpx.Client, rest: httpx.Client) -> None:
    """Ten snapshots and as many restores of a file take the room of one; it is read from a snapshot as it was."""
    id = upload(rest, b"x" * 10 * SIZE)
    before = disk_bytes(directory / "blobs")
    for number in range(10):
        assert save(control, f"s{number}") > 10 * SIZE
        control.post(f"/snapshots/s{number}/restore").raise_for_status()
    assert len(links(directory)) == 10
    assert disk_bytes(directory / "snapshots" / "links") == before
    assert {path.stat().st_ino for path in (directory / "blobs").iterdir()} == {links(directory)[0].stat().st_ino}
    rest.delete(f"/files/{id}").raise_for_status()
    control.post("/snapshots/s3/restore").raise_for_status()
    assert rest.get(f"/files/{id}/content").content == b"x" * 10 * SIZE


def test_removed_and_replaced_snapshots_leave_no_bytes(
    directory: Path, control: httpx.Client, rest: httpx.Client
) -> None:
    """Nor does a team that is deleted."""
    upload(rest, b"x" * SIZE)
    for _ in range(2):
        save(control, "one")
    assert len(links(directory)) == 1
    control.delete("/snapshots/one").raise_for_status()
    assert links(directory) == []
    save(control, "two")
    control.delete("/teams/default").raise_for_status()
    assert [path for path in (directory / "snapshots").rglob("*") if path.is_file()] == []


def test_content_of_snapshot_does_not_change_with_its_file(control: httpx.Client, rest: httpx.Client) -> None:
    """What is uploaded in chunks is whole between them: bytes that have a name are never written again."""
    named = {"name": "a.bin", "content_type": "text/plain"}
    id = rest.post("/files:initialize", json=named).raise_for_status().json()["file_id"]
    contents = []
    for number in range(4):
        chunk = {"chunk": b64encode(b"%d" % number * 1000).decode(), "file_id": id}
        rest.post("/files:uploadChunks", json=chunk).raise_for_status()
        save(control, f"s{number}")
        contents.append(b"".join(b"%d" % each * 1000 for each in range(number + 1)))
    for number in (1, 3, 0):
        with closing(sqlite3.connect(":memory:")) as fetched:
            fetched.deserialize(control.get(f"/snapshots/s{number}").content)
            assert [row[0] for row in fetched.execute("SELECT content FROM blobs")] == [contents[number]]


def test_snapshot_without_hard_links_copies(
    directory: Path, control: httpx.Client, rest: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a file system has none, as exFAT, or one directory lies on another file system."""

    def no_link(source: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", no_link)
    id = upload(rest, b"x" * SIZE)
    save(control, "one")
    rest.delete(f"/files/{id}").raise_for_status()
    control.post("/snapshots/one/restore").raise_for_status()
    assert rest.get(f"/files/{id}/content").content == b"x" * SIZE
    assert [path.stat().st_nlink for path in links(directory)] == [1]
    assert [path.stat().st_mode & 0o777 for path in links(directory)] == [0o600]


def test_start_removes_links_of_no_snapshot_only(directory: Path) -> None:
    """What a process that died has left; not what a snapshot names, and nothing that was not made here."""
    with Emulator(data_dir=directory) as emulator, httpx.Client(base_url=emulator.url) as client:
        client.post("/v1/files", files={"file": ("a", b"kept")}, headers={"authorization": "Bearer k"})
        client.post("/_emulator/snapshots", json={"name": "one"}).raise_for_status()
    (kept,) = links(directory)
    snapshots = directory / "snapshots"
    orphan = snapshots / "links" / f"xai-links-{'0' * 32}"
    orphan.mkdir()
    (orphan / f"xai-blob-{'0' * 32}").write_bytes(b"left")
    (snapshots / "parts" / f"xai-part-{'0' * 32}").write_bytes(b"left")
    foreign = [snapshots / "parts" / "notes", snapshots / "links" / "notes", snapshots / "notes"]
    for path in foreign:
        path.write_bytes(b"mine")
    with Emulator(data_dir=directory):
        assert links(directory) == [kept]
        assert not orphan.exists()
    assert {path.name for path in (snapshots / "parts").iterdir()} == {"notes"}
    assert [path.read_bytes() for path in foreign] == [b"mine"] * 3


def test_links_stay_while_a_snapshot_cannot_be_read(directory: Path) -> None:
    """After a repair it may need them."""
    with Emulator(data_dir=directory) as emulator, httpx.Client(base_url=emulator.url) as client:
        client.post("/v1/files", files={"file": ("a", b"kept")}, headers={"authorization": "Bearer k"})
        client.post("/_emulator/snapshots", json={"name": "one"}).raise_for_status()
    (snapshot,) = (directory / "snapshots" / "team-default").iterdir()
    content = snapshot.read_bytes()
    snapshot.write_bytes(b"noise" * 1000)
    with Emulator(data_dir=directory):
        pass
    assert len(links(directory)) == 1
    snapshot.write_bytes(content)
    with Emulator(data_dir=directory) as emulator, httpx.Client(base_url=f"{emulator.url}/_emulator") as client:
        assert client.post("/snapshots/one/restore").is_success


def test_snapshot_whose_bytes_are_elsewhere_is_refused(
    directory: Path, control: httpx.Client, rest: httpx.Client
) -> None:
    """The kept file copied by hand is not all of it; a fetched one is."""
    upload(rest, b"x")
    save(control, "one")
    kept = (directory / "snapshots" / "team-default" / "one.xai-snapshot").read_bytes()
    refused = control.put("/snapshots/two", content=kept)
    assert (refused.status_code, refused.json()["error"]) == (
        422,
        "the snapshot has no bytes in it: send one that was fetched",
    )
    (directory / "snapshots" / "team-default" / "two.xai-snapshot").write_bytes(kept)
    for path in links(directory):
        path.unlink()
    for method, path in (("POST", "/snapshots/two/restore"), ("GET", "/snapshots/two")):
        refused = control.request(method, path)
        assert refused.status_code == 409
        assert "the bytes of the snapshot are not there" in refused.json()["error"]
    assert list((directory / "snapshots" / "parts").iterdir()) == []


def test_snapshot_that_names_files_elsewhere_is_refused(directory: Path, control: httpx.Client) -> None:
    """A file may be made by hand, and name a path instead of a blob."""
    save(control, "one")
    path = directory / "snapshots" / "team-default" / "one.xai-snapshot"
    (directory / "secret").write_bytes(b"secret")
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("INSERT INTO blobs VALUES ('../../../secret', NULL)")
    assert control.post("/snapshots/one/restore").status_code == 409
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("UPDATE links SET directory = '../..'")
    assert control.post("/snapshots/one/restore").status_code == 409
    assert list((directory / "blobs").iterdir()) == []


def test_fetched_copy_is_removed_after_its_reply(directory: Path, control: httpx.Client, rest: httpx.Client) -> None:
    """Whether it was read or not."""
    upload(rest, b"x" * SIZE)
    save(control, "one")
    size = control.head("/snapshots/one").headers["content-length"]
    assert len(control.get("/snapshots/one").content) == int(size)
    assert list((directory / "snapshots" / "parts").iterdir()) == []


# --- the limit


@pytest.mark.parametrize("off", [-1, 0, 1])
def test_snapshots_over_limit_are_refused(directory: Path, control: httpx.Client, rest: httpx.Client, off: int) -> None:
    """The total of a team's snapshots: 409 for one more, which leaves nothing; one in the place of another may."""
    upload(rest, b"x" * SIZE)
    size = save(control, "one")
    sent = control.get("/snapshots/one").content
    control.put("/limits", json={"snapshot_bytes_per_team_max": 2 * size - off}).raise_for_status()
    assert save(control, "one") == size
    second = control.post("/snapshots", json={"name": "two"})
    assert second.status_code == (409 if off > 0 else 200)
    if off > 0:
        assert second.json()["error"] == (
            f"a team's snapshots have at most snapshot_bytes_per_team_max ({size} bytes, and {size - 1} of "
            f"{2 * size - 1} are left): remove one, or raise the limit"
        )
    assert len(control.get("/snapshots").json()["snapshots"]) == (1 if off > 0 else 2)
    assert len(links(directory)) == (1 if off > 0 else 2)
    assert control.post("/snapshots?team=other", json={"name": "two"}).is_success
    control.put("/limits", json={"snapshot_bytes_per_team_max": size + len(sent) - off}).raise_for_status()
    assert control.put("/snapshots/two", content=sent).status_code == (409 if off > 0 else 200)
    assert list((directory / "snapshots" / "parts").iterdir()) == []


def test_snapshots_limit_can_be_switched_off(control: httpx.Client, rest: httpx.Client) -> None:
    """With none there is no bound."""
    upload(rest, b"x")
    control.put("/limits", json={"snapshot_bytes_per_team_max": 1}).raise_for_status()
    assert control.post("/snapshots", json={"name": "one"}).status_code == 409
    control.put("/limits", json={"snapshot_bytes_per_team_max": None}).raise_for_status()
    assert control.post("/snapshots", json={"name": "one"}).status_code == 200
