"""Documents, call by call: what they must have, what a change of one begins, and when it is done."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.core.profiles import PROFILES
from emulator.domain.collections import Collection, FieldDefinition
from emulator.domain.documents import Document, DocumentsSortBy, DocumentStatus
from emulator.operations.collections import CollectionId, CreateCollection
from emulator.operations.documents import (
    AddDocument,
    DocumentHead,
    DocumentId,
    ListDocuments,
    UpdateDocument,
    UploadDocument,
)
from emulator.state.world import World
from tests.operations.client import advance, call_of, pieces, planned, refusal, rows, run, uploaded


@pytest.fixture
async def collection(world: World) -> Collection:
    """A collection with one unique field."""
    asked = CreateCollection("c", field_definitions=[FieldDefinition("isbn", unique=True)])
    made: Collection = await run(world, "collections.create", asked)
    return made


async def add(world: World, collection: Collection, fields: dict[str, str] | None = None, **file: Any) -> str:
    """The id of a new file that is a document."""
    id = await uploaded(world, **file)
    await run(world, "documents.add", AddDocument(collection.id, id, fields or {}))
    return id


async def get(world: World, collection: Collection, id: str) -> Document:
    """A document."""
    found: Document = await run(world, "documents.get", DocumentId(collection.id, id))
    return found


async def test_a_value_is_free_the_moment_its_document_expires(world: World, collection: Collection) -> None:
    """Although the document is not removed yet."""
    await add(world, collection, {"isbn": "1"}, expires_after=3600)
    other = AddDocument(collection.id, await uploaded(world), {"isbn": "1"})
    advance(world, 3599)
    assert await refusal(run(world, "documents.add", other)) == ("unique", "fields.isbn")
    advance(world, 1)
    await run(world, "documents.add", other)


@pytest.mark.parametrize("profile", PROFILES)
async def test_the_profile_decides_about_fields_that_nobody_defined(
    world: World, collection: Collection, profile: str
) -> None:
    """Accepted, accepted with a warning, or refused; fields that are defined are no question."""
    world.teams.get("default").configure(world.settings, {"profile": profile})
    file = await uploaded(world)
    for fields in ({"isbn": "1"}, {}, {"isbn": "1", "b": "2", "a": "1"}):
        call = call_of(world, "documents.add")
        added = call.operation.run(world, call, AddDocument(collection.id, file, fields))
        undefined = len(fields) == 3
        if profile == "strict" and undefined:
            assert await refusal(added) == ("undefined-field", "fields.b")
        else:
            await added
            warned = ["stored, but not defined by the collection: b, a"] if undefined else []
            assert call.warnings == (warned if profile == "documented" else [])


async def test_an_upload_to_a_collection_that_is_gone_is_refused_at_once(world: World, collection: Collection) -> None:
    """Before its bytes are read, and again when they have come."""
    read: list[bytes] = []

    async def content() -> Any:
        read.append(b"x")
        yield b"x"
        await run(world, "collections.delete", CollectionId(collection.id))

    def upload() -> Any:
        head = DocumentHead("a.txt", None, {})
        return run(world, "documents.upload", UploadDocument(collection.id, content(), lambda: head))

    assert await refusal(upload()) == ("not_found", None)
    assert len(read) == 1
    assert await refusal(upload()) == ("not_found", None)
    assert len(read) == 1
    assert rows(world, "SELECT 1 FROM files") == []


@pytest.mark.parametrize(
    ("name", "declared", "kind"),
    [("a.txt", None, "text/plain"), ("a", None, "application/octet-stream"), ("a.txt", "text/html", "text/html")],
)
async def test_an_uploaded_document_is_what_its_name_says(
    world: World, collection: Collection, name: str, declared: str | None, kind: str
) -> None:
    """Unless something else is said."""
    head = DocumentHead(name, declared, {})
    made = await run(world, "documents.upload", UploadDocument(collection.id, pieces(b"x"), lambda: head))
    assert made.file.content_type == kind


async def test_an_upload_ends_where_it_is_too_large(world: World, collection: Collection) -> None:
    """By the row of documents, whether they are new or get new bytes."""
    world.teams.set_limits(world.teams.get("default"), {"collection_document_bytes_max": 3})
    head = DocumentHead("a.txt", None, {})
    id = await add(world, collection)
    for content, refused in ((b"123", False), (b"1234", True)):
        calls = [
            run(world, "documents.upload", UploadDocument(collection.id, pieces(content), lambda: head)),
            run(world, "documents.update", UpdateDocument(collection.id, id, data=content)),
        ]
        for call in calls:
            if refused:
                assert await refusal(call) == ("collection_document_bytes_max", "file")
            else:
                await call


async def test_a_list_of_documents_takes_no_name_for_every_name(world: World, collection: Collection) -> None:
    """And no filter for none, in its tokens too."""
    for name in ("a.txt", "b.txt", "b.txt"):
        await add(world, collection, name=name)

    async def names(**changes: Any) -> list[str]:
        asked = ListDocuments(collection.id, changes.pop("limit", 10), False, DocumentsSortBy.NAME, **changes)
        page = await run(world, "documents.list", asked)
        tokens.append(page.next_token)
        return [document.file.filename for document in page.items]

    tokens: list[str] = []
    assert await names() == await names(name="", filter="") == ["a.txt", "b.txt", "b.txt"]
    assert await names(name="b.txt") == ["b.txt", "b.txt"]
    assert await names(limit=1) == ["a.txt"]
    for filter in (None, ""):
        assert await names(pagination_token=tokens[3], filter=filter) == ["b.txt", "b.txt"]
    for changes in ({"name": "b.txt"}, {"filter": 'name = "b"'}):
        refused = await refusal(names(pagination_token=tokens[3], **changes))
        assert refused == ("pagination_token", "pagination_token")


# --- changes


@pytest.mark.parametrize(
    "changes",
    [
        {"fields": {"isbn": "2"}},
        {"name": "b.txt"},
        {"name": "a.txt"},
        {"content_type": "text/html"},
        {"data": b"new"},
        {"data": b"new", "name": "b.html", "content_type": "text/plain", "fields": {"isbn": "2"}},
    ],
    ids=lambda changes: "+".join(changes),
)
@pytest.mark.parametrize("speed", ["manual", "instant"])
async def test_a_change_is_made_and_indexed_once(
    world: World, collection: Collection, speed: str, changes: dict[str, Any]
) -> None:
    """At the instant speed by the time of the answer; fields that are not named stay."""
    id = await add(world, collection, {"isbn": "1"})
    other = (await run(world, "collections.create", CreateCollection("d"))).id
    await run(world, "documents.add", AddDocument(other, id))
    world.store.database.write("DELETE FROM jobs", ())
    world.teams.get("default").configure(world.settings, {"indexing": speed})
    before = await get(world, collection, id)
    after: Document = await run(world, "documents.update", UpdateDocument(collection.id, id, **changes))
    assert after == await get(world, collection, id)
    assert after.revision > before.revision
    assert (after.status is DocumentStatus.PROCESSED) is (speed == "instant")
    assert after.fields == {"isbn": "1", **changes.get("fields", {})}
    assert after.file.filename == changes.get("name", "a.txt")
    assert after.file.content_type == changes.get("content_type", "text/plain")
    assert after.file.size == len(changes.get("data", b"text"))
    elsewhere = bool({"data", "content_type"} & changes.keys()) or changes.get("name") == "b.txt"
    assert planned(world, "index_document") == (0 if speed == "instant" else 2 if elsewhere else 1)
