"""Rows of files, of deleted files' positions, and of batch uploads."""

from __future__ import annotations

import json
from collections.abc import Callable

import msgspec

from emulator.core.clock import Instant
from emulator.domain.files import File, PublicUrl, SortBy, UploadStatus
from emulator.domain.paging import Cursor
from emulator.store.columns import Columns
from emulator.store.database import Database

FILES = Columns(File, "files", computed={"seq": None})


def living(table: str) -> str:
    """Return the condition of `File.alive` for the rows of a table; its parameter is the time."""
    return f"({table}.expires_at IS NULL OR {table}.expires_at > ?)"


_ALIVE = living("files")
_ONE = f"{FILES.select} WHERE team = ? AND id = ?"
READ_MAX = 1000  # files in the cache
_KEYS: dict[SortBy, str] = {SortBy.CREATED_AT: "created_at", SortBy.FILENAME: "filename", SortBy.SIZE: "size"}


class Files:
    """The files of every team."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._read: dict[tuple[str, str], File | None] = {}  # since the last write
        self._read_at = -1  # the number of rows written by then

    def insert(self, team: str, file: File) -> File:
        """Add a file and return it with its insertion number."""
        row = self._db.row(f"{FILES.insert} RETURNING seq", FILES.row(team, file))
        assert row is not None
        return msgspec.structs.replace(file, seq=row[0])

    def get(self, team: str, id: str, now: Instant) -> File | None:
        """Return the file; None if it is missing or expired."""
        file = self._stored(team, id)
        return file if file is not None and file.alive(now) else None

    def get_including_expired(self, team: str, id: str) -> File | None:
        """Return the row as it is stored, expired or not: for the job that removes it."""
        row = self._db.row(_ONE, (team, id))
        return None if row is None else FILES.read(row)

    def _stored(self, team: str, id: str) -> File | None:
        """Return the same, cached until the next write: calls about one file often follow each other."""
        if self._db.in_transaction:  # a row read here may be rolled back
            return self.get_including_expired(team, id)
        if self._read_at != self._db.rows_written or len(self._read) >= READ_MAX:
            self._read, self._read_at = {}, self._db.rows_written
        key = (team, id)
        if key not in self._read:
            self._read[key] = self.get_including_expired(team, id)
        return self._read[key]

    def by_public_url(self, token: str) -> tuple[str, File] | None:
        """Return the team and file of a public URL's token, expired or not: only the team's clock decides that."""
        row = self._db.row(f"SELECT team, {', '.join(FILES.selected)} FROM files WHERE public_url_token = ?", (token,))
        return None if row is None else (row[0], FILES.read(row[1:]))

    def page(
        self, team: str, now: Instant, *, sort_by: SortBy, descending: bool, after: Cursor | None, limit: int
    ) -> list[File]:
        """Return unexpired files in order, after a position."""
        return self._db.keyset(
            FILES.read,
            FILES.select,
            f"team = ? AND {_ALIVE}",
            (team, now),
            order_by=_KEYS[sort_by],
            descending=descending,
            after=after,
            limit=limit,
        )

    @staticmethod
    def cursor(file: File, sort_by: SortBy) -> Cursor:
        """Return the position of a file in an order."""
        keys: dict[SortBy, int | str] = {
            SortBy.CREATED_AT: file.created_at,
            SortBy.FILENAME: file.filename,
            SortBy.SIZE: file.size,
        }
        return Cursor(keys[sort_by], file.seq)

    def position(self, team: str, id: str, sort_by: SortBy) -> Cursor | None:
        """Return the position of a file in an order, also of a deleted file."""
        key = _KEYS[sort_by]
        for table in ("files", "deleted_files"):
            row = self._db.row(f"SELECT {key}, seq FROM {table} WHERE team = ? AND id = ?", (team, id))
            if row is not None:
                return Cursor(row[0], row[1])
        return None

    def set_content(self, team: str, id: str, *, size: int, hash: str, blob: str, status: UploadStatus) -> None:
        """Replace the content of a file."""
        self._db.write(
            "UPDATE files SET size = ?, hash = ?, blob = ?, upload_status = ? WHERE team = ? AND id = ?",
            (size, hash, blob, status.value, team, id),
        )

    def seal(self, team: str, id: str) -> None:
        """Reject further chunks of a file."""
        self._db.write("UPDATE files SET open_for_chunks = 0 WHERE team = ? AND id = ?", (team, id))

    def set_metadata(self, team: str, id: str, *, filename: str, content_type: str, expires_at: Instant | None) -> None:
        """Update the name, the type and the expiry of a file."""
        self._db.write(
            "UPDATE files SET filename = ?, content_type = ?, expires_at = ? WHERE team = ? AND id = ?",
            (filename, content_type, expires_at, team, id),
        )

    def set_public_url(self, team: str, id: str, url: PublicUrl | None) -> None:
        """Set or remove the public URL of a file."""
        token, expires_at = (None, None) if url is None else (url.token, url.expires_at)
        self._db.write(
            "UPDATE files SET public_url_token = ?, public_url_expires_at = ? WHERE team = ? AND id = ?",
            (token, expires_at, team, id),
        )

    def renew_public_urls(self, team: str, new_token: Callable[[], str]) -> None:
        """Replace the token of every public URL of a team, oldest file first."""
        rows = self._db.rows(
            "SELECT seq FROM files WHERE team = ? AND public_url_token IS NOT NULL ORDER BY seq", (team,)
        )
        for (seq,) in rows:
            self._db.write("UPDATE files SET public_url_token = ? WHERE seq = ?", (new_token(), seq))

    def delete(self, team: str, id: str) -> None:
        """Delete the row; its position in the lists is kept for page tokens."""
        self._db.write("DELETE FROM files WHERE team = ? AND id = ?", (team, id))

    def usage(self, team: str) -> tuple[int, int]:
        """Return the number and total bytes of a team's files."""
        row = self._db.row("SELECT files_count, files_bytes FROM teams WHERE name = ?", (team,))
        return (0, 0) if row is None else (row[0], row[1])

    def active_public_urls(self, team: str, now: Instant) -> int:
        """Return how many public URLs of a team are active."""
        return self._db.count(
            "files WHERE team = ? AND public_url_token IS NOT NULL "
            f"AND (public_url_expires_at IS NULL OR public_url_expires_at > ?) AND {_ALIVE}",
            (team, now, now),
        )

    def blobs(self, team: str | None = None) -> set[str]:
        """Return the names of all blobs that files own, of one team or of all."""
        where, parameters = ("", ()) if team is None else (" WHERE team = ?", (team,))
        return {row[0] for row in self._db.rows(f"SELECT blob FROM files{where}", parameters)}

    def open_blobs(self) -> list[tuple[str, int]]:
        """Return the blobs of all files that accept chunks, with the sizes of the files."""
        return [(row[0], row[1]) for row in self._db.rows("SELECT blob, size FROM files WHERE open_for_chunks")]

    def insert_batch_upload(self, team: str, id: str, file_ids: list[str], created_at: Instant) -> None:
        """Store the file ids of a batch upload."""
        self._db.write(
            "INSERT INTO file_batch_uploads VALUES (?, ?, ?, ?, NULL)", (team, id, json.dumps(file_ids), created_at)
        )

    def batch_upload(self, team: str, id: str) -> tuple[list[str], Instant | None] | None:
        """Return the file ids of a batch upload, and when it was completed."""
        row = self._db.row(
            "SELECT file_ids, completed_at FROM file_batch_uploads WHERE team = ? AND id = ?", (team, id)
        )
        return None if row is None else (json.loads(row[0]), row[1])

    def complete_batch_upload(self, team: str, id: str, at: Instant) -> None:
        """Store when a batch upload was completed."""
        self._db.write("UPDATE file_batch_uploads SET completed_at = ? WHERE team = ? AND id = ?", (at, team, id))
