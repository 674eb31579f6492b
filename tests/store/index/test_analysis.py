"""What of texts and queries is looked at: words, phrases and n-grams."""

from __future__ import annotations

import pytest

from emulator.domain.search import keyword_query
from emulator.store.index.analysis import Term, fields_of, idf, terms_of
from emulator.store.index.ngrams import BITS, ngrams_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Invoice INV-99812, a_b 3.14", ["invoice", "inv", "99812", "a", "b", "3", "14"]),
        ("Le Café de la Straße", ["le", "cafe", "de", "la", "straße"]),
        ("Cafe\u0301 Ελλάδα", ["cafe", "ελλαδα"]),
        ("滤芯E42 カメラ が", ["滤", "芯", "e42", "カ", "メ", "ラ", "が"]),
        ("", []),
        ("\0 !", []),
    ],
)
def test_words_ignore_letter_case_and_diacritics(text: str, words: list[str]) -> None:
    """Whatever is neither a letter nor a digit separates words; a Chinese or Japanese character is one."""
    assert fields_of(text)[0] == words


def test_terms_of_query_are_phrases_and_words() -> None:
    """A quoted phrase is required; a word of several parts is looked for as a phrase that is not."""
    assert terms_of(keyword_query('"Total due" zebra INV-1')) == [
        Term(0, ("total", "due"), required=True),
        Term(0, ("zebra",)),
        Term(0, ("inv", "1")),
    ]


def test_idf_falls_with_the_count_and_stays_positive() -> None:
    """A term that all chunks have still says something."""
    values = [idf(count, 10) for count in range(11)]
    assert values == sorted(values, reverse=True)
    assert values[-1] > 0


def test_ngrams_of_a_text_do_not_depend_on_its_neighbours() -> None:
    """None reaches from one text into the next, and every number fits."""
    texts = ["lighthouse keeper", "", "Ärger, 漢字!", "a_b-c"]
    places, numbers = ngrams_of(texts)
    assert numbers.max() < 1 << BITS
    for place, text in enumerate(texts):
        assert set(numbers[places == place]) == set(ngrams_of([text])[1])
