"""Documents: the order of their states, and the ids of their chunks."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.domain.documents import STATUS_TRANSITIONS, Document, DocumentStatus, Indexing, chunk_id
from emulator.domain.files import File, UploadStatus

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def test_document_states_follow_documented_order() -> None:
    """Apart from failing and restarting, each state has one successor, in the documented order, up to PROCESSED."""
    way, status = [DocumentStatus.PROCESSING], DocumentStatus.PROCESSING
    while forward := STATUS_TRANSITIONS[status] - {DocumentStatus.FAILED, DocumentStatus.PROCESSING}:
        [status] = forward
        way.append(status)
    assert [status.name for status in way] == ["PROCESSING", "CHUNKED", "EMBEDDING", "WRITING", "PROCESSED"]


def test_document_can_be_indexed_again_from_every_state() -> None:
    """A document can be indexed again whatever its state, and only one that is not at an end can fail."""
    for status in set(DocumentStatus) - {DocumentStatus.UNKNOWN}:
        ended = status in (DocumentStatus.PROCESSED, DocumentStatus.FAILED)
        assert DocumentStatus.PROCESSING in STATUS_TRANSITIONS[status]
        assert (DocumentStatus.FAILED in STATUS_TRANSITIONS[status]) is not ended
    assert not STATUS_TRANSITIONS[DocumentStatus.UNKNOWN]  # no document has it


@pytest.mark.parametrize("status", DocumentStatus)
def test_chunk_count_is_known_after_chunking(status: DocumentStatus) -> None:
    """Not before they are embedded (observed live); all can be found at the end, and not one before."""
    file = File("file_1", "a.txt", 4, "text/plain", "", "b", 0, None, UploadStatus.COMPLETE, False, None, 1)
    document = Document("c", file, {}, status, None, None, 7, 1, 1)
    assert document.chunk_count == (0 if status.name in ("PROCESSING", "CHUNKED") else 7)
    assert document.chunks_processed_count == (7 if status.name == "PROCESSED" else 0)


content = st.tuples(st.text(max_size=9), st.text(max_size=9), st.integers(0, 9), st.text(max_size=9))


@given(content, content)
def test_chunk_id_depends_on_content_alone(one: tuple[str, str, int, str], other: tuple[str, str, int, str]) -> None:
    """The id of a chunk has the form of a version 7 UUID, and is the same exactly for the same content."""
    assert UUID7.fullmatch(chunk_id(*one))
    assert (chunk_id(*one) == chunk_id(*other)) is (one == other)


@given(st.builds(Indexing, st.text("abc_-", min_size=1), st.text("abc_-", min_size=1), st.integers(0)))
def test_indexing_survives_round_trip_through_job_subject(indexing: Indexing) -> None:
    """What a job writes down of an indexing is that indexing."""
    assert Indexing.of(indexing.subject) == indexing
