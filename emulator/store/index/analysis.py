"""What of a text is indexed, and what of a query is looked for: all of the ranking that does not depend on storage.

- `fields_of(text)` cuts a text into terms, for each of `FIELDS` a list in the order of the text. A field is scored by
  itself, with its own lengths; a field with `positions` can be searched for phrases.
- `terms_of(query)` says what a query looks for. The score of a chunk is the sum over its terms of
  `weight` x `idf(...)` x the part of the frequency (BM25, `K1` and `B`). A term of several parts is a phrase.
- `idf` is applied when a query is answered, with the counts of that moment: nothing that is stored depends on it, so it
  is right as documents come and go.
- For n-grams see `ngrams`, which works in the same way.

How terms are stored and scored is the business of `segments` and `scoring`; they look at none of the texts.
`ANALYSIS_VERSION` goes up with every change of the terms or n-grams of a text: indexes that were saved with another
one are built again. A change of `terms_of`, `idf`, `K1`, `B` and the weights needs no new version.
"""

from __future__ import annotations

import functools
import math
import re
import unicodedata

import msgspec

from emulator.domain.search import KeywordQuery

ANALYSIS_VERSION = 1
K1, B = 1.2, 0.75
TERMS_MAX = 100  # of a query; phrases and words are counted by themselves
_IDF_MIN = 1e-6  # of a term in more than half of the chunks: it still decides between equals

_NOT_ASCII_WORDS = str.maketrans({chr(code): " " for code in range(128) if not chr(code).isalnum()})
_DIACRITICS = dict.fromkeys(range(0x0300, 0x0370))  # combining, as NFD separates them


class Field(msgspec.Struct, frozen=True):
    """One way to cut a text into terms."""

    name: str
    positions: bool  # whether phrases can be looked for


class Term(msgspec.Struct, frozen=True):
    """What a query looks for in a field: one term, or several as a phrase, next to each other in this order.

    A chunk matches a query if it has all that is `required`; where nothing is, if it has any term.
    """

    field: int  # its place in FIELDS
    parts: tuple[str, ...]
    weight: float = 1.0
    required: bool = False


FIELDS = (Field("words", positions=True),)
_WORDS = 0


@functools.cache  # compiled when it is needed, which takes milliseconds
def _word() -> re.Pattern[str]:
    """Match a word, or one character of Chinese or Japanese, which have no spaces."""
    unspaced = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
    return re.compile(rf"[{unspaced}]|[^\W_{unspaced}]+")


def words_of(text: str) -> list[str]:
    """The words of a text, without regard to letter case and diacritics."""
    lower = text.lower()
    if lower.isascii():
        return lower.translate(_NOT_ASCII_WORDS).split()
    plain = unicodedata.normalize("NFC", unicodedata.normalize("NFD", lower).translate(_DIACRITICS))
    return _word().findall(plain)


def fields_of(text: str) -> tuple[list[str], ...]:
    """The terms of a text, for each field in the order of the text."""
    return (words_of(text),)


def terms_of(query: KeywordQuery) -> list[Term]:
    """What to look for. Phrases must be there, words may be; a word such as INV-99812 is looked for as a phrase."""
    phrases = (tuple(words_of(phrase)) for phrase in query.phrases[:TERMS_MAX])
    words = (tuple(words_of(word)) for word in query.words[:TERMS_MAX])
    return [
        *(Term(_WORDS, parts, required=True) for parts in phrases if parts),
        *(Term(_WORDS, parts) for parts in words if parts),
    ]


def idf(count: int, total: int) -> float:
    """How much a term says that `count` of `total` chunks have (Robertson and Spärck Jones)."""
    return max(math.log((total - count + 0.5) / (count + 0.5)), _IDF_MIN)
