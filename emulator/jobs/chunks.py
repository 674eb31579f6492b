"""Delete the chunks of what was removed, documents, collections and teams: in steps, since one may have 50,000."""

from __future__ import annotations

import asyncio

from emulator.domain.documents import DocumentStatus
from emulator.state.services import Services
from emulator.store.jobs import Job

# Of documents whose chunks are there, or being written: the indexing deletes what was left before it writes any.
_HAS_CHUNKS = frozenset({DocumentStatus.EMBEDDING, DocumentStatus.WRITING, DocumentStatus.PROCESSED})


async def remove_chunks(services: Services, job: Job) -> None:
    """Delete what is left of removed chunks, unless their document is there again and has chunks of its own."""
    collection_id, _, file_id = job.subject.partition("/")
    store = services.store
    removed = (
        [(collection_id, file_id)] if file_id else store.chunks.documents_with_rows(job.team, collection_id or None)
    )
    for place in removed:
        while store.documents.status(job.team, *place) not in _HAS_CHUNKS and store.chunks.discard(job.team, *place):
            await asyncio.sleep(0)
            if not store.jobs.exists(job):  # the team was reset, which has planned another job for what is left
                return
        await asyncio.sleep(0)
    store.jobs.done(job)
