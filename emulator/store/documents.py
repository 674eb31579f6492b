"""Rows of documents and of the values that no two documents of a collection may share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from emulator.clock import Instant
from emulator.domain.documents import Document, DocumentsSortBy, DocumentStatus
from emulator.domain.files import File
from emulator.domain.paging import Cursor
from emulator.store.database import Database
from emulator.store.files import file_of

_SELECT = (
    "SELECT collection_id, fields, status, error_message, last_indexed_at, chunks, revision, seq, "
    "file_id, name, size, content_type, hash, blob, created_at, expires_at, upload_status, open_for_chunks, "
    "public_url_token, public_url_expires_at, file_seq FROM documents_of_files"
)
_ONE = "team = ? AND collection_id = ? AND file_id = ?"
# A document is gone at the very instant its file expires, whether or not the job that removes it has run yet.
_ALIVE = "(expires_at IS NULL OR expires_at > ?)"
_KEYS: dict[DocumentsSortBy, str] = {
    DocumentsSortBy.NAME: "name",
    DocumentsSortBy.SIZE: "size",
    DocumentsSortBy.AGE: "created_at",
}


def _document(row: tuple[Any, ...]) -> Document:
    return Document(
        collection_id=row[0],
        fields=json.loads(row[1]),
        status=DocumentStatus(row[2]),
        error_message=row[3],
        last_indexed_at=row[4],
        chunks=row[5],
        revision=row[6],
        seq=row[7],
        file=file_of(row[8:]),
    )


class Documents:
    """The documents of every collection."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def put(self, team: str, collection_id: str, file: File, fields: Mapping[str, str], revision: int) -> None:
        """Make a file a document, or let a document begin anew with other fields."""
        self._db.write(
            "INSERT INTO documents (team, collection_id, file_id, name, size, created_at, expires_at, fields, status, "
            "revision) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (team, collection_id, file_id) DO UPDATE SET "
            "fields = excluded.fields, status = excluded.status, revision = excluded.revision, error_message = NULL",
            (
                *(team, collection_id, file.id, file.filename, file.size, file.created_at, file.expires_at),
                *(json.dumps(fields), DocumentStatus.PROCESSING.value, revision),
            ),
        )

    def get(self, team: str, collection_id: str, file_id: str, now: Instant) -> Document | None:
        """The document, unless it is missing or its file has expired."""
        row = self._db.row(f"{_SELECT} WHERE {_ONE} AND {_ALIVE}", (team, collection_id, file_id, now))
        return None if row is None else _document(row)

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
    ) -> list[Document]:
        """Living documents in order, starting after a position; with `name`, only those of that very name."""
        where, parameters = f"team = ? AND collection_id = ? AND {_ALIVE}", [team, collection_id, now]
        if name is not None:
            where, parameters = f"{where} AND name = ?", [*parameters, name]
        rows = self._db.keyset(
            _SELECT,
            where,
            parameters,
            order_by=_KEYS[sort_by],
            descending=descending,
            after=None if after is None else (after.key, after.seq),
            limit=limit,
        )
        return [_document(row) for row in rows]

    @staticmethod
    def cursor(document: Document, sort_by: DocumentsSortBy) -> Cursor:
        """Where a document stands in an order."""
        keys: dict[DocumentsSortBy, int | str] = {
            DocumentsSortBy.NAME: document.file.filename,
            DocumentsSortBy.SIZE: document.file.size,
            DocumentsSortBy.AGE: document.file.created_at,
        }
        return Cursor(keys[sort_by], document.seq)

    def collections_of(self, team: str, file_id: str) -> list[str]:
        """The ids of the collections that a file is a document of."""
        rows = self._db.rows(
            "SELECT collection_id FROM documents WHERE team = ? AND file_id = ? ORDER BY seq", (team, file_id)
        )
        return [row[0] for row in rows]

    def expired(self, team: str, collection_id: str, now: Instant) -> list[str]:
        """The ids of files that are still documents although they have expired."""
        rows = self._db.rows(
            "SELECT file_id FROM documents WHERE team = ? AND collection_id = ? AND expires_at <= ?",
            (team, collection_id, now),
        )
        return [row[0] for row in rows]

    def begin(self, team: str, collection_id: str, file_id: str, revision: int) -> None:
        """Let the indexing of a document begin anew."""
        self._db.write(
            f"UPDATE documents SET status = ?, error_message = NULL, revision = ? WHERE {_ONE}",
            (DocumentStatus.PROCESSING.value, revision, team, collection_id, file_id),
        )

    def set_status(self, team: str, document: Document, status: DocumentStatus, *, chunks: int) -> None:
        """Note how far the indexing of a document has come, and how many chunks it has."""
        self._db.write(
            f"UPDATE documents SET status = ?, chunks = ? WHERE {_ONE}",
            (status.value, chunks, team, document.collection_id, document.file.id),
        )

    def set_processed(self, team: str, document: Document, at: Instant) -> None:
        """Note that a document can be found."""
        self._db.write(
            f"UPDATE documents SET status = ?, last_indexed_at = ? WHERE {_ONE}",
            (DocumentStatus.PROCESSED.value, at, team, document.collection_id, document.file.id),
        )

    def set_failed(self, team: str, document: Document, message: str) -> None:
        """Note why a document cannot be indexed."""
        self._db.write(
            f"UPDATE documents SET status = ?, error_message = ?, chunks = 0 WHERE {_ONE}",
            (DocumentStatus.FAILED.value, message, team, document.collection_id, document.file.id),
        )

    def set_fields(self, team: str, collection_id: str, file_id: str, fields: Mapping[str, str]) -> None:
        """Give a document other fields."""
        self._db.write(
            f"UPDATE documents SET fields = ? WHERE {_ONE}", (json.dumps(fields), team, collection_id, file_id)
        )

    def delete(self, team: str, collection_id: str, file_id: str) -> bool:
        """Unlink a document; its unique values go with it, the file stays. Whether there was one."""
        return self._db.write(f"DELETE FROM documents WHERE {_ONE}", (team, collection_id, file_id)) > 0

    # --- unique values

    def holder(self, team: str, collection_id: str, key: str, value: str) -> str | None:
        """The id of the file whose document has a value in a unique field."""
        row = self._db.row(
            "SELECT file_id FROM document_unique_values WHERE team = ? AND collection_id = ? AND key = ? AND value = ?",
            (team, collection_id, key, value),
        )
        return None if row is None else row[0]

    def set_unique_values(self, team: str, collection_id: str, file_id: str, values: Mapping[str, str]) -> None:
        """Let these be a document's values in unique fields; the ones it had are free."""
        self._db.write(f"DELETE FROM document_unique_values WHERE {_ONE}", (team, collection_id, file_id))
        self._db.write_many(
            "INSERT INTO document_unique_values (team, collection_id, key, value, file_id) VALUES (?, ?, ?, ?, ?)",
            ((team, collection_id, key, value, file_id) for key, value in values.items()),
        )
