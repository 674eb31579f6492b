"""Batches of the largest size: a file of 50,000 lines up to its last result, and 10,000 requests in one call."""

from __future__ import annotations

import json
import statistics
import time
import urllib.request
from functools import partial
from typing import Any

from benchmarks.interference import Waits
from benchmarks.search import post
from benchmarks.servers import AUTH, Process, running, upload, use_load_cpu
from benchmarks.table import ROUNDS, Figure

LINES = 50_000  # as many as a file may have (Batch guide)
ADDED = 10_000


def body(number: int) -> dict[str, Any]:
    """A chat request of an ordinary length."""
    return {"model": "grok-4", "messages": [{"role": "user", "content": f"Classify: {number} {'x' * 100}"}]}


def from_file(server: Process) -> float:
    """The seconds that it takes to upload a batch file, to make a batch from it and to see every request finished."""
    line = {"method": "POST", "url": "/v1/chat/completions"}
    lines = (json.dumps({**line, "custom_id": f"r{number:05}", "body": body(number)}) for number in range(LINES))
    content, started = "\n".join(lines).encode(), time.perf_counter()
    file = upload(server.url, "a.jsonl", content)
    finish(server, post(f"{server.url}/v1/batches", {"name": "a", "input_file_id": file})["batch_id"], LINES)
    return time.perf_counter() - started


def in_one_call(server: Process) -> None:
    """Add many requests with one call and wait until every one has its result."""
    requests = [
        {"batch_request_id": f"r{number:05}", "batch_request": {"chat_get_completion": body(number)}}
        for number in range(ADDED)
    ]
    batch = post(f"{server.url}/v1/batches", {"name": "a"})["batch_id"]
    post(f"{server.url}/v1/batches/{batch}/requests", {"batch_requests": requests})
    finish(server, batch, ADDED)


def finish(server: Process, batch: str, count: int) -> None:
    """Look at the counters of a batch until all is done."""
    state = {"num_success": 0}
    while state["num_success"] < count:
        time.sleep(0.02)
        with urllib.request.urlopen(urllib.request.Request(f"{server.url}/v1/batches/{batch}", headers=AUTH)) as reply:
            state = json.load(reply)["state"]
        if state["num_error"]:
            raise RuntimeError(f"of {count} requests {state['num_error']} failed")


def measure() -> list[Figure]:
    """Every figure."""
    use_load_cpu()
    with running("emulator", "--responder", "echo") as server:
        waits, memory, busy = Waits(server), server.peak_bytes(), server.busy_seconds()
        times = [waits.during(partial(from_file, server))]
        grown, note = server.peak_bytes() - memory, f"{server.busy_seconds() - busy:.1f} s of processor time"
        times += [waits.during(partial(from_file, server)) for _ in range(ROUNDS - 1)]
        job = f"JSONL batch of {LINES:,} lines"
        return [
            Figure(f"{job}, from upload to last result", statistics.median(times), "s", 20, note=note),
            Figure(f"{job}, growth of the process", grown / 2**20, "MiB", 100),
            waits.figure("that batch"),
        ]


def beside_addition() -> list[Figure]:
    """How long a health check takes beside a call that adds many requests, all of them or none."""
    use_load_cpu()
    with running("emulator", "--responder", "echo") as server:
        waits = Waits(server)
        for _ in range(ROUNDS):
            waits.during(partial(in_one_call, server))
        return [waits.figure(f"{ADDED:,} requests added in one call", goal=30)]
