"""The largest file that a batch may have: how long it takes, what it costs in memory, and who waits for it."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from time import perf_counter, thread_time

import httpx
import pytest

from emulator import Emulator
from tests.rest.batch_helpers import Batches, chat_body, line, request
from tests.rpc.client import Rpc, message
from tests.serving import PATIENCE_SECONDS

LINES, MIB = 50_000, 1024 * 1024
HEADERS = {"authorization": "Bearer xai-emulator"}


@pytest.fixture
def process() -> Iterator[tuple[str, int]]:
    """An emulator of its own process: its address and its number."""
    command = [sys.executable, "-m", "emulator", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
        assert running.stdout is not None
        found = re.search(r"http://\S+", running.stdout.readline())
        assert found is not None
        yield found[0], running.pid
        running.terminate()


def peak(pid: int) -> int:
    """The most memory that a process has had, in bytes."""
    with open(f"/proc/{pid}/status") as status:
        found = re.search(r"VmHWM:\s*(\d+) kB", status.read())
    assert found is not None
    return int(found[1]) * 1024


def busy(pid: int) -> float:
    """How many seconds a process has worked: what else the machine does at the time does not count."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Bystander(threading.Thread):
    """A client that sends small requests all the time, and records how long each takes."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url, self._over = url, threading.Event()
        self.waits: list[float] = []

    def __enter__(self) -> Bystander:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        with httpx.Client(base_url=self._url, headers=HEADERS) as client:
            while not self._over.wait(0.01):
                start = perf_counter()
                client.get("/v1/api-key").raise_for_status()
                self.waits.append(perf_counter() - start)


def longest_step(emulator: Emulator, work: Callable[[], None]) -> float:
    """The most of its own time that the loop of an emulator takes at once for some work, in seconds.

    The least of three times, and without collections that look at what other tests have left: `serve` has no such.
    """
    loop, longest = emulator._running()._loop, list[float]()
    gc.freeze()
    for _ in range(3):
        over = threading.Event()
        longest.append(0.0)

        async def watch(over: threading.Event = over) -> None:
            before = thread_time()
            while not over.is_set():
                await asyncio.sleep(0)
                now = thread_time()
                longest[-1] = max(longest[-1], now - before)
                before = now

        watcher = asyncio.run_coroutine_threadsafe(watch(), loop)
        work()
        over.set()
        watcher.result(PATIENCE_SECONDS)
    gc.unfreeze()
    return min(longest)


@pytest.mark.measure
def test_many_requests_over_rest_let_others_have_their_turn() -> None:
    """Neither a call that adds thousands nor a page of a thousand results takes 50 ms of the loop's time at once."""
    with Emulator() as emulator:
        batches = Batches(emulator)
        with batches.http:
            many = [request(f"r{n:04}") for n in range(5000)]

            def work() -> None:
                id = batches.filled(request("first"))
                batches.add(id, *many).raise_for_status()
                emulator.advance(1)
                assert len(batches.results(id, limit=1000)) == 5001

            assert longest_step(emulator, work) < 0.05


@pytest.mark.measure
def test_many_requests_over_grpc_let_others_have_their_turn() -> None:
    """As over REST."""
    chat = message("xai_api.GetCompletionsRequest", model="m", messages=[message("xai_api.Message", role=1)])
    many = [message("xai_api.BatchRequest", batch_request_id=f"r{n:04}", completion_request=chat) for n in range(5000)]
    service = "xai_api.BatchMgmt"
    with Emulator() as emulator, Rpc(emulator.grpc_target, emulator.api_key) as rpc:

        def work() -> None:
            id = rpc.call(f"{service}/CreateBatch", message("xai_api.CreateBatchRequest", name="b")).batch_id
            adding = message("xai_api.AddBatchRequestsRequest", batch_id=id, batch_requests=many)
            rpc.call(f"{service}/AddBatchRequests", adding)
            emulator.advance(1)
            listing = message("xai_api.ListBatchResultsRequest", batch_id=id, limit=1000)
            assert len(rpc.call(f"{service}/ListBatchResults", listing).results) == 1000

        assert longest_step(emulator, work) < 0.05


@pytest.mark.measure
@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="memory and time are read from /proc")
def test_fifty_thousand_lines(process: tuple[str, int]) -> None:
    """Twenty seconds of work at most, less than 100 MiB more memory, and a small call takes milliseconds meanwhile."""
    url, pid = process
    content = "\n".join(line(f"r{n:05}", body=chat_body(f"Classify: {n} {'x' * 100}")) for n in range(LINES))
    with httpx.Client(base_url=url, headers=HEADERS, timeout=PATIENCE_SECONDS) as client:
        file = client.post("/v1/files", files={"file": ("a.jsonl", content)}).raise_for_status().json()["id"]
        memory, work = peak(pid), busy(pid)
        id = client.post("/v1/batches", json={"name": "n", "input_file_id": file}).json()["batch_id"]
        state = {"num_requests": 0, "num_pending": 0}
        with Bystander(url) as bystander:
            while not state["num_requests"] or state["num_pending"]:
                state = client.get(f"/v1/batches/{id}").json()["state"]
                assert state["num_requests"] in (0, LINES), "the lines count all at once"
                threading.Event().wait(0.02)  # to look without a pause would be a load of its own
                assert busy(pid) - work < 20, f"after twenty seconds of work the counters were {state}"
        assert state["num_success"] == LINES
        assert peak(pid) - memory < 100 * MIB
        assert statistics.median(bystander.waits) < 0.05
        page = client.get(f"/v1/batches/{id}/results?limit=1000").json()
        assert [row["batch_request_id"] for row in page["results"]] == [f"r{n:05}" for n in range(1000)]
