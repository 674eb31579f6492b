"""The chunks of a removed document: found no more at once, and deleted a bounded number of rows at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress

import numpy
import pytest

from emulator.core.clock import LATEST
from emulator.domain.documents import IndexedChunk
from emulator.jobs.chunks import remove_chunks
from emulator.runtime.app import build_services
from emulator.state.services import Services
from emulator.state.settings import Settings
from emulator.store import chunks
from tests.jobs.test_indexing import place

ROWS = 25
DOCUMENT = ("default", "collection_1", "file_1")


@pytest.fixture
def services() -> Iterator[Services]:
    """The services of an emulator that runs no jobs, with a document of 25 chunks."""
    services = build_services(Settings())
    services.teams.keep(services.teams.get("default"))
    texts = [IndexedChunk(str(number), number, "ash", "ash", None) for number in range(ROWS)]
    services.store.chunks.replace(*DOCUMENT, texts, numpy.ones((ROWS, 4), numpy.float32))
    yield services
    services.readers.close()
    services.store.close()


def rows(services: Services) -> int:
    return services.store.database.count("chunks")


def run_jobs(services: Services) -> list[str]:
    """Run what is planned; return the subjects."""
    subjects = []
    while (job := services.store.jobs.next_due("default", ["remove_chunks"], LATEST)) is not None:
        asyncio.run(remove_chunks(services, job))
        subjects.append(job.subject)
    return subjects


@pytest.mark.parametrize("whole_collection", [False, True])
def test_removed_chunks_are_deleted_a_bounded_number_of_rows_at_a_time(
    services: Services, monkeypatch: pytest.MonkeyPatch, whole_collection: bool
) -> None:
    """The removal itself and each step of the job delete DELETED_AT_ONCE rows at most."""
    monkeypatch.setattr(chunks, "DELETED_AT_ONCE", 10)
    team, collection, file = DOCUMENT
    if whole_collection:
        services.store.chunks.remove_collection(team, collection)
    else:
        services.store.chunks.remove(team, collection, file)
    assert services.store.chunks.version(*DOCUMENT) is None
    assert rows(services) == ROWS - 10
    steps = []
    discard = services.store.chunks.discard

    def counted(team: str, collection_id: str, file_id: str | None) -> bool:
        before = rows(services)
        more = discard(team, collection_id, file_id)
        steps.append(before - rows(services))
        return more

    monkeypatch.setattr(services.store.chunks, "discard", counted)
    assert run_jobs(services) == [collection if whole_collection else f"{collection}/{file}"]
    assert steps == [10, 5]


def test_removal_that_is_rolled_back_leaves_every_chunk(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left for later is planned in the transaction of the removal."""
    monkeypatch.setattr(chunks, "DELETED_AT_ONCE", 10)
    with suppress(ZeroDivisionError), services.store.transaction():
        services.store.chunks.remove(*DOCUMENT)
        raise ZeroDivisionError
    assert services.store.chunks.version(*DOCUMENT) is not None
    assert rows(services) == ROWS
    assert services.store.jobs.count("default") == 0


def test_removal_interrupted_between_steps_is_finished_by_the_next_process(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job stays planned until nothing is left, and the chunks are not found meanwhile."""
    monkeypatch.setattr(chunks, "DELETED_AT_ONCE", 10)
    services.store.chunks.remove(*DOCUMENT)
    job = services.store.jobs.next_due("default", ["remove_chunks"], LATEST)
    assert job is not None

    async def interrupted() -> None:
        task = asyncio.create_task(remove_chunks(services, job))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(interrupted())
    assert (rows(services), services.store.jobs.count("default")) == (ROWS - 20, 1)
    assert services.store.chunks.version(*DOCUMENT) is None
    run_jobs(services)
    assert (rows(services), services.store.jobs.count("default")) == (0, 0)


def test_document_added_again_before_its_old_chunks_are_deleted_has_only_the_new(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its indexing deletes what is left before it writes, and the job leaves the new chunks alone."""
    with place() as here:
        id = here.add()
        count = here.found(id)
        store = here.emulator._running().services.store
        monkeypatch.setattr(chunks, "DELETED_AT_ONCE", 1)
        for verb in ("remove and add", "index again"):
            if verb == "index again":
                here.management.patch(f"{here.collection}/documents/{id}")
            else:
                here.management.delete(f"{here.collection}/documents/{id}")
                here.management.post(f"{here.collection}/documents/{id}")
            assert here.found(id) == count, verb
        here.management.delete(f"{here.collection}/documents/{id}")
        here.emulator.run_jobs()
        assert store.database.count("chunks") == 0
