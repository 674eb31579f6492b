"""Results of the emulator's own search for a request: the only text that an answer may quote or cite."""

from __future__ import annotations

import enum
from typing import Any

import msgspec

QUERY_CHARS_MAX = 500  # of the last user text; assumed: the real model writes its own query


class SearchTool(enum.Enum):
    """A search that runs on the server; the values are the names of its function on the wire."""

    COLLECTIONS = "collections_search"  # recorded over gRPC, 2026-08
    ATTACHMENTS = "read_attachment"  # recorded over gRPC, 2026-01 to 2026-04; newer models use other names

    @property
    def price(self) -> int:
        """Ticks for each call: recorded, 2026-08; for attachments the price list says twice as much."""
        return 25_000_000 if self is SearchTool.COLLECTIONS else 50_000_000


class Passage(msgspec.Struct, frozen=True):
    """A matching chunk. `collection_ids` is empty for an attachment; `file_id` is empty for an inline one."""

    text: str
    score: float
    file_id: str
    filename: str
    chunk_id: str = ""
    collection_ids: tuple[str, ...] = ()
    page_number: int | None = None

    @property
    def uri(self) -> str | None:
        """How the passage is cited (recorded, 2026-08); attachments are not."""
        return f"collections://{self.collection_ids[0]}/files/{self.file_id}" if self.collection_ids else None


class Search(msgspec.Struct, frozen=True):
    """One call of a search tool, with its results, best first.

    `opening` is the text that an answer may quote if no word of the query matched; `notes` are sentences on files that
    could not be searched.
    """

    tool: SearchTool
    query: str
    limit: int
    mode: str = "hybrid"
    passages: tuple[Passage, ...] = ()
    opening: Passage | None = None
    notes: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()  # collection ids, or names of files

    @property
    def best(self) -> Passage | None:
        """The passage to quote."""
        return self.passages[0] if self.passages else self.opening

    @property
    def arguments(self) -> str:
        """The arguments of the call in JSON, as recorded over gRPC, 2026-08."""
        if self.tool is SearchTool.COLLECTIONS:
            asked: Any = {"query": self.query, "limit": self.limit, "retrieval_mode": self.mode}
            return _json({"search_request": _json(asked)})
        return _json({"key": self.targets[0] if self.targets else "", "query": self.query})

    @property
    def output(self) -> str:
        """What the tool returned, in JSON: for collections as recorded over gRPC, 2026-08; else assumed."""
        if self.tool is SearchTool.COLLECTIONS:
            return _json(
                {
                    "search_matches": [
                        {
                            "file_id": each.file_id,
                            "chunk_id": each.chunk_id,
                            "chunk_content": each.text,
                            "score": each.score,
                            "collection_ids": list(each.collection_ids),
                        }
                        for each in self.passages
                    ]
                }
            )
        found = self.passages or ((self.opening,) if self.opening is not None else ())
        return _json(
            {
                "matches": [
                    {"file_id": each.file_id, "file_name": each.filename, "text": each.text, "score": each.score}
                    for each in found
                ]
            }
        )


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
