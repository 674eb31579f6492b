"""A process that is killed in the middle of a batch: what it acknowledged is there after the next start."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.rest.batch_helpers import COUNTERS, chat_body, line, request
from tests.serving import KEY, PATIENCE_SECONDS, Served, until

LINES = 6_000
ATTEMPTS_MAX = 20


@contextmanager
def served(directory: Path) -> Iterator[tuple[httpx.Client, Served]]:
    """An emulator of its own process on a data directory; it is killed at the end if it lives."""
    with (
        Served("--data-dir", directory) as process,
        httpx.Client(base_url=process.url, headers=KEY, timeout=PATIENCE_SECONDS) as client,
    ):
        yield client, process


def state(client: httpx.Client, id: str) -> dict[str, int]:
    """The counters of a batch; they add up whenever they are read."""
    found: dict[str, int] = client.get(f"/v1/batches/{id}").raise_for_status().json()["state"]
    assert list(found) == list(COUNTERS)
    assert found["num_requests"] == sum(found.values()) - found["num_requests"]
    return found


def results(client: httpx.Client, id: str, *, pages_max: int = LINES) -> dict[str, str]:
    """Every result that can be read, or those of the first pages, as text; none comes twice."""
    found: dict[str, str] = {}
    token = None
    for _ in range(pages_max):
        query = {"limit": 1000} if token is None else {"limit": 1000, "pagination_token": token}
        page = client.get(f"/v1/batches/{id}/results", params=query).raise_for_status().json()
        for row in page["results"]:
            assert row["batch_request_id"] not in found
            found[row["batch_request_id"]] = str(row["batch_result"])
        token = page["pagination_token"]
        if token is None:
            break
    return found


def upload(client: httpx.Client) -> str:
    """A batch from a large file; the file is deleted, so only the batch keeps its bytes."""
    content = "\n".join(line(f"r{n}", body=chat_body(f"line {n}")) for n in range(LINES))
    file = client.post("/v1/files", files={"file": ("a.jsonl", content)}).raise_for_status().json()["id"]
    batch = client.post("/v1/batches", json={"name": "n", "input_file_id": file}).raise_for_status().json()
    client.delete(f"/v1/files/{file}").raise_for_status()
    return str(batch["batch_id"])


@pytest.mark.parametrize("moment", ["while it is read", "while it is answered"])
def test_batch_from_file_continues_after_kill(tmp_path: Path, moment: str) -> None:
    """Every line is answered once, and no result that was read changes.

    On a busy machine the batch may be done before the kill: then that is tried again.
    """
    for attempt in range(ATTEMPTS_MAX):
        directory = tmp_path / str(attempt)
        with served(directory) as (client, process):
            id, before = upload(client), dict[str, str]()
            if moment == "while it is answered":
                until(lambda client=client, id=id: state(client, id)["num_success"])
                before = results(client, id, pages_max=1)
                assert before
            os.kill(process.pid, signal.SIGKILL)
            process.process.wait()
        with served(directory) as (client, _):
            was_done = is_done(client, id)
            until(lambda client=client, id=id: is_done(client, id))
            after = results(client, id)
        assert len(after) == LINES
        assert before.items() <= after.items()
        assert all(f"line {key[1:]}'" in text for key, text in after.items())
        if not was_done:
            return
    raise AssertionError("each time the batch was done before the process was killed")


def is_done(client: httpx.Client, id: str) -> bool:
    """Whether the lines were read, and all of them have succeeded."""
    found = state(client, id)
    assert found["num_success"] + found["num_pending"] == found["num_requests"]
    return found["num_success"] == LINES


def test_acknowledged_calls_are_kept(tmp_path: Path) -> None:
    """Batches, adds and cancels that were answered before the kill; a call that was not answered is there or not."""
    acknowledged: dict[str, list[str]] = {}
    cancelled: list[str] = []
    enough = threading.Event()

    def work(client: httpx.Client) -> None:
        for n in range(10_000):
            id = client.post("/v1/batches", json={"name": str(n)}).json()["batch_id"]
            acknowledged[id] = []
            for m in range(5):
                items = [request(f"{m}-{k}", body=chat_body(f"{m}-{k}")) for k in range(20)]
                client.post(f"/v1/batches/{id}/requests", json={"batch_requests": items}).raise_for_status()
                acknowledged[id] += [item["batch_request_id"] for item in items]
            if n % 3 == 0:
                client.post(f"/v1/batches/{id}:cancel").raise_for_status()
                cancelled.append(id)
            if n == 20:
                enough.set()

    def until_it_dies(client: httpx.Client) -> None:
        with pytest.raises(httpx.TransportError):
            work(client)

    with served(tmp_path) as (client, process):
        thread = threading.Thread(target=until_it_dies, args=(client,))
        thread.start()
        assert enough.wait(PATIENCE_SECONDS)
        os.kill(process.pid, signal.SIGKILL)
        thread.join()
        process.process.wait()
    with served(tmp_path) as (client, _):
        assert len(acknowledged) > 20
        for id, ids in acknowledged.items():
            until(lambda id=id: not state(client, id)["num_pending"])
            assert set(ids) <= set(results(client, id))
            assert (client.get(f"/v1/batches/{id}").json()["cancel_time"] is not None) >= (id in cancelled)
