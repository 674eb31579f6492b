"""Delete the chunks of documents and collections that were removed: in steps, since a document may have 50,000."""

from __future__ import annotations

import asyncio

from emulator.domain.documents import DocumentStatus
from emulator.state.services import Services
from emulator.store.jobs import Job

# Of documents whose chunks are there, or being written: the indexing deletes what was left before it writes any.
_HAS_CHUNKS = frozenset({DocumentStatus.EMBEDDING, DocumentStatus.WRITING, DocumentStatus.PROCESSED})


async def remove_chunks(services: Services, job: Job) -> None:
    """Delete what is left of removed chunks, unless the document is there again and has chunks of its own."""
    collection_id, _, file_id = job.subject.partition("/")
    store, place = services.store, (job.team, collection_id, file_id or None)
    while store.documents.status(job.team, collection_id, file_id) not in _HAS_CHUNKS and store.chunks.discard(*place):
        await asyncio.sleep(0)
        if not store.jobs.exists(job):  # the team was reset: what has the same ids now is something else
            return
    store.jobs.done(job)
