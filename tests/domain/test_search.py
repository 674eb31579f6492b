"""How a query's words are read, how rankings are fused and how matches are grouped."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from emulator.core.errors import ApiError
from emulator.domain.search import SCORE, WEIGHT_MAX, Aggregate, Fusion, GroupBy, KeywordQuery, grouped, keyword_query


@dataclass(frozen=True)
class Record:
    """A match, as far as grouping looks at it."""

    name: str
    fields: dict[str, str]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("What was the revenue?", ("What", "was", "the", "revenue")),
        ("invoice INV-99812, please", ("invoice", "INV-99812", "please")),
        ("at 12:30 on 10/12/2026 (UTC)", ("at", "12:30", "on", "10/12/2026", "UTC")),
        ("1,250.00 but one,two", ("1,250.00", "but", "one", "two")),
        ("ada@example.org's file_id", ("ada@example.org's", "file_id")),
        ("a AND b OR NOT c* ^d col:e", ("a", "AND", "b", "OR", "NOT", "c*", "^d", "col:e")),
        ("the the THE", ("the", "THE")),
        ('a "quote without its partner', ("a", "quote", "without", "its", "partner")),
        ("--- !!! ()", ()),
        ("a\0b", ("a b",)),
    ],
)
def test_query_is_split_at_spaces_and_punctuation(text: str, words: tuple[str, ...]) -> None:
    """Identifiers, numbers, dates and addresses stay whole; operators of query languages are words."""
    assert keyword_query(text) == KeywordQuery((), words)


def test_quoted_words_are_a_phrase() -> None:
    """A phrase is kept with its blanks; empty quotes are nothing."""
    assert keyword_query('find "exact words" and "" "!" now') == KeywordQuery(("exact words",), ("find", "and", "now"))
    assert keyword_query('a"b"c') == KeywordQuery(("b",), ("a", "c"))
    assert keyword_query('now "now"') == KeywordQuery(("now",), ())  # what must be there need not be looked for again


@given(st.text())
def test_any_text_is_valid_keyword_query(text: str) -> None:
    """Whatever is typed gives terms, each once, each with something to look for, none with a NUL."""
    query = keyword_query(text)
    for terms in (query.phrases, query.words):
        assert len(set(terms)) == len(terms)
        assert all(any(c.isalnum() for c in term) and "\0" not in term for term in terms)


def test_hit_in_both_rankings_outscores_first_of_one() -> None:
    """Half of 1/(60+2) twice is more than half of 1/(60+1) once; weights and k are the request's."""
    assert Fusion().score(2, 2) == pytest.approx(1 / 62)
    assert Fusion().score(1, None) == Fusion().score(None, 1) == pytest.approx(0.5 / 61)
    assert Fusion(k=0, text_weight=1, embedding_weight=0).score(4, 1) == 0.25
    assert Fusion(k=9).of_rank(1) == 0.1


@given(st.integers(1, 1000), st.integers(1, 1000), st.integers(0, 100))
def test_better_rank_scores_higher(rank: int, other: int, k: int) -> None:
    """In either ranking, for any k."""
    fusion = Fusion(k=k)
    assert fusion.score(rank, other) > fusion.score(rank + 1, other)
    assert fusion.score(other, rank) > fusion.score(other, rank + 1)
    assert fusion.of_rank(rank) > fusion.of_rank(rank + 1)


@pytest.mark.parametrize(
    ("fusion", "param"),
    [
        (Fusion(k=-1), "k"),
        (Fusion(text_weight=-0.1), "text_weight"),
        (Fusion(embedding_weight=float("inf")), "embedding_weight"),
        (Fusion(text_weight=math.nextafter(WEIGHT_MAX, math.inf)), "text_weight"),
        (Fusion(text_weight=float("nan")), "text_weight"),
    ],
)
def test_fusion_with_invalid_weights_is_refused(fusion: Fusion, param: str) -> None:
    """A negative k could divide by zero, and scores are finite."""
    with pytest.raises(ApiError, match="at least 0") as refused:
        fusion.check()
    assert (refused.value.rule, refused.value.param) == ("rrf", param)


@pytest.mark.parametrize("group_by", [GroupBy(()), GroupBy(("a",), k=0)])
def test_group_by_without_keys_or_size_is_refused(group_by: GroupBy) -> None:
    """At least one key, and at least one record (OpenAPI: GroupBy)."""
    with pytest.raises(ApiError, match="group_by") as refused:
        group_by.check()
    assert (refused.value.rule, refused.value.param) == ("group_by", "group_by")


def test_score_sort_key_is_no_valid_field_name() -> None:
    """OpenAPI: GroupByAggregate."""
    assert GroupBy(("a",)).order_by == (SCORE,) == ("#score",)


def test_fusion_and_group_bounds_are_inclusive() -> None:
    """Bounds are inclusive; a ranking may count for nothing, or for more than one."""
    Fusion(k=0).check()
    Fusion(embedding_weight=0, text_weight=2.5).check()
    most = Fusion(k=0, embedding_weight=WEIGHT_MAX, text_weight=WEIGHT_MAX)
    most.check()
    assert struct.unpack("f", struct.pack("f", most.score(1, 1)))[0] == pytest.approx(2 * WEIGHT_MAX)
    GroupBy(("a",), k=1).check()


RECORDS = [
    Record("a", {"team": "x", "year": "2020"}),
    Record("b", {"team": "x", "year": "2024"}),
    Record("c", {"year": "100"}),
    Record("d", {"team": "y", "year": "late"}),
    Record("e", {"team": "x", "year": "999"}),
    Record("f", {}),
    Record("g", {"team": "y", "year": "2022"}),
]


@pytest.mark.parametrize(
    ("group_by", "kept"),
    [
        (GroupBy(("team",)), "acd"),
        (GroupBy(("team",), k=2), "abcdfg"),
        (GroupBy(("team",), k=99), "abcdefg"),
        (GroupBy(("team",), Aggregate.MAX_K), "acd"),
        (GroupBy(("team",), Aggregate.MIN_K, ("year",)), "ceg"),
        (GroupBy(("team",), Aggregate.MAX_K, ("year",)), "bcg"),
        (GroupBy(("team", "year")), "abcdefg"),
        (GroupBy(("missing key",)), "a"),
        (GroupBy(("missing key",), Aggregate.MIN_K, ("team", "year"), 2), "ae"),
        (GroupBy(("missing key",), Aggregate.MAX_K, ("team", SCORE), 1), "d"),
        (GroupBy(("missing key",), Aggregate.MAX_K, (SCORE, "team"), 1), "a"),
    ],
)
def test_groups_keep_best_records_in_order(group_by: GroupBy, kept: str) -> None:
    """By relevance or by values, as numbers where they are numbers; without the key records share a group."""
    assert "".join(record.name for record in grouped(RECORDS, group_by)) == kept


@pytest.mark.parametrize("aggregate", Aggregate)
def test_tied_group_values_keep_better_match(aggregate: Aggregate) -> None:
    """Also where the spelling differs; and what only begins with a number is a text, which comes after numbers."""
    records = [Record("a", {"n": "7 x"}), Record("b", {"n": "5"}), Record("c", {"n": "5.0"}), Record("d", {})]
    by_n = GroupBy(("missing key",), aggregate, ("n",))
    assert [[record.name for record in grouped(records, replace(by_n, k=k))] for k in (1, 2, 3)] == [
        ["b"],
        ["b", "c"],
        ["a", "b", "c"],
    ]


values = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["1", "2", "10", "x", ""]))


@given(
    st.lists(values, max_size=12),
    st.builds(
        GroupBy,
        st.lists(st.sampled_from("ab"), min_size=1, max_size=2).map(tuple),
        st.sampled_from(Aggregate),
        st.lists(st.sampled_from(["a", "b", SCORE]), min_size=1, max_size=2).map(tuple),
        st.integers(1, 3),
    ),
)
def test_group_keeps_at_most_k_records(fields: list[dict[str, str]], group_by: GroupBy) -> None:
    """Never more than k of a group, never fewer while there are some, and always in the order of relevance."""
    records = [Record(str(number), each) for number, each in enumerate(fields)]
    kept = grouped(records, group_by)

    def group(record: Record) -> tuple[str | None, ...]:
        return tuple(record.fields.get(key) for key in group_by.keys)

    assert [records.index(record) for record in kept] == sorted(records.index(record) for record in kept)
    for each in {group(record) for record in records}:
        size = sum(group(record) == each for record in records)
        assert sum(group(record) == each for record in kept) == min(size, group_by.k)
