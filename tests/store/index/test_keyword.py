"""Keyword ranking: what is found, in which order, and that no text is ever syntax."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.domain.search import KeywordQuery, keyword_query
from emulator.store.index import keyword
from emulator.store.index.keyword import KeywordIndex

WORDS = ["ash", "birch", "cedar", "elm", "fir"]
texts_of_words = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join), max_size=8)


@pytest.fixture
def index() -> Iterator[KeywordIndex]:
    """An empty index."""
    index = KeywordIndex()
    yield index
    index.close()


def found(texts: list[str], query: str) -> list[tuple[int, float]]:
    """The ranking of a query over texts, numbered from 0."""
    index = KeywordIndex()
    try:
        index.add(list(enumerate(texts)))
        return list(index.ranking(keyword_query(query), None))
    finally:
        index.close()


def numbers(texts: list[str], query: str) -> list[int]:
    """Which texts a query finds."""
    return [number for number, _ in found(texts, query)]


def bm25(texts: list[str], query: list[str]) -> dict[int, float]:
    """Robertson and Spärck Jones, with k1 = 1.2 and b = 0.75, term by term over every text."""
    split = [text.split() for text in texts]
    average = sum(map(len, split)) / max(len(split), 1)
    scores: dict[int, float] = {}
    for term in dict.fromkeys(query):
        containing = sum(term in words for words in split)
        idf = max(math.log((len(split) - containing + 0.5) / (containing + 0.5)), 1e-6)
        for number, words in enumerate(split):
            frequency = Counter(words)[term]
            if frequency:
                length = 1 - 0.75 + 0.75 * len(words) / average
                scores[number] = scores.get(number, 0) + idf * frequency * 2.2 / (frequency + 1.2 * length)
    return scores


@given(texts_of_words, st.lists(st.sampled_from([*WORDS, "yew"]), min_size=1, max_size=4))
def test_scores_are_bm25(texts: list[str], query: list[str]) -> None:
    """Every text with a word of the query is found, with the score that counting by hand gives, best first."""
    ranking, expected = found(texts, " ".join(query)), bm25(texts, query)
    assert dict(ranking) == pytest.approx(expected)
    assert ranking == sorted(ranking, key=lambda item: (-item[1], item[0]))


@given(st.lists(st.text(max_size=30), max_size=4), st.text(max_size=30))
def test_any_query_returns_finite_scores(texts: list[str], query: str) -> None:
    """Whatever is indexed and whatever is asked, an answer with finite scores comes back."""
    assert all(math.isfinite(score) and score > 0 for _, score in found(texts, query))


@pytest.mark.parametrize(
    "query",
    [
        '"',
        '""',
        "a OR",
        "NEAR(a b)",
        "text : a",
        "a* ^b -c +d",
        "{a b}: c",
        "'; DROP TABLE words; --",
        "a\0b",
        "\ufdd0",
    ],
)
def test_query_operators_are_plain_text(query: str) -> None:
    """Operators of FTS5, of SQL and of search engines find the words in them, or nothing."""
    assert set(numbers(["a b c d near drop table", "nothing"], query)) <= {0}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("INV-99812", [0]),
        ("inv 99812", [0, 1]),
        ("99812", [0, 1]),
        ("INV-9981", []),
        ("2,640.00", [0]),
        ("2640", []),
        ("cafe", [2]),
        ("CAFÉ", [2]),
        ("Strasse", []),
        ('"due total"', []),
        ('"TOTAL due"', [0]),
        ('"total due" zebra', [0]),
        ('total "zebra crossing"', []),
    ],
)
def test_words_numbers_and_phrases_are_found_exactly(query: str, expected: list[int]) -> None:
    """Identifiers where their parts stand in this order; phrases must be there; case and accents do not matter."""
    texts = ["Invoice INV-99812, total due 2,640.00", "Order 99812 of INV", "Le café de la Straße"]
    assert sorted(numbers(texts, query)) == expected


def test_words_beside_a_phrase_only_add_to_the_score() -> None:
    """Both texts hold the phrase; the one that also holds the word comes first."""
    assert numbers(["total due now", "total due to the zebra", "zebra"], 'zebra "total due"') == [1, 0]


@pytest.mark.parametrize(
    ("query", "expected"), [("滤芯", [0]), ("芯滤", []), ("E42", [0]), ("カメラ", [1]), ("手册 相机", [0, 1])]
)
def test_chinese_and_japanese_are_found_inside_a_sentence(query: str, expected: list[int]) -> None:
    """There are no blanks between words, so characters that stand together are looked for."""
    assert sorted(numbers(["更换滤芯时,错误代码E42。手册", "相机はカメラです", "filter"], query)) == expected


@given(texts_of_words, st.sets(st.integers(0, 7)), st.lists(st.sampled_from(WORDS), min_size=1, max_size=3))
def test_removed_entries_do_not_change_scores(texts: list[str], removed: set[int], query: list[str]) -> None:
    """Numbers and scores are those of an index that never held it."""
    kept = [(number, text) for number, text in enumerate(texts) if number not in removed]
    index, fresh = KeywordIndex(), KeywordIndex()
    index.add(list(enumerate(texts)))
    index.remove(removed)
    fresh.add(kept)
    asked = keyword_query(" ".join(query))
    assert list(index.ranking(asked, None)) == list(fresh.ranking(asked, None))
    index.close()
    fresh.close()


def test_rare_words_decide_where_frequent_ones_would_cost_too_much(
    index: KeywordIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rarest words are ranked by, as many as may be touched; what holds the others only comes after that."""
    monkeypatch.setattr(keyword, "POSTINGS_MAX", 30)
    index.add(
        [(n, "common " * (100 - n) + "rare " * (n > 94) + "often " * (n % 5 == 0)) for n in range(100)],
    )
    ranking = list(index.ranking(keyword_query("common rare often"), None))
    assert {number for number, _ in ranking[:24]} == {n for n in range(100) if n > 94 or n % 5 == 0}
    assert [number for number, _ in index.ranking(keyword_query("common rare"), None)][:5] == [99, 98, 97, 96, 95]
    assert len(list(index.ranking(keyword_query("common"), None))) == 100
    assert not list(index.ranking(keyword_query("absent"), None))


@given(texts_of_words, st.lists(st.sampled_from(WORDS), min_size=1, max_size=4), st.integers(1, 9), st.integers(1, 9))
def test_postings_limit_changes_order_only(texts: list[str], query: list[str], most: int, depth: int) -> None:
    """The same texts are found, each once, best first, and a shorter ranking is the beginning of the whole."""
    asked = keyword_query(" ".join(query))
    index = KeywordIndex()
    index.add(list(enumerate(texts)))
    everything = {number for number, _ in index.ranking(asked, None)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keyword, "POSTINGS_MAX", most)
        ranking = list(index.ranking(asked, None))
        assert list(index.ranking(asked, depth)) == ranking[:depth]
    index.close()
    assert {number for number, _ in ranking} == everything
    assert len(ranking) == len(everything)
    assert [score for _, score in ranking] == sorted((score for _, score in ranking), reverse=True)


def test_very_long_query_is_answered(index: KeywordIndex) -> None:
    """More terms than are looked for, and terms longer than any word."""
    index.add([(1, "needle"), (2, "hay")])
    assert [number for number, _ in index.ranking(keyword_query("needle " + "straw " * 30_000), None)] == [1]
    assert list(index.ranking(keyword_query(" ".join(f"w{number}" for number in range(5000))), None)) == []
    assert list(index.ranking(keyword_query("-".join("x" * 30_000)), None)) == []


@given(texts_of_words, st.lists(st.sampled_from(WORDS), min_size=1, max_size=3), st.integers(1, 9))
def test_ranking_with_depth_is_prefix_of_full_ranking(texts: list[str], query: list[str], depth: int) -> None:
    """Also where the cut goes through texts that are equal."""
    index = KeywordIndex()
    index.add(list(enumerate(texts)))
    asked = keyword_query(" ".join(query))
    assert list(index.ranking(asked, depth)) == list(index.ranking(asked, None))[:depth]
    index.close()


def test_empty_query_finds_nothing(index: KeywordIndex) -> None:
    """A query without a term finds nothing rather than everything."""
    index.add([(1, "word")])
    assert list(index.ranking(KeywordQuery((), ()), None)) == []
