"""Rows of chunks and their vectors: everything that a search ranks is built from them.

A document can be found while it has a row in `indexed_documents`, so that one row publishes or removes it. The rows of
its chunks may exist before, and for some time after: a document of 50,000 chunks is written and deleted in steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from emulator.domain.documents import IndexedChunk
from emulator.store.database import Database

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

_ONE = "team = ? AND collection_id = ? AND file_id = ?"
_ALL = "team = ? AND collection_id = ?"
_OWNER = "(SELECT number FROM chunk_owners WHERE owner = ? AND collection_id = ? AND file_id = ?)"
_ITS_KEYS = "key BETWEEN number << 31 AND number << 31 | 0x7fffffff"
_OWNED = f"chunk_owners CROSS JOIN chunks ON {_ITS_KEYS}"
_IN_ORDER = "ORDER BY collection_id, file_id"
_ORDINAL_BITS = 31  # lower bits of the key of a chunk; the upper ones are the number of its document in `chunk_owners`
_ORDINAL = "key & 0x7fffffff"
_AFTER = f"key > ({_OWNER} << 31) + ? AND key <= {_OWNER} << 31 | 0x7fffffff ORDER BY key LIMIT ?"
DELETED_AT_ONCE = 1000  # rows: about 2 ms, with vectors of 1,024 numbers


class DocumentVersion(msgspec.Struct, frozen=True, gc=False):
    """One version of an indexed document; each indexing gives it a new number.

    An index refers to it once for each chunk. `gc=False` keeps the garbage collector from following these references.
    """

    number: int
    file_id: str


class IndexRow(msgspec.Struct, frozen=True):
    """A chunk to index. The vector is float32, little-endian; it is empty if the chunk is compared by n-grams."""

    ordinal: int
    text: str
    vector: bytes


class StoredChunk(msgspec.Struct, frozen=True):
    """A chunk as a search returns it."""

    id: str
    content: str
    page_number: int | None


def index_rows(chunks: Sequence[IndexedChunk], vectors: NDArray[float32] | None) -> list[IndexRow]:
    """Return chunks in the form in which they are indexed; `vectors` has one row for each, or is None."""
    found = [b""] * len(chunks) if vectors is None else [each.tobytes() for each in vectors.astype("<f4", copy=False)]
    pairs = zip(chunks, found, strict=True)
    return [IndexRow(chunk.ordinal, chunk.indexed_text, vector) for chunk, vector in pairs]


class Listener(Protocol):
    """Notified of every change, including changes that are rolled back later."""

    def on_publish(self, team: str, collection_id: str, file_id: str) -> None: ...
    def on_remove(self, team: str, collection_id: str, file_id: str) -> None: ...
    def on_drop(self, team: str, collection_id: str) -> None: ...


class Chunks:
    """The chunks of all indexed documents. Only published documents can be found."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._listeners: list[Listener] = []
        self._on_rest: list[Callable[[str, str | None, str | None], None]] = []

    def on_rest(self, listener: Callable[[str, str | None, str | None], None]) -> None:
        """Call `listener` with the team, collection and document (None for all) whose rows `discard` has to delete.

        It is called in the transaction that removes them.
        """
        self._on_rest.append(listener)

    def subscribe(self, listener: Listener) -> None:
        """Notify a listener of every change from now on."""
        self._listeners.append(listener)

    def replace(
        self,
        team: str,
        collection_id: str,
        file_id: str,
        chunks: Sequence[IndexedChunk],
        vectors: NDArray[float32] | None,
    ) -> None:
        """Replace the chunks of a document in one transaction; see `add`."""
        with self._db.transaction():
            self.remove(team, collection_id, file_id)
            while self.discard(team, collection_id, file_id):
                pass
            self.add(team, collection_id, file_id, chunks, vectors)
            self.publish(team, collection_id, file_id)

    def add(
        self,
        team: str,
        collection_id: str,
        file_id: str,
        chunks: Sequence[IndexedChunk],
        vectors: NDArray[float32] | None,
    ) -> None:
        """Store some chunks of a document; `publish` makes them searchable. For documents too large for `replace`.

        `vectors` has one row for each; None selects the comparison by n-grams, which needs only the text.
        """
        rows = index_rows(chunks, vectors)
        first = self._owner(team, collection_id, file_id) << _ORDINAL_BITS
        self._db.write_many(
            "INSERT INTO chunks (key, id, content, indexed_text, page_number, vector) VALUES (?, ?, ?, ?, ?, ?)",
            (
                (
                    *(first | chunk.ordinal, chunk.chunk_id, chunk.content),
                    None if chunk.indexed_text == chunk.content else chunk.indexed_text,
                    *(chunk.page_number, row.vector),
                )
                for chunk, row in zip(chunks, rows, strict=True)
            ),
        )

    def _owner(self, team: str, collection_id: str, file_id: str) -> int:
        """Return the number of a document in the keys of its chunks."""
        place = (team, collection_id, file_id)
        self._db.write("INSERT OR IGNORE INTO chunk_owners (owner, collection_id, file_id) VALUES (?, ?, ?)", place)
        row = self._db.row(f"SELECT {_OWNER}", place)
        assert row is not None
        number: int = row[0]
        return number

    def publish(self, team: str, collection_id: str, file_id: str) -> None:
        """Make the chunks of a document searchable."""
        self._db.write(
            "INSERT INTO indexed_documents (team, collection_id, file_id) VALUES (?, ?, ?)",
            (team, collection_id, file_id),
        )
        for listener in self._listeners:
            listener.on_publish(team, collection_id, file_id)

    def remove(self, team: str, collection_id: str, file_id: str) -> None:
        """Remove a document from search. It need not be indexed."""
        self._remove(team, collection_id, file_id)
        for listener in self._listeners:
            listener.on_remove(team, collection_id, file_id)

    def remove_collection(self, team: str, collection_id: str) -> None:
        """Remove all documents of a collection from search."""
        self._remove(team, collection_id, None)
        for listener in self._listeners:
            listener.on_drop(team, collection_id)

    def _remove(self, team: str, collection_id: str, file_id: str | None) -> None:
        where, parameters = _place(team, collection_id, file_id)
        with self._db.transaction():
            self._db.write(f"DELETE FROM indexed_documents WHERE {where}", parameters)
            if self.discard(team, collection_id, file_id):
                for listener in self._on_rest:
                    listener(team, collection_id, file_id)

    def clear(self, team: str, *, in_steps: bool) -> int:
        """Remove all documents of a team from search; return how many chunks they have.

        Runs in a transaction. Like those of a removed document, the remaining rows are deleted later, in steps.
        """
        where, parameters = _owner_place(team, None, None)
        count = self._db.count(f"{_OWNED} WHERE {where}", parameters)
        self._db.write("DELETE FROM indexed_documents WHERE team = ?", (team,))
        if not in_steps:
            self._db.write(f"DELETE FROM chunks WHERE key IN (SELECT key FROM {_OWNED} WHERE {where})", parameters)
            self._db.write(f"DELETE FROM chunk_owners WHERE {where}", parameters)
        elif self.discard(team, None, None):
            for listener in self._on_rest:
                listener(team, None, None)
        return count

    def documents_with_rows(self, team: str, collection_id: str | None) -> Iterator[tuple[str, str]]:
        """Yield the collection and document ids that have rows of chunks, searchable or not."""
        place = ("", "")
        where, parameters = _owner_place(team, collection_id, None)
        while True:
            row = self._db.row(
                f"SELECT collection_id, file_id FROM chunk_owners WHERE {where} AND (collection_id, file_id) > (?, ?) "
                "ORDER BY collection_id, file_id LIMIT 1",
                (*parameters, *place),
            )
            if row is None:
                return
            yield (place := (row[0], row[1]))

    def discard(self, team: str, collection_id: str | None, file_id: str | None) -> bool:
        """Delete some rows of chunks of a removed document, collection or team, which cannot be found any more.

        Return whether there may be more.
        """
        where, parameters = _owner_place(team, collection_id, file_id)
        some = (*parameters, DELETED_AT_ONCE)
        deleted = self._db.write(
            f"DELETE FROM chunks WHERE key IN (SELECT key FROM {_OWNED} WHERE {where} {_IN_ORDER} LIMIT ?)", some
        )
        emptied = self._db.write(
            f"DELETE FROM chunk_owners WHERE number IN (SELECT number FROM chunk_owners WHERE {where} {_IN_ORDER} "
            f"LIMIT ?) AND NOT EXISTS (SELECT 1 FROM chunks WHERE {_ITS_KEYS})",
            some,
        )
        return DELETED_AT_ONCE in (deleted, emptied)

    # --- to build an index, and to show results

    def last_version(self) -> int:
        """Return the number of the newest version; later versions have greater numbers."""
        row = self._db.row("SELECT max(seq) FROM indexed_documents")
        return 0 if row is None or row[0] is None else int(row[0])

    def versions(self, team: str, collection_id: str, after: int, last: int, limit: int) -> list[DocumentVersion]:
        """Return searchable documents of a collection, ordered by version number, after a number."""
        rows = self._db.rows(
            "SELECT seq, file_id FROM indexed_documents WHERE team = ? AND collection_id = ? AND seq > ? "
            "AND seq <= ? ORDER BY seq LIMIT ?",
            (team, collection_id, after, last, limit),
        )
        return [DocumentVersion(*row) for row in rows]

    def version(self, team: str, collection_id: str, file_id: str) -> DocumentVersion | None:
        """Return the searchable version of a document."""
        row = self._db.row(f"SELECT seq, file_id FROM indexed_documents WHERE {_ONE}", (team, collection_id, file_id))
        return None if row is None else DocumentVersion(*row)

    def rows(self, team: str, collection_id: str, version: DocumentVersion, after: int, limit: int) -> list[IndexRow]:
        """Return the rows to index of a version, after an ordinal; none if there is a newer version."""
        if self.version(team, collection_id, version.file_id) != version:
            return []
        rows = self._db.rows(
            f"SELECT {_ORDINAL}, coalesce(indexed_text, content), vector FROM chunks WHERE {_AFTER}",
            _after(team, collection_id, version.file_id, after, limit),
        )
        return [IndexRow(*row) for row in rows]

    def of_document(self, team: str, collection_id: str, file_id: str, after: int, limit: int) -> list[IndexedChunk]:
        """Return the chunks of a searchable document, after an ordinal."""
        if self.version(team, collection_id, file_id) is None:
            return []
        rows = self._db.rows(
            f"SELECT id, {_ORDINAL}, content, coalesce(indexed_text, content), page_number FROM chunks WHERE {_AFTER}",
            _after(team, collection_id, file_id, after, limit),
        )
        return [IndexedChunk(*row) for row in rows]

    def get(self, team: str, collection_id: str, version: DocumentVersion, ordinal: int) -> StoredChunk | None:
        """Return a chunk of a version; None if there is a newer version."""
        if self.version(team, collection_id, version.file_id) != version:
            return None
        row = self._db.row(
            f"SELECT id, content, page_number FROM chunks WHERE key = {_OWNER} << 31 | ?",
            (team, collection_id, version.file_id, ordinal),
        )
        return None if row is None else StoredChunk(*row)


def _place(team: str, collection_id: str | None, file_id: str | None) -> tuple[str, tuple[str, ...]]:
    """Return the condition, and its parameters, for the rows of a document, of a collection, or of a team."""
    if collection_id is None:
        return "team = ?", (team,)
    return (_ALL, (team, collection_id)) if file_id is None else (_ONE, (team, collection_id, file_id))


def _owner_place(team: str, collection_id: str | None, file_id: str | None) -> tuple[str, tuple[str, ...]]:
    """Return the condition, and its parameters, for the same rows of `chunk_owners`."""
    where, parameters = _place(team, collection_id, file_id)
    return where.replace("team", "owner", 1), parameters


def _after(team: str, collection_id: str, file_id: str, after: int, limit: int) -> tuple[str | int, ...]:
    """Return the parameters of `_AFTER`."""
    place = (team, collection_id, file_id)
    return (*place, after, *place, limit)
