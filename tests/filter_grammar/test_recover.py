"""All errors of a text are found, each at its place; the first is the one of `parse`."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filter_grammar import (
    Field,
    Fields,
    FilterError,
    Limits,
    Type,
    check,
    check_all,
    parse,
    parse_with_errors,
    render,
)
from filter_grammar.recover import ERRORS_MAX
from tests.examples import examples
from tests.filter_grammar.test_properties import FRAGMENTS, UNLIMITED, filters, outcome

SPOT = "▸"  # in the texts below: where an error is


@pytest.mark.parametrize(
    "marked",
    [
        "a =▸= 1",
        "a =▸= 1 AND b = 2 AND c =▸= 3",
        "a =▸= 1 OR b =▸! 2",
        "a = 1 AND ▸AND b =▸= 2",
        "▸AND a =▸= 1",
        "a = Sandra ▸Kim AND b = ▸AND c = 3",
        "status = ▸(active OR pending) AND b =▸= 2",
        "author ▸IN (x, y OR z) AND ▸lower(b) = 1 OR c = 3",
        "(a =▸= 1 AND b = 2) AND c =▸= 3",
        "(a =▸= 1 AND (b =▸= 2 OR c = 3) AND ▸report)",
        "(a =▸= 1) AND b = 2▸)",
        "(a =▸= 1 AND b = 2▸",
        r'path = "C:▸\temp AND OR (" AND b =▸= 2',
        'title = "AND" AND b =▸= 2 AND c = "x) OR y" AND d =▸= 4',
        'a =▸= 1 AND b = ▸"never closed AND c == 3',
        "year > 2020 ▸&& price =▸= 5",
        "year > 2020 ▸and price =▸= 5",
        "a =▸= 1 AND▸",
        "a =▸= 1 AND ( ▸)  AND b =▸= 2",
        " \n a =▸= 1 AND b = 2 \t AND \n c =▸= 3 \n",
        "日本 =▸= 1 AND b =▸= 2",
        "a =▸= 1 ANDROID = 2 AND b =▸= 2",
    ],
)
def test_recovery_finds_every_error_at_its_position(marked: str) -> None:
    text = marked.replace(SPOT, "")
    places = [match.start() - at for at, match in enumerate(re.finditer(SPOT, marked))]
    expr, errors = parse_with_errors(text)
    assert expr is None
    assert [error.position for error in errors] == places
    assert all("^" in str(error) for error in errors)


def test_parenthesis_that_is_open_keeps_its_column_in_the_hint() -> None:
    _, errors = parse_with_errors("x = 1 AND ((a == 1) AND b = 2")
    assert [error.hint for error in errors] == ["equality is a single =", 'the "(" in column 11 is never closed']


@given(filters)
def test_recovery_of_correct_text_equals_parse(expr) -> None:
    text = render(expr)
    assert parse_with_errors(text, UNLIMITED) == (parse(text, UNLIMITED), [])


@settings(max_examples=examples(300))
@given(st.lists(st.sampled_from([*FRAGMENTS, " AND ", " OR ", " && ", "a = 1"]), max_size=20).map("".join) | st.text())
def test_first_error_is_the_one_of_parse_and_others_follow_in_order(text: str) -> None:
    expected = outcome(text)
    expr, errors = parse_with_errors(text)
    if not isinstance(expected, FilterError):
        assert (expr, errors) == (expected, [])
        return
    assert expr is None
    assert str(errors[0]) == str(expected)
    places = [error.position for error in errors]
    assert places == sorted(set(places))
    assert all(0 <= place <= len(text) for place in places)
    assert len(errors) <= ERRORS_MAX


@given(st.lists(st.sampled_from(["a = 1", "b == 2", "c =! 3", "(d == 4)", "x == 'AND'"]), min_size=1, max_size=30))
def test_recovery_reports_one_error_per_wrong_term(terms: list[str]) -> None:
    _, errors = parse_with_errors(" AND ".join(terms))
    wrong = sum(term != "a = 1" for term in terms)
    assert len(errors) == min(wrong, ERRORS_MAX)


def test_many_errors_are_cut_off() -> None:
    _, errors = parse_with_errors(" AND ".join(["a == 1"] * 1000))
    assert [error.position for error in errors] == [3 + 11 * at for at in range(ERRORS_MAX)]


@pytest.mark.parametrize(
    ("text", "limits", "broken"),
    [
        ("a == 1 AND " * 9, Limits(chars_max=20), ["chars_max"]),
        ("a == 1 AND ((b == 2))", Limits(depth_max=1), [None, "depth_max"]),
        ("a == 1 AND b = 2 AND c = 3 AND d == 4", Limits(terms_max=2), [None, "terms_max"]),
    ],
)
def test_error_about_a_limit_is_the_last(text: str, limits: Limits, broken: list[str | None]) -> None:
    _, errors = parse_with_errors(text, limits)
    assert [error.limit for error in errors] == broken


@pytest.mark.parametrize("text", ["(" * 16_000, "a == 1 AND (" * 1300, "AND " * 4000, "&&" * 8000, "'" * 16_000])
def test_longest_texts_are_answered(text: str) -> None:
    _, errors = parse_with_errors(text)
    assert 1 <= len(errors) <= ERRORS_MAX


FIELDS = Fields(Field("n", Type.NUMBER, nullable=False), Field("t"))


@given(st.lists(st.sampled_from(["n = 1", "n = x", "x = 1", "t = 1", "n = null"]), min_size=1))
def test_recovery_reports_one_error_per_mismatch(terms: list[str]) -> None:
    expr = parse(" AND ".join(terms))
    errors = check_all(expr, FIELDS)
    assert len(errors) == sum(term in ("n = x", "x = 1", "n = null") for term in terms)
    if errors:
        with pytest.raises(FilterError) as caught:
            check(expr, FIELDS)
        assert str(caught.value) == str(errors[0])
    else:
        check(expr, FIELDS)
