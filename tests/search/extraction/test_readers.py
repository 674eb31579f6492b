"""How many files are read at once, and what becomes of readers whose emulator or caller has gone."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from emulator import Emulator
from emulator.search.extraction.extract import SMALL_BYTES_MAX, is_large
from emulator.search.extraction.readers import READERS_MAX, Processes, Readers
from fixtures.team import EmulatedTeam
from tests.serving import PATIENCE_SECONDS

SLEEPER = [sys.executable, "-c", "import sys, time; print('up', flush=True); time.sleep(600)"]
ROOT = Path(__file__).parents[3]


class Gate:
    """Work that waits to be let go, and counts how much of it is under way."""

    def __init__(self) -> None:
        self.entered = 0
        self.most = 0
        self.now = 0
        self.open = threading.Event()
        self._lock = threading.Lock()

    def work(self) -> str:
        """Wait for the gate."""
        with self._lock:
            self.entered += 1
            self.now += 1
            self.most = max(self.most, self.now)
        assert self.open.wait(PATIENCE_SECONDS)
        with self._lock:
            self.now -= 1
        return "read"


async def entered(gate: Gate, count: int) -> None:
    """Wait until so much work has begun."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while gate.entered < count:
            await asyncio.sleep(0.001)


async def test_large_readers_above_the_bound_wait() -> None:
    """At most the given number of large ones run at a time, over all callers; small ones do not wait for them."""
    readers, gate = Readers(at_once=2), Gate()
    large = [asyncio.create_task(readers.run(gate.work, large=True)) for _ in range(7)]
    await entered(gate, 2)
    assert await readers.run(lambda: "small", large=False) == "small"
    gate.open.set()
    assert await asyncio.gather(*large) == ["read"] * 7
    assert (gate.entered, gate.most) == (7, 2)


async def test_reader_whose_caller_left_keeps_its_slot() -> None:
    """Its memory is still in use: the next one begins when it has ended."""
    readers, first, second = Readers(at_once=1), Gate(), Gate()
    second.open.set()
    left = asyncio.create_task(readers.run(first.work, large=True))
    await entered(first, 1)
    left.cancel()
    await asyncio.wait([left])
    waiting = asyncio.create_task(readers.run(second.work, large=True))
    await readers.run(lambda: None, large=False)  # a whole turn of the loop and of a thread
    assert second.entered == 0
    first.open.set()
    assert await waiting == "read"


async def test_reader_that_raises_frees_its_slot() -> None:
    """What it raises is raised to its caller."""
    readers = Readers(at_once=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await readers.run(lambda: 1 // 0, large=True)


@pytest.mark.parametrize(
    ("size", "name", "large"),
    [
        (10, "a.txt", False),
        (SMALL_BYTES_MAX, "a.txt", False),
        (SMALL_BYTES_MAX + 1, "a.txt", True),
        (10, "a.pdf", True),
        (10, "a.html", False),
        (5000, "a.html", True),
        (10, "a.unknown", False),
    ],
)
def test_files_that_need_a_process_or_much_memory_are_large(size: int, name: str, large: bool) -> None:
    """The others are read beside any number of others."""
    assert is_large(size, "", name) is large


def test_reader_slots_are_shared_by_all_teams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents and texts of files of many teams are read at most so many at once."""
    gate = Gate()

    def run(*arguments: object) -> tuple[int, bytes]:
        gate.work()
        return 0, b'{"text": "text", "pages": null}'

    with Emulator() as emulator, ThreadPoolExecutor(2 * READERS_MAX + 1) as pool:
        monkeypatch.setattr(emulator._running().services.readers.processes, "run", run)
        asked = []
        for number in range(2 * READERS_MAX):
            team = EmulatedTeam(emulator, f"team{number}")
            file = team.upload("a.pdf", b"%PDF", "application/pdf")
            if number % 2:
                collection = team.call("POST", "/v1/collections", {"collection_name": "c"})["collection_id"]
                asked.append(
                    pool.submit(team.call, "POST", f"/v1/collections/{collection}/documents/{file}", {}),
                )
            else:
                headers = {"authorization": f"Bearer {team.api_key}"}
                url = f"{emulator.base_url}/files/{file}/content?format=text"
                asked.append(pool.submit(httpx.get, url, headers=headers, timeout=PATIENCE_SECONDS))
        asyncio.run(entered(gate, READERS_MAX))
        gate.open.set()
        for each in asked:
            each.result(PATIENCE_SECONDS)
    assert (gate.entered, gate.most) == (2 * READERS_MAX, READERS_MAX)


def test_close_kills_what_runs_and_what_starts() -> None:
    """A reader does not outlive its emulator by the seconds that it may take."""
    processes = Processes()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(processes.run, SLEEPER, b"", ROOT, PATIENCE_SECONDS)
        until = time.monotonic() + PATIENCE_SECONDS
        while not processes._running and time.monotonic() < until:
            time.sleep(0.001)
        processes.close()
        assert running.result(PATIENCE_SECONDS)[0] == -signal.SIGKILL
    assert processes.run(SLEEPER, b"", ROOT, PATIENCE_SECONDS)[0] == -signal.SIGKILL
    assert processes._running == set()


def test_stop_ends_a_reader_and_leaves_its_document_for_the_next_start(tmp_path: Path) -> None:
    """The document is not failed because its reader was killed."""
    with Emulator(data_dir=tmp_path, indexing="manual") as emulator, ThreadPoolExecutor(1) as pool:
        team = EmulatedTeam(emulator, "default")
        processes = emulator._running().services.readers.processes
        collection = team.call("POST", "/v1/collections", {"collection_name": "c"})["collection_id"]
        document = f"/v1/collections/{collection}/documents/{team.upload('a.pdf', b'%PDF', 'application/pdf')}"
        team.call("POST", document, {})
        started, real = threading.Event(), processes.run
        ended: Future[tuple[int, bytes]] = Future()  # the thread of the reader may outlive the event loop

        def run(command: object, *arguments: object) -> tuple[int, bytes]:
            started.set()
            ended.set_result(real(SLEEPER, b"", ROOT, PATIENCE_SECONDS))
            return ended.result()

        processes.run = run  # type: ignore[method-assign]
        running = pool.submit(emulator.run_jobs)
        assert started.wait(PATIENCE_SECONDS)
        emulator.stop()
        assert running.exception(PATIENCE_SECONDS) is not None
        assert ended.result(PATIENCE_SECONDS)[0] == -signal.SIGKILL
    assert processes._running == set()
    with Emulator(data_dir=tmp_path, indexing="manual") as emulator:
        team = EmulatedTeam(emulator, "default")
        assert team.call("GET", document)["status"] == "DOCUMENT_STATUS_PROCESSING"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux notifies a process when its parent ends")
def test_reader_ends_when_its_parent_is_killed() -> None:
    """The kernel ends it: a process that is killed cannot."""
    reader = (
        "import os, sys, time; from emulator.search.extraction import process; "
        "process._end_with(int(sys.argv[1])); print(os.getpid(), flush=True); time.sleep(600)"
    )
    parent = "import os, subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1], str(os.getpid())])"
    with subprocess.Popen(
        [sys.executable, "-c", parent, reader], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) != process.pid
        process.kill()
        # The reader holds the other end of the pipe: it is empty when the reader has ended.
        assert process.stdout.read() == b""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux notifies a process when its parent ends")
def test_reader_whose_parent_ended_before_it_asks_ends() -> None:
    """Between its start and the request to the kernel the parent may be gone."""
    code = "from emulator.search.extraction import process; process._end_with(1 << 30); print('still there')"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert os.getppid() != 1 << 30
