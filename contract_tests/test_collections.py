"""The Collections API with every client library that has it."""

from __future__ import annotations

import pytest

from . import matchers
from .case import case
from .clients.client import Client
from .clients.models import ApiError, Document
from .target import Target

TEXT = b"The lighthouse keeper waters the ferns on Monday."
REFERENCE = "Collections reference and guides; xai-sdk: client.collections"


def indexed(client: Client, target: Target, collection: str, file: str) -> Document:
    """The document, once it is indexed."""

    def ask() -> str:
        return client.get_document(collection, file).status

    matchers.wait_until(ask, "PROCESSED", within_seconds=target.wait_seconds_max, what=f"the status of {file}")
    return client.get_document(collection, file)


@case(
    "collections.round-trip",
    *("collections.create", "collections.get", "collections.update", "collections.delete"),
    evidence="documented",
    source=REFERENCE,
)
def test_round_trip(client: Client, name: str) -> None:
    """A collection is made, shown, renamed and deleted."""
    made = client.create_collection(f"{name}notes")
    matchers.check(vars(made), {"id": "$collection_id", "name": f"{name}notes", "documents": 0})
    assert client.get_collection(made.id) == made
    assert client.rename_collection(made.id, f"{name}papers").name == f"{name}papers"
    client.delete_collection(made.id)
    with pytest.raises(ApiError) as gone:
        client.get_collection(made.id)
    assert gone.value.kind == "not_found"


@case("collections.described", "collections.create", "collections.describe", evidence="documented", source=REFERENCE)
def test_described(client: Client, name: str) -> None:
    """A description is kept; one that the server is to write is empty as long as there is nothing to describe."""
    made = client.create_collection(f"{name}notes", description="about ferns")
    assert client.get_collection(made.id).description == "about ferns"
    assert client.describe_collection(made.id) == ""


@case(
    "collections.described.documents",
    *("collections.describe", "documents.add"),
    evidence="documented",
    source="collections.proto: GenerateCollectionDescription, empty where no file is processed",
)
def test_described_documents(client: Client, target: Target, name: str) -> None:
    """The description that the server writes is not empty once a document is processed."""
    collection = client.create_collection(f"{name}notes").id
    file = client.upload_file(TEXT, f"{name}a.txt").id
    client.add_document(collection, file)
    indexed(client, target, collection, file)
    assert client.describe_collection(collection) != ""


@case(
    "collections.seen-by-others",
    *("collections.create", "documents.add", "documents.get"),
    evidence="documented",
    source="Collections guide: REST and gRPC share the same collections",
)
def test_seen_by_others(client: Client, others: list[Client], target: Target, name: str) -> None:
    """A collection and its documents are the same for every client, whichever made them."""
    made = client.create_collection(f"{name}notes", fields=[{"key": "author"}])
    file = client.upload_file(TEXT, f"{name}a.txt")
    client.add_document(made.id, file.id, {"author": "Sappho"})
    document = indexed(client, target, made.id, file.id)
    for other in others:
        if other.name in ("httpx", "fetch", "xai-sdk", "xai-sdk-async"):
            assert other.get_document(made.id, file.id) == document, other.name
            assert other.get_collection(made.id).documents == 1, other.name


@case(
    "collections.listed",
    *("collections.list", "collections.get"),
    evidence="documented",
    source=REFERENCE,
)
def test_listed(client: Client, name: str) -> None:
    """A list shows a collection as the collection itself is shown, with every client."""
    fields = [{"key": "author"}, {"key": "year"}]
    made = client.create_collection(f"{name}notes", description="about ferns", fields=fields)
    assert client.list_collections(filter=f'collection_name:"{name}"').items == [made]
    assert client.get_collection(made.id) == made


@case("collections.pages", "collections.list", evidence="documented", source=REFERENCE)
def test_pages(client: Client, name: str) -> None:
    """Pages follow each other by name, the last one first, without gaps or repetitions."""
    made = [client.create_collection(f"{name}{number}").id for number in range(5)]
    seen: list[str] = []
    token = None
    for size in (2, 2, 1):
        page = client.list_collections(limit=2, token=token, filter=f'collection_name:"{name}"')
        assert len(page.items) == size
        seen += [collection.id for collection in page.items]
        token = page.token
    assert seen == made[::-1]
    assert token is None


@case(
    "collections.documents.round-trip",
    *("documents.add", "documents.get", "documents.list", "documents.remove"),
    evidence="documented",
    source=REFERENCE,
)
def test_documents(client: Client, target: Target, name: str) -> None:
    """A file is added with fields, indexed, listed, and removed again."""
    collection = client.create_collection(f"{name}notes", fields=[{"key": "author"}])
    file = client.upload_file(TEXT, f"{name}a.txt")
    client.add_document(collection.id, file.id, {"author": "Sappho"})
    document = indexed(client, target, collection.id, file.id)
    matchers.check(
        vars(document),
        {"file_id": file.id, "name": file.name, "size": len(TEXT), "fields": {"author": "Sappho"}, "hash": "$blake3"},
    )
    assert client.list_documents(collection.id).items == [document]
    client.remove_document(collection.id, file.id)
    assert client.list_documents(collection.id).items == []
    assert client.get_file(file.id) == file


@case("collections.documents.upload-with-clients", "documents.get", evidence="documented", source=REFERENCE)
def test_upload_document(client: Client, target: Target, name: str) -> None:
    """Bytes become a document of a collection in one call of the client."""
    collection = client.create_collection(f"{name}notes")
    made = client.upload_document(collection.id, f"{name}a.txt", TEXT)
    assert indexed(client, target, collection.id, made.file_id).size == len(TEXT)


@case("collections.documents.batch-get-with-clients", "documents.batch_get", evidence="documented", source=REFERENCE)
def test_batch_get(client: Client, name: str) -> None:
    """Several documents come in the order in which they were asked for."""
    collection = client.create_collection(f"{name}notes")
    files = [client.upload_file(TEXT, f"{name}{number}.txt").id for number in range(3)]
    for file in files:
        client.add_document(collection.id, file)
    wanted = [files[2], files[0]]
    assert [document.file_id for document in client.batch_get_documents(collection.id, wanted)] == wanted


@case("collections.documents.update", "documents.update", evidence="documented", source="collections.proto; xai-sdk")
def test_update_document(client: Client, target: Target, name: str) -> None:
    """New content changes the file behind a document: its size, its hash, its bytes."""
    collection = client.create_collection(f"{name}notes", fields=[{"key": "author"}])
    file = client.upload_file(TEXT, f"{name}a.txt")
    client.add_document(collection.id, file.id, {"author": "Sappho"})
    before = indexed(client, target, collection.id, file.id)
    client.update_document(collection.id, file.id, content=b"All new.", fields={"author": "Alkaios"})
    after = indexed(client, target, collection.id, file.id)
    assert (after.size, after.fields) == (8, {"author": "Alkaios"})
    assert after.hash != before.hash
    assert client.read_file(file.id) == b"All new."


@case("collections.documents.reindex-with-clients", "documents.reindex", evidence="documented", source=REFERENCE)
def test_reindex(client: Client, target: Target, name: str) -> None:
    """A document is indexed again when it is asked for."""
    collection = client.create_collection(f"{name}notes")
    file = client.upload_file(TEXT, f"{name}a.txt")
    client.add_document(collection.id, file.id)
    client.reindex_document(collection.id, file.id)
    assert indexed(client, target, collection.id, file.id).name == file.name


@case(
    "collections.documents.unique-with-clients",
    *("documents.add",),
    evidence="documented",
    source="Metadata guide: unique; the code is not recorded",
    refusal="unique field",
)
def test_unique(client: Client, name: str) -> None:
    """A second document with the value of a unique field is refused, and only there."""
    fields = [{"key": "isbn", "unique": True}]
    here, there = (client.create_collection(f"{name}{word}", fields=fields).id for word in ("here", "there"))
    first, second = (client.upload_file(TEXT, f"{name}{number}.txt").id for number in range(2))
    client.add_document(here, first, {"isbn": "1"})
    client.add_document(there, second, {"isbn": "1"})
    with pytest.raises(ApiError) as refused:
        client.add_document(here, second, {"isbn": "1"})
    assert refused.value.kind in ("invalid", "conflict")


@case(
    "collections.documents.unknown-with-clients",
    *("documents.get", "documents.add"),
    evidence="assumed",
    source="xai-sdk's own test server answers NOT_FOUND",
    refusal="not found",
    refusing=("documents.get", "documents.add"),
)
def test_unknown(client: Client, name: str) -> None:
    """A document or file that does not exist arrives as the client's error for things that are not found."""
    collection = client.create_collection(f"{name}notes").id
    missing = "file_00000000-0000-4000-8000-000000000000"
    for call in (client.get_document, client.add_document):
        with pytest.raises(ApiError) as refused:
            call(collection, missing)
        assert refused.value.kind == "not_found"


@case(
    "collections.described-unknown",
    *("collections.describe",),
    evidence="assumed",
    source="as for every other call about a collection that does not exist",
    refusal="not found",
)
def test_described_unknown(client: Client) -> None:
    """A collection that does not exist is not described."""
    with pytest.raises(ApiError) as refused:
        client.describe_collection("collection_00000000-0000-4000-8000-000000000000")
    assert refused.value.kind == "not_found"


@case(
    "collections.documents.update-unknown",
    *("documents.update",),
    evidence="assumed",
    source="as for every other call about a document that does not exist",
    refusal="not found",
)
def test_update_unknown(client: Client, name: str) -> None:
    """A document that does not exist is not changed."""
    collection = client.create_collection(f"{name}notes").id
    with pytest.raises(ApiError) as refused:
        client.update_document(collection, "file_00000000-0000-4000-8000-000000000000", fields={"a": "b"})
    assert refused.value.kind == "not_found"
