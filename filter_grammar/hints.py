"""What to write instead: one table from the look of a mistake to one sentence of advice.

A pattern is searched in the surroundings of the spot where parsing stopped, which is marked by ▸. The first row that
fits wins, so the particular stands before the general. The examples make the table in README.md, and its test.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from filter_grammar.errors import quoted

MARK = "▸"
_AROUND = 60  # characters on each side of the mark that patterns see

# Pieces of patterns: the blank and operator before a value, and a bare value.
_OP = r"[=<>:]\s*"
_BARE = r"""[^\s"'()=<>:!,]+"""


@dataclass(frozen=True, slots=True)
class Hint:
    """One mistake: how it looks, what to do about it, and a filter that makes it."""

    pattern: str
    advice: str  # {name} stands for a group of the pattern, {NAME} for the same in upper case
    example: str


HINTS: tuple[Hint, ...] = (
    # Quotes and escapes
    Hint(rf"{_OP}[“”„«»\u2018\u2019][^\"']*▸", "use straight quotes, \" or '", "author = “Sandra Kim”"),
    Hint(r"[\"']▸[\"']", 'put both texts into one pair of quotes; a quote inside is written \\"', 'title = "x""y"'),
    Hint(r"[\"')]▸(?P<word>AND|OR)\b", "put a blank before {word}", 'a = "x"AND b = "y"'),
    Hint(
        r"▸(?:\"(?:[^\"\\]|\\.)*|'(?:[^'\\]|\\.)*)\\?$", "the quote that begins here is never closed", 'author = "Jane'
    ),
    Hint(r"▸\\", 'write a backslash inside quotes, and twice: "C:\\\\temp"', 'path = "C:\\temp"'),
    # Habits from other languages
    Hint(r"=\s*▸=", "equality is a single =", 'author == "Jane"'),
    Hint(r"=▸(?P<sign>[<>])", "write {sign}=", "year => 2020"),
    Hint(r"<▸>", "write !=", 'status <> "draft"'),
    Hint(r"[<>!]\s+▸=|▸!\s+=", "an operator holds no blanks: <=, >=, !=", "year > = 2020"),
    Hint(r"=\s*▸!", "write !=", 'status =! "draft"'),
    Hint(r"▸&|&&[^\s\"']*▸", "write AND, with a blank on both sides", "year > 2020 && price < 5"),
    Hint(r"▸\||\|\|[^\s\"']*▸", "write OR, with a blank on both sides", "year = 2020 || year = 2021"),
    Hint(r"(^|[\s(])▸!", "write NOT before the comparison, or != between field and value", "!year = 2020"),
    Hint(r"▸(?i:in)\s*\(", "write an OR for each value: field = a OR field = b", 'author IN ("Jane", "John")'),
    Hint(r"▸(?i:is)\s+(?i:not)\b", "write field != null", "public_url IS NOT NULL"),
    Hint(r"▸(?i:is)\b", "write field = null", "public_url IS NULL"),
    Hint(r"▸(?i:i?like|contains|matches)\b", "there are no patterns or wildcards to match with", 'author LIKE "S%"'),
    Hint(r"▸(?i:between)\b", "write field:low..high", "year BETWEEN 2020 AND 2024"),
    # Keywords
    Hint(r"▸(?P<word>AND|OR|NOT)\(", "put a blank after {word}", 'NOT(author = "Jane")'),
    Hint(rf"{_OP}▸(?P<word>AND|OR|NOT)\b", 'a keyword as a value is quoted: "{word}"', "state = OR"),
    Hint(r"▸(?P<word>AND|OR|NOT)\s*[.=<>:!]", 'a keyword as a name is quoted: "{word}"', "AND = 1"),
    Hint(r"(NOT\s+|-)▸(NOT\b|-)", "negate once, or with parentheses: NOT (NOT a = 1)", "NOT NOT a = 1"),
    Hint(r"(AND|OR)\s*▸$|▸NOT$", "put a comparison after the last keyword, or leave the keyword out", "a = 1 AND"),
    Hint(r"▸(?P<word>AND|OR)\b", "{word} stands between two comparisons", "AND a = 1"),
    Hint(r"▸(?P<word>(?i:and|or|not))(?=\s)", "keywords are in upper case: {WORD}", "year > 2020 and price < 5"),
    Hint(r"-\s+▸", "a minus touches what it negates: -a = 1", "- a = 1"),
    # Parentheses
    Hint(r"\(\s*▸\)", "there must be a comparison between parentheses", "a = 1 AND ()"),
    Hint(r"▸\)", "no parenthesis is open here", "a = 1)"),
    Hint(r"\)▸\(", "put AND or OR between the two, with a blank on both sides", "(a = 1)(b = 2)"),
    Hint(
        rf"{_OP}▸\(\s*(?:\"[^\"]*\"|'[^']*'|[^\s()]+)\s*\)",
        "write the value without parentheses",
        "score >= (-2.4)",
    ),
    Hint(rf"{_OP}▸\(", "compare with one value at a time: field = a OR field = b", "status = (active OR pending)"),
    Hint(rf"▸{_BARE}\(|\w▸\(", "there are no functions, only fields", "lower(author) = x"),
    # Numbers, ranges and dots
    Hint(rf"{_OP}▸-?\.\d", "write the zero before the point: 0.5", "score > .5"),
    Hint(rf"{_OP}{_BARE}\.▸(\s|\)|$)", "write digits after the point, or leave it out", "score > 5."),
    Hint(rf"[=<>]\s*{_BARE}▸\.", "a range is written with a colon: field:10..20", "year = 2020..2024"),
    Hint(rf":\s*!{_BARE}▸\.", "negate a range with NOT: NOT field:10..20", "year:!2020..2024"),
    Hint(
        rf":\s*({_BARE}|[\"'])\s*▸\.", "a range is two numbers, without blanks; for the rest use >= AND <=", "n:1 .. 9"
    ),
    Hint(r"[\"']▸[\w.]", "put the whole value inside the quotes", 'title = "x"y'),
    Hint(r"\s▸\.\s|\.▸\s", "a dot has no blanks around it", "fields . isbn = 1"),
    Hint(r"\.▸|▸\.", "a dot stands between two names: fields.isbn", "fields..isbn = 1"),
    Hint(rf"{_OP}▸-", "a bare minus belongs to a number: quote the value", "delta = -x"),
    # Operators
    Hint(r":\s*▸=", "write field = value", "year:=2020"),
    Hint(r":\s*!▸=", "write field != value", "year:!=2020"),
    Hint(r":\s*!\s+▸", "an exclamation mark touches its value: field:!value", "status:! draft"),
    Hint(rf"{_OP}{_BARE}▸:", "quote a value that holds a colon", "time = 12:30"),
    Hint(r"(^|\(|\b(AND|OR|NOT)\s|-)\s*▸[=<>:]", "the field name is on the left of the operator", "= 2020"),
    Hint(r"▸[=<>:]", "one comparison has one operator: join two with AND", "1 < year < 9"),
    Hint(r"[=<>:!]\s*▸$", 'give a value: "" is the empty text, null is no value', "author ="),
    # Bare text
    Hint(r"▸,", "join comparisons with AND or OR, and quote a value that holds a comma", "a = 1, b = 2"),
    Hint(r"[^=<>:\s(]▸\[", "there is no indexing: name a field, with dots", "tags[0] = x"),
    Hint(r"▸[\[\]{}]", "quote a name or value that holds brackets", "tag = [1]"),
    Hint(rf"{_BARE}▸!", "quote a value that holds an exclamation mark", "title = Hello!"),
    Hint(
        rf"{_OP}(?P<first>{_BARE}) ▸(?P<rest>{_BARE})(?=\s*(\)|$|\s(AND|OR)\s))",
        'quote a value of several words: "{first} {rest}"',
        "author = Sandra Kim",
    ),
    Hint(r"▸[^\s=<>:!]+(?=\s|\)|$)", "there is no search for bare words: write field = value", "report"),
)

# Advice that does not depend on the looks.
UNCLOSED = Hint("", 'the "(" in column {column} is never closed', "(a = 1")
BLANK = Hint("", "only space, tab and line breaks separate words; quote a value that holds more", "year\u00a0= 2020")
OTHERWISE = Hint("", 'a filter looks like author = "Sandra Kim" AND year >= 2020', "-")


def advise(text: str, position: int) -> str:
    """The advice of the first row that fits the surroundings of a position."""
    before = text[max(0, position - _AROUND) : position].replace(MARK, "?")
    after = text[position : position + _AROUND].replace(MARK, "?")
    for hint in HINTS:
        match = re.search(hint.pattern, before + MARK + after)
        if match:
            groups = {name: quoted(word, 40)[1:-1] for name, word in match.groupdict("").items()}
            return hint.advice.format(**groups, **{name.upper(): word.upper() for name, word in groups.items()})
    return OTHERWISE.advice
