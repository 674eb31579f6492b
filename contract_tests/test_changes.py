"""What each operation changes: exactly the members that it is about, of exactly the objects that it is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from . import matchers
from .case import case
from .clients.client import Client, chat_request
from .clients.http import FilePart
from .clients.rest import RestClient
from .observation import Observer, State, check_changes
from .target import Target

pytestmark = [pytest.mark.over_both_protocols, pytest.mark.own_team]
START = "2031-05-06T22:58:07.123456Z"
DAY = 86_400
Changes = Mapping[str, Mapping[str, Any]]  # by object, by member


@dataclass
class Story:
    """Objects that are observed after each step, on a clock that stands still between the steps."""

    rest: RestClient
    target: Target
    observer: Observer
    readers: dict[str, Callable[[], State | None]] = field(default_factory=dict)
    states: dict[str, State | None] = field(default_factory=dict)

    def watch(self, name: str, read: Callable[[], State | None]) -> None:
        """Observe one more object, as it is now."""
        self.readers[name], self.states[name] = read, read()

    def step(self, what: str, call: Callable[[], Any], changes: Changes | None = None, *, seconds: int = 0) -> Any:
        """Advance the clock, call, and check what has changed since the step before."""
        if seconds:
            self.target.control("POST", "/clock/advance", {"seconds": seconds})
        result = call()
        self.target.control("POST", "/jobs/run")
        for name, read in self.readers.items():
            state = read()
            check_changes(self.states[name], state, (changes or {}).get(name, {}), f"{name} after {what}")
            self.states[name] = state
        return result


@pytest.fixture
def story(client: Client, rest: RestClient, target: Target) -> Story:
    """A team of its own whose clock stands still."""
    target.control("POST", "/clock/freeze", {"at": START})
    return Story(rest, target, Observer(rest, client))


def nothing() -> None:
    """Do nothing: only time passes."""


@case(
    "files.changes",
    *("files.upload", "files.get", "files.list", "files.create_public_url", "files.revoke_public_url"),
    *("files.update", "files.delete"),
    evidence="documented",
    source="Files guide, Public URL guide and reference: what each call is about",
    control=True,
)
def test_files(story: Story, rest: RestClient, name: str) -> None:
    """Each call changes the members of a file that it is about, and no other file."""
    first = rest.upload_file(b"PNG", f"{name}a.png", expires_after=10 * DAY).id
    second = rest.upload_file(b"PNG", f"{name}b.png").id
    story.watch("a", lambda: story.observer.file(first))
    story.watch("b", lambda: story.observer.file(second))
    created = story.states["a"]
    assert created is not None
    matchers.check(created, {"created_at": 1935874687, "expires_at": 1935874687 + 10 * DAY, "bytes": 3})
    story.step("an hour", nothing, seconds=3600)
    story.step("reading it", lambda: rest.read_file(first))
    url = story.step(
        "a public URL of b", lambda: rest.create_public_url(second), {"b": {"public_url": "$text"}}, seconds=60
    )
    matchers.check(story.states["b"], {"public_url": url.url})
    story.step(
        "a public URL of a",
        lambda: rest.create_public_url(first, expires_after=DAY),
        {"a": {"public_url": {"$not": url.url}, "public_url_expires_at": 1935874687 + 3660 + DAY}},
    )
    story.step(
        "another name of a",
        lambda: rest.json("PUT", f"/v1/files/{first}", json_body={"filename": f"{name}c.png"}),
        {"a": {"filename": f"{name}c.png"}},
        seconds=60,
    )
    story.step(
        "another expiry of b",
        lambda: rest.json("PUT", f"/v1/files/{second}", json_body={"expires_after": 5 * DAY}),
        {"b": {"expires_at": 1935874687 + 3720 + 5 * DAY}},
    )
    story.step(
        "a revocation for a",
        lambda: rest.revoke_public_url(first),
        {"a": {"public_url": "$absent", "public_url_expires_at": "$absent"}},
    )
    story.step("a deletion of a", lambda: rest.delete_file(first), {"a": {".": "$absent"}})
    story.step("five days", nothing, {"b": {".": "$absent"}}, seconds=5 * DAY)


@case(
    "collections.changes",
    *("collections.create", "collections.get", "collections.list", "collections.update", "collections.delete"),
    *("documents.add", "documents.get", "documents.list", "documents.batch_get", "documents.reindex"),
    *("documents.remove", "files.delete"),
    evidence="documented",
    source="Collections reference: what each call is about",
    control=True,
)
def test_collections(story: Story, rest: RestClient, name: str) -> None:
    """Each call changes the members of a collection and of its documents that it is about, and no others."""
    file = rest.upload_file("The kettle. Der Kessel für Öl.".encode(), f"{name}a.txt").id
    other = rest.upload_file(b"The ferns.", f"{name}b.txt").id
    x = rest.create_collection(f"{name}x", description="about x", fields=[{"key": "author"}, {"key": "year"}]).id
    y = rest.create_collection(f"{name}y").id
    watched: tuple[tuple[str, Callable[[], State | None]], ...] = (
        ("file", lambda: story.observer.file(file)),
        ("other", lambda: story.observer.file(other)),
        ("x", lambda: story.observer.collection(x)),
        ("y", lambda: story.observer.collection(y)),
        ("x/file", lambda: story.observer.document(x, file)),
        ("y/file", lambda: story.observer.document(y, file)),
        ("x/other", lambda: story.observer.document(x, other)),
    )
    for word, read in watched:
        story.watch(word, read)
    added = {
        "file_metadata": {"file_id": file, "created_at": START, "size_bytes": "32", "expires_at": "$null"},
        "fields": {"$is": {"author": "Sappho"}},
        "status": "DOCUMENT_STATUS_PROCESSED",
        "last_indexed_at": {"$after": [START, 60]},
        "chunk_count": 1,
        "chunks_processed_count": "1",
    }
    flat = {"author": "Sappho"}
    document = {f"file_metadata.{key}": each for key, each in added.pop("file_metadata").items()}  # type: ignore[attr-defined]
    added = {**added, **document}
    added.pop("fields")
    one, two = {"documents_count": 1, "total_file_size": "32"}, {"documents_count": 2, "total_file_size": "42"}
    story.step(
        "an addition to x",
        lambda: rest.add_document(x, file, flat),
        {"x": one, "x/file": {".": {**added, "fields.author": "Sappho"}}},
        seconds=60,
    )
    story.step("an addition to y", lambda: rest.add_document(y, file), {"y": one, "y/file": {".": added}})
    story.step(
        "another document in x",
        lambda: rest.add_document(x, other),
        {"x": two, "x/other": {".": {"fields": {"$is": {}}, "file_metadata.file_id": other}}},
        seconds=60,
    )
    again = {"last_indexed_at": {"$after": [START, 180]}}
    story.step("re-indexing in x", lambda: rest.reindex_document(x, file), {"x/file": again}, seconds=60)
    fields = [{"field_definition": {"key": "author"}, "operation": "FIELD_DEFINITION_DELETE"}]
    story.step(
        "another description of x",
        lambda: rest.json("PUT", f"/v1/collections/{x}", json_body={"collection_description": "b"}),
        {"x": {"collection_description": "b"}},
        seconds=60,
    )
    story.step(
        "a field of x less",
        lambda: rest.json("PUT", f"/v1/collections/{x}", json_body={"field_definition_updates": fields}),
        {
            "x": {"field_definitions": [{"key": "year"}]},
            "x/file": {"fields.author": "$absent", "fields": {"$is": {}}},
        },
    )
    story.step(
        "a removal from y",
        lambda: rest.remove_document(y, file),
        {"y": {"documents_count": 0, "total_file_size": "0"}, "y/file": {".": "$absent"}},
    )
    story.step("an addition to y again", lambda: rest.add_document(y, file), {"y": one, "y/file": {".": "$any"}})
    story.step(
        "a deletion of y", lambda: rest.delete_collection(y), {"y": {".": "$absent"}, "y/file": {".": "$absent"}}
    )
    story.step(
        "a deletion of the file",
        lambda: rest.delete_file(file),
        {
            "x": {"documents_count": 1, "total_file_size": "10"},
            "file": {".": "$absent"},
            "x/file": {".": "$absent"},
        },
    )


@case(
    "collections.changes.content",
    *("files.update", "documents.get", "collections.get"),
    evidence="assumed",
    source="files.update has no published contract; a file of two collections is one file",
    control=True,
)
def test_content(story: Story, rest: RestClient, name: str) -> None:
    """New content of a file changes its size, and indexes each of its documents again."""
    file = rest.upload_file(b"The kettle.", f"{name}a.txt").id
    collections = [rest.create_collection(f"{name}{word}").id for word in "xy"]
    for each in collections:
        rest.add_document(each, file)
    story.watch("file", lambda: story.observer.file(file))
    for number, each in enumerate(collections):
        story.watch(f"collection {number}", lambda each=each: story.observer.collection(each))  # type: ignore[misc]
        story.watch(f"document {number}", lambda each=each: story.observer.document(each, file))  # type: ignore[misc]
    document = {"file_metadata.hash": "$blake3", "file_metadata.size_bytes": "10", "last_indexed_at": "$timestamp"}
    story.step(
        "new content",
        lambda: rest.json("PUT", f"/v1/files/{file}", form=[("file", FilePart(f"{name}a.txt", b"The ferns."))]),
        {
            "file": {"bytes": 10},
            **{f"document {number}": document for number in range(2)},
            **{f"collection {number}": {"total_file_size": "10"} for number in range(2)},
        },
        seconds=60,
    )
    renamed = {"file_metadata.name": f"{name}b.txt", "last_indexed_at": {"$after": [START, 120]}}
    story.step(
        "another name",
        lambda: rest.json("PUT", f"/v1/files/{file}", json_body={"filename": f"{name}b.txt"}),
        {"file": {"filename": f"{name}b.txt"}, **{f"document {number}": renamed for number in range(2)}},
        seconds=60,
    )


@case(
    "batches.changes",
    *("batches.create", "batches.add_requests", "batches.get", "batches.list", "batches.cancel"),
    evidence="documented",
    source="Batch guide and reference: what each call is about",
    control=True,
    destructive=True,
)
def test_batches(story: Story, rest: RestClient, target: Target, name: str) -> None:
    """Each call changes the counters and times of a batch that it is about, and no other batch."""
    target.control("PATCH", f"/teams/{target.team}", {"batches": "manual"}, team=None)
    first, second = (rest.create_batch(f"{name}{word}").id for word in "ab")
    story.watch("a", lambda: story.observer.batch(first))
    story.watch("b", lambda: story.observer.batch(second))
    assert story.states["a"] is not None
    matchers.check(
        story.states["a"], {"create_time": "2031-05-06", "expire_time": "2031-06-05", "cancel_time": "$null"}
    )
    bad = {**chat_request("Say c."), "max_tokens": -5}

    def add(batch: str, **requests: Any) -> None:
        entries = [
            {"batch_request_id": id, "batch_request": {"chat_get_completion": body}} for id, body in requests.items()
        ]
        rest.call("POST", f"/v1/batches/{batch}/requests", json_body={"batch_requests": entries})

    say = chat_request("Say a.")
    story.step(
        "three requests for a",
        lambda: add(first, a=say, b=say, c=bad),
        {"a": {"state.num_requests": 3, "state.num_success": 2, "state.num_error": 1}},
        seconds=2 * DAY,
    )
    rows = rest.json("GET", f"/v1/batches/{first}/requests")["batch_request_metadata"]
    states = [(row["batch_request_id"], row["state"], row["create_time"], row["finish_time"]) for row in rows]
    times = ("2031-05-08", "2031-05-08")
    assert states == [("a", "succeeded", *times), ("b", "succeeded", *times), ("c", "failed", *times)]
    story.step("a request for b", lambda: add(second, a=say), {"b": {"state.num_requests": 1, "state.num_success": 1}})
    story.step("a request for b again", lambda: add(second, a=say))
    story.step("cancelling b", lambda: rest.cancel_batch(second), {"b": {"cancel_time": "2031-05-11"}}, seconds=3 * DAY)
    story.step("cancelling b again", lambda: rest.cancel_batch(second), seconds=DAY)
    assert [result.error is None for result in rest.list_batch_results(second).items] == [True]
