"""Killed at any moment: what was acknowledged is there after the next start, and nothing that is half-written.

`make soak` runs the same with 200 kills: XAI_KILLS says how many. A run is decided by its seed, but for the moments.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import shutil
import threading
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from emulator.core import time_slices
from emulator.domain.batches.batch import NewRequest, RequestKind
from emulator.operations.batches import additions
from emulator.operations.batches.lifecycle import CreateBatch
from emulator.operations.batches.requests import AddRequests
from emulator.runtime.app import build_services
from emulator.state.settings import Settings
from emulator.store import Store
from tests.operations.client import run, stepwise
from tests.rest.batch_helpers import chat_body, request
from tests.rpc.client import Rpc, data, init
from tests.serving import KEY, PATIENCE_SECONDS, Served, until

KILLS = int(os.environ.get("XAI_KILLS", "8"))
SEED = int(os.environ.get("XAI_KILLS_SEED", "1"))
MANAGEMENT = {"authorization": "Bearer xai-token-emulator"}
PIECE_BYTES = 20_000
LIVES_BETWEEN_CHECKS = 1 if KILLS < 20 else 20  # a check takes longer after each restart


def content(name: str) -> bytes:
    """The bytes of a file, derived from its name: up to 500 kB."""
    digest = hashlib.sha256(name.encode())
    words = f"{digest.hexdigest()} ".encode()
    return words * (5 if name.endswith(".txt") else digest.digest()[0] * 30) + name.encode()


class Record:
    """What was asked for and what was acknowledged, over all lives of the server."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.files: dict[str, str] = {}  # the name by id
        self.deleting: set[str] = set()  # asked for; gone for sure once they are in `deleted`
        self.deleted: set[str] = set()
        self.asked: set[str] = set()  # the names of all uploads that were begun
        self.grown: dict[str, int] = {}  # bytes of files that are uploaded in chunks, by name; others come whole
        self.documents: set[str] = set()  # ids of files that were added to the collection
        self.batches: dict[str, set[str]] = {}  # the ids of requests that were added
        self.asked_requests: dict[str, set[str]] = {}


class Load:
    """Clients that do one thing after the other until the server is gone; errors of the connection end them."""

    def __init__(self, served: Served, record: Record, life: int, collection: str) -> None:
        self._url, self._target = served.url, f"localhost:{served.port}"
        self._record, self._life, self._collection = record, life, collection
        self.done = threading.Semaphore(0)  # released for every acknowledgement
        works: tuple[Callable[[], None], ...] = (
            *(self._by_rest, self._by_rpc, self._in_chunks, self._documents, self._batches),
        )
        self.threads = [threading.Thread(target=self._until_killed, args=(work,)) for work in works]
        self.failures: list[BaseException] = []

    def _until_killed(self, work: Callable[[], None]) -> None:
        try:
            work()
        except httpx.TransportError:
            pass
        except grpc.RpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                self.failures.append(error)
        except BaseException as error:
            self.failures.append(error)

    def _http(self) -> httpx.Client:
        return httpx.Client(base_url=self._url, headers=KEY, timeout=PATIENCE_SECONDS)

    def _upload(self, http: httpx.Client, name: str) -> str:
        with self._record.lock:
            self._record.asked.add(name)
        id = str(http.post("/v1/files", files={"file": (name, content(name))}).raise_for_status().json()["id"])
        self._acknowledged(id, name)
        return id

    def _acknowledged(self, id: str, name: str) -> None:
        with self._record.lock:
            self._record.files[id] = name
        self.done.release()

    def _by_rest(self) -> None:
        with self._http() as http:
            for n in range(100_000):
                id = self._upload(http, f"rest-{self._life}-{n}.bin")
                if n % 5 == 4:
                    with self._record.lock:
                        self._record.deleting.add(id)
                    http.delete(f"/v1/files/{id}").raise_for_status()
                    with self._record.lock:
                        self._record.deleted.add(id)

    def _by_rpc(self) -> None:
        with Rpc(self._target, "xai-emulator") as rpc:
            for n in range(100_000):
                name = f"grpc-{self._life}-{n}.bin"
                with self._record.lock:
                    self._record.asked.add(name)
                whole = content(name)
                pieces = [data(whole[start : start + PIECE_BYTES]) for start in range(0, len(whole), PIECE_BYTES)]
                self._acknowledged(rpc.call("xai_api.Files/UploadFile", [init(name), *pieces]).id, name)

    def _in_chunks(self) -> None:
        with self._http() as http:
            for n in range(100_000):
                name = f"chunks-{self._life}-{n}.bin"
                with self._record.lock:
                    self._record.asked.add(name)
                    self._record.grown[name] = 0
                new = {"name": name, "content_type": "application/octet-stream"}
                id = http.post("/v1/files:initialize", json=new).raise_for_status().json()["file_id"]
                self._acknowledged(id, name)
                whole = content(name)
                for start in range(0, len(whole), PIECE_BYTES):
                    piece = whole[start : start + PIECE_BYTES]
                    body = {"file_id": id, "chunk": b64encode(piece).decode()}
                    http.post("/v1/files:uploadChunks", json=body).raise_for_status()
                    with self._record.lock:
                        self._record.grown[name] += len(piece)
                    self.done.release()

    def _documents(self) -> None:
        with self._http() as http:
            for n in range(100_000):
                id = self._upload(http, f"document-{self._life}-{n}.txt")
                path = f"/v1/collections/{self._collection}/documents/{id}"
                http.post(path, json={}, headers=MANAGEMENT).raise_for_status()
                with self._record.lock:
                    self._record.documents.add(id)
                self.done.release()

    def _batches(self) -> None:
        with self._http() as http:
            for n in range(100_000):
                id = http.post("/v1/batches", json={"name": str(n)}).raise_for_status().json()["batch_id"]
                with self._record.lock:
                    self._record.batches[id], self._record.asked_requests[id] = set(), set()
                for m in range(3):
                    items = [request(f"{m}-{k}", body=chat_body(f"{id} {m}-{k}")) for k in range(20)]
                    added = {item["batch_request_id"] for item in items}
                    with self._record.lock:
                        self._record.asked_requests[id] |= added
                    http.post(f"/v1/batches/{id}/requests", json={"batch_requests": items}).raise_for_status()
                    with self._record.lock:
                        self._record.batches[id] |= added
                    self.done.release()


def every(http: httpx.Client, path: str, key: str, **headers: str) -> list[dict[str, Any]]:
    """Every item of a list, over all of its pages."""
    found: list[dict[str, Any]] = []
    token = None
    while True:
        query = {"limit": 100} if token is None else {"limit": 100, "pagination_token": token}
        page = http.get(path, params=query, headers=headers).raise_for_status().json()
        found += page[key]
        token = page.get("pagination_token")
        if token is None:
            return found


def check(served: Served, record: Record, collection: str, directory: Path) -> None:
    """Hold the server against the record."""
    with httpx.Client(base_url=served.url, headers=KEY, timeout=PATIENCE_SECONDS) as http:
        files = {file["id"]: file for file in every(http, "/v1/files", "data")}
        assert record.files.keys() - record.deleting <= files.keys(), "an acknowledged file is lost"
        assert not record.deleted & files.keys(), "a deleted file is back"
        for id, file in files.items():
            name = file["filename"]
            assert name in record.asked
            assert record.files.get(id, name) == name
            found = http.get(f"/v1/files/{id}/content").content
            assert found == content(name)[: len(found)], "a file is not what was sent"
            assert len(found) >= record.grown.get(name, len(content(name))), "acknowledged bytes are lost"
            assert len(found) == file["bytes"]
        assert len(list((directory / "blobs").iterdir())) == len(files), "something half-written is left"
        path = f"/v1/collections/{collection}/documents"

        def documents() -> list[dict[str, Any]]:
            return every(http, path, "documents", **MANAGEMENT)

        until(lambda: all(each["status"] == "DOCUMENT_STATUS_PROCESSED" for each in documents()))
        assert record.documents <= {each["file_metadata"]["file_id"] for each in documents()}
        for id, added in record.batches.items():
            until(lambda id=id: http.get(f"/v1/batches/{id}").json()["state"]["num_pending"] == 0)  # type: ignore[misc]
            results = every(http, f"/v1/batches/{id}/results", "results")
            answers = {each["batch_request_id"]: json.dumps(each) for each in results}
            assert len(answers) == len(results), "a request is answered twice"
            assert added <= answers.keys() <= record.asked_requests[id]
            assert all(f"{id} {key}" in answer for key, answer in answers.items())


def test_acknowledged_writes_survive_kill(tmp_path: Path) -> None:
    """SIGKILL at any moment, under uploads over both transports, deletions, documents and batches, again and again.

    After the next start every acknowledged thing is there byte for byte, nothing half-written can be seen or is left,
    deleted files stay deleted, documents get indexed, and batches are answered, each request once.
    """
    chance, record = random.Random(SEED), Record()
    with Served("--data-dir", tmp_path) as served:
        body = {"collection_name": "c"}
        created = httpx.post(f"{served.url}/v1/collections", json=body, headers=MANAGEMENT)
        collection = created.raise_for_status().json()["collection_id"]
    for life in range(KILLS):
        with Served("--data-dir", tmp_path) as served:
            if life % LIVES_BETWEEN_CHECKS == 0:
                check(served, record, collection, tmp_path)
            load = Load(served, record, life, collection)
            for thread in load.threads:
                thread.start()
            for _ in range(chance.randrange(1, 50)):
                assert load.done.acquire(timeout=PATIENCE_SECONDS)
            threading.Event().wait(chance.random() * 0.02)  # so that not every kill comes after an answer
            served.process.kill()
            for thread in load.threads:
                thread.join(PATIENCE_SECONDS)
                assert not thread.is_alive()
            assert load.failures == []
        assert "Traceback" not in "".join(served.said)
    with Served("--data-dir", tmp_path) as served:
        check(served, record, collection, tmp_path)
    assert record.files
    assert record.documents
    assert any(record.batches.values())


def test_kill_between_two_steps_of_an_addition_leaves_all_or_no_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Adding 10,000 requests to a batch takes several transactions, and is all or nothing even so.

    Killed between any two of them, the emulator has none of the requests at the next start; once the call is
    acknowledged, all.
    """
    monkeypatch.setattr(additions, "STEP_ROWS", 2)
    monkeypatch.setattr(time_slices, "processor_seconds", lambda: 0.0)
    services = build_services(Settings(data_dir=tmp_path / "killed", batches="manual"))
    body = {"messages": [{"role": "user", "content": "hi"}]}
    ids = [f"r{number}" for number in range(5)]

    def after_kill() -> tuple[list[str], int]:
        """The requests, and how many the batch counts, where a process starts with what is on the disk now."""
        copy = tmp_path / f"copy-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(tmp_path / "killed", copy)
        store = Store(copy)
        try:
            rows = store.database.rows("SELECT id FROM batch_requests ORDER BY id")
            assert store.database.count("batch_additions") == 0
            return [id for (id,) in rows], store.database.rows("SELECT num_requests FROM batches")[0][0]
        finally:
            store.close()

    async def add() -> list[tuple[list[str], int]]:
        batch = (await run(services, "batches.create", CreateBatch("b"))).id
        new = [NewRequest(id, RequestKind.CHAT, body) for id in ids]
        call = run(services, "batches.add_requests", AddRequests(batch, new))
        kills = list[tuple[list[str], int]]()
        stepwise(call, lambda step: kills.append(after_kill()))
        return [*kills, after_kill()]

    try:
        assert asyncio.run(add()) == [([], 0)] * 3 + [(ids, 5)]
    finally:
        services.readers.close()
        services.store.close()
