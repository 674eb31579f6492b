"""Limits of what multiplies an input: overlaps, injected fields, and contents that a response repeats."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from emulator.core.errors import ApiError
from emulator.core.limits import exceeds
from emulator.domain.chunk_configurations import ChunkConfiguration, Strategy
from emulator.domain.collections import FieldDefinition, FieldDefinitionOperation, FieldDefinitionUpdate
from emulator.domain.documents import Document, DocumentStatus
from emulator.domain.search import GroupBy, Mode
from emulator.jobs import indexing
from emulator.jobs.runner import Runner
from emulator.operations.collections import CreateCollection, UpdateCollection
from emulator.operations.documents import AddDocument, BatchGetDocuments, DocumentId, UpdateDocument
from emulator.operations.search import SearchDocuments
from emulator.pipeline.validation import apply_limits
from emulator.runtime.app import build_services
from emulator.state.services import Services
from emulator.state.settings import Settings
from tests.operations.client import call_of, refusal, run, uploaded


@pytest.fixture
async def services() -> AsyncIterator[Services]:
    """A world in which documents are indexed at once."""
    services = build_services(Settings(indexing="instant"))
    Runner(services)
    services.teams.get("default").clock.freeze()
    yield services
    services.store.close()


def limit(services: Services, **limits: int) -> None:
    """Override limits of the default team."""
    services.teams.set_limits(services.teams.get("default"), limits)


async def collection_of(services: Services, **settings: Any) -> str:
    """The id of a new collection."""
    made = await run(services, "collections.create", CreateCollection("c", **settings))
    id: str = made.id
    return id


async def added(services: Services, collection: str, content: bytes, **fields: str) -> Document:
    """A document that was added and indexed."""
    file = await uploaded(services, content=content)
    await run(services, "documents.add", AddDocument(collection, file, fields))
    document: Document = await run(services, "documents.get", DocumentId(collection, file))
    return document


def stored_chunks(services: Services) -> int:
    """How many rows of chunks there are."""
    [[count]] = services.store.database.rows("SELECT count(*) FROM chunks")
    assert isinstance(count, int)
    return count


CHARS = ChunkConfiguration(Strategy.CHARS, 2, 1)  # n characters make n - 1 chunks


@pytest.mark.parametrize(("characters", "status"), [(9, "PROCESSED"), (10, "PROCESSED"), (11, "FAILED")])
async def test_document_with_too_many_chunks_fails(services: Services, characters: int, status: str) -> None:
    """The document says so in its error message, and nothing of it is stored."""
    limit(services, chunks_per_document_max=9)
    document = await added(services, await collection_of(services, chunk_configuration=CHARS), b"x" * characters)
    assert document.status is DocumentStatus[status]
    assert stored_chunks(services) == document.chunks == (characters - 1 if status == "PROCESSED" else 0)
    if status == "FAILED":
        assert document.error_message is not None
        assert "more than 9 chunks" in document.error_message


async def test_document_with_too_many_chunks_fails_before_it_is_cut(services: Services) -> None:
    """With the limits as they are by default: one megabyte must not become a million chunks."""
    for size, overlap in ((2, 1), (1000, 999)):
        configuration = ChunkConfiguration(Strategy.CHARS, size, overlap)
        document = await added(services, await collection_of(services, chunk_configuration=configuration), b"x" * 2**20)
        assert (document.status, stored_chunks(services)) == (DocumentStatus.FAILED, 0)


@pytest.mark.parametrize(("characters", "status"), [(39, "PROCESSED"), (40, "PROCESSED"), (41, "FAILED")])
@pytest.mark.parametrize("injects", [False, True])
async def test_document_with_too_many_indexed_bytes_fails(
    services: Services, characters: int, status: str, injects: bool
) -> None:
    """Counted in bytes of UTF-8, with what is injected into each of the four chunks of ten characters."""
    limit(services, indexed_bytes_per_document_max=80 + (4 * len("ab\n\n") if injects else 0))
    collection = await collection_of(
        services,
        chunk_configuration=ChunkConfiguration(Strategy.CHARS, 10, 0),
        field_definitions=[FieldDefinition("f", inject_into_chunk=True)],
    )
    fields = {"f": "ab"} if injects else {}
    document = await added(services, collection, "é".encode() * characters, **fields)
    assert document.status is DocumentStatus[status]
    assert "bytes" in (document.error_message or "bytes")


@pytest.mark.parametrize(("length", "refused"), [(9, False), (10, False), (11, True)])
async def test_injected_fields_above_limit_are_refused(services: Services, length: int, refused: bool) -> None:
    """All injected values of a document count together; other fields do not."""
    limit(services, injected_bytes_max=12)
    definitions = [FieldDefinition("a", inject_into_chunk=True), FieldDefinition("b", inject_into_chunk=True)]
    collection = await collection_of(services, field_definitions=[*definitions, FieldDefinition("c")])
    file = await uploaded(services)
    request = AddDocument(collection, file, {"a": "x" * length, "b": "é", "c": "y" * 50})
    if refused:
        assert await refusal(run(services, "documents.add", request)) == ("injected_bytes_max", "fields.a")
    else:
        await run(services, "documents.add", request)


async def test_field_that_becomes_injected_and_is_too_large_fails_the_document(services: Services) -> None:
    """Where the call that stored a field could not know, the indexing says so."""
    limit(services, injected_bytes_max=10)
    collection = await collection_of(services, field_definitions=[FieldDefinition("a")])
    document = await added(services, collection, b"text", a="x" * 11)
    assert document.status is DocumentStatus.PROCESSED
    updates = [FieldDefinitionUpdate(FieldDefinition("a", inject_into_chunk=True))]
    await run(services, "collections.update", UpdateCollection(collection, field_definition_updates=updates))
    await run(services, "documents.reindex", DocumentId(collection, document.file.id))
    document = await run(services, "documents.get", DocumentId(collection, document.file.id))
    assert document.status is DocumentStatus.FAILED
    assert document.error_message == "The fields injected into chunks have more than 10 bytes."


@pytest.mark.parametrize(("length", "refused"), [(7, False), (8, False), (9, True)])
@pytest.mark.parametrize("in_parts", [False, True])
async def test_fields_above_limit_are_refused(services: Services, length: int, refused: bool, in_parts: bool) -> None:
    """Keys and values count, in bytes; what an update leaves as it was counts too."""
    limit(services, document_fields_bytes_max=12)
    collection = await collection_of(services)
    file = await uploaded(services)
    if in_parts:
        await run(services, "documents.add", AddDocument(collection, file, {"a": "é"}))
        answer = run(services, "documents.update", UpdateDocument(collection, file, fields={"b": "x" * length}))
    else:
        answer = run(services, "documents.add", AddDocument(collection, file, {"a": "é", "b": "x" * length}))
    if refused:
        assert await refusal(answer) == ("document_fields_bytes_max", "fields")
    else:
        await answer


@pytest.mark.parametrize(("size", "refused"), [(9, False), (10, False), (11, True)])
async def test_chunk_size_above_limit_is_refused(services: Services, size: int, refused: bool) -> None:
    """In the unit of the configuration, when a collection is made and when it is changed."""
    limit(services, chunk_size_units_max=10)
    configuration = ChunkConfiguration(Strategy.CHARS, size, 0)
    small = await collection_of(services, chunk_configuration=CHARS)
    for answer in (
        run(services, "collections.create", CreateCollection("c", chunk_configuration=configuration)),
        run(services, "collections.update", UpdateCollection(small, chunk_configuration=configuration)),
    ):
        if refused:
            field = "chunk_configuration.max_chunk_size_chars"
            assert await refusal(answer) == ("chunk_size_units_max", field)
        else:
            await answer


@pytest.mark.parametrize(("most", "refused"), [(29, True), (30, False), (31, False)])
async def test_search_response_above_limit_is_refused(services: Services, most: int, refused: bool) -> None:
    """Each match repeats the fields of its document, so they count once for each."""
    collection = await collection_of(services, chunk_configuration=ChunkConfiguration(Strategy.CHARS, 5, 0))
    await added(services, collection, b"alphaalphaalpha", key="va")
    limit(services, search_response_bytes_max=most)
    answer = run(services, "documents.search", SearchDocuments("alpha", [collection], mode=Mode.SEMANTIC))
    if refused:
        assert await refusal(answer) == ("search_response_bytes_max", "limit")
    else:
        assert len(await answer) == 3


@pytest.mark.parametrize(
    ("operation", "row", "request_of"),
    [
        ("documents.batch_get", "batch_get_documents_max", lambda ids: BatchGetDocuments("c", ids)),
        ("documents.search", "search_collections_max", lambda ids: SearchDocuments("x", ids)),
        ("documents.search", "search_files_max", lambda ids: SearchDocuments("x", ["c"], file_ids=ids)),
    ],
)
@pytest.mark.parametrize(("count", "refused"), [(2, False), (3, False), (4, True)])
async def test_ids_above_limit_are_refused(
    services: Services, operation: str, row: str, request_of: Any, count: int, refused: bool
) -> None:
    """The same id may come again and again, and would be answered each time."""
    limit(services, **{row: 3})
    request = request_of(["a"] * count)
    if refused:
        with pytest.raises(ApiError) as raised:
            apply_limits(call_of(services, operation), request)
        assert raised.value.rule == row
    else:
        apply_limits(call_of(services, operation), request)


@pytest.mark.parametrize(("count", "refused"), [(2, False), (3, False), (4, True)])
async def test_grouping_keys_above_limit_are_refused(services: Services, count: int, refused: bool) -> None:
    """Keys of the groups and of their order together: each match is looked at once for each of them."""
    limit(services, group_by_keys_max=4)
    request = SearchDocuments("x", [await collection_of(services)], group_by=GroupBy(("key",) * count))
    answer = run(services, "documents.search", request)
    if refused:
        assert await refusal(answer) == ("group_by_keys_max", "group_by")
    else:
        assert await answer == []


async def test_chunks_are_embedded_in_bounded_batches(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few large chunks at once, or many small ones; none is left out."""
    seen: list[list[str]] = []
    real = indexing.embed_texts

    async def embed(team: Any, texts: Any) -> Any:
        seen.append(list(texts))
        return await real(team, texts)

    monkeypatch.setattr(indexing, "embed_texts", embed)
    monkeypatch.setattr(indexing, "_CHARS_AT_ONCE", 25)
    collection = await collection_of(services, chunk_configuration=ChunkConfiguration(Strategy.CHARS, 10, 0))
    text = "abcdefghijklmnopqrstuvwxyz0123456789"
    await added(services, collection, text.encode())
    assert [[len(each) for each in batch] for batch in seen] == [[10, 10], [10, 6]]
    assert "".join(each for batch in seen for each in batch) == text


async def test_limits_hold_after_a_restart(tmp_path: Path) -> None:
    """A document that was waiting when the process ended fails in the next one in the same words."""
    settings = Settings(indexing="manual", data_dir=tmp_path, limits={"chunks_per_document_max": 9})
    services = build_services(settings)
    Runner(services)
    collection = await collection_of(services, chunk_configuration=CHARS)
    waiting = await added(services, collection, b"x" * 11)
    assert waiting.status is DocumentStatus.PROCESSING
    services.store.close()
    services = build_services(settings)
    try:
        await Runner(services).release(services.teams.get("default"))
        failed = await run(services, "documents.get", DocumentId(collection, waiting.file.id))
        assert (failed.status, stored_chunks(services)) == (DocumentStatus.FAILED, 0)
        assert "more than 9 chunks" in failed.error_message
    finally:
        services.store.close()


@pytest.mark.parametrize(("count", "refused"), [(2, False), (3, False), (4, True)])
@pytest.mark.parametrize("in_parts", [False, True])
async def test_field_definitions_above_limit_are_refused(
    services: Services, count: int, refused: bool, in_parts: bool
) -> None:
    """When a collection is made, and when an update adds one more."""
    limit(services, field_definitions_max=3)
    definitions = [FieldDefinition(f"f{number}") for number in range(count)]
    if in_parts:
        collection = await collection_of(services, field_definitions=definitions[:-1])
        updates = [FieldDefinitionUpdate(definitions[-1])]
        answer = run(services, "collections.update", UpdateCollection(collection, field_definition_updates=updates))
    else:
        answer = run(services, "collections.create", CreateCollection("c", field_definitions=definitions))
    if refused:
        assert await refusal(answer) == ("field_definitions_max", "field_definitions")
    else:
        await answer


async def test_field_definition_updates_of_one_call_are_bounded(services: Services) -> None:
    """Each of them may change every document, also those that delete what others add."""
    limit(services, field_definitions_max=3)
    updates = [FieldDefinitionUpdate(FieldDefinition("a"))] * 4
    with pytest.raises(ApiError) as raised:
        apply_limits(call_of(services, "collections.update"), UpdateCollection("c", field_definition_updates=updates))
    assert raised.value.rule == "field_definitions_max"


@pytest.mark.parametrize(("length", "refused"), [(9, False), (10, False), (11, True)])
@pytest.mark.parametrize("where", ["collection_name", "collection_description", "definition"])
async def test_collection_above_its_bytes_is_refused(
    services: Services, length: int, refused: bool, where: str
) -> None:
    """A page of a list repeats all of it; names, descriptions and definitions count together."""
    text = "x" * length
    limit(services, collection_bytes_max=len("name") + len("grok-embedding-small") + len("key") + 10)
    description = text if where == "definition" else None
    asked: dict[str, Any] = {"field_definitions": [FieldDefinition("key", description=description)]}
    asked["collection_name"] = f"name{text}" if where == "collection_name" else "name"
    asked["collection_description"] = text if where == "collection_description" else None
    answer = run(services, "collections.create", CreateCollection(**asked))
    if refused:
        assert await refusal(answer) == ("collection_bytes_max", "collection")
    else:
        await answer


async def test_update_of_many_definitions_reads_the_documents_once(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What looks at every document of a collection does so once, however many fields it is about."""
    keys = [f"f{number}" for number in range(10)]
    collection = await collection_of(services, field_definitions=[FieldDefinition(key) for key in keys])
    await added(services, collection, b"text", **dict.fromkeys(keys, "value"))
    statements: list[str] = []
    for name in ("row", "write"):
        real = getattr(services.store.database, name)

        def noted(sql: str, *parameters: Any, real: Any = real) -> Any:
            statements.append(sql)
            return real(sql, *parameters)

        monkeypatch.setattr(services.store.database, name, noted)
    definitions = [FieldDefinition(key, required=True, unique=True) for key in keys[:5]]
    updates = [FieldDefinitionUpdate(each) for each in definitions]
    updates += [FieldDefinitionUpdate(FieldDefinition(key), FieldDefinitionOperation.DELETE) for key in keys[5:]]
    await run(services, "collections.update", UpdateCollection(collection, field_definition_updates=updates))
    assert sum("json_" in sql for sql in statements) == 4  # drop, lacking, repeated, claim
    [(fields,)] = services.store.database.rows("SELECT fields FROM documents")
    assert sorted(json.loads(fields)) == keys[:5]


def test_bytes_are_counted_up_to_limit_only() -> None:
    """A call may bring millions of texts, and the first ones decide."""
    texts = iter(["ä", "b", "c", "d"])
    assert exceeds(2, texts)
    assert list(texts) == ["c", "d"]
    assert not exceeds(3, ["ä", "b"])
    assert not exceeds(None, ["ä", "b"])
