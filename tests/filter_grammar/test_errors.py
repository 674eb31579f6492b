"""What an error says: where, what was found, what would be accepted, and one hint, in less than a kilobyte."""

import re

import pytest

from filter_grammar import Field, Fields, FilterError, Type, check, parse
from filter_grammar.hints import HINTS, advise

BYTES_MAX = 1000


def error_of(text: str) -> FilterError:
    """The error for a text that is not a filter."""
    with pytest.raises(FilterError) as caught:
        parse(text)
    return caught.value


def test_error_text_has_message_positions_filter_caret_and_hint():
    """The text of an error is the message with both positions, the filter, the caret under the spot, and the hint."""
    assert str(error_of("author = Sandra Kim AND year = 2024")) == (
        'expected a comparison such as field = value, found only "Kim" (position 16, column 17)\n'
        "  author = Sandra Kim AND year = 2024\n"
        "                  ^\n"
        'hint: quote a value of several words: "Sandra Kim"'
    )


def test_error_has_message_position_column_hint_and_limit():
    """Message, position, column, hint and limit can be had one by one; the message is one line."""
    error = error_of("year\n> = 2020")
    assert (error.position, error.column, error.limit) == (7, 8, None)
    assert error.message == 'expected a value, found "="'
    assert error.hint == "an operator holds no blanks: <=, >=, !="
    assert isinstance(error, ValueError)
    assert error.args == (error.message,)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("= 1", 'a field name, NOT or "("'),
        ("NOT (=", 'a field name, NOT or "("'),
        ("a = 1 AND = 2", 'a field name, NOT or "("'),
        ("a = 1 OR = 2", 'a field name, NOT or "("'),
        ("NOT !a = 1", 'a field name or "("'),
        ("-= 1", 'a field name or "("'),
        ("author ! 1", "an operator (= != < <= > >= :)"),
        ("author = ", "a value"),
        ("author:!", "a value right after the exclamation mark"),
        ("a = 1 !", "AND, OR or another comparison"),
        ('a = "1"!', "AND, OR or the end of the filter"),
        ('(a = "1"!', 'AND, OR or ")"'),
        ("(a = 1)!", "AND, OR or the end of the filter"),
        ('a = x"y', "AND, OR or the end of the filter"),
        ("a = 1 OR", "a comparison after OR"),
        ('a = "', "a closing quote"),
        ("a = 'x", "a closing quote"),
        ('a = "x\\', "a closing quote"),
        ('a."b = 1', "a closing quote"),
        ('a:! "b"', "a value right after the exclamation mark"),
        (r'a = "\d', r"\\, \" or \' in a quoted text"),
        (r'a = "\d"', r"\\, \" or \' in a quoted text"),
        (r"a.'b\d' = 1", r"\\, \" or \' in a quoted text"),
        ("a. = 1", "a name after the dot"),
        ("a = 1.", "more of the value after the dot"),
        ('a = b."c', "more of the value after the dot"),
        ('a""b', "an operator (= != < <= > >= :)"),
        ("report", "a comparison such as field = value"),
    ],
)
def test_error_names_what_would_be_accepted(text, expected):
    """Every state of the parser has its words, which name what the grammar takes next."""
    assert error_of(text).message.partition(", found")[0] == f"expected {expected}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a = ", "the end of the filter"),
        ("a = OR b = 1", '"OR"'),
        ("a =!= 1", '"!="'),
        ("a = 1 )) b", '")"'),
        ("author = Sandra Kim.Jones", 'only "Kim.Jones"'),
        ("lower(author) = x", 'the function "lower"'),
        ("a\u00a0= 1", "U+00A0 (NO-BREAK SPACE)"),
        ("a = \ud800", "U+D800 (a lone surrogate)"),
        ("a = \x07", "U+0007 (a control character)"),
        (r'a = "x\dy"', r'"\d"'),
        ("a = '", "the end of the filter"),
        ('a = "x""y"', "'\"'"),
    ],
    ids=ascii,
)
def test_error_quotes_what_was_found(text, found):
    """What stands at the spot is quoted, or described where it cannot be seen."""
    assert error_of(text).message.partition(", found ")[2] == found


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("(a = 1", 1),
        ("((", 2),
        ("((a = 1)", 1),
        ("a = 1 AND (b = 2", 11),
        ("(a = 1) AND (b = 2 OR (c = 3)", 13),
    ],
)
def test_hint_names_last_open_parenthesis(text, column):
    """The hint names the last one that is still open."""
    assert error_of(text).hint == f'the "(" in column {column} is never closed'


@pytest.mark.parametrize(
    ("text", "position"),
    [("a = 1 AND lower(b) = x", 10), ("a = 1 AND b", 10), ("a = 1 AND b IN (1)", 12), (r"a = 'x\d'", 6), ('a."b', 2)],
)
def test_error_position_is_that_of_the_mistake(text, position):
    """At the function, the bare word, the foreign word, the backslash or the quote; not where the parser gave up."""
    assert error_of(text).position == position


def test_missing_value_is_reported_before_open_parenthesis():
    """What is missing first comes first."""
    assert error_of("(author =").hint == error_of("author =").hint


@pytest.mark.parametrize(("word", "shown"), [("w" * 30, "w" * 30), ("w" * 31, "w" * 27 + "...")])
def test_long_word_is_cut_in_message(word, shown):
    """Of what was found thirty characters are shown."""
    assert error_of(word).message.partition(", found ")[2] == f'only "{shown}"'


def test_positions_count_characters():
    """A character outside ASCII, or outside the BMP, counts as one; so does a combining one."""
    error = error_of('name = "日本語 😀 e\u0301" AND')
    assert error.position == len('name = "日本語 😀 e\u0301" AND')
    assert str(error).splitlines()[2].index("^") == 2 + error.position


@pytest.mark.parametrize("at", [0, 1, 39, 40, 41, 500, 959, 960, 998])
def test_long_filter_is_cut_to_a_window(at):
    """Of a long filter some 80 characters round the spot are shown, and the caret still stands under it."""
    text = "(" * at + ")" + "x" * (999 - at)
    if at > 64:  # beyond the depth that is accepted: reach the spot through a quoted text instead
        text = 'a = "' + "x" * (at - 6) + '"' + ")" + "x" * (999 - at)
    error = error_of(text)
    _, line, caret, _ = str(error).splitlines()
    assert error.position == at
    assert 2 + 80 <= len(line) <= 2 + 80 + 2 * len("...")
    assert line[caret.index("^")] == ")"
    assert line.endswith("...") is (at < 960)
    assert line.startswith("  ...") is (at > 40)


@pytest.mark.parametrize(
    ("line_break", "shown"), [("\n", " "), ("\r\n", "  "), ("\u2028", "?"), ("\x0b", "?")], ids=ascii
)
def test_filter_with_line_breaks_is_shown_on_one_line(line_break, shown):
    """Whatever breaks a line in a filter is one character in the line that shows it, and breaks nothing."""
    error = error_of(f'a = "x{line_break}y" b')
    _, line, caret, _ = str(error).splitlines()
    assert line == f'  a = "x{shown}y" b'
    assert caret.index("^") == 2 + error.position


def test_error_text_has_no_surrogate_or_control_character():
    """A lone surrogate or a control character of the filter does not get into the text of the error."""
    shown = str(error_of('a = "\ud800\x1b[31m" \udfff'))
    assert shown.encode().decode().replace("\n", "").isprintable()


HOSTILE = {
    "long name": "é" * 8000,
    "long words": "a = " + "😀" * 3000 + " " + "😀" * 3000,
    "long second word": "a = 😀 " + "😀" * 3000,
    "long function": "😀" * 4000 + "()",
    "long open string": 'a = "' + "😀" * 8000,
    "long escape": 'a = "' + "\\" * 7999,
    "signs": "a " + "=" * 8000,
    "closed": ")" * 8000,
    "open": "(" * 8000,
    "too long": "😀" * 100_000,
    "lines": "\n" * 4000 + ")" + "\n" * 4000,
    "keywords": "a = 1 " + "AND " * 2000,
    "braces": "{word} {0} %s = }{",
    "marks": "▸" * 100 + " = 1 and ▸",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_error_text_is_under_a_kilobyte(text):
    """The text of an error stays under a kilobyte of UTF-8, whatever the filter."""
    assert len(str(error_of(text)).encode()) < BYTES_MAX


def test_error_about_many_fields_is_under_a_kilobyte():
    """Neither a long list of fields nor a long list of values makes a large error."""
    many = tuple(f"DOCUMENT_STATUS_NUMBER_{number}" for number in range(500))
    fields = Fields(Field("status", Type.ENUM, values=many), *(Field(name) for name in many))
    for text in ("other = 1", "status = other", "x" * 5000 + " = 1", "status = " + "😀" * 5000):
        with pytest.raises(FilterError) as caught:
            check(parse(text), fields)
        assert len(str(caught.value).encode()) < BYTES_MAX
        assert re.search(r"_\d+, \.\.\.$", caught.value.hint)


@pytest.mark.parametrize(
    ("text", "like"),
    [
        ("year ! = 2020", "year > = 2020"),
        ("year>2020&&price<5", "year > 2020 && price < 5"),
        ("year=2020||year=2021", "year = 2020 || year = 2021"),
        ("a = 1 NOT", "a = 1 AND"),
        ("a = 1 OR", "a = 1 AND"),
        ("x = lower(author)", "lower(author) = x"),
        ("fields. isbn = 1", "fields . isbn = 1"),
        (".isbn = 1", "fields..isbn = 1"),
        ("author = Sandra Kim AND " + "a = 1 AND " * 20 + "b = 2", "author = Sandra Kim"),
    ],
)
def test_another_look_of_a_mistake_gets_the_same_hint(text, like):
    """A mistake that can look in several ways is known in all of them."""
    assert error_of(text).hint == error_of(like).hint


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a = \u25b8 x", "? x"),
        ("a = x \u25b8", "x ?"),
        ("a = " + "w" * 40 + " x", "w" * 40 + " x"),
        ("a = " + "w" * 41 + " x", "w" * 37 + "... x"),
    ],
)
def test_hint_quotes_words_of_the_filter(text, shown):
    """Words are shown up to forty characters, and the mark of the table as a question mark."""
    assert error_of(text).hint == f'quote a value of several words: "{shown}"'


@pytest.mark.parametrize("row", range(len(HINTS)), ids=lambda row: HINTS[row].pattern)
def test_hint_rows_are_all_reachable(row, monkeypatch):
    """Without its row of the table, the example of a hint gets other advice: no row is shadowed or spare."""
    hint = HINTS[row]
    error = error_of(hint.example)
    assert advise(hint.example, error.position) == error.hint
    monkeypatch.setattr("filter_grammar.hints.HINTS", HINTS[:row] + HINTS[row + 1 :])
    assert advise(hint.example, error.position) != error.hint
