"""The documents and questions of `corpus/*.txt`, written for this evaluation.

A file holds documents: a line `=== NAME LANGUAGE`, the text, then lines `? KIND | QUERY | ANSWER`. The answer is a
piece of the text that occurs once in all documents: a chunk that holds it is the right one, wherever chunks end.
"""

from __future__ import annotations

import functools
import zlib
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "corpus"
KINDS = ("exact", "number", "code", "question", "inflected", "typo", "paraphrase")


class Question(NamedTuple):
    """A query, what kind of query it is, and the piece of the document that answers it."""

    kind: str
    query: str
    answer: str
    document: str
    language: str
    is_held_out: bool


class Document(NamedTuple):
    """A text with its questions."""

    name: str
    language: str
    text: str
    questions: tuple[Question, ...]


def is_held_out(name: str) -> bool:
    """Whether the questions about a document are kept for judging."""
    return zlib.crc32(name.encode()) % 2 == 1


@functools.cache
def documents() -> tuple[Document, ...]:
    """All documents, in the order of the files and of their lines."""
    return tuple(
        _document(block)
        for path in sorted(FOLDER.glob("*.txt"))
        for block in path.read_text(encoding="utf-8").split("=== ")[1:]
    )


def _document(block: str) -> Document:
    head, _, rest = block.partition("\n")
    name, language = head.split()
    body, *rows = rest.split("\n? ")
    return Document(name, language, body.strip() + "\n", tuple(_question(row, name, language) for row in rows))


def _question(row: str, document: str, language: str) -> Question:
    kind, query, answer = (cell.strip() for cell in row.split(" | ", 2))
    return Question(kind, query, answer, document, language, is_held_out(document))
