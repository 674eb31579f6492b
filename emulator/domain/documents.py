"""Documents: files in a collection, with the state of their indexing."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping

import msgspec

from emulator.core.clock import MICROSECONDS, Instant
from emulator.domain.files import File


class DocumentStatus(enum.Enum):
    """The state of a document's indexing, in the order of the enum's numbers on the wire."""

    UNKNOWN = "DOCUMENT_STATUS_UNKNOWN"
    PROCESSING = "DOCUMENT_STATUS_PROCESSING"
    PROCESSED = "DOCUMENT_STATUS_PROCESSED"
    FAILED = "DOCUMENT_STATUS_FAILED"
    CHUNKED = "DOCUMENT_STATUS_CHUNKED"
    EMBEDDING = "DOCUMENT_STATUS_EMBEDDING"
    WRITING = "DOCUMENT_STATUS_WRITING"


_AGAIN = DocumentStatus.PROCESSING  # by adding, updating or reindexing
_FAILED = DocumentStatus.FAILED

STATUS_TRANSITIONS: dict[DocumentStatus, frozenset[DocumentStatus]] = {
    DocumentStatus.PROCESSING: frozenset({DocumentStatus.CHUNKED, _FAILED, _AGAIN}),
    DocumentStatus.CHUNKED: frozenset({DocumentStatus.EMBEDDING, _FAILED, _AGAIN}),
    DocumentStatus.EMBEDDING: frozenset({DocumentStatus.WRITING, _FAILED, _AGAIN}),
    DocumentStatus.WRITING: frozenset({DocumentStatus.PROCESSED, _FAILED, _AGAIN}),
    DocumentStatus.PROCESSED: frozenset({_AGAIN}),
    DocumentStatus.FAILED: frozenset({_AGAIN}),
    DocumentStatus.UNKNOWN: frozenset(),  # never observed
}
# How long a document stays in a status at the realistic speed, in microseconds: 5 s in all, and 0.2 s more for each
# page. Observed live, 2026-10: 5 to 10 s for a small text, most of it in WRITING, and about 90 s for 425 pages.
_STAYS = {
    DocumentStatus.PROCESSING: MICROSECONDS // 2,
    DocumentStatus.CHUNKED: MICROSECONDS // 2,
    DocumentStatus.EMBEDDING: MICROSECONDS,
    DocumentStatus.WRITING: 3 * MICROSECONDS,
}
_STAY_PER_PAGE = MICROSECONDS // 5
# The chunks exist before they are counted: observed live, a document is CHUNKED with a chunk_count of 0.
_UNCOUNTED = frozenset({DocumentStatus.PROCESSING, DocumentStatus.CHUNKED})


class DocumentsSortBy(enum.Enum):
    """The orders of a list of documents, in the order of their numbers. The age is that of the file."""

    NAME = "DOCUMENTS_SORT_BY_NAME"
    SIZE = "DOCUMENTS_SORT_BY_SIZE"
    AGE = "DOCUMENTS_SORT_BY_AGE"


class Document(msgspec.Struct, frozen=True):
    """A document as it is stored. `seq` is its insertion number.

    `revision` changes whenever an indexing begins: results of an older one are dropped.
    """

    collection_id: str
    file: File
    fields: Mapping[str, str]
    status: DocumentStatus
    error_message: str | None
    last_indexed_at: Instant | None
    chunks: int
    revision: int
    seq: int

    @property
    def chunk_count(self) -> int:
        """Return the number of chunks that clients see."""
        return 0 if self.status in _UNCOUNTED else self.chunks

    @property
    def chunks_processed_count(self) -> int:
        """Return how many chunks are searchable: for clients a document is searchable when the two counts are equal."""
        return self.chunks if self.status is DocumentStatus.PROCESSED else 0


class Indexing(msgspec.Struct, frozen=True):
    """One indexing of one document, the subject of a job."""

    collection_id: str
    file_id: str
    revision: int

    @property
    def subject(self) -> str:
        """Return the text form for a job."""
        return f"{self.collection_id}/{self.file_id}/{self.revision}"

    @staticmethod
    def of(subject: str) -> Indexing:
        """Parse the text form of a job."""
        collection_id, file_id, revision = subject.split("/")
        return Indexing(collection_id, file_id, int(revision))


def realistic_stay(status: DocumentStatus, pages: int = 0) -> int:
    """Return how many microseconds a document of some pages stays in a status at the realistic speed."""
    return _STAYS[status] + (_STAY_PER_PAGE * pages if status is DocumentStatus.WRITING else 0)


def chunk_id(collection_id: str, file_hash: str, ordinal: int, text: str) -> str:
    """Return the id of a chunk: the same for the same content, in the form of a version 7 UUID as in the OpenAPI."""
    parts = repr((collection_id, file_hash, ordinal, text)).encode()
    digits = hashlib.blake2b(parts, digest_size=16).hexdigest()
    variant = "89ab"[int(digits[16], 16) % 4]
    return f"0199{digits[:4]}-{digits[4:8]}-7{digits[9:12]}-{variant}{digits[17:20]}-{digits[20:32]}"


class IndexedChunk(msgspec.Struct, frozen=True):
    """A chunk of a document. A search matches `indexed_text` and returns `content`.

    The two differ if the document's name or fields are injected. `ordinal` counts a document's chunks from 0.
    """

    chunk_id: str
    ordinal: int
    content: str
    indexed_text: str
    page_number: int | None
