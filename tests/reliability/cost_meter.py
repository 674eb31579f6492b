"""An emulator in a process of its own that measures what calls cost it.

A step is one callback of the event loop; nothing else is served before it ends. Its cost is the processor time of the
loop's own thread, so neither other processes nor other threads count. uvloop runs callbacks where they cannot be
measured, so asyncio's own loop runs here. Memory is the resident memory of the process at the worst moment.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from emulator import Emulator
from emulator.operations.documents import AddDocument
from emulator.runtime import app
from emulator.state.services import Services
from tests.operations.client import run, uploaded
from tests.rest.batch_helpers import line, request
from tests.serving import KEY, PATIENCE_SECONDS

MANAGEMENT_KEY = {"authorization": "Bearer xai-token-emulator"}
FILES, DOCUMENTS, REQUESTS = 0.35, 0.20, 0.25  # of the rows; each document has a chunk, which is a row too
FOLLOW_UP_SECONDS = 60  # by which the clock is advanced after a call, so that the jobs that it planned run
DRIFT = 0.5  # of the rows at first: what calls may add before the state is restored
TABLES = (
    *("files", "file_batch_uploads", "collections", "documents", "document_unique_values", "indexed_documents"),
    *("chunks", "batches", "batch_requests", "batch_costs", "batch_media", "batch_calls", "jobs", "teams"),
)


@dataclass(frozen=True)
class Cost:
    """What a call and the jobs that it planned have cost."""

    step_seconds: float = 0.0  # the longest step of the event loop
    step: str = ""  # what it was
    rows: int = 0  # that were made
    memory_bytes: int = 0  # by which the process grew


@dataclass(frozen=True)
class Ids:
    """Ids that requests can name."""

    files: list[str]  # the first ones are documents, the last but one is open for chunks, and the last a picture
    collections: list[str]
    batches: list[str]  # the first one is open for requests
    batch_uploads: list[str]
    paths: dict[str, str]  # of public content, by the path of its route


class MeteredServer:
    """An emulator with so many rows in its store, until the end of the `with`."""

    def __init__(self, rows: int) -> None:
        self._pipe, other = get_context("spawn").Pipe()
        self._process = get_context("spawn").Process(target=_serve, args=(other, rows), daemon=True)
        self._process.start()
        other.close()
        self.url, self.ids = self._receive()
        self.target = self.url.removeprefix("http://")

    def _receive(self) -> Any:
        assert self._pipe.poll(PATIENCE_SECONDS), "the measured process does not answer"
        return self._pipe.recv()

    def _ask(self, name: str) -> Any:
        self._pipe.send(name)
        return self._receive()

    def cost(self, work: Callable[[], None]) -> Cost:
        """Measure some calls and the jobs that they plan."""
        self._ask("begin")
        status = Path(f"/proc/{self._process.pid}/status")
        before = 0
        if status.exists():
            Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")  # forget the largest size so far
            before = _kibibytes(status, "VmRSS")
        work()
        step_seconds, step, rows = self._ask("end")
        grown = _kibibytes(status, "VmHWM") - before if before else 0
        return Cost(step_seconds, step, rows, grown * 1024)

    def restore(self) -> None:
        """Bring the state back to what it was at first."""
        self._ask("restore")

    def __enter__(self) -> MeteredServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pipe.send(None)
        self._process.join(PATIENCE_SECONDS)
        self._process.kill()
        self._process.join()


def _kibibytes(status: Path, row: str) -> int:
    (line,) = (line for line in status.read_text().splitlines() if line.startswith(row))
    return int(line.split()[1])


# --- in the measured process


def _serve(pipe: Pipe, rows: int) -> None:
    steps = _Steps()
    steps.install()
    app.new_event_loop = asyncio.new_event_loop
    with Emulator(random_seed="costs") as emulator:
        measured = _Measured(emulator, steps, rows)
        pipe.send((emulator.url, measured.ids))
        while (asked := pipe.recv()) is not None:
            pipe.send(getattr(measured, asked)())


class _Steps:
    """The longest step of the event loop so far."""

    def __init__(self) -> None:
        self.longest: tuple[float, str] = (0.0, "")

    def install(self) -> None:
        run = asyncio.Handle._run

        def measured(handle: Any) -> None:
            before = time.thread_time()
            run(handle)
            seconds = time.thread_time() - before
            if seconds > self.longest[0]:
                self.longest = (seconds, _described(handle))

        asyncio.Handle._run = measured  # type: ignore[method-assign]


def _described(handle: Any) -> str:
    """The callback of a step, or the coroutine where it is the step of a task."""
    task = getattr(handle._callback, "__self__", None)
    return repr(task.get_coro() if isinstance(task, asyncio.Task) else handle)[:300]


class _Measured:
    """The emulator with its state, and what the other process can ask of it."""

    def __init__(self, emulator: Emulator, steps: _Steps, rows: int) -> None:
        self._emulator, self._steps = emulator, steps
        self._control = httpx.Client(base_url=f"{emulator.url}/_emulator", timeout=PATIENCE_SECONDS)
        self.ids = _fill(emulator, rows)
        self._control.post("/snapshots", json={"name": "full"}).raise_for_status()
        self._full = self._now = self._rows()
        self._changed = False  # whether calls have written anything since

    def _rows(self) -> dict[str, int]:
        """How many rows each table has."""
        database = self._emulator._running().services.store.database

        async def count() -> dict[str, int]:
            return {table: database.rows(f"SELECT count(*) FROM {table}")[0][0] for table in TABLES}

        counted: dict[str, int] = self._emulator._run(count())
        return counted

    def _rows_written(self) -> int:
        """How many rows were written so far."""
        database = self._emulator._running().services.store.database

        async def count() -> int:
            return database.rows_written

        written: int = self._emulator._run(count())
        return written

    def restore(self) -> None:
        """Bring the state back to what it was at first."""
        if self._changed:
            self._control.post("/snapshots/full/restore").raise_for_status()
            self._now = self._rows()
            self._changed = False

    def begin(self) -> None:
        """Begin to measure; first bring the state back where calls have removed or added much."""
        lost = any(self._now[table] < rows for table, rows in self._full.items() if table != "jobs")
        if lost or sum(self._now.values()) > (1 + DRIFT) * sum(self._full.values()):
            self.restore()
        self._before, self._written = self._now, self._rows_written()
        self._steps.longest = (0.0, "")

    def end(self) -> tuple[float, str, int]:
        """Run what was planned; the longest step, what it was, and how many rows were made."""
        self._changed |= self._rows_written() != self._written
        self._emulator.advance(FOLLOW_UP_SECONDS)
        longest = self._steps.longest
        self._now = self._rows()
        made = sum(max(0, rows - self._before[table]) for table, rows in self._now.items())
        return (*longest, made)


def _fill(emulator: Emulator, rows: int) -> Ids:
    """Make rows, most of them without a transport, which takes a third of the time."""
    rest = httpx.Client(base_url=emulator.url, headers=KEY, timeout=PATIENCE_SECONDS)
    management = httpx.Client(base_url=emulator.url, headers=MANAGEMENT_KEY, timeout=PATIENCE_SECONDS)

    def made(client: httpx.Client, path: str, **what: Any) -> Any:
        return client.post(path, **what).raise_for_status().json()

    fields = [{"key": "topic"}, {"key": "isbn", "unique": True}, {"key": "title", "inject_into_chunk": True}]
    collection = made(management, "/v1/collections", json={"collection_name": "c", "field_definitions": fields})
    files = emulator._run(_documents(emulator._running().services, collection["collection_id"], rows))
    files += [
        made(rest, "/v1/files:initialize", json={"name": "a.txt", "content_type": "text/plain"})["file_id"],
        made(rest, "/v1/files", files={"file": ("a.png", b"picture")})["id"],
    ]
    lines = made(rest, "/v1/files", files={"file": ("input.jsonl", _lines(int(REQUESTS * rows)))})["id"]
    batches = [
        made(rest, "/v1/batches", json=body)["batch_id"]
        for body in ({"name": "open"}, {"name": "full", "input_file_id": lines}, {"name": "images"})
    ]
    image = request("i", "image_generation", {"prompt": "a fox", "model": "grok-imagine-image"})
    rest.post(f"/v1/batches/{batches[2]}/requests", json={"batch_requests": [image]}).raise_for_status()
    emulator.advance(FOLLOW_UP_SECONDS)
    media = re.search(r"/_media/[^\"]*", rest.get(f"/v1/batches/{batches[2]}/results").text)
    public = httpx.URL(made(rest, f"/v1/files/{files[-1]}/public-url", json={})["public_url"]).path
    upload = made(
        rest, "/v1/files/batch_upload", json={"files": [{"name": "a.txt", "content_type": "text/plain"}] * 100}
    )["batch_job_id"]
    rest.close()
    management.close()
    assert media is not None
    paths = {"/_files-cdn/{token}/{name}": public, "/_media/{token}/{name}": media[0]}
    return Ids(files, [collection["collection_id"]], batches, [upload], paths)


async def _documents(services: Services, collection: str, rows: int) -> list[str]:
    """Upload the files, and make documents of the first; their ids."""
    files = []
    for n in range(int(FILES * rows)):
        text = f"Document {n} says something about foxes, hedges and the weather of day {n % 365}. " * 3
        files.append(await uploaded(services, f"document {n:05}.txt", text.encode()))
    for n, file in enumerate(files[: int(DOCUMENTS * rows)]):
        fields = {"topic": f"topic {n % 7}", "isbn": str(n), "title": f"The title of number {n}"}
        await run(services, "documents.add", AddDocument(collection, file, fields))
    return files


def _lines(count: int) -> bytes:
    """An input file of a batch."""
    return "\n".join(line(f"r{n}") for n in range(count)).encode()
