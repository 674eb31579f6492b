"""Keyword ranking: BM25 by SQLite's FTS5, in one in-memory database for each collection.

Guarantees:

- The scores of a collection depend on its own chunks alone. BM25 weighs a term by how rare it is in the whole table, so
  a table shared by collections would let one move the scores of another.
- No text of a query is FTS5 syntax: every term is quoted. A query cannot fail.
- Frequent words do not make a query expensive: it reads about POSTINGS_MAX postings of its words, and more only where
  these match fewer chunks than were asked for.
- Chunks with a rare word of the query rank above those that have frequent ones only; equal scores keep the order in
  which the chunks were added.

How the bound works: the cost of FTS5 grows with the number of chunks that have any of the words. In a small collection
all words are affordable. Otherwise each word is counted, up to the bound, and as many of the rarest words are ranked as
fit. Where these match too few chunks, matches of the frequent words follow, with their scores scaled to lie below the
lowest of the first part. Counts are cached until the next change.

Why not in the database of the rows: there its merges and its ranking would hold up the event loop (measured at 100,000
chunks: 40 ms for a typical query, 100 ms and more for some commits). Here another thread runs both.
"""

from __future__ import annotations

import functools
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from emulator.domain.search import KeywordQuery

POSTINGS_MAX = 8_000  # read by a query: 8 ms; below 800 chunks no query of ten words reaches it
TERMS_MAX = 100
FREQUENCIES_MAX = 10_000


@functools.cache  # compiled when it is needed, which takes milliseconds
def _unspaced() -> re.Pattern[str]:
    """Match a character of Chinese or Japanese, which have no spaces: each is indexed as a word."""
    return re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])")


class KeywordIndex:
    """The words of one collection's chunks. Whole words match, regardless of letter case and diacritics."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._connection.execute(
            "CREATE VIRTUAL TABLE words USING fts5 (text, tokenize = 'unicode61 remove_diacritics 2')"
        )
        self._count = 0
        self._frequencies: dict[str, int] = {}  # of words in queries since the last change

    def close(self) -> None:
        self._connection.close()

    def add(self, rows: Sequence[tuple[int, str]]) -> None:
        """Index chunks by number."""
        self._connection.execute("BEGIN")
        self._connection.executemany(
            "INSERT INTO words (rowid, text) VALUES (?, ?)", ((number, _spaced(text)) for number, text in rows)
        )
        self._connection.execute("COMMIT")
        self._count += len(rows)
        self._frequencies.clear()

    def remove(self, numbers: Iterable[int]) -> None:
        """Remove chunks, with all their influence on scores."""
        self._connection.execute("BEGIN")
        for number in numbers:
            self._count -= self._connection.execute("DELETE FROM words WHERE rowid = ?", (number,)).rowcount
        self._connection.execute("COMMIT")
        self._frequencies.clear()

    def ranking(self, query: KeywordQuery, depth: int | None) -> Iterator[tuple[int, float]]:
        """Yield the numbers and BM25 scores of matching chunks, best first; a depth of None is all of them."""
        phrases = [_quoted(phrase) for phrase in query.phrases[:TERMS_MAX]]
        words = [_quoted(word) for word in query.words[:TERMS_MAX]]
        rare = self._affordable(words)
        if phrases:
            # Every phrase must match. Words only add to the score, so they stand in a second part of the expression.
            yield from self._matching(f"({' AND '.join(phrases)}) AND ({' OR '.join(phrases + rare)})", depth)
            return
        found = list(self._matching(" OR ".join(rare), depth)) if rare else []
        yield from found
        frequent = [word for word in words if word not in rare and self._frequencies.get(word)]
        if frequent and (depth is None or len(found) < depth):
            yield from self._rest(rare, frequent, found[-1][1], None if depth is None else depth - len(found))

    def _rest(
        self, rare: Sequence[str], frequent: Sequence[str], lowest: float, depth: int | None
    ) -> Iterator[tuple[int, float]]:
        """Yield the chunks that match frequent words only, with scores below the lowest one of a rare word."""
        highest = None
        for number, score in self._matching(f"({' OR '.join(frequent)}) NOT ({' OR '.join(rare)})", depth):
            highest = score if highest is None else highest
            yield number, score * lowest / (lowest + highest)

    def _matching(self, expression: str, depth: int | None) -> Iterator[tuple[int, float]]:
        return iter(
            self._connection.execute(
                "SELECT rowid, -rank FROM words WHERE words MATCH ? ORDER BY rank, rowid LIMIT ?",
                (expression, -1 if depth is None else depth),
            )
        )

    def _affordable(self, words: Sequence[str]) -> list[str]:
        """Return the rarest words, as many as the bound affords; frequent ones cost the most and say the least."""
        if len(words) * self._count <= POSTINGS_MAX:
            return list(words)
        if len(self._frequencies) > FREQUENCIES_MAX:
            self._frequencies.clear()
        for word in words:
            if word not in self._frequencies:
                self._frequencies[word] = self._frequency(word)
        kept: list[str] = []
        total = 0
        for word in sorted((word for word in words if self._frequencies[word]), key=self._frequencies.__getitem__):
            total += self._frequencies[word]
            if kept and total > POSTINGS_MAX:
                break
            kept.append(word)
        return kept

    def _frequency(self, word: str) -> int:
        """Return how many chunks have a word, counted up to the bound."""
        row = self._connection.execute(
            "SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH ? LIMIT ?)", (word, POSTINGS_MAX + 1)
        ).fetchone()
        count: int = row[0]
        return count


def _spaced(text: str) -> str:
    return text if text.isascii() else _unspaced().sub(r" \1 ", text)


def _quoted(term: str) -> str:
    """Return a term as an FTS5 phrase: the parts into which the tokenizer splits it must be adjacent."""
    return '"' + _spaced(term).replace('"', '""') + '"'
