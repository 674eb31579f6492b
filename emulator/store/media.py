"""Rows of images and videos with signed URLs. Those of a batch are deleted with it, others when they expire."""

from __future__ import annotations

import msgspec

from emulator.core.clock import Instant
from emulator.store.database import Database


class MediaItem(msgspec.Struct, frozen=True):
    """An image or video behind a signed URL."""

    token: str
    name: str
    content_type: str
    content: bytes
    expires_at: Instant


_COLUMNS = "team, token, name, content_type, content, expires_at"


class Media:
    """The images and videos of every team."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def insert(self, team: str, item: MediaItem) -> None:
        """Add an item of a live call."""
        self._db.write(
            f"INSERT INTO live_media ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", (team, *msgspec.structs.astuple(item))
        )

    def insert_for_batch(self, team: str, batch_id: str, item: MediaItem) -> None:
        """Add an item that is deleted together with its batch."""
        self._db.write(
            f"INSERT INTO batch_media ({_COLUMNS}, batch_id) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (team, *msgspec.structs.astuple(item), batch_id),
        )

    def get(self, token: str) -> tuple[str, MediaItem] | None:
        """Return the team and the item of a token, expired or not: only the team's clock decides that."""
        row = self._db.row(
            f"SELECT {_COLUMNS} FROM batch_media WHERE token = ?1 "
            f"UNION ALL SELECT {_COLUMNS} FROM live_media WHERE token = ?1",
            (token,),
        )
        return None if row is None else (row[0], MediaItem(*row[1:]))

    def total(self, team: str) -> int:
        """Return how many items of live calls a team has."""
        return self._db.count("live_media WHERE team = ?", (team,))

    def delete_expired(self, team: str, at: Instant) -> None:
        """Delete the items of live calls that have expired."""
        self._db.write("DELETE FROM live_media WHERE team = ? AND expires_at <= ?", (team, at))
