"""Damage that is met after the start: in pages of the database, and to the bytes of files."""

from __future__ import annotations

import itertools
import logging
import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from emulator import Emulator
from emulator.store import DatabaseUnusable
from tests.rest.batch_helpers import line, request
from tests.rpc.client import Rpc, data, init, message, trailers
from tests.serving import PATIENCE_SECONDS, Served, until

MANAGEMENT = {"authorization": "Bearer xai-token-emulator"}
KEY = {"authorization": "Bearer xai-emulator"}
PAGE_BYTES = 4096
FILES, DOCUMENTS = 60, 12
CASES = 16  # pages
PDF = b"%PDF-1.4 of some bytes"


@dataclass
class Used:
    """A data directory with some of everything, and what was acknowledged when it was made."""

    directory: Path
    files: dict[str, bytes] = field(default_factory=dict)
    collection: str = ""
    batch: str = ""
    pdf: str = ""

    @property
    def database(self) -> Path:
        return self.directory / "emulator.sqlite"

    def copied(self, to: Path) -> Used:
        """The same in another place."""
        return Used(Path(shutil.copytree(self.directory, to)), self.files, self.collection, self.batch, self.pdf)


def text(n: int) -> bytes:
    """What a file holds."""
    return f"some words of file {n} ".encode() * 40


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Used:
    """A data directory with some of everything."""
    used = Used(tmp_path_factory.mktemp("used") / "data")
    with Emulator(data_dir=used.directory) as emulator, httpx.Client(base_url=emulator.url, headers=KEY) as http:
        for n in range(FILES):
            name = f"{n}-{'n' * 150}.txt"
            used.files[http.post("/v1/files", files={"file": (name, text(n))}).json()["id"]] = text(n)
        used.pdf = http.post("/v1/files", files={"file": ("a.pdf", PDF, "application/pdf")}).json()["id"]
        used.files[used.pdf] = PDF
        collection = http.post("/v1/collections", json={"collection_name": "c"}, headers=MANAGEMENT).json()
        used.collection = collection["collection_id"]
        for id in list(used.files)[:DOCUMENTS]:
            path = f"/v1/collections/{used.collection}/documents/{id}"
            http.post(path, json={}, headers=MANAGEMENT).raise_for_status()
        used.batch = http.post("/v1/batches", json={"name": "b"}).json()["batch_id"]
        items = [request(str(n)) for n in range(40)]
        http.post(f"/v1/batches/{used.batch}/requests", json={"batch_requests": items}).raise_for_status()
        emulator.advance(10)
    return used


def reads(used: Used, http: httpx.Client) -> Iterator[httpx.Response]:
    """The answers to calls that change nothing: among them they meet every table."""
    yield http.get("/v1/files", params={"limit": 100})
    yield http.get("/v1/files", params={"limit": 100, "sort_by": "filename"})
    for id in list(used.files)[::9]:
        yield http.get(f"/v1/files/{id}")
        yield http.get(f"/v1/files/{id}/content")
    for rest in ("", f"/{used.collection}", f"/{used.collection}/documents"):
        yield http.get(f"/v1/collections{rest}", headers=MANAGEMENT)
    yield http.post("/v1/documents/search", json={"query": "words", "source": {"collection_ids": [used.collection]}})
    for rest in ("", f"/{used.batch}", f"/{used.batch}/requests", f"/{used.batch}/results"):
        yield http.get(f"/v1/batches{rest}")


def writes(used: Used, http: httpx.Client) -> Iterator[httpx.Response]:
    """The answers to calls that change something, but nothing of what there was before."""
    yield http.post("/v1/files", files={"file": ("new.txt", b"new")})
    yield http.post("/v1/batches", json={"name": "new"})
    yield http.post(f"/v1/batches/{used.batch}/requests", json={"batch_requests": [request("new")]})
    yield http.post("/v1/collections", json={"collection_name": "new"}, headers=MANAGEMENT)


def assert_refused_or_served(reply: httpx.Response) -> bool:
    """Whether it was refused; then as an unusable disk, in the dialect of the plane."""
    if reply.is_success or reply.status_code == 404:  # an index may miss what a page held
        return False
    assert (reply.status_code, reply.headers["x-emulator-rule"]) == (503, "disk"), reply.text
    said = reply.json()
    sentence = said["error"] if said["code"] == "unavailable" else said["message"]
    assert said["code"] in ("unavailable", 14)
    assert sentence.startswith("The emulator's disk cannot be used: ")
    return True


def assert_whole(used: Used) -> None:
    """All that was acknowledged is there, byte for byte, and the database is sound."""
    with closing(sqlite3.connect(used.database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with Emulator(data_dir=used.directory) as emulator, httpx.Client(base_url=emulator.url, headers=KEY) as http:
        for reply in reads(used, http):
            reply.raise_for_status()
        for id, content in used.files.items():
            assert http.get(f"/v1/files/{id}/content").content == content
        results = http.get(f"/v1/batches/{used.batch}/results").json()["results"]
        assert {str(n) for n in range(40)} <= {each["batch_request_id"] for each in results}
        path = f"/v1/collections/{used.collection}/documents"
        assert len(http.get(path, headers=MANAGEMENT).json()["documents"]) == DOCUMENTS


@contextmanager
def damaged(database: Path, pages: dict[int, bytes]) -> Iterator[None]:
    """Overwrite some pages. At the end restore them, unless they were written again meanwhile."""
    kept = {number: page_of(database, number) for number in pages}
    for number, noise in pages.items():
        set_page(database, number, noise)
    yield
    for number, noise in pages.items():
        if page_of(database, number) == noise:
            set_page(database, number, kept[number])


def page_of(database: Path, number: int) -> bytes:
    """What a page holds."""
    with open(database, "rb") as file:
        file.seek(number * PAGE_BYTES)
        return file.read(PAGE_BYTES)


def set_page(database: Path, number: int, content: bytes) -> None:
    """Let a page hold something else."""
    with open(database, "r+b") as file:
        file.seek(number * PAGE_BYTES)
        file.write(content)


def noise_for(page: bytes, kind: str, chance: random.Random) -> bytes:
    """What a broken disk may give for a page."""
    half = PAGE_BYTES // 2
    return {"noise": chance.randbytes(PAGE_BYTES), "nothing": bytes(PAGE_BYTES)}.get(
        kind, page[:half] + chance.randbytes(half)
    )


def test_broken_database_page_is_disk_error(used: Used, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whichever page of the database becomes noise, wholly or by half, or nothing: a refusal, or an answer.

    Writes meanwhile make it no worse: with the page put back, all that was acknowledged is there.
    """
    caplog.set_level(logging.ERROR)
    chance, met, count = random.Random(1), 0, used.database.stat().st_size // PAGE_BYTES
    kinds = itertools.cycle(("noise", "nothing", "half"))
    for case, number in enumerate(sorted(chance.sample(range(1, count), CASES))):
        copy = used.copied(tmp_path / str(case))
        kind = next(kinds)
        with damaged(copy.database, {number: noise_for(page_of(copy.database, number), kind, chance)}):
            emulator = Emulator(data_dir=copy.directory)
            try:
                emulator.start()
            except (DatabaseUnusable, OSError):
                continue  # the damage prevents the start, which other tests cover
            with httpx.Client(base_url=emulator.url, headers=KEY) as http:
                refused = [assert_refused_or_served(reply) for reply in reads(copy, http)]
                if kind != "half":  # SQLite has no checksums: what looks sound enough to it, it writes to
                    refused += [assert_refused_or_served(reply) for reply in writes(copy, http)]
                assert http.get("/_emulator/health").is_success
            emulator.stop()
            met += any(refused)
        assert_whole(copy)
    assert met > CASES / 4
    assert [record.getMessage() for record in caplog.records] == []


def roots(database: Path, of: str = "%") -> list[int]:
    """The pages in which tables and their indexes begin, but for the first of all."""
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(
            "SELECT rootpage - 1 FROM sqlite_schema WHERE rootpage > 1 AND tbl_name LIKE ?", (of,)
        )
        return [number for (number,) in rows]


def test_server_keeps_answering_with_broken_database(used: Used, tmp_path: Path) -> None:
    """A process whose database breaks keeps answering over both; after a repair, a restart finds all data."""
    copy = used.copied(tmp_path / "copy")
    pages = dict.fromkeys(roots(copy.database), bytes(PAGE_BYTES))
    with Served("--data-dir", copy.directory) as served:
        http = httpx.Client(base_url=served.url, headers=KEY, timeout=PATIENCE_SECONDS)
        with http, Rpc(f"localhost:{served.port}", "xai-emulator") as rpc, damaged(copy.database, pages):
            refused = [assert_refused_or_served(reply) for reply in reads(copy, http)]
            assert sum(refused) > len(refused) / 2
            for name, asked in (
                ("Files/ListFiles", message("xai_api.ListFilesRequest", limit=100)),
                ("Files/RetrieveFileContent", message("xai_api.RetrieveFileContentRequest", file_id=used.pdf)),
                ("Files/UploadFile", [init("a.txt"), data(b"x")]),
                ("BatchMgmt/ListBatches", message("xai_api.ListBatchesRequest")),
            ):
                refusal = rpc.refusal(f"xai_api.{name}", asked)
                assert refusal.code() is grpc.StatusCode.UNAVAILABLE, name
                assert trailers(refusal)["x-emulator-rule"] == "disk"
            assert [assert_refused_or_served(reply) for reply in writes(copy, http)]
            assert http.get("/_emulator/health").is_success
            served.stop()
    assert "Traceback" not in "".join(served.said)
    assert_whole(copy)


def test_jobs_wait_for_a_database_that_can_be_read(tmp_path: Path) -> None:
    """If the list of due jobs cannot be read, all else is served; after a repair, the next start runs them."""
    directory = tmp_path / "data"
    with Emulator(data_dir=directory, batches="realistic") as emulator:
        http = httpx.Client(base_url=emulator.url, headers=KEY)
        batch = http.post("/v1/batches", json={"name": "b"}).json()["batch_id"]
        http.post(f"/v1/batches/{batch}/requests", json={"batch_requests": [request("a")]}).raise_for_status()
        http.close()
    database = directory / "emulator.sqlite"
    pages = dict.fromkeys(roots(database, "jobs"), bytes(PAGE_BYTES))

    def state(served: Served) -> dict[str, int]:
        return dict(httpx.get(f"{served.url}/v1/batches/{batch}", headers=KEY).json()["state"])

    with damaged(database, pages), Served("--data-dir", directory) as served:
        until(lambda: "All jobs are delayed" in "".join(served.said))
        assert state(served)["num_pending"] == 1
        served.stop()
    with Served("--data-dir", directory) as again:
        until(lambda: state(again)["num_success"] == 1)
    assert "Traceback" not in "".join(served.said)
    assert "".join(served.said).count("All jobs are delayed") == 1


def blob_of(used: Used, id: str) -> Path:
    """Where the bytes of a file lie."""
    with closing(sqlite3.connect(used.database)) as connection:
        (name,) = connection.execute("SELECT blob FROM files WHERE id = ?", (id,)).fetchone()
    return used.directory / "blobs" / str(name)


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(PDF[:5])], ids=["gone", "cut short"])
def test_lost_bytes_are_a_broken_disk(
    used: Used, tmp_path: Path, damage: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Content that is gone or cut short is refused over every transport before a byte is sent; it can be deleted."""
    copy = used.copied(tmp_path / "copy")
    with Emulator(data_dir=copy.directory) as emulator, httpx.Client(base_url=emulator.url, headers=KEY) as http:
        public = http.post(f"/v1/files/{copy.pdf}/public-url", json={}).json()["public_url"]
        damage(blob_of(copy, copy.pdf))
        for url in (f"/v1/files/{copy.pdf}/content", f"/v1/files/{copy.pdf}/content?format=text", public):
            assert assert_refused_or_served(http.get(url))
        with Rpc(emulator.grpc_target, emulator.api_key) as rpc:
            asked = message("xai_api.RetrieveFileContentRequest", file_id=copy.pdf)
            assert rpc.refusal("xai_api.Files/RetrieveFileContent", asked).code() is grpc.StatusCode.UNAVAILABLE
        assert http.get(f"/v1/files/{copy.pdf}").is_success
        path = f"/v1/collections/{copy.collection}/documents/{copy.pdf}"
        assert http.post(path, json={}, headers=MANAGEMENT).status_code in (200, 503)
        assert http.delete(f"/v1/files/{copy.pdf}").is_success
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_missing_blob_directory_returns_503(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What needs the directory of the files is refused while that is away, as a cleaner of /tmp may see to."""
    with Emulator(data_dir=tmp_path) as emulator, httpx.Client(base_url=emulator.url, headers=KEY) as http:
        kept = http.post("/v1/files", files={"file": ("a.txt", b"kept")}).json()["id"]
        (tmp_path / "blobs").rename(tmp_path / "elsewhere")
        for refused in (
            http.post("/v1/files", files={"file": ("b.txt", b"new")}),
            http.post("/v1/files:initialize", json={"name": "c.txt", "content_type": "text/plain"}),
            http.get(f"/v1/files/{kept}/content"),
        ):
            assert (refused.status_code, refused.headers["x-emulator-rule"]) == (503, "disk")
        assert http.post("/_emulator/snapshots", json={"name": "s"}).status_code == 503
        assert [file["id"] for file in http.get("/v1/files").json()["data"]] == [kept]
        (tmp_path / "elsewhere").rename(tmp_path / "blobs")
        assert http.get(f"/v1/files/{kept}/content").content == b"kept"
        assert http.post("/v1/files", files={"file": ("b.txt", b"new")}).is_success
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_batch_waits_for_missing_input_file(tmp_path: Path) -> None:
    """A batch whose input was lost is not dropped: it is read once the bytes are there again."""
    with Emulator(data_dir=tmp_path, batches="manual") as emulator:
        http = httpx.Client(base_url=emulator.url, headers=KEY, timeout=PATIENCE_SECONDS)
        with http:
            lines = "\n".join(line(str(n)) for n in range(20)).encode()
            file = http.post("/v1/files", files={"file": ("in.jsonl", lines)}).json()["id"]
            batch = http.post("/v1/batches", json={"name": "b", "input_file_id": file}).json()["batch_id"]
            [blob] = (tmp_path / "blobs").iterdir()
            blob.rename(tmp_path / "elsewhere")
            emulator.run_jobs()
            assert http.get(f"/v1/batches/{batch}").json()["state"]["num_requests"] == 0
            (tmp_path / "elsewhere").rename(blob)
            emulator.run_jobs()
            until(lambda: http.get(f"/v1/batches/{batch}").json()["state"]["num_requests"] == 20)
