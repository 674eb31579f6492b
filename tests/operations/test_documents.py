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
from emulator.state.services import Services
from tests.operations.client import advance, call_of, pieces, planned, refusal, rows, run, uploaded


@pytest.fixture
async def collection(services: Services) -> Collection:
    """A collection with one unique field."""
    asked = CreateCollection("c", field_definitions=[FieldDefinition("isbn", unique=True)])
    made: Collection = await run(services, "collections.create", asked)
    return made


async def add(services: Services, collection: Collection, fields: dict[str, str] | None = None, **file: Any) -> str:
    """The id of a new file that is a document."""
    id = await uploaded(services, **file)
    await run(services, "documents.add", AddDocument(collection.id, id, fields or {}))
    return id


async def get(services: Services, collection: Collection, id: str) -> Document:
    """A document."""
    found: Document = await run(services, "documents.get", DocumentId(collection.id, id))
    return found


async def test_unique_value_is_free_when_its_document_expires(services: Services, collection: Collection) -> None:
    """Although the document is not removed yet."""
    await add(services, collection, {"isbn": "1"}, expires_after=3600)
    other = AddDocument(collection.id, await uploaded(services), {"isbn": "1"})
    advance(services, 3599)
    assert await refusal(run(services, "documents.add", other)) == ("unique", "fields.isbn")
    advance(services, 1)
    await run(services, "documents.add", other)


@pytest.mark.parametrize("profile", PROFILES)
async def test_profile_decides_about_undefined_fields(services: Services, collection: Collection, profile: str) -> None:
    """Accepted, accepted with a warning, or refused; fields that are defined are no question."""
    services.teams.get("default").configure(services.settings, {"profile": profile})
    file = await uploaded(services)
    for fields in ({"isbn": "1"}, {}, {"isbn": "1", "b": "2", "a": "1"}):
        call = call_of(services, "documents.add")
        added = call.operation.run(services, call, AddDocument(collection.id, file, fields))
        undefined = len(fields) == 3
        if profile == "strict" and undefined:
            assert await refusal(added) == ("undefined-field", "fields.b")
        else:
            await added
            warned = ["stored, but not defined by the collection: b, a"] if undefined else []
            assert call.warnings == (warned if profile == "documented" else [])


async def test_upload_to_deleted_collection_is_refused_before_body_is_read(
    services: Services, collection: Collection
) -> None:
    """Before its bytes are read, and again when they have come."""
    read: list[bytes] = []

    async def content() -> Any:
        read.append(b"x")
        yield b"x"
        await run(services, "collections.delete", CollectionId(collection.id))

    def upload() -> Any:
        head = DocumentHead("a.txt", None, {})
        return run(services, "documents.upload", UploadDocument(collection.id, content(), lambda: head))

    assert await refusal(upload()) == ("not_found", None)
    assert len(read) == 1
    assert await refusal(upload()) == ("not_found", None)
    assert len(read) == 1
    assert rows(services, "SELECT 1 FROM files") == []


@pytest.mark.parametrize(
    ("name", "declared", "kind"),
    [("a.txt", None, "text/plain"), ("a", None, "application/octet-stream"), ("a.txt", "text/html", "text/html")],
)
async def test_uploaded_document_gets_type_of_its_name(
    services: Services, collection: Collection, name: str, declared: str | None, kind: str
) -> None:
    """Unless something else is said."""
    head = DocumentHead(name, declared, {})
    made = await run(services, "documents.upload", UploadDocument(collection.id, pieces(b"x"), lambda: head))
    assert made.file.content_type == kind


async def test_document_upload_over_size_limit_is_refused(services: Services, collection: Collection) -> None:
    """By the row of documents, whether they are new or get new bytes."""
    services.teams.set_limits(services.teams.get("default"), {"collection_document_bytes_max": 3})
    head = DocumentHead("a.txt", None, {})
    id = await add(services, collection)
    for content, refused in ((b"123", False), (b"1234", True)):
        calls = [
            run(services, "documents.upload", UploadDocument(collection.id, pieces(content), lambda: head)),
            run(services, "documents.update", UpdateDocument(collection.id, id, data=content)),
        ]
        for call in calls:
            if refused:
                assert await refusal(call) == ("collection_document_bytes_max", "file")
            else:
                await call


async def test_documents_without_name_filter_are_all_listed(services: Services, collection: Collection) -> None:
    """And no filter for none, in its tokens too."""
    for name in ("a.txt", "b.txt", "b.txt"):
        await add(services, collection, name=name)

    async def names(**changes: Any) -> list[str]:
        asked = ListDocuments(collection.id, changes.pop("limit", 10), False, DocumentsSortBy.NAME, **changes)
        page = await run(services, "documents.list", asked)
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
async def test_document_update_is_indexed_once(
    services: Services, collection: Collection, speed: str, changes: dict[str, Any]
) -> None:
    """At the instant speed by the time of the answer; fields that are not named stay."""
    id = await add(services, collection, {"isbn": "1"})
    other = (await run(services, "collections.create", CreateCollection("d"))).id
    await run(services, "documents.add", AddDocument(other, id))
    services.store.database.write("DELETE FROM jobs", ())
    services.teams.get("default").configure(services.settings, {"indexing": speed})
    before = await get(services, collection, id)
    after: Document = await run(services, "documents.update", UpdateDocument(collection.id, id, **changes))
    assert after == await get(services, collection, id)
    assert after.revision > before.revision
    assert (after.status is DocumentStatus.PROCESSED) is (speed == "instant")
    assert after.fields == {"isbn": "1", **changes.get("fields", {})}
    assert after.file.filename == changes.get("name", "a.txt")
    assert after.file.content_type == changes.get("content_type", "text/plain")
    assert after.file.size == len(changes.get("data", b"text"))
    elsewhere = bool({"data", "content_type"} & changes.keys()) or changes.get("name") == "b.txt"
    assert planned(services, "index_document") == (0 if speed == "instant" else 2 if elsewhere else 1)
