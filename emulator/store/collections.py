"""Rows of collections."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from emulator.core.clock import Instant
from emulator.domain.chunk_configurations import ChunkConfiguration, Strategy
from emulator.domain.collections import Collection, CollectionsSortBy, FieldDefinition, MetricSpace
from emulator.domain.paging import Cursor
from emulator.store.database import Database

# A file that has expired is no document any more, whether or not the job that removes it has run yet.
_EXPIRED = "FROM documents WHERE team = collections.team AND collection_id = collections.id AND expires_at <= ?"
_SELECT = (
    "SELECT id, name, description, created_at, model_name, metric_space, chunk_configuration, field_definitions, "
    f"documents_count - (SELECT count(*) {_EXPIRED}), "
    f"documents_bytes - (SELECT coalesce(sum(size), 0) {_EXPIRED}), seq FROM collections"
)
_KEYS: dict[CollectionsSortBy, str] = {CollectionsSortBy.NAME: "name", CollectionsSortBy.AGE: "created_at"}


def _collection(row: tuple[Any, ...]) -> Collection:
    configuration = json.loads(row[6])
    return Collection(
        id=row[0],
        name=row[1],
        description=row[2],
        created_at=row[3],
        model_name=row[4],
        metric_space=MetricSpace(row[5]),
        chunk_configuration=ChunkConfiguration(**{**configuration, "strategy": Strategy(configuration["strategy"])}),
        field_definitions=tuple(FieldDefinition(**definition) for definition in json.loads(row[7])),
        documents_count=row[8],
        total_file_size=row[9],
        seq=row[10],
    )


def _json(collection: Collection) -> tuple[str, str]:
    """The chunk configuration and the field definitions as they are kept."""
    definitions = [msgspec.structs.asdict(definition) for definition in collection.field_definitions]
    return json.dumps(msgspec.structs.asdict(collection.chunk_configuration)), json.dumps(definitions)


class Collections:
    """The collections of every team."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def insert(self, team: str, collection: Collection) -> None:
        """Add a collection; its counts and its number are the store's to keep."""
        self._db.write(
            "INSERT INTO collections (team, id, name, description, created_at, model_name, metric_space, "
            "chunk_configuration, field_definitions) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(team, collection.id, collection.name, collection.description, collection.created_at),
                *(collection.model_name, collection.metric_space.value, *_json(collection)),
            ),
        )

    def update(self, team: str, collection: Collection) -> None:
        """Change what may change: name, description, chunk configuration and field definitions."""
        self._db.write(
            "UPDATE collections SET name = ?, description = ?, chunk_configuration = ?, field_definitions = ? "
            "WHERE team = ? AND id = ?",
            (collection.name, collection.description, *_json(collection), team, collection.id),
        )

    def delete(self, team: str, id: str) -> None:
        """Remove a collection; its documents and their unique values go with it, the files stay."""
        self._db.write("DELETE FROM collections WHERE team = ? AND id = ?", (team, id))

    def get(self, team: str, id: str, now: Instant) -> Collection | None:
        """The collection, unless it is missing."""
        row = self._db.row(f"{_SELECT} WHERE team = ? AND id = ?", (now, now, team, id))
        return None if row is None else _collection(row)

    def total(self, team: str) -> int:
        """How many collections a team has."""
        row = self._db.row("SELECT count(*) FROM collections WHERE team = ?", (team,))
        assert row is not None
        count: int = row[0]
        return count

    def page(
        self,
        team: str,
        now: Instant,
        *,
        sort_by: CollectionsSortBy,
        descending: bool,
        after: Cursor | None,
        limit: int,
    ) -> list[Collection]:
        """Collections in order, starting after a position."""
        return self._db.keyset(
            _collection,
            _SELECT,
            "team = ?",
            (now, now, team),
            order_by=_KEYS[sort_by],
            descending=descending,
            after=after,
            limit=limit,
        )

    @staticmethod
    def cursor(collection: Collection, sort_by: CollectionsSortBy) -> Cursor:
        """Where a collection stands in an order."""
        key = collection.name if sort_by is CollectionsSortBy.NAME else collection.created_at
        return Cursor(key, collection.seq)
