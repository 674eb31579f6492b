"""From text to a tree, within limits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from filter_grammar.ast import And, Expr
from filter_grammar.errors import FilterError
from filter_grammar.lexis import BLANKS

if TYPE_CHECKING:
    from lark import Token

# Every level of parentheses copies the operands below it, and pickling or deep-copying a tree recurses.
DEPTH_CEILING = 1000  # holds even where depth_max is None

_CACHED_CHARS = 1024  # longer filters are rare, and would make the cache large
_CACHED_FILTERS = 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a filter is accepted; None means any amount, but nothing nests deeper than DEPTH_CEILING."""

    chars_max: int | None = 16_384  # enough for a thousand short comparisons
    depth_max: int | None = 64  # open parentheses
    terms_max: int | None = 1000  # comparisons; a range counts as one


DEFAULT = Limits()
_COUNTED = {"chars_max": "characters", "depth_max": "levels of parentheses", "terms_max": "comparisons"}


def parse(text: str, limits: Limits = DEFAULT) -> Expr:
    """The canonical tree of a filter. Raises FilterError where the text is not in the language or breaks a limit."""
    if len(text) <= _CACHED_CHARS:
        return _parse_cached(text, limits)
    return _parse(text, limits)


def _parse(text: str, limits: Limits) -> Expr:
    if limits.chars_max is not None and len(text) > limits.chars_max:
        raise _beyond("chars_max", limits.chars_max, text, limits.chars_max)
    body = text.rstrip(BLANKS)
    expr = parse_body(text, body, limits) if body else And(())
    object.__setattr__(expr, "source", text)
    return expr


_parse_cached = lru_cache(_CACHED_FILTERS)(_parse)


def parse_body(text: str, body: str, limits: Limits) -> Expr:
    """Return the tree of `body`, which does not end in blanks; errors show `text`, of which it is a version.

    Parses token by token, so that a limit is noticed at the token that breaks it.
    """
    from lark import UnexpectedInput

    from filter_grammar.syntax import PARSER

    depth_max = DEPTH_CEILING if limits.depth_max is None else min(limits.depth_max, DEPTH_CEILING)
    terms_max = len(body) if limits.terms_max is None else limits.terms_max
    depth = terms = 0
    tokens: list[Token] = []
    parser = PARSER.parse_interactive(body)
    try:
        for token in parser.iter_parse():
            tokens.append(token)
            if token.type == "PATH":
                terms += 1
                if terms > terms_max:
                    raise _beyond("terms_max", terms_max, text, token.start_pos)
            elif token.type == "_OPEN":
                depth += 1
                if depth > depth_max:
                    raise _beyond("depth_max", depth_max, text, token.start_pos)
            elif token.type == "_CLOSE":
                depth -= 1
        expr: Expr = parser.feed_eof(tokens[-1])  # type: ignore[no-untyped-call]  # of lark
    except UnexpectedInput as error:
        from filter_grammar.diagnose import diagnose

        at_end = getattr(error, "token", None) == ""  # $END has no text, and borrows its position from the last token
        stop = len(body) if at_end else error.pos_in_stream
        assert stop is not None
        raise diagnose(text, body, stop, tokens) from None
    return expr


def _beyond(limit: str, maximum: int, text: str, position: int | None) -> FilterError:
    return FilterError(
        f"the filter has more than {maximum} {_COUNTED[limit]}, the limit {limit}",
        text=text,
        position=position or 0,
        hint=f"ask for less in one filter, or raise {limit}",
        limit=limit,
    )
