"""Keyword ranking: what is found, in which order, and that no text is ever syntax."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.domain.collections import MetricSpace
from emulator.domain.search import KeywordQuery, keyword_query
from emulator.store.index.collection_index import IndexQuery
from emulator.store.index.live_index import answer
from tests.store.index.building import index_of

WORDS = ["ash", "birch", "cedar", "elm", "fir"]
_LISTS = st.lists(st.sampled_from(WORDS), max_size=12)
texts_of_words = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join), max_size=8)


def found(texts: list[str], query: str | KeywordQuery, depth: int | None = None) -> list[tuple[int, float]]:
    """The ranking of a query over texts, numbered from 0."""
    asked = query if isinstance(query, KeywordQuery) else keyword_query(query)
    hits = answer(index_of(texts).view, IndexQuery(asked, None, MetricSpace.COSINE, depth)).keyword
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    return [(int(hit.version.file_id), hit.score) for hit in hits]


def numbers(texts: list[str], query: str) -> list[int]:
    """Which texts a query finds."""
    return [number for number, _ in found(texts, query)]


def bm25(texts: list[str], query: list[str]) -> dict[int, float]:
    """With k1 = 1.2 and b = 0.75, term by term over every text. These words are their own stems."""
    split = [text.split() for text in texts]
    average = sum(map(len, split)) / max(len(split), 1)
    scores: dict[int, float] = {}
    for term in dict.fromkeys(query):
        containing = sum(term in words for words in split)
        idf = math.log(1 + (len(split) - containing + 0.5) / (containing + 0.5))
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
        ("Strasse", [2]),
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


@given(texts_of_words, st.lists(st.sampled_from(WORDS), min_size=1, max_size=3), st.integers(1, 9))
def test_a_shorter_ranking_is_the_beginning_of_the_whole(texts: list[str], query: list[str], depth: int) -> None:
    """Also where the cut goes through texts that are equal."""
    asked = " ".join(query)
    assert found(texts, asked, depth) == found(texts, asked)[:depth]


def test_a_very_long_query_is_answered() -> None:
    """More terms than are looked for, and terms longer than any word."""
    texts = ["needle", "hay"]
    assert numbers(texts, "needle " + "straw " * 30_000) == [0]
    assert numbers(texts, " ".join(f"w{number}" for number in range(5000))) == []
    assert numbers(texts, "-".join("x" * 30_000)) == []


def test_nothing_asked_is_nothing_found() -> None:
    """A query without a term finds nothing rather than everything."""
    assert found(["word"], KeywordQuery((), ())) == []


@given(
    st.lists(st.lists(st.sampled_from(WORDS), max_size=12), max_size=8), st.lists(st.sampled_from(WORDS), max_size=3)
)
def test_phrase_counts_as_often_as_its_words_are_adjacent(texts: list[list[str]], phrase: list[str]) -> None:
    """A phrase is scored like a word that stands where the phrase does."""
    joined = [" ".join(words) for words in texts]
    expected = Counter[int]()
    for number, words in enumerate(texts):
        for start in range(len(words) - len(phrase) + 1):
            expected[number] += bool(phrase) and words[start : start + len(phrase)] == phrase
    assert set(numbers(joined, f'"{" ".join(phrase)}"')) == {number for number, count in expected.items() if count}
