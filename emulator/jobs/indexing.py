"""Index a document stage by stage: extract and chunk its text, embed the chunks, write and publish them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from emulator.core.clock import later
from emulator.core.import_callable import describe_error
from emulator.core.limits import Limits, exceeds, utf8_bytes
from emulator.domain import content_types
from emulator.domain.chaos import ChaosFlag
from emulator.domain.collections import Collection, injected_values
from emulator.domain.documents import (
    STATUS_TRANSITIONS,
    Document,
    DocumentStatus,
    IndexedChunk,
    Indexing,
    chunk_id,
    realistic_stay,
)
from emulator.domain.speeds import pause
from emulator.domain.transitions import step
from emulator.search.embedding.error import EmbedderError
from emulator.search.extraction.readers import Processes
from emulator.search.extraction.result import NOT_SUPPORTED, ExtractionError
from emulator.state.embedding import embed_texts
from emulator.state.services import Services
from emulator.state.teams import Team
from emulator.store.chunks import index_rows
from emulator.store.jobs import Job

# Embedded and written between two yields to other calls; the stand-in embedder takes some 50 bytes per character.
_CHUNKS_AT_ONCE = 128
_CHARS_AT_ONCE = 512 * 1024


class Dropped(Exception):
    """The document was removed, expired or changed since its indexing began."""


class _Work:
    """The stages of one indexing that run without a pause."""

    def __init__(self, services: Services, team: Team, job: Job) -> None:
        self._services, self.team, self._job = services, team, job
        self._indexing = Indexing.of(job.subject)
        self._content: CutDocument | None = None

    def document(self) -> Document:
        """Return the document as it is now. Raises Dropped."""
        indexing, store = self._indexing, self._services.store
        document = store.documents.get(self.team.name, indexing.collection_id, indexing.file_id, self._job.due_at)
        if document is None or document.revision != indexing.revision or not store.jobs.exists(self._job):
            raise Dropped
        return document

    async def chunks(self) -> list[IndexedChunk]:
        """Return the chunks of the document, computed once. Raises ExtractionError."""
        if self._content is None:
            document, store = self.document(), self._services.store
            collection = store.collections.get(self.team.name, document.collection_id, self._job.due_at)
            assert collection is not None
            self._content = await read(self._services, self.team, document, collection)
        return self._content.chunks

    @property
    def pages(self) -> int:
        """The number of pages, if this job chunked the document; 0 if there are none."""
        return 0 if self._content is None else self._content.pages

    async def embed(self) -> None:
        """Write every chunk with its vector; searches do not find them yet."""
        document, chunks = self.document(), await self.chunks()
        place = (self.team.name, document.collection_id, document.file.id)
        while self._services.store.chunks.discard(*place):  # chunks of an earlier indexing
            await asyncio.sleep(0)
            self.document()
        for batch in _batches(chunks):
            vectors = await embed_texts(self.team, [chunk.indexed_text for chunk in batch])
            self.document()
            with self._services.store.transaction():
                self._services.store.chunks.add(*place, batch, vectors)
            await self._services.store.indexes.stage(*place, index_rows(batch, vectors))

    def take(self, target: DocumentStatus) -> None:
        """Set the status of the document. In a transaction."""
        document, store, team = self.document(), self._services.store, self.team.name
        step(STATUS_TRANSITIONS, document.status, target)
        if target is DocumentStatus.PROCESSED:
            store.chunks.publish(team, document.collection_id, document.file.id)
            store.documents.set_processed(team, document, self._job.due_at)
        else:
            count = document.chunks if self._content is None else len(self._content.chunks)
            store.documents.set_status(team, document, target, chunks=count)

    def fail(self, message: str) -> None:
        """Set the document to FAILED, with the reason. In a transaction."""
        document, store = self.document(), self._services.store
        step(STATUS_TRANSITIONS, document.status, DocumentStatus.FAILED)
        store.chunks.remove(self.team.name, document.collection_id, document.file.id)
        store.documents.set_failed(self.team.name, document, message)

    def failure(self, error: Exception) -> str:
        """Return the error message for a document; an unexpected error is logged as well."""
        if isinstance(error, ExtractionError | EmbedderError):
            return describe_error(error)
        self._services.log(f"indexing {self._job.subject}: {type(error).__name__}: {describe_error(error)}")
        return f"The document cannot be indexed: {type(error).__name__}."


class Stage(NamedTuple):
    """The next status, and the work that leads to it."""

    target: DocumentStatus
    work: Callable[[_Work], Awaitable[object]] | None = None


STAGES: dict[DocumentStatus, Stage] = {
    DocumentStatus.PROCESSING: Stage(DocumentStatus.CHUNKED, _Work.chunks),
    DocumentStatus.CHUNKED: Stage(DocumentStatus.EMBEDDING),
    DocumentStatus.EMBEDDING: Stage(DocumentStatus.WRITING, _Work.embed),
    DocumentStatus.WRITING: Stage(DocumentStatus.PROCESSED),
}


async def index_document(services: Services, job: Job) -> None:
    """Run the stages of a document until it is PROCESSED or FAILED, or until the next pause.

    The work of a stage runs off the loop. Its result is dropped if the document was removed or changed meanwhile.
    """
    work = _Work(services, services.teams.get(job.team), job)
    try:
        while not await _run_stage(services, job, work):
            pass
    except Dropped:
        services.store.jobs.done(job)


async def fail_indexing(services: Services, job: Job) -> None:
    """Fail a document whose indexing ended the process repeatedly."""
    work = _Work(services, services.teams.get(job.team), job)
    try:
        with services.store.transaction():
            work.fail(f"The document cannot be indexed: the emulator ended {job.attempts} times while it was indexed.")
            services.store.jobs.done(job)
    except Dropped:
        services.store.jobs.done(job)


async def _run_stage(services: Services, job: Job, work: _Work) -> bool:
    """Run the next stage; return whether the job is done."""
    target, act = STAGES[work.document().status]
    try:
        if act is not None:
            await act(work)
    except Dropped:
        raise
    except Exception as error:
        work.document()  # a file that was removed meanwhile cannot be read; this is no failure
        with services.store.transaction():
            work.fail(work.failure(error))
            services.store.jobs.done(job)
        return True
    delay = pause(work.team.indexing, realistic_stay(target, work.pages)) if target in STAGES else 0
    with services.store.transaction():
        work.take(target)
        if target in STAGES and not delay:
            return False
        services.store.jobs.done(job)
        if delay and target in STAGES:
            services.jobs.add(work.team, job.kind, job.subject, later(job.due_at, delay))
    return True


def _batches(chunks: list[IndexedChunk]) -> Iterator[list[IndexedChunk]]:
    """Yield the chunks in batches that can be embedded at once; a larger chunk is a batch of its own."""
    batch: list[IndexedChunk] = []
    chars = 0
    for chunk in chunks:
        if batch and (len(batch) == _CHUNKS_AT_ONCE or chars + len(chunk.indexed_text) > _CHARS_AT_ONCE):
            yield batch
            batch, chars = [], 0
        batch.append(chunk)
        chars += len(chunk.indexed_text)
    if batch:
        yield batch


class CutDocument(NamedTuple):
    """The chunks of a document, and its number of pages; 0 if there are none."""

    chunks: list[IndexedChunk]
    pages: int


async def read(services: Services, team: Team, document: Document, collection: Collection) -> CutDocument:
    """Run `cut` in a thread."""
    from emulator.search.extraction.extract import is_large

    file, readers, limits = document.file, services.readers, team.limits
    has_lost_type = team.chaos is not None and team.chaos.has(ChaosFlag.SNIFFED_CONTENT_TYPES)
    if has_lost_type and file.content_type == content_types.UNKNOWN:
        raise ExtractionError(NOT_SUPPORTED)
    path = services.store.blobs.path(file.blob)
    return await readers.run(
        lambda: cut(path, document, collection, limits, readers.processes),
        large=is_large(file.size, file.content_type, file.filename),
    )


def cut(path: Path, document: Document, collection: Collection, limits: Limits, processes: Processes) -> CutDocument:
    """Return the chunks of a file's text, with the values that the collection injects.

    Raises ExtractionError, also as soon as the chunks exceed a limit: overlaps, injected values and the headers of
    tables multiply a text.
    """
    from emulator.search.chunking.chunks import compose, split
    from emulator.search.extraction.extract import extract

    file, configuration = document.file, collection.chunk_configuration
    name = file.filename if configuration.inject_name_into_chunks else None
    injected = injected_values(collection.field_definitions, document.fields)
    if exceeds(limits.injected_bytes_max, injected.values()):
        raise ExtractionError(f"The fields injected into chunks have more than {limits.injected_bytes_max} bytes.")
    extracted = extract(path, file.content_type, file.filename, processes=processes)
    chunks: list[IndexedChunk] = []
    budget = limits.indexed_bytes_per_document_max
    for ordinal, chunk in enumerate(split(extracted.text, configuration, chunks_max=limits.chunks_per_document_max)):
        indexed_text = compose(chunk.text, name=name, injected=injected)
        if budget is not None:
            budget -= utf8_bytes(indexed_text)
            if budget < 0:
                raise ExtractionError(
                    f"The chunks of the document have more than {limits.indexed_bytes_per_document_max} bytes in this "
                    "collection. Use a smaller overlap, or inject less into each chunk."
                )
        chunks.append(
            IndexedChunk(
                chunk_id=chunk_id(document.collection_id, file.hash, ordinal, chunk.text),
                ordinal=ordinal,
                content=chunk.text,
                indexed_text=indexed_text,
                page_number=extracted.page_number(chunk.start, chunk.end),
            )
        )
    return CutDocument(chunks, len(extracted.pages or ()))
