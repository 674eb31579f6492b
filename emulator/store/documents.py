"""Rows of documents and of their values in unique fields."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence

import msgspec

from emulator.core.clock import Instant
from emulator.domain.documents import Document, DocumentsSortBy, DocumentStatus
from emulator.domain.files import File
from emulator.domain.paging import Cursor
from emulator.store.columns import Columns, Encoding
from emulator.store.database import Database
from emulator.store.files import FILES, living

_FIELDS = msgspec.json.Decoder(dict[str, str])  # five times as fast as json, and a search may read them all
DOCUMENTS = Columns(
    Document,
    "documents",
    computed={"seq": None},
    encodings={"fields": Encoding(lambda fields: _json(fields), json.loads)},
    joined={"file": FILES},
)
_SELECT = f"{DOCUMENTS.select} JOIN files ON files.team = documents.team AND files.id = documents.file_id"
_ALL = "team = ? AND collection_id = ?"
_ONE = "team = ? AND collection_id = ? AND file_id = ?"
# A document disappears at the instant its file expires, whether or not the job that removes it has run.
_ALIVE = living("documents")
_KEYS: dict[DocumentsSortBy, str] = {
    DocumentsSortBy.NAME: "documents.name",
    DocumentsSortBy.SIZE: "documents.size",
    DocumentsSortBy.AGE: "documents.created_at",
}


def _json(fields: Mapping[str, str | None]) -> str:
    return json.dumps(fields, ensure_ascii=False)  # one spelling for each key, so that SQL can compare them


class Documents:
    """The documents of every collection."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def put(self, team: str, collection_id: str, file: File, fields: Mapping[str, str]) -> None:
        """Add a file to a collection, or replace the fields of an existing document."""
        self._db.write(
            "INSERT INTO documents (team, collection_id, file_id, name, size, created_at, expires_at, fields, status, "
            "revision) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0) "
            "ON CONFLICT (team, collection_id, file_id) DO UPDATE SET fields = excluded.fields",
            (
                *(team, collection_id, file.id, file.filename, file.size, file.created_at, file.expires_at),
                *(_json(fields), DocumentStatus.PROCESSING.value),
            ),
        )

    def get(self, team: str, collection_id: str, file_id: str, now: Instant) -> Document | None:
        """Return the document; None if it is missing or its file has expired."""
        row = self._db.row(f"{_SELECT} WHERE documents.{_ONE} AND {_ALIVE}", (team, collection_id, file_id, now))
        return None if row is None else DOCUMENTS.read(row)

    def status(self, team: str, collection_id: str, file_id: str) -> DocumentStatus | None:
        """Return the status of a document, expired or not; None if there is none."""
        row = self._db.row(f"SELECT status FROM documents WHERE {_ONE}", (team, collection_id, file_id))
        return None if row is None else DocumentStatus(row[0])

    def total(self, team: str) -> int:
        """Return how many documents a team has, in all its collections."""
        return self._db.count("documents WHERE team = ?", (team,))

    def page(
        self,
        team: str,
        collection_id: str,
        now: Instant,
        *,
        sort_by: DocumentsSortBy,
        descending: bool,
        after: Cursor | None,
        limit: int,
        name: str | None = None,
        status: DocumentStatus | None = None,
    ) -> list[Document]:
        """Return unexpired documents in order, after a position; only those with a name or a status, if given."""
        where: str = f"documents.{_ALL} AND {_ALIVE}"
        parameters: list[str | int] = [team, collection_id, now]
        for column, value in (("name", name), ("status", None if status is None else status.value)):
            if value is not None:
                where += f" AND documents.{column} = ?"
                parameters.append(value)
        return self._db.keyset(
            DOCUMENTS.read,
            _SELECT,
            where,
            parameters,
            order_by=_KEYS[sort_by],
            descending=descending,
            after=after,
            limit=limit,
            seq="documents.seq",
        )

    @staticmethod
    def cursor(document: Document, sort_by: DocumentsSortBy) -> Cursor:
        """Return the position of a document in an order."""
        keys: dict[DocumentsSortBy, int | str] = {
            DocumentsSortBy.NAME: document.file.filename,
            DocumentsSortBy.SIZE: document.file.size,
            DocumentsSortBy.AGE: document.file.created_at,
        }
        return Cursor(keys[sort_by], document.seq)

    def collections_of(self, team: str, file_id: str) -> list[str]:
        """Return the ids of the collections of which a file is a document."""
        rows = self._db.rows(
            "SELECT collection_id FROM documents WHERE team = ? AND file_id = ? ORDER BY seq", (team, file_id)
        )
        return [row[0] for row in rows]

    def expired(self, team: str, collection_id: str, now: Instant) -> list[str]:
        """Return the ids of expired files that are still documents."""
        rows = self._db.rows(
            f"SELECT file_id FROM documents WHERE {_ALL} AND expires_at <= ?",
            (team, collection_id, now),
        )
        return [row[0] for row in rows]

    def fields(
        self, team: str, collection_id: str, now: Instant, after: str, limit: int
    ) -> list[tuple[str, dict[str, str]]]:
        """Return the fields of unexpired documents ordered by file id, after one."""
        rows = self._db.rows(
            f"SELECT file_id, fields FROM documents WHERE {_ALL} AND {_ALIVE} AND file_id > ? ORDER BY file_id LIMIT ?",
            (team, collection_id, now, after, limit),
        )
        return [(file_id, _FIELDS.decode(fields)) for file_id, fields in rows]

    def begin(self, team: str, collection_id: str, file_id: str, revision: int) -> None:
        """Mark a document as being indexed again."""
        self._db.write(
            f"UPDATE documents SET status = ?, error_message = NULL, chunks = 0, revision = ? WHERE {_ONE}",
            (DocumentStatus.PROCESSING.value, revision, team, collection_id, file_id),
        )

    def set_status(self, team: str, document: Document, status: DocumentStatus, *, chunks: int) -> None:
        """Store the indexing status of a document, and its number of chunks."""
        self._db.write(
            f"UPDATE documents SET status = ?, chunks = ? WHERE {_ONE}",
            (status.value, chunks, team, document.collection_id, document.file.id),
        )

    def set_processed(self, team: str, document: Document, at: Instant) -> None:
        """Mark a document as processed."""
        self._db.write(
            f"UPDATE documents SET status = ?, last_indexed_at = ? WHERE {_ONE}",
            (DocumentStatus.PROCESSED.value, at, team, document.collection_id, document.file.id),
        )

    def set_failed(self, team: str, document: Document, message: str) -> None:
        """Mark a document as failed, with the reason."""
        self._db.write(
            f"UPDATE documents SET status = ?, error_message = ?, chunks = 0 WHERE {_ONE}",
            (DocumentStatus.FAILED.value, message, team, document.collection_id, document.file.id),
        )

    def delete(self, team: str, collection_id: str, file_id: str) -> bool:
        """Delete a document with its unique values, and keep the file; return whether it existed."""
        return self._db.write(f"DELETE FROM documents WHERE {_ONE}", (team, collection_id, file_id)) > 0

    # --- unique values

    def unique_owner(self, team: str, collection_id: str, key: str, value: str) -> str | None:
        """Return the id of the file whose document has a value in a unique field."""
        row = self._db.row(
            "SELECT file_id FROM document_unique_values WHERE team = ? AND collection_id = ? AND key = ? AND value = ?",
            (team, collection_id, key, value),
        )
        return None if row is None else row[0]

    def set_unique_values(self, team: str, collection_id: str, file_id: str, values: Mapping[str, str]) -> None:
        """Replace the values of a document in unique fields; its former values become free."""
        self._db.write(f"DELETE FROM document_unique_values WHERE {_ONE}", (team, collection_id, file_id))
        self._db.write_many(
            "INSERT INTO document_unique_values (team, collection_id, key, value, file_id) VALUES (?, ?, ?, ?, ?)",
            ((team, collection_id, key, value, file_id) for key, value in values.items()),
        )

    # --- fields of all documents of a collection: each of these statements reads every document once

    def any_missing(self, team: str, collection_id: str, keys: Sequence[str]) -> str | None:
        """Return one of the fields that some document does not have."""
        if not keys:
            return None
        row = self._db.row(
            f"SELECT fields FROM documents WHERE {_ALL} AND "
            "(SELECT count(*) FROM json_each(fields) WHERE json_each.key IN (SELECT value FROM json_each(?))) < ?",
            (team, collection_id, json.dumps(keys), len(keys)),
        )
        return None if row is None else next(key for key in keys if key not in _FIELDS.decode(row[0]))

    def find_duplicate(self, team: str, collection_id: str, keys: Sequence[str]) -> tuple[str, str] | None:
        """Return one of the fields in which several documents have the same value, and that value."""
        if not keys:
            return None
        row = self._db.row(
            f"SELECT key, value FROM documents, json_each(documents.fields) WHERE {_ALL} "
            "AND key IN (SELECT value FROM json_each(?)) GROUP BY key, value HAVING count(*) > 1",
            (team, collection_id, json.dumps(keys)),
        )
        return None if row is None else (row[0], row[1])

    def enforce_unique(self, team: str, collection_id: str, keys: Sequence[str]) -> None:
        """Make the existing values of some fields unique."""
        if keys:
            self._db.write(
                "INSERT INTO document_unique_values (team, collection_id, key, value, file_id) "
                f"SELECT team, collection_id, key, value, file_id FROM documents, json_each(documents.fields) "
                f"WHERE {_ALL} AND key IN (SELECT value FROM json_each(?))",
                (team, collection_id, json.dumps(keys)),
            )

    def drop_unique(self, team: str, collection_id: str, key: str) -> None:
        """Remove the uniqueness of a field."""
        self._db.write(f"DELETE FROM document_unique_values WHERE {_ALL} AND key = ?", (team, collection_id, key))

    def drop_fields(self, team: str, collection_id: str, keys: Collection[str]) -> None:
        """Remove fields from every document."""
        if keys:
            self._db.write(  # RFC 7396: a null in a merge patch removes the member
                f"UPDATE documents SET fields = json_patch(fields, ?) WHERE {_ALL}",
                (_json(dict.fromkeys(keys)), team, collection_id),
            )
