"""A team that is slow, busy or at its limits: the others do not notice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from emulator import Emulator
from tests.rest.batch_helpers import Batches, line, request
from tests.rpc.client import Rpc, data, init
from tests.serving import PATIENCE_SECONDS, until

STUCK = 40  # of everything: more than any pool of threads that teams share
SLOW = "slow words"


class Gate:
    """Where those who are slow wait to be let through."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self.waiting = 0

    def __call__(self) -> None:
        self.waiting += 1
        assert self._open.wait(PATIENCE_SECONDS), "the gate was not opened"

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate that is open in the end, whatever happens."""
    gate = Gate()
    yield gate
    gate.open()


class Team:
    """The clients of one team."""

    def __init__(self, emulator: Emulator, name: str) -> None:
        self.name, self.emulator = name, emulator
        keys = {False: f"{emulator.api_key}@{name}", True: f"{emulator.management_key}@{name}"}
        self._http = {
            plane: httpx.Client(
                base_url=emulator.url, headers={"authorization": f"Bearer {key}"}, timeout=PATIENCE_SECONDS
            )
            for plane, key in keys.items()
        }
        self.rpc_key = keys[False]
        collection = self.post("/v1/collections", True, json={"collection_name": "c"}).json()
        self.collection = collection["collection_id"]

    def post(self, path: str, management: bool = False, **body: Any) -> httpx.Response:
        """The answer to a call."""
        return self._http[management].post(path, **body)

    def upload(self, text: str = "words") -> httpx.Response:
        """The answer to an upload."""
        return self.post("/v1/files", files={"file": ("a.txt", text.encode())})

    def add(self, text: str = "words") -> httpx.Response:
        """The answer to a document that is added and indexed."""
        file = self.upload(text).raise_for_status().json()["id"]
        return self.post(f"/v1/collections/{self.collection}/documents/{file}", True, json={})

    def search(self, query: str = "words") -> list[Any]:
        """What is found."""
        wanted = {"query": query, "source": {"collection_ids": [self.collection]}}
        found: list[Any] = self.post("/v1/documents/search", json=wanted).raise_for_status().json()["matches"]
        return found

    def close(self) -> None:
        for client in self._http.values():
            client.close()


def assert_served(team: Team) -> None:
    """A team can do everything, over both transports."""
    team.add().raise_for_status()
    assert team.search()
    batches = Batches(team.emulator, team.name)
    batch = batches.filled(*(request(str(n)) for n in range(20)))
    until(lambda: batches.counters(batch)[2] == 20)
    batches.http.close()
    with Rpc(team.emulator.grpc_target, team.rpc_key) as rpc:
        assert rpc.call("xai_api.Files/UploadFile", [init(), data(b"x")]).id


def test_slow_embedders_and_responders_keep_no_other_team(gate: Gate) -> None:
    """Documents, searches and batches of a team whose embedder and responder hang do not keep those of another."""

    def embed(texts: list[str]) -> list[list[float]]:
        if any(SLOW in text for text in texts):
            gate()
        return [[1.0, 0.5]] * len(texts)

    def respond(request: Any) -> str:
        gate()
        return "late"

    with Emulator(embedder=embed) as emulator, ThreadPoolExecutor(2 * STUCK) as pool:
        slow, other = Team(emulator, "slow"), Team(emulator, "other")
        emulator.configure("slow", responder=respond)
        batches = Batches(emulator, "slow")
        stuck = [batches.filled(request("a"), request("b")) for _ in range(STUCK)]
        calls = [pool.submit(slow.search, SLOW) for _ in range(STUCK)]
        calls.append(pool.submit(slow.add, SLOW))
        try:
            until(lambda: gate.waiting > STUCK)
            assert_served(other)
            assert not any(call.done() for call in calls)
        finally:
            gate.open()
        for call in calls:
            call.result()
        until(lambda: all(batches.counters(batch)[2] == 2 for batch in stuck))
        for team in (slow, other, batches.http):
            team.close()


def test_many_jobs_of_a_team_keep_no_other_team() -> None:
    """A batch of twenty thousand requests is answered in slices, between which another team is served."""
    with Emulator() as emulator:
        busy, other = Batches(emulator, "busy"), Team(emulator, "other")
        batch = busy.from_lines(*(line(str(n)) for n in range(20_000)))
        until(lambda: busy.counters(batch)[0] == 20_000)
        assert_served(other)
        assert busy.counters(batch)[1] > 0, "the other team was served meanwhile"
        busy.cancel(batch)
        other.close()
        busy.http.close()


def test_many_additions_to_a_batch_are_one_job() -> None:
    """However often requests are added to a batch, one job answers them all: under load jobs would pile up else."""
    with Emulator(batches="realistic") as emulator:
        batches = Batches(emulator, "busy")
        batches.configure()
        batches.freeze()
        batch = batches.filled(request("first"))
        for n in range(50):
            batches.add(batch, request(str(n))).raise_for_status()
        planned = batches.http.get("/_emulator/jobs", params={"team": "busy"}).json()["jobs"]
        assert sorted(job["kind"] for job in planned) == ["expire_batch", "process_batch"]
        batches.advance(5)
        assert batches.counters(batch)[2] == 51
        batches.http.close()


LIMITS = {
    "files_per_team_max": 1,
    "total_bytes_per_team_max": 10,
    "file_bytes_max": 1,
    "json_body_bytes_max": 2,
    "page_items_max": 1,
    "multipart_parts_max": 1,
    "search_query_chars_max": 1,
    "batch_request_bytes_max": 1,
}


def test_team_at_its_limits_does_not_affect_other_teams() -> None:
    """A team that has used up what it may have is refused, and another team of the same server is not."""
    with Emulator(profile="strict") as emulator:
        full, other = Team(emulator, "full"), Team(emulator, "other")
        full.upload().raise_for_status()
        emulator.configure("full", limits=LIMITS)
        assert full.upload("x").headers["x-emulator-rule"] == "files_per_team_max"
        refused = [full.post("/v1/batches", json={}) for _ in range(4)]
        assert all(reply.is_error for reply in refused)
        assert_served(other)
        full.close()
        other.close()
