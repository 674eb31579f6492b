"""Collections, call by call: what is refused, what a change leaves alone, and what a description is made of."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from emulator.domain.chunk_configurations import ChunkConfiguration, Strategy
from emulator.domain.collections import (
    Collection,
    CollectionsSortBy,
    FieldDefinition,
    FieldDefinitionOperation,
    FieldDefinitionUpdate,
)
from emulator.operations.collections import CollectionId, CreateCollection, ListCollections, UpdateCollection
from emulator.operations.documents import AddDocument, DocumentId
from emulator.state.services import Services
from tests.operations.client import advance, end_slices_after, refusal, rows, run, turns, uploaded

ADD, DELETE = FieldDefinitionOperation.ADD, FieldDefinitionOperation.DELETE
TINY = ChunkConfiguration(Strategy.CHARS, 5, 5)


async def create(services: Services, *definitions: FieldDefinition, **more: Any) -> Collection:
    """A new collection."""
    made = await run(services, "collections.create", CreateCollection("c", field_definitions=definitions, **more))
    return await get(services, made)


async def get(services: Services, collection: Collection) -> Collection:
    """A collection as it is by now."""
    found: Collection = await run(services, "collections.get", CollectionId(collection.id))
    return found


async def update(
    services: Services, collection: Collection, *updates: FieldDefinitionUpdate, **changes: Any
) -> Collection:
    """A collection after a change."""
    request = UpdateCollection(collection.id, field_definition_updates=updates, **changes)
    changed: Collection = await run(services, "collections.update", request)
    return changed


async def add(services: Services, collection: Collection, fields: dict[str, str], **file: Any) -> str:
    """The id of a new file that is a document with these fields."""
    id = await uploaded(services, **file)
    await run(services, "documents.add", AddDocument(collection.id, id, fields))
    return id


def adding(key: str, **kind: bool) -> FieldDefinitionUpdate:
    return FieldDefinitionUpdate(FieldDefinition(key, **kind), ADD)


def deleting(key: str) -> FieldDefinitionUpdate:
    return FieldDefinitionUpdate(FieldDefinition(key), DELETE)


# --- what is refused


async def test_foreign_team_id_is_refused(services: Services) -> None:
    """Its id and its name are its own; any other is refused, wherever it is said."""
    own = await create(services)
    for team_id in (None, "", "default", services.ids.of_team(services.teams.get("default"))):
        assert await run(services, "collections.get", CollectionId(own.id, team_id)) == own
    other = services.ids.of_team(services.teams.get("other"))
    asked = ListCollections(10, False, CollectionsSortBy.NAME, team_id=other)
    for call in (
        run(services, "collections.get", CollectionId(own.id, other)),
        run(services, "collections.list", asked),
        run(services, "collections.create", CreateCollection("c", team_id=other)),
    ):
        assert await refusal(call) == ("team_id", "team_id")


async def test_bad_definitions_are_refused_and_change_nothing(services: Services) -> None:
    """Definitions and configurations, when a collection is made and when it is changed."""
    twice = [FieldDefinition("a"), FieldDefinition("a")]
    too_long = ("chunk-configuration", "chunk_configuration.chunk_overlap_chars")
    assert await refusal(create(services, *twice)) == ("unique", "field_definitions.key")
    assert await refusal(create(services, chunk_configuration=TINY)) == too_long
    collection = await create(services)
    assert await refusal(update(services, collection, chunk_configuration=TINY)) == too_long
    assert await get(services, collection) == collection


@pytest.mark.parametrize(
    "other",
    [
        ListCollections(1, True, CollectionsSortBy.NAME, filter="documents_count = 0"),
        ListCollections(1, False, CollectionsSortBy.NAME),
        ListCollections(1, True, CollectionsSortBy.AGE),
    ],
    ids=["filter", "order", "column"],
)
async def test_page_token_of_other_list_is_refused(services: Services, other: ListCollections) -> None:
    """It is refused with another filter, order or column; an empty filter is none."""
    for _ in range(3):
        await create(services)
    first = await run(services, "collections.list", ListCollections(1, True, CollectionsSortBy.NAME))
    for filter in (None, ""):
        same = ListCollections(1, True, CollectionsSortBy.NAME, first.next_token, filter)
        assert (await run(services, "collections.list", same)).items != first.items
    changed = ListCollections(1, other.descending, other.sort_by, first.next_token, other.filter)
    assert await refusal(run(services, "collections.list", changed)) == ("pagination_token", "pagination_token")


# --- what a change changes


async def test_collection_update_keeps_members_not_named(services: Services) -> None:
    """And takes a description away that is empty."""
    configuration = ChunkConfiguration(Strategy.CHARS, 100, 10)
    described = await create(
        services, FieldDefinition("a"), collection_description="d", chunk_configuration=configuration
    )
    assert (await create(services, collection_description="")).description is None
    renamed = await update(services, described, collection_name="e")
    assert renamed == msgspec.structs.replace(described, name="e")
    assert await get(services, described) == renamed
    assert (await update(services, described, collection_description="")).description is None


async def fits(services: Services, collection: Collection, *values: str) -> list[bool]:
    """Whether a further document may have a value in the field `a`, and then the next one."""
    found = []
    for value in values:
        id = await uploaded(services)
        try:
            found.append(await refusal(run(services, "documents.add", AddDocument(collection.id, id, {"a": value}))))
        except AssertionError:
            found.append(None)
    assert set(found) <= {None, ("unique", "fields.a")}
    return [refused is None for refused in found]


@pytest.mark.parametrize(
    ("unique", "updates", "free"),
    [
        (True, [], False),
        (True, [adding("b")], False),
        (True, [adding("a", unique=True)], False),
        (True, [adding("a")], True),
        (True, [deleting("a")], True),
        (True, [deleting("a"), adding("a", unique=True)], True),
        (False, [adding("a", unique=True)], False),
        (False, [adding("b", unique=True)], True),
    ],
)
async def test_values_are_taken_as_long_as_a_field_is_unique(
    services: Services, unique: bool, updates: Sequence[FieldDefinitionUpdate], free: bool
) -> None:
    """From the change on that makes it so, to the change that ends it or takes the values away."""
    collection = await create(services, FieldDefinition("a", unique=unique))
    await add(services, collection, {"a": "1"})
    changed = await update(services, collection, *updates, collection_name="d")
    still = next((each.unique for each in changed.field_definitions if each.key == "a"), False)
    assert await fits(services, changed, "1", "1", "2") == [free, free and not still, True]


async def test_field_rule_broken_by_documents_is_refused(services: Services) -> None:
    """Required where some lack it, or unique where two have one value; expired ones do not count."""
    collection = await create(services, FieldDefinition("a"), FieldDefinition("b"))
    await add(services, collection, {"a": "1"})
    await add(services, collection, {"a": "1", "b": "2"}, expires_after=3600)
    for kind, key in (("unique", "a"), ("required", "b")):
        assert await refusal(update(services, collection, adding(key, **{kind: True}))) == (kind, f"fields.{key}")
    assert (await update(services, collection, adding("a", required=True))).field_definitions[0].required
    advance(services, 3600)
    await update(services, collection, adding("a", required=True, unique=True))
    assert await fits(services, collection, "1", "2") == [False, True]


async def test_update_removes_expired_documents_in_slices(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many expired at once, other calls run in between; what they see does not change by it."""
    collection = await create(services, FieldDefinition("a"))
    for _ in range(6):
        await add(services, collection, {"a": "1"}, expires_after=3600)
    advance(services, 3600)
    end_slices_after(2, monkeypatch)
    with turns(lambda: len(rows(services, "SELECT 1 FROM files"))) as left:
        await update(services, collection, adding("a", unique=True))
    assert len(left) >= 3
    assert max(before - after for before, after in pairwise([6, *left, 0])) <= 3
    assert rows(services, "SELECT 1 FROM documents") == []


async def test_field_becomes_unique_again_without_duplicates(services: Services) -> None:
    """As long as no two documents have one value by then."""
    collection = await create(services, FieldDefinition("a", unique=True))
    first, second = await add(services, collection, {"a": "1"}), await add(services, collection, {"a": "2"})
    for unique in (False, True, False):
        collection = await update(services, collection, adding("a", unique=unique))
    for file, value in ((first, "2"), (second, "1")):
        await run(services, "documents.add", AddDocument(collection.id, file, {"a": value}))
    again = await update(services, collection, adding("a", unique=True))
    assert await fits(services, again, "1", "2", "3") == [False, False, True]


async def test_required_field_can_be_set_required_again(services: Services) -> None:
    """However it is said."""
    collection = await create(services, FieldDefinition("a", required=True))
    await add(services, collection, {"a": "1"})
    assert (await update(services, collection, adding("a", required=True))).field_definitions == (
        FieldDefinition("a", required=True),
    )


# --- descriptions


async def described(services: Services, collection: Collection) -> str:
    description: str = await run(services, "collections.describe", CollectionId(collection.id))
    return description


async def test_description_reads_first_ten_documents(services: Services) -> None:
    """By name, and only at those that can be found."""
    services.teams.get("default").configure(services.settings, {"indexing": "instant"})
    collection = await create(services)
    assert await described(services, collection) == ""
    await add(services, collection, {}, name="00.txt", content=b"\xff\xfe\xfd")  # no text
    assert await described(services, collection) == ""
    for number in reversed(range(1, 12)):
        word = b"whales " if number == 10 else b"lizards lizards " if number == 11 else b"birds"
        await add(services, collection, {}, name=f"{number:02}.txt", content=word)
    assert await described(services, collection) == "12 documents (01.txt, 02.txt, 03.txt, …) about birds and whales."


async def test_description_reads_beginning_of_each_document(services: Services) -> None:
    """At three chunks, and of each at 2,000 characters."""
    services.teams.get("default").configure(services.settings, {"indexing": "instant"})
    collection = await create(services, chunk_configuration=ChunkConfiguration(Strategy.CHARS, 2500, 0))

    def chunk(word: bytes, beyond: bytes) -> bytes:
        """2,500 characters: a word that ends with the 2,000th, and another one."""
        return (word.rjust(2000, b".") + beyond).ljust(2500, b".")

    text = chunk(b"alpha", b"lizard lizard ") + chunk(b"second", b"") + chunk(b"third", b"") + chunk(b"lizard", b"")
    await add(services, collection, {}, name="a.txt", content=text)
    assert await described(services, collection) == "1 document (a.txt) about alpha, second and third."
    [document] = [await run(services, "documents.get", DocumentId(collection.id, id)) for id in await ids(services)]
    assert document.chunks == 4


async def ids(services: Services) -> list[str]:
    """The ids of all files."""
    return [id for (id,) in services.store.database.rows("SELECT id FROM files")]
