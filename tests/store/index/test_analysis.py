"""What of texts and queries is looked at: words, phrases and n-grams."""

from __future__ import annotations

import pytest

from emulator.domain.search import keyword_query
from emulator.store.index.analysis import Term, content_of, fields_of, idf, terms_of
from emulator.store.index.ngrams import BITS, ngrams_of, ngrams_of_query


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Invoice INV-99812, a_b 3.14", ["invoice", "inv", "99812", "a", "b", "3", "14"]),
        ("Le Café de la Straße", ["le", "cafe", "de", "la", "strasse"]),
        ("Cafe\u0301 Ελλάδα", ["cafe", "ελλαδα"]),
        ("滤芯E42 カメラ が", ["滤", "芯", "e42", "カ", "メ", "ラ", "が"]),
        ("", []),
        ("\0 !", []),
    ],
)
def test_words_ignore_letter_case_and_diacritics(text: str, words: list[str]) -> None:
    """Whatever is neither a letter nor a digit separates words; a Chinese or Japanese character is one."""
    assert fields_of(text)[0] == words


def parts_of(query: str, field: int) -> list[tuple[str, ...]]:
    """What a query looks for in a field."""
    return [term.parts for term in terms_of(keyword_query(query)) if term.field == field]


def test_terms_of_query_are_phrases_words_and_stems() -> None:
    """A quoted phrase is required; a word is looked for as it is spelt, which counts less, and by its stem."""
    first, word, *stems, compound = terms_of(keyword_query('"Total due" zebras INV-1'))
    assert first == Term(0, ("total", "due"), required=True)
    assert (word.field, word.parts) == (0, ("zebras",))
    assert {(stem.field, stem.parts) for stem in stems} >= {(1, ("zebra",))}
    assert all(0 < word.weight < stem.weight < 1 for stem in stems)
    assert compound == Term(0, ("inv", "1"))


@pytest.mark.parametrize(
    ("text", "stems"),
    [
        ("the renewal is renewed", ["the", "renew", "is", "renew"]),
        ("die Wohnungen und die Wohnung", ["die", "wohn", "und", "die", "wohn"]),
        ("les remboursements et le remboursement", ["les", "rembours", "et", "le", "rembours"]),
        ("los contratos y el contrato", ["los", "contrat", "y", "el", "contrat"]),
        ("getUserNames HTTPServer snake_cases", ["get", "user", "nam", "http", "serv", "snak", "cas"]),
        ("E42 4350 滤芯", ["e42", "4350", "滤", "芯"]),
    ],
)
def test_stems_are_the_same_for_forms_of_a_word(text: str, stems: list[str]) -> None:
    """The language is that of the function words; parts of identifiers are words, numbers have no forms."""
    assert fields_of(text)[1] == stems


@pytest.mark.parametrize(
    ("query", "content"),
    [
        ("what is the total", ["total"]),
        ("who is it", ["who", "is", "it"]),
        ("WHO advice for the US", ["WHO", "advice", "US"]),
        ("WHAT IS THE TOTAL", ["TOTAL"]),
        ("die casting", ["die", "casting"]),
        ("Wie lange ist die Frist?", ["lange", "Frist?"]),
        ("¿Cuándo se devuelve la fianza?", ["devuelve", "fianza?"]),
    ],
)
def test_function_words_of_query_are_dropped_where_others_remain(query: str, content: list[str]) -> None:
    """Those of English always, those of another language from two on; and never what is in capitals as a name is."""
    assert content_of(query.split()) == content


def test_function_words_in_quotes_stay() -> None:
    """A phrase is looked for as it is."""
    assert terms_of(keyword_query('"to be or not" the')) == [Term(0, ("to", "be", "or", "not"), required=True)]


def test_query_in_chinese_or_japanese_is_looked_for_by_pairs() -> None:
    """Such a query has no spaces; pairs of Hiragana, which are mostly particles, count where nothing else is asked."""
    assert parts_of("宿泊費はいくらですか", 0) == [("宿", "泊"), ("泊", "費"), ("費", "は")]
    assert parts_of("すみません", 0) == [("す", "み"), ("み", "ま"), ("ま", "せ"), ("せ", "ん")]
    assert parts_of("滤芯E42", 0) == [("滤", "芯"), ("e42",)]


@pytest.mark.parametrize(
    ("query", "words", "stems"),
    [
        ("purchase_orders", [("purchase", "orders")], [("purchas",), ("order",)]),
        ("ada@example.org", [("ada", "example", "org")], []),
        ("10/12/2026", [("10", "12", "2026")], []),
    ],
)
def test_parts_of_compound_are_looked_for_only_in_identifiers(
    query: str, words: list[tuple[str, ...]], stems: list[tuple[str, ...]]
) -> None:
    """The parts of a number, a date or an address would match what has nothing to do with it."""
    assert parts_of(query, 0) == words
    assert set(parts_of(query, 1)) >= set(stems)
    assert bool(parts_of(query, 1)) == bool(stems)


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


def test_ngrams_of_query_have_none_of_its_function_words() -> None:
    """Where other words remain."""
    assert set(ngrams_of_query("where is the lighthouse").tolist()) == set(ngrams_of(["lighthouse"])[1].tolist())
    assert len(ngrams_of_query("where is it"))


def test_ngrams_ignore_diacritics_and_have_pairs_of_unspaced_characters() -> None:
    """So a word of two characters is found inside a sentence."""
    assert set(ngrams_of(["Café"])[1].tolist()) == set(ngrams_of(["cafe"])[1].tolist())
    assert set(ngrams_of(["滤芯"])[1].tolist()) & set(ngrams_of(["更换滤芯时请断开"])[1].tolist())
