"""Parse a text that may have several mistakes: continue after each, and report all of them, as an editor wants to.

After an error parsing resumes behind the next AND, OR, `&&` or `||` that is not deeper in parentheses than the mistake.
What is before that becomes blanks, except for the parentheses that are still open there. So positions stay those of
the text, and the first error is the one that `parse` raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from filter_grammar.ast import Expr
from filter_grammar.diagnose import missing_term
from filter_grammar.errors import FilterError
from filter_grammar.lexis import BLANKS
from filter_grammar.parse import DEFAULT, Limits, parse, parse_body

ERRORS_MAX = 20  # each costs a pass over the rest of the text

# What the search for the next term looks at. A string that is not closed reaches to the end: it is unknown where it
# should have ended. Keywords in lower case count where a comparison follows.
_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*(?:"|\\?\Z)|'(?:[^'\\]|\\.)*(?:'|\\?\Z))"""
    r"""|(?P<paren>[()])"""
    r"""|(?P<word>(?<![\w.\-])(?:AND|OR)(?=[ \t\r\n(]|\Z)|&&|\|\|"""
    r"""|(?<=[ \t\r\n])(?i:and|or)(?=[ \t\r\n]+[\w.\-]+[ \t\r\n]*[=<>!:]))""",
    re.DOTALL,
)


def parse_with_errors(text: str, limits: Limits = DEFAULT) -> tuple[Expr | None, list[FilterError]]:
    """Return the tree of a filter and no errors, or None and every error that is found, in the order of the text.

    Without errors the tree is that of `parse`; otherwise the first error is the one that `parse` raises. At most
    ERRORS_MAX errors are returned, and none after one about a limit. Never raises FilterError.
    """
    try:
        return parse(text, limits), []
    except FilterError as error:
        return None, [error, *_more_errors(text, error, limits)]


@dataclass(frozen=True, slots=True)
class _Resumption:
    """A place to continue: behind a word that joins two terms, with the parentheses that are open there."""

    word: str
    start: int  # of the word
    end: int
    open: tuple[int, ...]


def _more_errors(text: str, error: FilterError, limits: Limits) -> Iterator[FilterError]:
    if error.limit is not None:
        return
    body = text.rstrip(BLANKS)
    resumed = 0
    for _ in range(ERRORS_MAX - 1):
        place = _next_term(body, max(error.position, resumed))
        if place is None:
            return
        if place.end == len(body):
            yield missing_term(text, body, place.word)
            return
        resumed = place.end
        try:
            parse_body(text, _blanked(body, place), limits)
            return
        except FilterError as next_error:
            error = next_error
            yield error
        if error.limit is not None:
            return


def _next_term(body: str, position: int) -> _Resumption | None:
    """Where to continue after a mistake: at the first fitting word from the position on."""
    opened: list[int] = []
    depth: int | None = None  # of the mistake
    for match in _TOKEN.finditer(body):
        if depth is None and match.end() > position:
            depth = len(opened)
        if match.lastgroup == "paren":
            if match[0] == "(":
                opened.append(match.start())
            elif opened:
                opened.pop()
        elif match.lastgroup == "word" and match.start() >= position and depth is not None and len(opened) <= depth:
            return _Resumption(match[0], match.start(), match.end(), tuple(opened))
    return None


def _blanked(body: str, place: _Resumption) -> str:
    characters = [" "] * place.end
    for at in place.open:
        characters[at] = "("
    return "".join(characters) + body[place.end :]
