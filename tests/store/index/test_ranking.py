"""How well the index ranks, by the questions of benchmarks/ranking and the plain ranking that is written down there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.ranking.corpus import KINDS, Question, documents
from benchmarks.ranking.measures import DEPTH, Quality, by, quality, rank_of
from benchmarks.ranking.reference import Reference
from emulator.domain.chunk_configurations import ChunkConfiguration, Strategy
from emulator.search.chunking.chunks import split

QUESTIONS = [question for document in documents() for question in document.questions]


@pytest.fixture(scope="module")
def measured() -> dict[str, dict[str, Quality]]:
    """By mode, the quality of answers to held-out questions of each kind."""
    configuration = ChunkConfiguration(Strategy.CHARS, 250, 0)  # about a section of the documents
    chunks = [chunk.text for document in documents() for chunk in split(document.text, configuration)]
    reference = Reference(chunks)
    modes: dict[str, Callable[[str], list[int]]] = {
        "keyword": reference.keyword,
        "semantic": reference.semantic,
        "hybrid": lambda query: reference.hybrid(query, DEPTH),
    }
    asked = [question for question in QUESTIONS if question.is_held_out]
    return {
        mode: by(
            lambda question: question.kind,
            {question: rank_of(question, (chunks[place] for place in rank(question.query))) for question in asked},
        )
        for mode, rank in modes.items()
    }


def test_documented_quality_is_measured_one(measured: dict[str, dict[str, Quality]]) -> None:
    """The table on the page about search is this one; what stands before the arrows was measured once."""
    page = (Path(__file__).parents[3] / "docs" / "search.md").read_text(encoding="utf-8")
    for kind in (*KINDS, "all"):
        cells = r" \| ".join(rf"0\.\d\d → {measured[mode][kind].mrr:.2f}" for mode in measured)
        assert re.search(rf"\| {kind} \| {measured['hybrid'][kind].questions} \| {cells} \|", page), (kind, cells)


def test_evaluation_has_documents_and_questions_of_all_kinds() -> None:
    """Each answer stands in one place, and neither part lacks a kind of question."""
    texts = "".join(document.text for document in documents())
    assert [question for question in QUESTIONS if texts.count(question.answer) != 1] == []
    assert len(documents()) >= 40
    assert len({question.query for question in QUESTIONS}) == len(QUESTIONS) >= 200
    counts = Counter((question.kind, question.is_held_out) for question in QUESTIONS)
    assert counts.keys() == {(kind, part) for kind in KINDS for part in (False, True)}
    assert min(counts.values()) >= 10


def test_quality_counts_ranks_within_the_depth() -> None:
    """A rank beyond ten counts as not found."""
    assert quality([1, 2, 4, 11, None]) == Quality(5, 0.35, 0.2, 0.4, 0.6)
    question = Question("exact", "query", "answer", "name", "en", is_held_out=False)
    assert rank_of(question, ["no", "the answer"]) == 2
    assert rank_of(question, ["no"]) is None


@pytest.mark.parametrize(("mode", "mrr"), [("keyword", 0.77), ("semantic", 0.82), ("hybrid", 0.82)])
def test_ranking_of_held_out_questions_is_as_good_as_documented(
    measured: dict[str, dict[str, Quality]], mode: str, mrr: float
) -> None:
    """The mean reciprocal rank; docs/search.md has the figures."""
    assert measured[mode]["all"].mrr >= mrr


@pytest.mark.parametrize(
    ("kind", "recall"),
    [("exact", 1.0), ("number", 1.0), ("code", 0.6), ("question", 0.8), ("inflected", 0.85), ("typo", 0.9)],
)
def test_hybrid_search_finds_answer_first_for_most_questions(
    measured: dict[str, dict[str, Quality]], kind: str, recall: float
) -> None:
    """Of each kind; what is missing is paraphrases."""
    assert measured["hybrid"][kind].recall_1 >= recall


def test_paraphrases_are_not_found(measured: dict[str, dict[str, Quality]]) -> None:
    """Nothing without trained weights understands them. If this fails, the documents may promise more."""
    assert max(measured[mode]["paraphrase"].recall_1 for mode in measured) < 0.3
