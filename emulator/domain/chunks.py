"""A chunk of a document, as it is indexed."""

from __future__ import annotations

import msgspec


class IndexedChunk(msgspec.Struct, frozen=True):
    """A piece of a document. `content` is what a search returns, `indexed_text` what it looks at.

    The two differ where the document's name or its fields are injected. `ordinal` counts a document's chunks from 0.
    """

    chunk_id: str
    ordinal: int
    content: str
    indexed_text: str
    page_number: int | None
