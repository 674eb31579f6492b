"""What a filter matches on metadata, where every value is text."""

import itertools

import pytest

from filter_grammar import matches, parse, predicate

BOOK = {"author": "Ada Byron", "year": "1843", "pages": "66", "price": "9.50", "note": ""}

YES = {
    "texts are compared whole": ('author = "Ada Byron"', BOOK),
    "either quote": ("author = 'Ada Byron'", BOOK),
    "a bare word is text": ("status = open", {"status": "open"}),
    "another text is different": ("author != Ada", BOOK),
    "a differing letter case is different": ('author != "ada byron"', BOOK),
    "a star is a star": ('file = "*.pdf"', {"file": "*.pdf"}),
    "a bare star is a star": ("file = *", {"file": "*"}),
    "true is text": ("draft = true", {"draft": "true"}),
    "a duration is text": ("ttl = 20s", {"ttl": "20s"}),
    "escapes are resolved": (r'path = "C:\\temp\\\"x\""', {"path": r'C:\temp\"x"'}),
    "a lone surrogate equals itself": ('a = "\ud800"', {"a": "\ud800"}),
    # Numbers
    "numbers are numbers": ("pages < 100", BOOK),
    "fractions": ("price >= 9.5", BOOK),
    "exponents": ("pages < 6.7e1", BOOK),
    "a negative numeral": ("t > -10", {"t": "-9"}),
    "minus zero": ("t = -0", {"t": "0.00"}),
    "leading zeros": ("code = 7", {"code": "007"}),
    "an exponent in the metadata": ("n = 1500", {"n": "1.5e3"}),
    "no rounding": ("id != 9007199254740992", {"id": "9007199254740993"}),
    "no rounding of fractions": ("p < 0.30000000000000004", {"p": "0.3"}),
    "long numerals": (f"n > {'9' * 300}", {"n": "1" + "0" * 300}),
    "enormous exponents": ("n > 1e999999999999999998", {"n": "2e999999999999999998"}),
    "tiny exponents": ("n > 0", {"n": "1e-1999999999999999990"}),
    "exponents beyond all": ("n < 1e99999999999999999999999", {"n": "1"}),
    "exponents below all": ("n > -1e-99999999999999999999999", {"n": "1"}),
    "a number is not equal to other text": ("year != 2024", {"year": "MMXXIV"}),
    "nor to a spelling that only Python reads": ("n != 1000", {"n": "1_000"}),
    # Order of texts
    "code points": ('name > "Z"', {"name": "a"}),
    "dates as text": ("day >= 2024-01-01", {"day": "2024-01-01"}),
    "quoted digits are text": ('year < "9"', BOOK),
    "timestamps on metadata are text": ("at < 2025-01-01T00:00:00Z", {"at": "2025-01-01T00:00:00+09:00"}),
    # Nothing there
    "not equal to null": ("author != null", BOOK),
    "the empty text is something": ("note != null AND note:* AND note = ''", BOOK),
    "a missing field is null": ("isbn = null", BOOK),
    "has null is being null": ("isbn:null", BOOK),
    "the opposite of a missing field's comparison": ("NOT isbn = 5", BOOK),
    "also of its inequality": ("-isbn != 5", BOOK),
    "also of its presence": ("isbn:!*", BOOK),
    "the word null in quotes": ("a = 'null'", {"a": "null"}),
    # Paths and has
    "a dotted key": ("a.b = 1", {"a.b": "1"}),
    "a dotted key in quotes": ('"a.b" = 1', {"a.b": "1"}),
    "a key that is a keyword": ('"OR" = 1', {"OR": "1"}),
    "an empty key": ('"" = 1', {"": "1"}),
    "has is equality": ('author:"Ada Byron"', BOOK),
    "has a number": ("year:1843.0", BOOK),
    "has not": ("author:!Ada", BOOK),
    "presence": ("year:*", BOOK),
    # Ranges
    "the low end": ("year:1843..1900", BOOK),
    "the high end": ("year:1800..1843", BOOK),
    "a fraction between": ("price:9..10", BOOK),
    "outside, negated": ("-year:1900..2000", BOOK),
    # Connectives
    "nothing asked": ("", {}),
    "OR before AND": ("year = 1 OR year = 1843 AND pages = 66", BOOK),
    "NOT before OR": ("NOT year = 1843 OR pages = 66", BOOK),
    "nested": ("NOT (NOT (year = 1843 pages = 66 OR pages = 1) OR price = 1)", BOOK),
}

NO = {
    "part of a text": ("author = Ada", BOOK),
    "a trailing blank": ('author = "Ada Byron "', BOOK),
    "another letter case": ('author = "ada byron"', BOOK),
    "another letter case of the name": ('Author = "Ada Byron"', BOOK),
    "wildcards": ('author = "Ada*"', BOOK),
    "has is not a part": ("author:Ada", BOOK),
    "composed and decomposed": ('a = "caf\u00e9"', {"a": "cafe\u0301"}),
    "numbers are not text": ("pages > 100", BOOK),
    "equal numbers are not different": ("price != 9.5", BOOK),
    "quoted digits are not numbers": ('price = "9.5"', BOOK),
    "a number has no order with text": ("year < 2024", {"year": "MMXXIV"}),
    "in either direction": ("year > 2024", {"year": "MMXXIV"}),
    "blanks are no numeral": ("n = 42", {"n": " 42 "}),
    "nan is no numeral": ("n < 5", {"n": "nan"}),
    "inf is no numeral": ("n > 5", {"n": "inf"}),
    "a plus is no numeral": ("n = 5", {"n": "+5"}),
    "other digits are no numeral": ("n = 5", {"n": "５"}),
    "other decimal digits are no numeral": ("n = 5", {"n": "٥"}),
    "superscripts are no numeral": ("n = 2", {"n": "²"}),
    "an empty text is no numeral": ("n < 5", {"n": ""}),
    "thousands separators are no numeral": ("n < 5000", {"n": "1,000"}),
    "half a numeral": ("n >= 0", {"n": "5."}),
    "a line break after a numeral": ("n = 5", {"n": "5\n"}),
    "a missing field": ("isbn = 5", BOOK),
    "is not unequal": ("isbn != 5", BOOK),
    "nor unequal to a text": ("isbn != x", BOOK),
    "nor in order": ("isbn < x", BOOK),
    "nor before a number": ("isbn < 5", BOOK),
    "nor present": ("isbn:*", BOOK),
    "nor different from null": ("isbn != null", BOOK),
    "a field is not null": ("author = null", BOOK),
    "the text null is not null": ("a = null", {"a": "null"}),
    "null has no order": ("author > null", BOOK),
    "not even with nothing": ("isbn <= null", BOOK),
    "just below a range": ("price:9.51..10", BOOK),
    "a reversed range": ("pages:99..1", BOOK),
    "nesting is not a key": ("a.b = 1", {"a": "b"}),
    "AND after OR": ("year = 1843 OR pages = 66 AND price = 1", BOOK),
    "a blank is AND": ("year = 1843 pages = 1", BOOK),
}


@pytest.mark.parametrize("case", YES)
def test_matching_filters_match(case):
    """Every filter of the table matches the metadata beside it."""
    text, fields = YES[case]
    assert matches(parse(text), fields) is True


@pytest.mark.parametrize("case", NO)
def test_other_filters_do_not_match(case):
    """No filter of the table matches the metadata beside it."""
    text, fields = NO[case]
    assert matches(parse(text), fields) is False


def test_tree_is_compiled_once():
    """The same tree gives the same function, which `matches` uses as well."""
    expr = parse("year >= 1800 AND author != null")
    assert predicate(expr) is predicate(expr)
    assert predicate(expr)(BOOK) is matches(expr, BOOK) is True


@pytest.mark.parametrize(
    "text",
    [
        "a AND b AND c AND d",
        "a OR b OR c OR d",
        "a AND (b OR (c AND (d OR e)))",
        "a OR (b AND (c OR (d AND e)))",
        "(a OR b) AND (c OR d) AND (e OR f)",
        "(a AND b) OR (c AND d) OR (e AND f)",
        "NOT (a AND NOT (b OR c)) OR NOT (d OR (e AND NOT f))",
    ],
)
def test_connectives_evaluate_like_logic(text):
    """For every way in which the comparisons may turn out, the filter says what logic says."""
    names = sorted(set(text) & set("abcdef"))
    expr = parse("".join(f"{char} = 1" if char in names else char for char in text))
    for truths in itertools.product([True, False], repeat=len(names)):
        expected = eval(text.lower(), {}, dict(zip(names, truths, strict=True)))
        assert matches(expr, {name: str(int(truth)) for name, truth in zip(names, truths, strict=True)}) is expected


def test_connectives_stop_early():
    """AND stops at the first operand that fails, OR at the first that holds."""

    class Seen(dict[str, str]):
        def get(self, key, default=None):
            asked.append(key)
            return super().get(key, default)

    for text, expected in [
        ("a = 1 AND b = 1 AND c = 1", "ab"),
        ("b = 1 OR a = 1 OR c = 1", "ba"),
        ("NOT (a = 1 AND b = 1) OR c = 1", "ab"),
        ("NOT (b = 1 OR a = 1) AND c = 1", "ba"),
    ]:
        asked: list[str] = []
        matches(parse(text), Seen(a="1", b="2", c="3"))
        assert "".join(asked) == expected
