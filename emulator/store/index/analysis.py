"""The terms of texts and queries: the part of the ranking that does not depend on storage.

- `fields_of(text)` cuts a text into terms, for each of `FIELDS` a list in the order of the text. Each field is scored
  separately, with its own lengths; a field with `positions` supports phrases.
- `terms_of(query)` returns the terms of a query. The score of a chunk is the sum over these terms of
  `weight` x `idf(...)` x the part of the frequency (BM25, `K1` and `B`). A term of several parts is a phrase.
- `idf` is applied when a query is answered, with the current counts: nothing that is stored depends on it, so it
  stays correct when documents are added and removed.
- A chunk that contains a word of the query as it is spelt contains its stem as well, so it ranks above a chunk with
  another form of the word.
- Function words of a query are ignored if other words remain (`content_of`).
- `ngrams` works in the same way for n-grams.

`segments` and `scoring` store and score terms; they do not read the texts.
`ANALYSIS_VERSION` increases with every change of the terms or n-grams of a text: indexes that were saved with another
version are rebuilt. A change of `terms_of`, `idf`, `K1`, `B` and the weights needs no new version.
"""

from __future__ import annotations

import functools
import math
import re
import string
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec

from emulator.domain.search import KeywordQuery
from emulator.store.index.stems import FUNCTION_WORDS, language_of, stems_in, stems_of

ANALYSIS_VERSION = 2
K1, B = 1.2, 0.75
TERMS_MAX = 100  # of a query; phrases and words are counted separately
# The weights of a word as it is spelt and of its stem. Chosen with the development part of benchmarks/ranking, where
# all values between 0.2 and 0.4 of the first are equally good.
WORD_WEIGHT, STEM_WEIGHT = 0.25, 0.75

_UNSPACED = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_HIRAGANA = re.compile(r"[\u3041-\u309f]+")  # alone, mostly endings and particles
_NOT_ASCII_WORDS = str.maketrans({chr(code): " " for code in range(128) if not chr(code).isalnum()})
_DIACRITICS = dict.fromkeys(range(768, 880))  # combining, as NFD separates them
_LETTERS = str.maketrans({"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d"})  # not decomposed by NFD
_PUNCTUATION = string.punctuation + "¿¡«»“”„…"
_HUMP = re.compile("[a-z0-9][A-Z]")


class Field(msgspec.Struct, frozen=True):
    """One way to cut a text into terms."""

    name: str
    positions: bool  # whether phrases are supported


class Term(msgspec.Struct, frozen=True):
    """A term of a query in a field: one word, or several as a phrase, adjacent and in this order.

    A chunk matches a query if it has all `required` terms, or, if none is required, any term.
    """

    field: int  # the index of its field in FIELDS
    parts: tuple[str, ...]
    weight: float = 1.0
    required: bool = False


FIELDS = (Field("words", positions=True), Field("stems", positions=False))
_WORDS, _STEMS = range(2)


@functools.cache  # compiled at the first use: it takes milliseconds
def _word() -> re.Pattern[str]:
    """Match a word, or one character of Chinese or Japanese, which have no spaces."""
    return re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")


@functools.cache
def _run() -> re.Pattern[str]:
    """Match several characters of Chinese or Japanese."""
    return re.compile(rf"[{_UNSPACED}]{{2,}}")


def folded(text: str) -> str:
    """Return a text in lower case and without diacritics."""
    lower = text.lower()
    if lower.isascii():
        return lower
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", lower).translate(_DIACRITICS)).translate(_LETTERS)


def words_of(text: str) -> list[str]:
    """Return the words of a text, without regard to letter case and diacritics."""
    plain = folded(text)
    return plain.translate(_NOT_ASCII_WORDS).split() if plain.isascii() else _word().findall(plain)


def fields_of(text: str) -> tuple[list[str], ...]:
    """Return the terms of a text, for each field in the order of the text."""
    words = words_of(text)
    parts = words_of(_without_humps(text)) if _HUMP.search(text) else words
    return words, list(map(stems_in(language_of(words)), parts))


def terms_of(query: KeywordQuery) -> list[Term]:
    """Return the terms of a query. Phrases are required, words are not; a word such as INV-99812 counts as a phrase."""
    phrases = (tuple(words_of(phrase)) for phrase in query.phrases[:TERMS_MAX])
    required = [Term(_WORDS, parts, required=True) for parts in phrases if parts]
    words = content_of(query.words[:TERMS_MAX], others=bool(required))
    return [*required, *dict.fromkeys(term for word in words for term in _terms_of_word(word))]


def content_of(words: Sequence[str], *, others: bool = False) -> list[str]:
    """Return the words without function words, if other words remain or the query has `others`.

    English function words always count, except in capitals: US, IT, WHO. Those of another language count if a query has
    two of them, because one may be an English word, as in `die casting`.
    """
    plain = {word: folded(word.strip(_PUNCTUATION)) for word in words}
    shouted = all(word.isupper() for word in words)
    function_words = set[str]()
    for language, known in FUNCTION_WORDS.items():
        found = known.intersection(plain.values())
        if language == "english" or len(found) > 1:
            function_words |= found
    content = [
        word
        for word in words
        if plain[word] not in function_words or (word.isupper() and len(word) > 1 and not shouted)
    ]
    return content if content or others else list(words)


def idf(count: int, total: int) -> float:
    """Return the weight of a term that `count` of `total` chunks have: above 0 even for a term that all have."""
    return math.log1p((total - count + 0.5) / (count + 0.5))


def _terms_of_word(word: str) -> Iterator[Term]:
    runs = _run().findall(word)
    if runs:
        yield from _terms_of_runs(runs)
        word = _run().sub(" ", word)
    parts = tuple(words_of(word))
    if parts:
        yield Term(_WORDS, parts, WORD_WEIGHT if len(parts) == 1 else 1.0)
        pieces = words_of(_without_humps(word))
        # INV-99812 and ada@example.org match as a whole or not at all; the parts of other compounds are separate words.
        if len(parts) == 1 or not any(character.isdigit() or character == "@" for character in word):
            for piece in pieces:
                for stem in stems_of(piece):
                    yield Term(_STEMS, (stem,), STEM_WEIGHT / len(pieces))


def _terms_of_runs(runs: Sequence[str]) -> Iterator[Term]:
    """Yield pairs of adjacent characters: Chinese and Japanese queries have no spaces, and rarely match as a whole."""
    pairs = [first + second for run in runs for first, second in pairwise(run)]
    for pair in [pair for pair in pairs if not _HIRAGANA.fullmatch(pair)] or pairs:
        yield Term(_WORDS, tuple(pair))


def _without_humps(text: str) -> str:
    """Put spaces between the words of `userName` and `HTTPServer`."""
    return _humps().sub(" ", text)


@functools.cache
def _humps() -> re.Pattern[str]:
    return re.compile("(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
