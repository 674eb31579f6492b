"""Rows of API keys."""

from __future__ import annotations

from emulator.domain.api_keys import ApiKey, OldSecret
from emulator.domain.paging import Cursor
from emulator.store.columns import Columns, json_text
from emulator.store.database import Database

API_KEYS = Columns(
    ApiKey,
    "api_keys",
    computed={"seq": None},
    encodings={"acls": json_text(tuple[str, ...])},
)
_CHANGED = (
    "name",
    "acls",
    "modified_at",
    "expires_at",
    "disabled",
    "deleted",
    "hash",
    "ending",
    "old",
    "qps",
    "qpm",
    "tpm",
)


class ApiKeys:
    """The API keys of every team."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def insert(self, team: str, key: ApiKey) -> None:
        """Add a key."""
        self._db.write(API_KEYS.insert, API_KEYS.row(team, key))

    def get(self, team: str, id: str) -> ApiKey | None:
        """Return a key that is not deleted."""
        row = self._db.row(f"{API_KEYS.select} WHERE team = ? AND id = ? AND NOT deleted", (team, id))
        return None if row is None else API_KEYS.read(row)

    def by_hash(self, team: str, hash: str) -> ApiKey | None:
        """Return the key that has or had the secret with this hash, deleted or not."""
        retired = "SELECT key_id FROM retired_secrets WHERE team = ?1 AND hash = ?2"
        where = f"team = ?1 AND hash = ?2 OR team = ?1 AND old_hash = ?2 OR team = ?1 AND id = ({retired})"
        row = self._db.row(f"{API_KEYS.select} WHERE {where}", (team, hash))
        return None if row is None else API_KEYS.read(row)

    def total(self, team: str) -> int:
        """Return how many keys a team has created, including the deleted ones."""
        return self._db.count("api_keys WHERE team = ?", (team,))

    def page(self, team: str, after: Cursor | None, limit: int) -> list[ApiKey]:
        """Return keys that are not deleted, newest first, after a position."""
        return self._db.keyset(
            API_KEYS.read,
            API_KEYS.select,
            "team = ? AND NOT deleted",
            (team,),
            order_by="created_at",
            descending=True,
            after=after,
            limit=limit,
        )

    def update(self, team: str, key: ApiKey) -> None:
        """Update the mutable fields of a key."""
        self._db.write(
            f"UPDATE api_keys SET {API_KEYS.assigned(_CHANGED)} WHERE team = ? AND id = ?",
            (*API_KEYS.values(key, _CHANGED), team, key.id),
        )

    def retire(self, team: str, key: ApiKey, secret: OldSecret) -> None:
        """Keep the hash of a secret that the key forgets."""
        self._db.write("INSERT INTO retired_secrets VALUES (?, ?, ?)", (team, secret.hash, key.id))

    @staticmethod
    def cursor(key: ApiKey) -> Cursor:
        """Return the position of a key in the list."""
        return Cursor(key.created_at, key.seq)
