"""Rows of collections."""

from __future__ import annotations

from emulator.core.clock import Instant
from emulator.domain.chunk_configurations import ChunkConfiguration
from emulator.domain.collections import Collection, CollectionsSortBy, FieldDefinition
from emulator.domain.paging import Cursor
from emulator.store.columns import Columns, json_text
from emulator.store.database import Database

# An expired file is not a document any more, whether or not the job that removes it has run.
_EXPIRED = "FROM documents WHERE team = collections.team AND collection_id = collections.id AND expires_at <= ?"
_CHANGEABLE = ("name", "description", "chunk_configuration", "field_definitions")
_KEYS: dict[CollectionsSortBy, str] = {CollectionsSortBy.NAME: "name", CollectionsSortBy.AGE: "created_at"}


COLLECTIONS = Columns(
    Collection,
    "collections",
    computed={
        "documents_count": f"documents_count - (SELECT count(*) {_EXPIRED})",
        "total_file_size": f"documents_bytes - (SELECT coalesce(sum(size), 0) {_EXPIRED})",
        "seq": None,
    },
    encodings={
        "chunk_configuration": json_text(ChunkConfiguration),
        "field_definitions": json_text(tuple[FieldDefinition, ...]),
    },
)


class Collections:
    """The collections of every team."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def insert(self, team: str, collection: Collection) -> None:
        """Add a collection; the store maintains its counts and its number."""
        self._db.write(COLLECTIONS.insert, COLLECTIONS.row(team, collection))

    def update(self, team: str, collection: Collection) -> None:
        """Update the mutable fields: name, description, chunk configuration and field definitions."""
        self._db.write(
            f"UPDATE collections SET {COLLECTIONS.assigned(_CHANGEABLE)} WHERE team = ? AND id = ?",
            (*COLLECTIONS.values(collection, _CHANGEABLE), team, collection.id),
        )

    def delete(self, team: str, id: str) -> None:
        """Remove a collection with its documents and their unique values; the files stay."""
        self._db.write("DELETE FROM collections WHERE team = ? AND id = ?", (team, id))

    def get(self, team: str, id: str, now: Instant) -> Collection | None:
        """Return the collection, or None."""
        row = self._db.row(f"{COLLECTIONS.select} WHERE team = ? AND id = ?", (now, now, team, id))
        return None if row is None else COLLECTIONS.read(row)

    def total(self, team: str) -> int:
        """Return how many collections a team has."""
        return self._db.count("collections WHERE team = ?", (team,))

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
        """Return collections in order, after a position."""
        return self._db.keyset(
            COLLECTIONS.read,
            COLLECTIONS.select,
            "team = ?",
            (now, now, team),
            order_by=_KEYS[sort_by],
            descending=descending,
            after=after,
            limit=limit,
        )

    @staticmethod
    def cursor(collection: Collection, sort_by: CollectionsSortBy) -> Cursor:
        """Return the position of a collection in an order."""
        key = collection.name if sort_by is CollectionsSortBy.NAME else collection.created_at
        return Cursor(key, collection.seq)
