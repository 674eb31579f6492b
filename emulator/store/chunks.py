"""Rows of chunks and their vectors: what can be found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from emulator.domain.chunks import IndexedChunk
from emulator.store.database import Database

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray


class Chunks:
    """The chunks of every team's indexed documents. What is here is found; what is not, is not."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def replace(
        self,
        team: str,
        collection_id: str,
        file_id: str,
        chunks: Sequence[IndexedChunk],
        vectors: NDArray[float32],
    ) -> None:
        """Let these be the chunks of a document, all at once; `vectors` has one row for each."""
        assert len(chunks) == len(vectors), (len(chunks), len(vectors))
        with self._db.transaction():
            self.remove(team, collection_id, file_id)
            self._db.write(
                "INSERT INTO indexed_documents (team, collection_id, file_id) VALUES (?, ?, ?)",
                (team, collection_id, file_id),
            )
            self._db.write_many(
                "INSERT INTO chunks (team, collection_id, file_id, ordinal, id, content, indexed_text, page_number, "
                "vector) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (
                        *(team, collection_id, file_id, chunk.ordinal, chunk.chunk_id, chunk.content),
                        None if chunk.indexed_text == chunk.content else chunk.indexed_text,
                        *(chunk.page_number, vector.tobytes()),
                    )
                    for chunk, vector in zip(chunks, vectors.astype("float32", copy=False), strict=True)
                ),
            )

    def remove(self, team: str, collection_id: str, file_id: str) -> None:
        """Let a document be found no more. It need not be indexed."""
        self._remove("team = ? AND collection_id = ? AND file_id = ?", (team, collection_id, file_id))

    def remove_collection(self, team: str, collection_id: str) -> None:
        """Let no document of a collection be found any more."""
        self._remove("team = ? AND collection_id = ?", (team, collection_id))

    def _remove(self, where: str, parameters: tuple[str, ...]) -> None:
        with self._db.transaction():
            for table in ("chunks", "indexed_documents"):
                self._db.write(f"DELETE FROM {table} WHERE {where}", parameters)
