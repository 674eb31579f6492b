"""How much of a filter is accepted, and that no filter of any size costs more than its length."""

import copy
import gc
import time

import pytest

from filter_grammar import DEPTH_CEILING, FilterError, Limits, check, matches, parse, render, to_sexpr
from filter_grammar.check import Field, Fields

UNLIMITED = Limits(chars_max=None, depth_max=None, terms_max=None)


def chars(count: int) -> str:
    """A filter of so many characters."""
    return "a = " + "x" * (count - 4)


def depth(count: int) -> str:
    """A filter with so many parentheses open at once, after some that are closed again."""
    return "(a = 1) AND NOT " + "(b = 2 AND NOT " * (count - 1) + "(c = 3)" + ")" * (count - 1)


def terms(count: int) -> str:
    """A filter of so many comparisons, of all kinds."""
    return " OR ".join(["a:1..2", "b:!x", '("c":*)', "d=null"][at % 4] for at in range(count))


SIZED = {"chars_max": chars, "depth_max": depth, "terms_max": terms}
DEFAULTS = {"chars_max": 16_384, "depth_max": 64, "terms_max": 1000}
COUNTED = {"chars_max": "characters", "depth_max": "levels of parentheses", "terms_max": "comparisons"}


@pytest.mark.parametrize("limit", SIZED)
@pytest.mark.parametrize("maximum", [6, 30])
def test_limits_are_inclusive(limit, maximum):
    """N - 1 and N are accepted, N + 1 is refused with the limit and its value; without the limit it is accepted."""
    limits = Limits(**{**dict.fromkeys(SIZED), limit: maximum})
    for size in (maximum - 1, maximum):
        parse(SIZED[limit](size), limits)
    with pytest.raises(FilterError, match=f"more than {maximum} {COUNTED[limit]}, the limit {limit}") as caught:
        parse(SIZED[limit](maximum + 1), limits)
    assert caught.value.limit == limit
    assert limit in caught.value.hint
    parse(SIZED[limit](maximum + 1), UNLIMITED)


@pytest.mark.parametrize("limit", SIZED)
def test_default_limits_are_16384_characters_64_levels_1000_terms(limit):
    """Without other limits, 16384 characters, 64 levels and 1000 comparisons are accepted, and not one more."""
    size, others = DEFAULTS[limit], dict.fromkeys(SIZED)
    only = Limits(**{**others, limit: getattr(Limits(), limit)})
    parse(SIZED[limit](size), only)
    with pytest.raises(FilterError) as caught:
        parse(SIZED[limit](size + 1), only)
    assert caught.value.limit == limit


def test_limit_error_points_at_what_breaks_it():
    """The position of a limit error is the first character, parenthesis or name too many."""
    broken = [
        ("a = 12", Limits(chars_max=5), 5),
        ("((a = 1))", Limits(depth_max=1), 1),
        ("(a = 1)", Limits(depth_max=0), 0),
        ("a = 1", Limits(terms_max=0), 0),
        ("a=1 b=2", Limits(terms_max=1), 4),
    ]
    for text, limits, position in broken:
        with pytest.raises(FilterError) as caught:
            parse(text, limits)
        assert caught.value.position == position


def test_depth_ceiling_holds_for_any_depth_max():
    """However large depth_max is, the ceiling holds, and its error names the limit and the ceiling."""
    assert DEPTH_CEILING == 1000  # README
    for limits in (UNLIMITED, Limits(None, DEPTH_CEILING + 5, None)):
        parse("(" * DEPTH_CEILING + "a = 1" + ")" * DEPTH_CEILING, limits)
        with pytest.raises(FilterError, match=f"more than {DEPTH_CEILING} .* depth_max"):
            parse("(" * (DEPTH_CEILING + 1) + "a = 1" + ")" * (DEPTH_CEILING + 1), limits)


def test_filter_at_depth_ceiling_does_not_recurse():
    """A filter as deep as the ceiling can be compared, hashed, shown, rendered, checked and evaluated."""
    text = depth(DEPTH_CEILING)
    expr, same = parse(text, UNLIMITED), parse(f" {text}", UNLIMITED)
    assert expr == same
    assert hash(expr) == hash(same)
    assert to_sexpr(expr) in repr(expr)
    assert parse(render(expr), UNLIMITED) == expr
    fields = {"a": "1", "b": "2", "c": "3"}
    assert matches(expr, fields) is check(expr, Fields(*map(Field, "abc"))).matches(fields)


def test_filter_within_default_limits_can_be_deep_copied():
    """Within the default limits even what recurses in Python itself, such as a deep copy, has room."""
    expr = parse(depth(DEFAULTS["depth_max"]))
    assert copy.deepcopy(expr) == expr


ROBUST = {
    "parentheses": ("(" * 20 + "a=1" + ")" * 20, True),
    "many parentheses": ("(" * 100_000 + "a=1" + ")" * 100_000, False),
    "many negations": ("NOT (" * 50_000 + "a=1" + ")" * 50_000, False),
    "only open": ("(" * 5000, False),
    "only close": (")" * 5000, False),
    "odd backslashes": ('a="' + "\\" * 41, False),
    "even backslashes": ('a="' + "\\" * 60, False),
    "many backslashes": ('a="' + "\\" * 5001, False),
    "open string": ('a="' + "x" * 1_000_000, False),
    "long string": ('a="' + "x" * 1_000_000 + '"', True),
    "conjunction": (" AND ".join(["a=1"] * 5000), True),
    "disjunction": (" OR ".join(f"id={number}" for number in range(1000)), True),
    "blanks": (" " * 1_000_000, True),
    "blanks between": ("a=1" + " " * 1_000_000 + "b=2", True),
    "blanks before nothing": ("a" + " " * 1_000_000 + "b=2", False),
    "long name": ("a" * 1_000_000 + "=1", True),
    "long number": ("a=" + "1" * 1_000_000, True),
    "nearly a number": ("a=" + "1" * 1_000_000 + "!", False),
    "dots": ("a" + ".a" * 100_000 + "=1", True),
    "keywords": ("a=1 " + "AND " * 2000, False),
    "ranges": ("a:" + "1.." * 2000, False),
    "quotes": ('"' * 8000, False),
    "NUL": ('a="\x00"', True),
    "lone surrogate": ('a="\udcff"', True),
    "lone surrogate outside": ("a=\udcff", False),
    "byte order mark": ("\ufeffa=1", False),
    "no-break space": ("a\u00a0=\u00a01", False),
}


@pytest.fixture
def uncollected():
    """No collection of garbage: it runs when it likes, and takes half a second where many tests have run before."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.measure
@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("limits", [Limits(), UNLIMITED], ids=["default", "unlimited"])
@pytest.mark.parametrize("text", ROBUST, ids=str)
def test_hostile_filters_answer_fast(text, limits):
    """Deep, long and broken filters take at most 0.1 s of processor time, 1 s without limits."""
    started = time.thread_time()
    refusal(ROBUST[text][0], limits)
    assert time.thread_time() - started < (1 if limits is UNLIMITED else 0.1)


@pytest.mark.parametrize("limits", [Limits(), UNLIMITED], ids=["default", "unlimited"])
@pytest.mark.parametrize("text", ROBUST, ids=str)
def test_hostile_filters_are_parsed_or_refused(text, limits):
    """Deep, long and broken filters get a tree or a FilterError, with the default limits or with none."""
    filter_, valid = ROBUST[text]
    error = refusal(filter_, limits)
    if error is None:
        assert valid
    else:
        assert error.limit is not None or not valid
        assert len(str(error)) < 1000


def refusal(text: str, limits: Limits) -> FilterError | None:
    """The error for a text, if there is one."""
    try:
        parse(text, limits)
    except FilterError as error:
        return error
    return None


def typical(count: int) -> str:
    """A filter of `count` groups that use the whole language."""
    group = r"""(author = "San\"dra" OR NOT year:2020..2024) AND -status:!draft a.b.c >= 2.5 x = 'y' """
    return group * count


@pytest.mark.measure
@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize(
    "cost",
    {
        "parse": lambda text: parse(text, UNLIMITED),
        "refuse": lambda text: refusal(text + "?", UNLIMITED),
        "render": lambda text: render(parse(text, UNLIMITED)),
        "evaluate": lambda text: matches(parse(text, UNLIMITED), {"author": 'San"dra', "a.b.c": "3", "x": "y"}),
        "open string": lambda text: refusal('a="' + text.replace('"', ""), UNLIMITED),
        "parentheses": lambda text: parse("(a=1 AND " * (len(text) // 30) + "b=2" + ")" * (len(text) // 30), UNLIMITED),
    }.items(),
    ids=lambda item: item[0],
)
def test_cost_is_linear(cost):
    """Eight times the filter costs about eight times as much: at most three times that, where a square costs 64."""
    filters = {1: typical(40), 8: typical(320)}
    fastest = dict.fromkeys(filters, float("inf"))
    for _ in range(7):
        for size, text in filters.items():
            started = time.perf_counter()
            cost[1](text)
            fastest[size] = min(fastest[size], time.perf_counter() - started)
    assert fastest[8] / fastest[1] < 24
