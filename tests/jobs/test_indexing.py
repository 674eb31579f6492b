"""The life of a document: its stages at each speed, and what becomes of work that was overtaken."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator import Emulator
from emulator.jobs import indexing
from tests.search.extraction.test_documents import pdf
from tests.serving import PATIENCE_SECONDS

TEXT = "\n".join(f"Line {number} of a text that takes several chunks." for number in range(200)).encode()


class Place:
    """A running emulator with one collection, and what can be asked of it."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.rest, self.management = (
            httpx.Client(base_url=emulator.url, headers={"authorization": f"Bearer {key}"}, timeout=PATIENCE_SECONDS)
            for key in (emulator.api_key, emulator.management_key)
        )
        reply = self.management.post("/v1/collections", json={"collection_name": "a"})
        self.collection = f"/v1/collections/{reply.json()['collection_id']}"

    def add(self, content: bytes = TEXT, name: str = "a.txt") -> str:
        """Upload a file, add it, and return its id."""
        id: str = self.rest.post("/v1/files", files={"file": (name, content)}).json()["id"]
        assert self.management.post(f"{self.collection}/documents/{id}").status_code == 200
        return id

    def document(self, id: str) -> dict[str, Any]:
        """A document."""
        document: dict[str, Any] = self.management.get(f"{self.collection}/documents/{id}").json()
        return document

    def progress(self, id: str) -> tuple[str, int, str]:
        """Its status without the prefix, and its two counts."""
        document = self.document(id)
        status = document["status"].removeprefix("DOCUMENT_STATUS_")
        return status, document["chunk_count"], document["chunks_processed_count"]

    def found(self, id: str) -> int:
        """How many chunks of a document a search would look at."""
        store = self.emulator._running().services.store
        [collection] = (self.collection.rpartition("/")[2],)
        version = store.chunks.version("default", collection, id)
        return 0 if version is None else len(store.chunks.rows("default", collection, version, -1, 10_000))


@contextmanager
def place(**settings: Any) -> Iterator[Place]:
    with Emulator(**settings) as emulator:
        here = Place(emulator)
        with closing(here.rest), closing(here.management):
            yield here


def test_instant_indexing_ends_before_reply() -> None:
    """At the instant speed an added, updated or re-indexed document is at its end when the reply comes."""
    with place() as here:
        id = here.add()
        status, chunks, processed = here.progress(id)
        assert (status, processed) == ("PROCESSED", str(chunks))
        assert chunks > 1
        here.rest.put(f"/v1/files/{id}", files={"file": ("b.txt", b"short")})
        assert here.progress(id) == ("PROCESSED", 1, "1")
        here.management.patch(f"{here.collection}/documents/{id}")
        assert here.progress(id) == ("PROCESSED", 1, "1")
        assert here.found(id) == 1


def test_realistic_stages_take_five_seconds() -> None:
    """At the realistic speed the stages come in order, in 5 s of the team's clock, with the counts as recorded."""
    with place(indexing="realistic") as here:
        here.rest.post("/_emulator/clock/freeze")
        id = here.add()
        assert here.progress(id) == ("PROCESSING", 0, "0")
        assert here.document(id)["last_indexed_at"] is None
        seen = []
        for seconds in (0.5, 0.5, 1, 3):
            before = here.progress(id)
            here.emulator.advance(seconds - 0.001)
            assert (here.progress(id), here.found(id)) == (before, 0)
            here.emulator.advance(0.001)
            seen.append(here.progress(id))
        chunks = seen[-1][1]
        assert chunks > 1
        assert seen == [
            ("CHUNKED", 0, "0"),
            ("EMBEDDING", chunks, "0"),
            ("WRITING", chunks, "0"),
            ("PROCESSED", chunks, str(chunks)),
        ]
        assert here.found(id) == chunks
        now = here.rest.get("/_emulator/clock").json()["now"]
        assert here.document(id)["last_indexed_at"] == now
        here.management.patch(f"{here.collection}/documents/{id}")
        assert (here.progress(id), here.found(id)) == (("PROCESSING", 0, "0"), 0)
        assert here.document(id)["last_indexed_at"] == now, "until it is reindexed"
        here.emulator.advance(5)
        assert here.progress(id)[0] == "PROCESSED"


def test_realistic_indexing_time_grows_with_pdf_pages() -> None:
    """Observed live: about 90 s for 425 pages, in WRITING."""
    with place(indexing="realistic") as here:
        here.rest.post("/_emulator/clock/freeze")
        id = here.add(pdf(*["The fox ran over the hedge. " * 40] * 5), "a.pdf")
        here.emulator.advance(5.999)
        assert here.progress(id)[0] == "WRITING"
        here.emulator.advance(0.001)
        assert here.progress(id)[0] == "PROCESSED"


def test_realistic_indexing_fails_at_first_stage() -> None:
    """A file whose text cannot be extracted fails at its first stage, and says why."""
    with place(indexing="realistic") as here:
        here.rest.post("/_emulator/clock/freeze")
        id = here.add(b"\xff\xfe\xfd", "a.txt")
        here.emulator.advance(0.5)
        assert here.progress(id) == ("FAILED", 0, "0")
        assert here.document(id)["error_message"]
        here.emulator.advance(10)
        assert here.progress(id) == ("FAILED", 0, "0")


def test_manual_waits_to_be_released() -> None:
    """At the manual speed no time indexes a document, only the call that says so."""
    with place(indexing="manual") as here:
        ids = [here.add(), here.add()]
        here.emulator.advance(10**6)
        assert {here.progress(id)[0] for id in ids} == {"PROCESSING"}
        ran = here.rest.post("/_emulator/jobs/run").json()["jobs"]
        assert [job["kind"] for job in ran] == ["index_document"] * 2
        assert {here.progress(id)[0] for id in ids} == {"PROCESSED"}


def test_indexing_speed_is_set_per_team() -> None:
    """Another team of the same emulator keeps the server's speed."""
    with place(indexing="manual") as here:
        team = here.emulator._running().services.teams.get("default")
        waiting = here.add()
        team.indexing = "instant"
        assert here.progress(here.add())[0] == "PROCESSED"
        assert here.progress(waiting)[0] == "PROCESSING"


def test_failed_document_succeeds_with_new_content() -> None:
    """New content, or re-indexing after a cause has gone, makes a failed document good, and its message goes away."""
    with place() as here:
        id = here.add(b"\xff\xfe\xfd", "a.txt")
        assert here.progress(id)[0] == "FAILED"
        here.management.patch(f"{here.collection}/documents/{id}")
        assert here.progress(id)[0] == "FAILED"
        here.rest.put(f"/v1/files/{id}", files={"file": ("a.txt", TEXT)})
        assert here.progress(id)[0] == "PROCESSED"
        assert "error_message" not in here.document(id)


def test_embedder_error_fails_document() -> None:
    """The document says what the embedder said; when it works again, re-indexing helps."""
    broken = True

    def embedder(texts: list[str]) -> list[list[float]]:
        if broken:
            raise ConnectionError("no answer \ud800")  # half a character cannot be kept
        return [[1.0, 0.0] for _ in texts]

    with place(embedder=embedder) as here:
        id = here.add()
        assert here.progress(id) == ("FAILED", 0, "0")
        assert "no answer" in here.document(id)["error_message"]
        assert here.found(id) == 0
        broken = False
        here.management.patch(f"{here.collection}/documents/{id}")
        assert here.progress(id)[0] == "PROCESSED"


def test_unexpected_indexing_error_fails_document_and_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected error ends the document as FAILED, never as one that waits for ever."""

    def cut(*arguments: Any) -> Any:
        raise ZeroDivisionError("inside")

    monkeypatch.setattr(indexing, "cut", cut)
    lines: list[str] = []
    with place() as here:
        here.emulator._running().services.log = lines.append
        id = here.add()
        assert here.document(id)["error_message"] == "The document cannot be indexed: ZeroDivisionError."
    assert any("ZeroDivisionError: inside" in line for line in lines)


def test_chunking_runs_in_daemon_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text is cut in a thread that neither the loop nor the process waits for when it ends."""
    real, threads = indexing.cut, list[threading.Thread]()

    def cut(*arguments: Any) -> Any:
        threads.append(threading.current_thread())
        return real(*arguments)

    monkeypatch.setattr(indexing, "cut", cut)
    with place() as here:
        here.add()
    assert [thread.daemon for thread in threads] == [True]


OVERTAKEN: dict[str, Callable[[Place, str], httpx.Response]] = {
    "removed": lambda here, id: here.management.delete(f"{here.collection}/documents/{id}"),
    "file deleted": lambda here, id: here.rest.delete(f"/v1/files/{id}"),
    "collection deleted": lambda here, id: here.management.delete(here.collection),
    "reindexed": lambda here, id: here.management.patch(f"{here.collection}/documents/{id}"),
    "new content": lambda here, id: here.rest.put(f"/v1/files/{id}", files={"file": ("b.txt", b"new")}),
    "reset": lambda here, id: here.rest.post("/_emulator/reset"),
}


def held_up(
    here: Place, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> tuple[Future[Any], threading.Event]:
    """Run jobs until one has split a document into chunks; return the run, and the event that lets it continue."""
    real, entered, resume = indexing.cut, threading.Event(), threading.Event()

    def slow(path: Path, *arguments: Any) -> Any:
        chunks = real(path, *arguments)
        entered.set()
        assert resume.wait(PATIENCE_SECONDS)
        return chunks

    monkeypatch.setattr(indexing, "cut", slow)
    running = pool.submit(here.emulator.run_jobs)
    assert entered.wait(PATIENCE_SECONDS)
    monkeypatch.setattr(indexing, "cut", real)
    return running, resume


@pytest.mark.parametrize("overtaking", OVERTAKEN)
def test_overtaken_work_is_dropped(overtaking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The result of indexing a document that was deleted or restarted meanwhile changes nothing."""
    with place(indexing="manual") as here, ThreadPoolExecutor() as pool:
        id = here.add()
        running, resume = held_up(here, pool, monkeypatch)
        assert OVERTAKEN[overtaking](here, id).status_code == 200
        resume.set()
        running.result(PATIENCE_SECONDS)
        assert here.found(id) == 0
        if overtaking in ("reindexed", "new content"):
            assert here.progress(id) == ("PROCESSING", 0, "0")
            here.emulator.run_jobs()
            status, chunks, _ = here.progress(id)
            assert (status, chunks == 1) == ("PROCESSED", overtaking == "new content")
            assert here.found(id) == chunks


@pytest.mark.parametrize("how", ["reset", "restore", "delete"])
def test_overtaken_work_does_not_reach_what_has_its_ids(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a reset ids come again, and after a deletion or a restore; what was begun before is not for them."""
    with place(indexing="manual") as here, ThreadPoolExecutor() as pool:
        control = f"{here.emulator.url}/_emulator"
        assert httpx.post(f"{control}/snapshots", json={"name": "before"}).status_code == 200
        first = here.add()
        running, resume = held_up(here, pool, monkeypatch)
        if how == "restore":
            assert httpx.post(f"{control}/snapshots/before/restore").status_code == 200
        else:
            gone = httpx.delete(f"{control}/teams/default") if how == "delete" else httpx.post(f"{control}/reset")
            assert gone.status_code == 200
            here.management.post("/v1/collections", json={"collection_name": "a"})
        assert here.add(b"another text") == first
        resume.set()
        running.result(PATIENCE_SECONDS)
        assert here.progress(first) == ("PROCESSING", 0, "0")
        here.emulator.run_jobs()
        assert here.progress(first) == ("PROCESSED", 1, "1")


def test_document_is_indexed_after_its_caller_disconnects(monkeypatch: pytest.MonkeyPatch) -> None:
    """A document whose adder does not wait for the reply is indexed nonetheless."""
    real, entered, resume = indexing.cut, threading.Event(), threading.Event()

    def slow(*arguments: Any) -> Any:
        entered.set()
        assert resume.wait(PATIENCE_SECONDS)
        return real(*arguments)

    monkeypatch.setattr(indexing, "cut", slow)
    with place() as here:
        id = here.rest.post("/v1/files", files={"file": ("a.txt", TEXT)}).json()["id"]
        caller = HTTPConnection(here.emulator.grpc_target)
        headers = {"authorization": f"Bearer {here.emulator.management_key}"}
        caller.request("POST", f"{here.collection}/documents/{id}", headers=headers)
        assert entered.wait(PATIENCE_SECONDS)
        caller.close()
        assert here.progress(id)[0] == "PROCESSING"
        resume.set()
        here.add()  # its turn comes after the first one's
        assert here.progress(id)[0] == "PROCESSED"


def test_indexing_goes_on_after_a_restart(tmp_path: Path) -> None:
    """What was to be indexed when the process ended is indexed by the next one."""
    with place(indexing="realistic", data_dir=tmp_path) as here:
        here.rest.post("/_emulator/clock/freeze")
        id, collection = here.add(), here.collection
        here.emulator.advance(1)
        assert here.progress(id)[0] == "EMBEDDING"
    with Emulator(indexing="realistic", data_dir=tmp_path) as emulator:
        emulator.advance(4)
        headers = {"authorization": f"Bearer {emulator.management_key}"}
        document = httpx.get(f"{emulator.url}{collection}/documents/{id}", headers=headers).json()
        assert document["status"] == "DOCUMENT_STATUS_PROCESSED"
        assert document["chunks_processed_count"] == str(document["chunk_count"])
