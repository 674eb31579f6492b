"""A data directory that is full, read-only, broken or in use: a clear refusal, and what was there stays."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import grpc
import httpx
import pytest

from emulator import Emulator
from emulator.core.clock import MICROSECONDS, Clock
from emulator.store.database import Database
from tests.rest.batch_helpers import request
from tests.rpc.client import Rpc, data, init, trailers
from tests.serving import KEY, PATIENCE_SECONDS, Served, environment, run_serve, until

MIB = 1024 * 1024
FULL = "The emulator's disk is full."
MANAGEMENT = {"authorization": "Bearer xai-token-emulator"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MiB; only root can make one."""
    where = tmp_path / "disk"
    where.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(where)]
    if sys.platform != "linux" or os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this user cannot mount a file system of its own")
    try:
        yield where
    finally:
        subprocess.run(["umount", "--lazy", str(where)], check=True)


def assert_full(reply: httpx.Response) -> None:
    """The refusal of the disk in the dialect of its plane."""
    assert (reply.status_code, reply.headers["x-emulator-rule"]) == (503, "disk"), reply.text
    if "code" in reply.json() and isinstance(reply.json()["code"], str):
        assert reply.json() == {"code": "unavailable", "error": FULL}
    else:
        assert reply.json() == {"code": 14, "message": FULL, "details": []}


def fill(directory: Path) -> Path:
    """Use up the last byte."""
    ballast = directory / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        for size in (65536, 512, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue
    return ballast


def test_full_disk_returns_503_for_writes(small_disk: Path) -> None:
    """A full disk refuses what it cannot keep: HTTP 503 or `UNAVAILABLE` of the rule `disk`.

    Reads continue, and once there is free space again, so does everything else.
    """
    with (
        Served("--data-dir", small_disk) as served,
        httpx.Client(base_url=served.url, headers=KEY, timeout=PATIENCE_SECONDS) as http,
    ):
        kept = served.upload("a.txt", b"kept " * 1000)["id"]
        assert_full(http.post("/v1/files", files={"file": ("big.bin", bytes(4 * MIB))}))
        collection = http.post("/v1/collections", json={"collection_name": "c"}, headers=MANAGEMENT).json()
        batch = http.post("/v1/batches", json={"name": "b"}).json()["batch_id"]
        ballast = fill(small_disk)
        items = [request(str(n)) for n in range(300)]
        while (reply := http.post("/v1/batches", json={"name": "b" * 4000})).is_success:
            pass  # what the database has room for within its pages
        assert_full(reply)
        assert_full(http.post("/v1/files", files={"file": ("a.bin", b"x" * 100_000)}))
        assert_full(http.post(f"/v1/batches/{batch}/requests", json={"batch_requests": items}))
        body = {"collection_name": "d", "collection_description": "x" * 500}
        while (reply := http.post("/v1/collections", json=body, headers=MANAGEMENT)).is_success:
            pass
        assert_full(reply)
        with Rpc(f"localhost:{served.port}", "xai-emulator") as rpc:
            refusal = rpc.refusal("xai_api.Files/UploadFile", [init(), data(b"x" * 100_000)])
            assert (refusal.code(), refusal.details()) == (grpc.StatusCode.UNAVAILABLE, FULL)
            assert trailers(refusal)["x-emulator-rule"] == "disk"
        control = http.post("/_emulator/snapshots", json={"name": "s"}, timeout=PATIENCE_SECONDS)
        assert (control.status_code, control.json()["error"]) == (503, FULL)
        assert http.get("/v1/files", headers={"authorization": "Bearer xai-emulator@new"}).status_code == 200
        assert http.get(f"/v1/files/{kept}/content").content == b"kept " * 1000
        assert [file["id"] for file in served.files()] == [kept]
        ballast.unlink()
        assert http.post(f"/v1/batches/{batch}/requests", json={"batch_requests": items}).is_success
        until(lambda: http.get(f"/v1/batches/{batch}").json()["state"]["num_success"] == len(items))
        path = f"/v1/collections/{collection['collection_id']}/documents/{kept}"
        assert http.post(path, json={}, headers=MANAGEMENT).is_success
        served.stop()
    assert "Traceback" not in "".join(served.said)
    with Served("--data-dir", small_disk) as served:
        assert [file["id"] for file in served.files()] == [kept]


def test_disk_full_of_write_ahead_log_refuses_one_write(small_disk: Path) -> None:
    """A disk that the database's write-ahead log has filled refuses one write: the next one empties the log first."""
    path, reserve = small_disk / "emulator.sqlite", small_disk / "reserve"
    reserve.write_bytes(bytes(MIB))  # what the database grows by when the log is emptied
    keys = itertools.count()
    with closing(Database(path)) as database:

        def write(times: int = 1) -> None:
            """Write the same pages again, in so few rows that no checkpoint is due."""
            for _ in range(times):
                with database.transaction():
                    database.write("DELETE FROM batch_calls")
                    database.write("INSERT INTO batch_calls VALUES ('a', ?, 0)", (f"{next(keys)}".ljust(100_000),))

        for _ in range(3):
            with pytest.raises(OSError, match="full"):
                write(100)
            assert path.with_name("emulator.sqlite-wal").stat().st_size > MIB
            reserve.unlink(missing_ok=True)
            write()
            assert path.with_name("emulator.sqlite-wal").stat().st_size < MIB


def test_full_disk_leaves_no_partial_snapshot_or_setting(small_disk: Path) -> None:
    """A snapshot without enough disk space leaves nothing behind, and neither does a copy that is fetched or sent.

    A change of a team that is refused for lack of space does not take effect, and a team that cannot be written is
    not said to be there.
    """
    with (
        Served("--data-dir", small_disk) as served,
        httpx.Client(base_url=f"{served.url}/_emulator", timeout=PATIENCE_SECONDS) as control,
    ):
        for name in ("a.bin", "b.bin"):
            served.upload(name, bytes(MIB // 2))
        assert control.post("/snapshots", json={"name": "one"}).is_success
        copy = control.get("/snapshots/one").content
        reserve = small_disk / "reserve"
        reserve.write_bytes(bytes(11 * MIB // 10))
        assert control.post("/snapshots/one/restore").is_success, "its bytes are shared"
        for method, content in (("GET", None), ("PUT", copy)):
            refused = control.request(method, "/snapshots/one", content=content)
            assert (refused.status_code, refused.json()["error"]) == (503, FULL)
        ballast = fill(small_disk)
        refused = control.post("/snapshots", json={"name": "two"})
        assert (refused.status_code, refused.json()["error"]) == (503, FULL)
        ballast.unlink()
        assert len(list((small_disk / "snapshots" / "links").iterdir())) == 1
        assert [each["name"] for each in control.get("/snapshots").json()["snapshots"]] == ["one"]
        assert list((small_disk / "snapshots" / "parts").iterdir()) == []
        assert len(list((small_disk / "blobs").iterdir())) == len(served.files()) == 2
        fill(small_disk)
        with httpx.Client(base_url=served.url, headers=KEY) as http:
            while http.post("/v1/batches", json={"name": "b" * 4000}).is_success:
                pass
        before = [control.get(path).json() for path in ("/limits", "/teams/default", "/snapshots")]
        clock = control.get("/clock").json()
        for method, path, body in (
            ("PUT", "/limits", {"file_bytes_max": 7}),
            ("PATCH", "/teams/default", {"profile": "strict"}),
            ("POST", "/clock/freeze", {"at": "2030-01-01T00:00:00Z"}),
            ("POST", "/teams", {"name": "new"}),
            ("DELETE", "/teams/default", None),
        ):
            refused = control.request(method, path, json=body)
            assert (refused.status_code, refused.json()["error"]) == (503, FULL), path
        assert control.get("/teams/new").status_code == 404
        after = [control.get(path).json() for path in ("/limits", "/teams/default", "/snapshots")]
        after[1]["team"]["now"] = before[1]["team"]["now"]
        assert after == before
        assert control.get("/clock").json()["offset_seconds"] == clock["offset_seconds"]
        assert len(served.files()) == 2
    assert "Traceback" not in "".join(served.said)


def test_file_size_limit_of_process_is_disk_error(tmp_path: Path) -> None:
    """A limit on the size of files is the same refusal, and a refused upload leaves no bytes."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)); "
    code = f"{limit}from emulator.__main__ import main; raise SystemExit(main())"
    command = [sys.executable, "-c", code, "serve", "--port", "0", "--data-dir", str(tmp_path)]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = re.search(r"http://\S+", process.stdout.readline())[0]  # type: ignore[index]
            reply = httpx.post(f"{url}/v1/files", headers=KEY, files={"file": ("a.bin", bytes(2 * MIB))})
            assert_full(reply)
            assert list((tmp_path / "blobs").iterdir()) == []
            assert httpx.post(f"{url}/v1/files", headers=KEY, files={"file": ("a.bin", b"x")}).is_success
        finally:
            process.kill()


def test_jobs_wait_for_room(small_disk: Path) -> None:
    """A job that cannot be written is not lost: it is retried, and done once there is free space."""
    flags = ("--data-dir", small_disk, "--batches", "manual")
    with Served(*flags) as served, httpx.Client(base_url=served.url, headers=KEY, timeout=PATIENCE_SECONDS) as http:
        batch = http.post("/v1/batches", json={"name": "b"}).json()["batch_id"]
        items = [request(str(n)) for n in range(200)]
        http.post(f"/v1/batches/{batch}/requests", json={"batch_requests": items}).raise_for_status()
        # The disk has room for the beginning of the job, but not for 4 MiB of answers.
        http.post("/_emulator/answers", json={"contains": "hi", "response": "x" * 20 * 1024}).raise_for_status()

        def answered() -> int:
            state = http.get(f"/v1/batches/{batch}").raise_for_status().json()["state"]
            return int(state["num_success"])

        http.post("/_emulator/jobs/run").raise_for_status()
        until(lambda: "Jobs for the batches of team default are delayed" in "".join(served.said))
        assert answered() < len(items)
        subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
        until(lambda: answered() == len(items))
    assert "Traceback" not in "".join(served.said)


# --- a database that another program has locked


LOCKED = "Another program has locked the emulator's database."


@contextmanager
def locking(directory: Path) -> Iterator[None]:
    """Lock the database of a data directory, as the shell of sqlite3 does after BEGIN IMMEDIATE."""
    with closing(sqlite3.connect(directory / "emulator.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_locked_database_refuses_writes_through_both_transports(tmp_path: Path) -> None:
    """A database that another program has locked refuses writes: HTTP 503 or `UNAVAILABLE` of the rule `disk`.

    Reads continue, and after the lock so does everything else.
    """
    with Served("--data-dir", tmp_path) as served, httpx.Client(base_url=served.url, headers=KEY) as http:
        kept = served.upload("a.txt", b"kept")["id"]
        batch = {"name": "b"}
        with locking(tmp_path), Rpc(f"localhost:{served.port}", "xai-emulator") as rpc:
            for reply in (
                http.post("/v1/files", files={"file": ("b.txt", b"x")}),
                http.post("/v1/batches", json=batch),
                http.delete(f"/v1/files/{kept}"),
            ):
                assert (reply.status_code, reply.headers["x-emulator-rule"]) == (503, "disk")
                assert reply.json() == {"code": "unavailable", "error": LOCKED}
            collection = http.post("/v1/collections", json={"collection_name": "c"}, headers=MANAGEMENT)
            assert (collection.status_code, collection.json()["message"]) == (503, LOCKED)
            refusal = rpc.refusal("xai_api.Files/UploadFile", [init(), data(b"x")])
            assert (refusal.code(), refusal.details()) == (grpc.StatusCode.UNAVAILABLE, LOCKED)
            assert trailers(refusal)["x-emulator-rule"] == "disk"
            control = http.post("/_emulator/snapshots", json={"name": "s"})
            assert (control.status_code, control.json()["error"]) == (503, LOCKED)
            assert http.get(f"/v1/files/{kept}/content").content == b"kept"
        assert http.post("/v1/batches", json=batch).is_success
        assert [file["id"] for file in served.files()] == [kept]
        served.stop()
    assert "Traceback" not in "".join(served.said)
    assert len(list((tmp_path / "blobs").iterdir())) == 1


def test_jobs_wait_for_locked_database(tmp_path: Path) -> None:
    """A job that meets a database that another program has locked is not lost: it is done after the lock."""
    said: list[str] = []
    with Emulator(data_dir=tmp_path) as emulator, httpx.Client(base_url=emulator.base_url, headers=KEY) as http:
        services = emulator._running().services
        services.log = said.append
        http.post(f"{emulator.url}/_emulator/clock/freeze").raise_for_status()
        http.post("/files", data={"expires_after": "3600"}, files={"file": ("a.txt", b"x")}).raise_for_status()

        def pass_an_hour() -> None:
            """Without a write, as time passes."""
            team = services.teams.get("default")
            team.clock = Clock(team.clock.offset, team.clock.now() + 3600 * MICROSECONDS)
            services.jobs.changed("default")

        with locking(tmp_path):
            emulator._loop.loop.call_soon_threadsafe(pass_an_hour)
            until(lambda: said)
        assert said == [f"Jobs for the files of team default are delayed: {LOCKED}"]
        until(lambda: list((tmp_path / "blobs").iterdir()) == [])
        assert http.get("/files").json()["data"] == []


# --- a start that is refused


def refused(directory: Path) -> str:
    """The one line with which a start fails."""
    code, out, err = run_serve("--port", "0", "--data-dir", directory)
    assert (code, out) == (1, ""), (out, err)
    assert re.fullmatch(r"xai-emulator: [^\n]+\n", err), err
    return err


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a history."""
    directory = tmp_path_factory.mktemp("used")
    with Served("--data-dir", directory) as served:
        for n in range(20):
            served.upload(f"{n}.txt", f"{n}".encode() * 5000)
        served.stop()
    return directory


@pytest.fixture
def copy(used: Path, tmp_path: Path) -> Path:
    """A copy of it, to break."""
    return Path(shutil.copytree(used, tmp_path / "copy"))


def rewrite(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Change the bytes of a database."""
    return lambda path: (path.write_bytes(change(path.read_bytes())), None)[1]


def of_another_version(path: Path) -> None:
    """Make it the database of a later version."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 999")
    connection.close()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (rewrite(lambda old: old[:1000]), "emulator.sqlite"),
        (rewrite(lambda old: old[: len(old) // 2]), "malformed"),
        (rewrite(lambda old: bytes(n * 7 % 251 for n in range(len(old)))), "not a database"),
        (rewrite(lambda old: old[:100] + b"\xff" * 8000 + old[8100:]), "malformed"),
        (rewrite(lambda old: b""), "missing or empty"),
        (Path.unlink, "missing or empty"),
        (of_another_version, "schema version 999"),
    ],
    ids=["a stub", "half", "noise", "noise within", "empty", "gone", "another version"],
)
def test_broken_database_exits_with_one_line(copy: Path, damage: Callable[[Path], None], words: str) -> None:
    """A database that is cut short, overwritten, empty, gone or of another version is refused at the start in one line.

    Neither it nor any file is touched, however often one tries.
    """
    database = copy / "emulator.sqlite"
    damage(database)
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    for _ in range(2):
        line = refused(copy)
        assert words in line
        assert str(database) in line
    after = {path: path.read_bytes() for path in before if path.exists()}
    assert after == before


def test_read_only_directory_exits_with_one_line(used: Path, tmp_path: Path) -> None:
    """So is a directory that cannot be written."""
    there = tmp_path / "ro"
    there.mkdir()
    if os.geteuid() == 0:
        bind = f"mount --bind {used} {there} && mount -o remount,ro,bind {there}"
        if sys.platform != "linux" or subprocess.run(bind, shell=True, capture_output=True).returncode:
            pytest.skip("root can write everywhere, and cannot mount here")
    else:
        there.chmod(0o500)
    try:
        assert str(there) in refused(there)
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", "--lazy", str(there)], check=True)


def test_second_process_on_data_directory_is_refused(copy: Path) -> None:
    """Two processes never share a directory: the second is refused in one line, and the first continues."""
    with Served("--data-dir", copy) as served:
        before = served.files()
        assert "in use by another xai-emulator" in refused(copy)
        assert served.files() == before
        assert served.upload("b.txt", b"x")["id"]
