"""Rows of stored responses."""

from __future__ import annotations

from typing import Any

import msgspec

from emulator.core.clock import Instant
from emulator.domain.chat.answers import Answer
from emulator.domain.chat.stored import StoredResponse
from emulator.store.columns import Columns, Encoding, json_decoder
from emulator.store.database import Database


def _as_json(shape: Any) -> Encoding:
    """Return an encoding as JSON."""
    return Encoding(msgspec.json.encode, json_decoder(shape))


_MESSAGES = _as_json(tuple[dict[str, Any], ...])
RESPONSES = Columns(
    StoredResponse,
    "stored_responses",
    computed={"seq": None},
    encodings={"answer": _as_json(Answer), "input": _MESSAGES, "messages": _MESSAGES},
)
_CONTENT = ("answer", "input", "messages")


def size_of(response: StoredResponse) -> int:
    """Return the size of the content of a response in bytes."""
    return sum(map(len, RESPONSES.values(response, _CONTENT)))


class StoredResponses:
    """The stored responses of every team."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def insert(self, team: str, response: StoredResponse) -> None:
        """Store a response; the store assigns its number."""
        self._db.write(RESPONSES.insert, RESPONSES.row(team, response))

    def get(self, team: str, id: str, now: Instant) -> StoredResponse | None:
        """Return a response that has not expired."""
        row = self._db.row(
            f"{RESPONSES.select} WHERE team = ? AND id = ? AND expires_at > ?",
            (team, id, now),
        )
        return None if row is None else RESPONSES.read(row)

    def total(self, team: str) -> int:
        """Return how many stored responses a team has."""
        return self._db.count("stored_responses WHERE team = ?", (team,))

    def oldest(self, team: str, count: int) -> list[str]:
        """Return the ids of the first responses of a team."""
        rows = self._db.rows("SELECT id FROM stored_responses WHERE team = ? ORDER BY seq LIMIT ?", (team, count))
        return [row[0] for row in rows]

    def delete(self, team: str, id: str) -> bool:
        """Delete a response; return whether it existed."""
        return bool(self._db.write("DELETE FROM stored_responses WHERE team = ? AND id = ?", (team, id)))
