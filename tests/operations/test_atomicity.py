"""An operation is done whole or not at all, wherever the disk fails it."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import httpx
import pytest

from emulator import Emulator
from emulator.state.services import Services
from tests.rest.batch_helpers import line, request
from tests.serving import PATIENCE_SECONDS

TEAMS = itertools.count()
PNG = ("a.png", b"\x89PNG", "image/png")


class Team:
    """A team of its own, with a few things."""

    def __init__(self, emulator: Emulator) -> None:
        self.name, self.control = f"whole-{next(TEAMS)}", f"{emulator.url}/_emulator"
        self.inference, self.management = (
            httpx.Client(
                base_url=f"{emulator.url}/v1",
                headers={"authorization": f"Bearer {key}@{self.name}"},
                timeout=PATIENCE_SECONDS,
            )
            for key in (emulator.api_key, emulator.management_key)
        )
        self.file = self.upload("a.png", PNG)
        self.other = self.upload("b.txt", ("b.txt", b"words"))
        self.lines = self.upload("c.jsonl", ("c.jsonl", line("r").encode() + b"\n"))
        self.pair, self.whole = (
            self.inference.post(
                "/files/batch_upload", json={"files": [{"name": "d", "content_type": "text/plain"}] * 2}
            ).json()
            for _ in range(2)
        )
        for file in self.whole["files"]:
            self.inference.post("/files:uploadChunks", json={"file_id": file["file_id"], "chunk": "d29yZHM="})
        definitions = [{"key": "isbn", "unique": True}]
        made = self.management.post("/collections", json={"collection_name": "c", "field_definitions": definitions})
        self.collection = f"/collections/{made.json()['collection_id']}"
        self.documents = f"{self.collection}/documents"
        self.management.post(f"{self.documents}/{self.file}", json={"fields": {"isbn": "1"}})
        self.growing = self.pair["files"][0]["file_id"]
        self.inference.post("/files:uploadChunks", json={"file_id": self.growing, "chunk": "d29yZHM="})
        self.management.post(f"{self.documents}/{self.growing}", json={})
        self.inference.post(f"/files/{self.file}/public-url", json={})
        self.batch = f"/batches/{self.inference.post('/batches', json={'name': 'b'}).json()['batch_id']}"
        self.inference.post(f"{self.batch}/requests", json={"batch_requests": [request("there")]})

    def upload(self, name: str, file: Any) -> str:
        """The id of a new file."""
        id: str = self.inference.post("/files", files={"file": file}).json()["id"]
        return id

    def going_on(self) -> Team:
        """This team, whose batches end as if they were not cancelled."""
        fault = {"operation": "batches.cancel", "behaviour": "cancel_reverts"}
        httpx.post(f"{self.control}/faults", params={"team": self.name}, json=fault).raise_for_status()
        return self

    def __enter__(self) -> Team:
        return self

    def __exit__(self, *error: object) -> None:
        self.inference.close()
        self.management.close()


def multipart(**parts: Any) -> dict[str, Any]:
    return {"files": {name: (None, part) if isinstance(part, str) else part for name, part in parts.items()}}


CALLS: dict[str, Callable[[Team], httpx.Response]] = {
    "upload": lambda t: t.inference.post("/files", **multipart(expires_after="3600", file=PNG)),
    "initialize a file": lambda t: t.inference.post(
        "/files:initialize", json={"name": "d", "content_type": "text/plain", "expires_after": 3600}
    ),
    "upload chunks": lambda t: t.inference.post(
        "/files:uploadChunks", json={"file_id": t.growing, "chunk": "d29yZHM="}
    ),
    "begin a batch upload": lambda t: t.inference.post(
        "/files/batch_upload", json={"files": [{"name": "d", "content_type": "text/plain"}] * 2}
    ),
    "complete a batch upload": lambda t: t.inference.post(f"/files/batch_upload/{t.whole['batch_job_id']}:complete"),
    "rename": lambda t: t.inference.put(f"/files/{t.file}", json={"filename": "b.pdf", "expires_after": 7200}),
    "delete a file": lambda t: t.inference.delete(f"/files/{t.file}"),
    "publish": lambda t: t.inference.post(f"/files/{t.file}/public-url", json={"expires_after": 3600}),
    "create a collection": lambda t: t.management.post("/collections", json={"collection_name": "d"}),
    "change a collection": lambda t: t.management.put(
        t.collection,
        json={
            "collection_name": "e",
            "field_definition_updates": [
                {"field_definition": {"key": "isbn"}, "operation": "FIELD_DEFINITION_DELETE"},
                {"field_definition": {"key": "year", "inject_into_chunk": True}, "operation": "FIELD_DEFINITION_ADD"},
            ],
        },
    ),
    "delete a collection": lambda t: t.management.delete(t.collection),
    "add a document": lambda t: t.management.post(f"{t.documents}/{t.other}", json={"fields": {"isbn": "2"}}),
    "upload a document": lambda t: t.management.post(
        t.documents,
        **multipart(name="d.txt", content_type="text/plain", fields='{"isbn":"3"}', data=("d.txt", b"text")),
    ),
    "change a document": lambda t: t.management.patch(f"{t.documents}/{t.file}", json={"fields": {"isbn": "4"}}),
    "remove a document": lambda t: t.management.delete(f"{t.documents}/{t.file}"),
    "create a batch": lambda t: t.inference.post("/batches", json={"name": "b", "input_file_id": t.lines}),
    "add requests": lambda t: t.inference.post(
        f"{t.batch}/requests", json={"batch_requests": [request("one"), request("two"), request("there")]}
    ),
    "cancel a batch": lambda t: t.inference.post(f"{t.batch}:cancel", json={}),
    "cancel a running batch": lambda t: t.going_on().inference.post(f"{t.batch}:cancel", json={}),
}


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """Nothing happens behind a call, so whatever changes is due to it."""
    with Emulator(indexing="manual", batches="manual") as running:
        yield running


def kept(services: Services, team: str) -> dict[str, Any]:
    """The rows of a team and all blobs; but not how often ids were drawn.

    Other teams are left out: a cancelled batch of an earlier test may still be running, and ends at any time.
    """
    database = services.store.database
    tables = [name for (name,) in database.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    rows = {
        name: sorted((row for row in database.rows(f"SELECT * FROM {name}") if team in row), key=repr)
        for name in set(tables) - {"teams"}
    }
    return {**rows, "blobs": sorted(path.name for path in services.store.blobs._blobs.iterdir())}


@pytest.mark.parametrize("name", CALLS)
def test_call_with_failing_disk_is_atomic(name: str, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fails the first write, then the second, and so on: what was there is there until all succeed."""
    services = emulator._running().services
    database = services.store.database
    with Team(emulator) as team:
        before = kept(services, team.name)
        for fails_at in itertools.count(1):
            writes = itertools.count(1)

            def failing(run: Callable[..., Any], sql: str, *what: Any, writes: Any = writes, at: int = fails_at) -> Any:
                if "audit_events" in sql:  # is written after the change, and holds up none
                    raise OSError(errno.ENOSPC, "No space left on device")
                if not sql.startswith("SELECT") and "teams" not in sql and next(writes) == at:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return run(sql, *what)

            with monkeypatch.context() as patch:
                for method in ("write", "write_many", "row", "rows"):
                    patch.setattr(database, method, partial(failing, getattr(database, method)))
                reply = CALLS[name](team)
            if reply.is_success and next(writes) <= fails_at:
                assert fails_at > 1, f"{name} writes nothing"
                assert kept(services, team.name) != before
                return
            assert (reply.status_code, reply.headers.get("x-emulator-rule")) == (503, "disk"), reply.text
            assert kept(services, team.name) == before, f"{name}, write {fails_at}"
