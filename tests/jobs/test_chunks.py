"""The chunks of a removed document: found no more at once, and deleted a bounded number of rows at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy
import pytest

from emulator import Emulator
from emulator.core.clock import LATEST, Clock
from emulator.domain.documents import DocumentStatus, IndexedChunk
from emulator.jobs.chunks import remove_chunks
from emulator.runtime.app import build_services
from emulator.state.services import Services
from emulator.state.settings import Settings
from emulator.store import chunks
from tests.jobs.test_indexing import place
from tests.serving import until

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


@pytest.mark.parametrize("verb", ["reset", "delete"])
def test_chunks_of_a_team_are_deleted_a_bounded_number_of_rows_at_a_time(
    services: Services, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """A reset or a deletion counts them all and deletes DELETED_AT_ONCE of them; the job is due whatever the clock."""
    monkeypatch.setattr(chunks, "DELETED_AT_ONCE", 10)
    team = services.teams.get("default")
    services.teams.change_clock(team, lambda clock: clock.advance(10**12))
    texts = [IndexedChunk(str(number), number, "ash", "ash", None) for number in range(3)]
    services.store.chunks.replace("other", *DOCUMENT[1:], texts, None)
    cleared = services.teams.reset(team) if verb == "reset" else services.teams.delete(team)
    assert cleared["chunks"] == ROWS
    assert services.store.chunks.version(*DOCUMENT) is None
    assert rows(services) == ROWS - 10 + 3
    job = services.store.jobs.next_due("default", ["remove_chunks"], Clock(0, None).now())
    assert job is not None
    assert services.store.teams.exists("default") == (verb == "reset")
    deleted, discard = list[int](), services.store.chunks.discard

    def counted(*place: str) -> bool:
        before = rows(services)
        more = discard(*place)
        deleted.append(before - rows(services))
        return more

    monkeypatch.setattr(services.store.chunks, "discard", counted)
    assert run_jobs(services) == [""]
    assert deleted == [10, 5]
    assert rows(services) == 3, "another team keeps its own"
    assert services.store.teams.exists("default") == (verb == "reset")


def test_chunks_of_a_reset_team_that_are_there_again_stay(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a reset the same ids are given again: only documents that have no chunks of their own lose rows."""
    monkeypatch.setattr(chunks, "DELETED_AT_ONCE", 1)
    texts = [IndexedChunk(str(number), number, "ash", "ash", None) for number in range(3)]
    for file in ("file_2", "file_3"):
        services.store.chunks.replace(*DOCUMENT[:2], file, texts, None)
    services.teams.reset(services.teams.get("default"))
    status = {"file_2": DocumentStatus.PROCESSED, "file_3": DocumentStatus.CHUNKED}
    monkeypatch.setattr(services.store.documents, "status", lambda team, collection, file: status.get(file))
    run_jobs(services)
    left = services.store.database.rows("SELECT file_id, count(*) FROM placed_chunks GROUP BY file_id")
    assert left == [("file_2", 3)]


def test_chunks_of_a_deleted_team_are_deleted_by_the_next_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job needs no team: with a seed file the next process would fill the team if it made it again."""
    monkeypatch.setattr(chunks, "DELETED_AT_ONCE", 10)
    services = build_services(Settings(data_dir=tmp_path))
    team = services.teams.get("gone")
    services.teams.keep(team)
    texts = [IndexedChunk(str(number), number, "ash", "ash", None) for number in range(ROWS)]
    services.store.chunks.replace("gone", *DOCUMENT[1:], texts, None)
    services.teams.delete(team)
    services.store.close()
    with Emulator(data_dir=tmp_path) as emulator:
        store = emulator._running().services.store
        until(lambda: store.database.count("chunks") == store.jobs.count("gone") == 0)
        assert "gone" not in store.teams.names()


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
