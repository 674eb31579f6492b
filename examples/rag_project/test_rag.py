"""The tests of rag.py: they need xai-emulator, xai-sdk and pytest, and no key, network or server."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from rag import Notebook

NOTES = Path(__file__).parent / "notes"


@pytest.fixture
def notebook(xai_client):
    """A notebook with the notes, on an emulator where this test has a team of its own."""
    notebook = Notebook(xai_client, "notes")
    notebook.add(NOTES)
    return notebook


def test_best_passage_comes_first(notebook):
    assert "birch wood" in notebook.passages("what does the stove burn")[0]


def test_topics_can_be_searched(notebook):
    """The topic is a part of what is indexed, so a word that is in no note still leads to the notes about it."""
    first, second, *_ = notebook.passages("garden")
    assert {"ferns", "roses"} == {word for word in ("ferns", "roses", "stove") if word in first + second}


def test_questions_are_answered_in_a_batch(notebook, xai_emulator):
    batch = notebook.ask({"ferns": "When are the ferns watered?", "roses": "When are the roses cut?"})
    xai_emulator.advance_until(batch_done=batch)
    assert notebook.answers(batch).keys() == {"ferns", "roses"}
    (asked,) = xai_emulator.requests("batches.add_requests")
    assert "rain water" in str(asked["request"]["json"])


@pytest.mark.xai_emulator(responder=lambda request: "On Mondays.")
def test_answer_of_the_model_is_returned(notebook, xai_emulator):
    batch = notebook.ask({"ferns": "When are the ferns watered?"})
    xai_emulator.advance_until(batch_done=batch)
    assert notebook.answers(batch) == {"ferns": "On Mondays."}


@pytest.mark.xai_emulator(faults=[{"operation": "documents.search", "error": "unavailable", "times": 2}])
def test_short_outage_is_retried(notebook):
    """xai-sdk tries again where the service is unavailable."""
    assert notebook.passages("roses")


@pytest.mark.xai_emulator(limits={"file_bytes_max": 20})
def test_note_over_size_limit_is_refused(xai_client):
    with pytest.raises(grpc.RpcError) as refused:
        Notebook(xai_client, "notes").add(NOTES)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.xai_emulator(seed=NOTES.parent / "seed.yaml")
def test_files_that_were_there_before(xai_client):
    """A seed file says what a team has at first."""
    assert [file.filename for file in xai_client.files.list().data] == ["old.md"]
