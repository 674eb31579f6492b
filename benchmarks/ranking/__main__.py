"""How often a search of the emulator finds the right passage: `python -m benchmarks.ranking`, or `make ranking`.

All documents are in one collection. A cell holds the mean reciprocal rank, then recall at 1, 3 and 10.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from benchmarks.ranking.corpus import KINDS, Question, documents
from benchmarks.ranking.measures import DEPTH, Quality, by, rank_of
from benchmarks.search import MANAGEMENT, post
from benchmarks.servers import upload
from emulator import Emulator

MODES = ("keyword", "semantic", "hybrid")
# The sections of the documents have 190 characters on average, some 400 at most.
CONFIGURATIONS = {
    "250 characters": {"chars_configuration": {"max_chunk_size_chars": 250, "chunk_overlap_chars": 0}},
    "500 characters": {"chars_configuration": {"max_chunk_size_chars": 500, "chunk_overlap_chars": 0}},
    "the default, 4000 bytes": {"bytes_configuration": {"max_chunk_size_bytes": 4000, "chunk_overlap_bytes": 800}},
}


def ranks_of_answers(url: str, configuration: object) -> dict[str, dict[Question, int | None]]:
    """Index all documents, ask all questions, and return the ranks of the answers in each mode."""
    body = {"collection_name": "ranking", "chunk_configuration": configuration}
    collection = post(f"{url}/v1/collections", body, MANAGEMENT)["collection_id"]
    for document in documents():
        id = upload(url, document.name, document.text.encode())
        post(f"{url}/v1/collections/{collection}/documents/{id}", {}, MANAGEMENT)
    return {mode: {question: _rank(url, collection, question, mode) for question in _questions()} for mode in MODES}


def _questions() -> list[Question]:
    return [question for document in documents() for question in document.questions]


def _rank(url: str, collection: str, question: Question, mode: str) -> int | None:
    body = {
        "query": question.query,
        "source": {"collection_ids": [collection]},
        "retrieval_mode": {"type": mode},
        "limit": DEPTH,
    }
    return rank_of(question, [match["chunk_content"] for match in post(f"{url}/v1/documents/search", body)["matches"]])


def table(ranks: dict[str, dict[Question, int | None]], part: Callable[[Question], bool]) -> list[str]:
    """The lines of a table: a row for each kind of question and for each language."""
    lines = [f"| questions | number | {' | '.join(MODES)} |", "|---|---|---|---|---|"]
    for key, order in ((lambda question: question.kind, KINDS), (lambda question: question.language, ())):
        measured = {mode: by(key, {q: rank for q, rank in ranks[mode].items() if part(q)}) for mode in MODES}
        for name in order or tuple(measured["hybrid"]):
            cells = " | ".join(_cell(measured[mode][name]) for mode in MODES)
            lines.append(f"| {name} | {measured['hybrid'][name].questions} | {cells} |")
    return lines


def _cell(quality: Quality) -> str:
    return f"{quality.mrr:.2f}: {quality.recall_1:.2f} {quality.recall_3:.2f} {quality.recall_10:.2f}"


def main() -> None:
    """Print the tables."""
    for name, configuration in CONFIGURATIONS.items():
        with Emulator() as emulator:
            ranks = ranks_of_answers(emulator.url, configuration)
        for part, is_held_out in (("development", False), ("held out", True)):
            sys.stdout.write(f"\nChunks of {name}, {part}\n\n")
            lines = table(ranks, lambda question, wanted=is_held_out: question.is_held_out is wanted)  # type: ignore[misc]
            sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
