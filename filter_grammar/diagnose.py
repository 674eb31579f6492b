"""Why a text is not a filter: from the place where the parser stopped to an error that teaches.

The parser stops at the first token that does not fit. Often the mistake is a little before or after that: at the field
name that no operator follows, behind a dot, at the backslash inside a string.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from filter_grammar.errors import FilterError, quoted
from filter_grammar.hints import BLANK, UNCLOSED, advise
from filter_grammar.lexis import BLANKS, KEYWORDS, MISLEADING, SEGMENT

if TYPE_CHECKING:
    from lark import Token

_TERM = 'a field name, NOT or "("'
# What the grammar accepts after each token (None: at the start), in words.
_ACCEPTED: dict[str | None, str] = {
    None: _TERM,
    "_OPEN": _TERM,
    "_AND": _TERM,
    "_OR": _TERM,
    "_BLANKS": "AND, OR or another comparison",
    "_NOT": 'a field name or "("',
    "_MINUS": 'a field name or "("',
    "PATH": "an operator (= != < <= > >= :)",
    "COMPARATOR": "a value",
    "HAS": "a value",
    "HAS_NOT": "a value right after the exclamation mark",
}
_AFTER_TERM = "AND, OR or the end of the filter"
_AFTER_TERM_INSIDE = 'AND, OR or ")"'

# A string as far as it is well-formed: up to its closing quote, a backslash that escapes nothing, or the end.
_STRING_START = re.compile(r""""(?:[^"\\]++|\\["'\\])*+|'(?:[^'\\]++|\\["'\\])*+""")
_WORD = re.compile(rf"{SEGMENT.pattern}(?:\.{SEGMENT.pattern})*")
_SIGNS = re.compile(r"[=<>!:]+")
# An operator of SQL after a field name: the name is fine, and the mistake is the word.
_SQL_OPERATOR = re.compile(r"[ \t\r\n]+(?=(?:in|is|i?like|between|contains|matches)\b)", re.IGNORECASE)
_MISLEADING_NEXT = re.compile(rf"(?:{'|'.join(KEYWORDS)})?({MISLEADING.pattern})")
_OPERATOR_NEXT = re.compile(r"[ \t\r\n]*[.=<>!:,\[]|[^ \t\r\n()]")


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where the mistake is, and what belongs there; the rest is read off the text."""

    position: int
    expected: str
    found: str | None = None
    hint: str | None = None


def diagnose(text: str, body: str, stop: int, tokens: Sequence[Token]) -> FilterError:
    """The error for a text that the parser accepts up to `stop`; `body` is the text without its trailing blanks."""
    accepted = [token for token in tokens if (token.start_pos or 0) < stop]
    if accepted and accepted[0].type == "_BLANKS":
        del accepted[0]  # in front of the filter, where it joins nothing
    state = _State(body, stop, accepted)
    spot = next(spot for rule in _RULES if (spot := rule(state)) is not None)
    return FilterError(
        f"expected {spot.expected}, found {spot.found or _found(body, spot.position)}",
        text=text,
        position=spot.position,
        hint=spot.hint or advise(body, spot.position),
    )


def missing_term(text: str, body: str, word: str) -> FilterError:
    """The error for a body that ends in a word which should join two comparisons."""
    message = f"expected a comparison after {word}, found the end of the filter"
    return FilterError(message, text=text, position=len(body), hint=advise(body, len(body)))


class _State:
    """How far the parser came."""

    def __init__(self, body: str, stop: int, accepted: Sequence[Token]) -> None:
        self.body = body
        self.cut = stop  # where the last accepted token ends
        self.stop = len(body) - len(body[stop:].lstrip(BLANKS))  # where the first text after it begins
        self.last = accepted[-1] if accepted else None
        self.open: list[int] = []  # the open parentheses
        for token in accepted:
            if token.type == "_OPEN":
                self.open.append(token.start_pos or 0)
            elif token.type == "_CLOSE":
                self.open.pop()

    @property
    def kind(self) -> str | None:
        """The type of the last accepted token."""
        return self.last.type if self.last is not None else None

    @property
    def wants_word(self) -> bool:
        """Whether a name or a value could come next."""
        return self.kind in _ACCEPTED and self.kind != "PATH"

    @property
    def expected(self) -> str:
        """What the grammar accepts here, in words."""
        return _ACCEPTED.get(self.kind) or (_AFTER_TERM_INSIDE if self.open else _AFTER_TERM)


# --- the rules, first one wins


def _misleading_blank(state: _State) -> _Spot | None:
    """A character that looks like a blank, or like nothing, also behind a keyword that should have a blank there."""
    match = _MISLEADING_NEXT.match(state.body, state.stop)
    if match is None:
        return None
    name = unicodedata.name(match[1], "a control character" if ord(match[1]) < 0xD800 else "a lone surrogate")
    return _Spot(match.start(1), state.expected, f"U+{ord(match[1]):04X} ({name})", BLANK.advice)


def _broken_string(state: _State) -> _Spot | None:
    """A string without its closing quote, or with a backslash that escapes nothing: a value, or a name behind a dot."""
    in_name = state.kind == "PATH" and state.body.startswith(".", state.cut)
    start = state.cut + 1 if in_name else state.stop
    match = _STRING_START.match(state.body, start) if in_name or state.wants_word else None
    if match is None:
        return None
    rest = state.body[match.end() :]
    if rest in ("", "\\"):
        return _Spot(start, "a closing quote", "the end of the filter")
    if rest.startswith("\\"):
        return _Spot(match.end(), "\\\\, \\\" or \\' in a quoted text", quoted(rest[:2]))
    return None  # a whole string, where none can stand


def _after_dot(state: _State) -> _Spot | None:
    """A dot that no name follows: the mistake is behind it."""
    if state.stop > state.cut or state.body[state.stop : state.stop + 1] != "." or state.wants_word:
        return None
    if state.kind == "STRING":
        return None
    return _Spot(state.stop + 1, "a name after the dot" if state.kind == "PATH" else "more of the value after the dot")


def _no_operator(state: _State) -> _Spot | None:
    """A name without an operator: a value without quotes, a word of another language, or a function."""
    if state.kind != "PATH" or state.last is None:
        return None
    if _OPERATOR_NEXT.match(state.body, state.cut) or _SQL_OPERATOR.match(state.body, state.cut):
        return None
    if state.body.startswith("(", state.cut):
        return _Spot(
            state.last.start_pos or 0, "a comparison such as field = value", f"the function {quoted(state.last)}"
        )
    return _Spot(state.last.start_pos or 0, "a comparison such as field = value", f"only {quoted(state.last)}")


def _dangling(state: _State) -> _Spot | None:
    """AND or OR as the last word: the mistake is what is missing behind it."""
    word = state.body[state.stop :]
    if state.kind != "_BLANKS" or word not in ("AND", "OR"):
        return None
    return _Spot(len(state.body), f"a comparison after {word}")


def _unclosed(state: _State) -> _Spot | None:
    """The end, while a parenthesis is open."""
    if state.stop < len(state.body) or not state.open or (state.wants_word and state.kind != "_OPEN"):
        return None
    return _Spot(state.stop, state.expected, hint=UNCLOSED.advice.format(column=state.open[-1] + 1))


def _anything(state: _State) -> _Spot | None:
    return _Spot(state.stop, state.expected)


_RULES: tuple[Callable[[_State], _Spot | None], ...] = (
    _misleading_blank,
    _broken_string,
    _after_dot,
    _no_operator,
    _dangling,
    _unclosed,
    _anything,
)


def _found(body: str, position: int) -> str:
    """What stands at a position, in words."""
    if position >= len(body):
        return "the end of the filter"
    match = _WORD.match(body, position) or _SIGNS.match(body, position)
    return quoted(match[0] if match else body[position])
