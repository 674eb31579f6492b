"""Start indexing documents, and wait for it. Jobs do the work."""

from __future__ import annotations

from emulator.domain.documents import STATUS_TRANSITIONS, DocumentStatus, Indexing, realistic_stay
from emulator.domain.speeds import first_due
from emulator.domain.transitions import step
from emulator.operations.base import Call
from emulator.state.services import Services


def begin(services: Services, call: Call, collection_id: str, file_id: str) -> None:
    """Start to index or reindex a document, which is not found until that is done."""
    store, team = services.store, call.team.name
    document = store.documents.get(team, collection_id, file_id, call.at)
    assert document is not None, file_id
    step(STATUS_TRANSITIONS, document.status, DocumentStatus.PROCESSING)
    revision = services.teams.next_number(call.team)
    store.chunks.remove(team, collection_id, file_id)
    store.documents.begin(team, collection_id, file_id, revision)
    subject = Indexing(collection_id, file_id, revision).subject
    due_at = first_due(call.team.indexing, call.at, realistic_stay(DocumentStatus.PROCESSING))
    services.jobs.add(call.team, "index_document", subject, due_at)


def begin_all(services: Services, call: Call, file_id: str) -> None:
    """Start to reindex every document of a file; none if this change makes the file expire."""
    documents, team = services.store.documents, call.team.name
    for collection_id in documents.collections_of(team, file_id):
        if documents.get(team, collection_id, file_id, call.at) is not None:
            begin(services, call, collection_id, file_id)


async def wait_until_indexed(services: Services, call: Call) -> None:
    """At the instant speed, wait until the documents that this call started to index are PROCESSED or FAILED."""
    if call.team.indexing == "instant":
        await services.jobs.run_due(call.team, "documents", call.at)
