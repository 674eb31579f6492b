"""The parser: lark builds it from grammar.lark and this builder, when this module is first imported.

Importing lark takes some 60 ms, which is why it is imported only when there is a filter to parse.
"""

from __future__ import annotations

import re
from typing import Any, cast

from lark import Lark, Token, Transformer, v_args

from filter_grammar.ast import (
    Argument,
    Comparison,
    Expr,
    Not,
    Null,
    Number,
    Present,
    Text,
    conjunction,
    disjunction,
)
from filter_grammar.lexis import BLANKS, Operator

_SEGMENT = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^."']+""", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


@v_args(inline=True)
class _Builder(Transformer[Token, Expr]):
    """Makes nodes of rules while they are parsed: no parse tree in between, so nothing that could recurse."""

    # Rules with one child are inlined by the grammar, so these see two or more.
    def expression(self, *operands: Expr) -> Expr:
        return conjunction(*operands)

    def sequence(self, *operands: Expr) -> Expr:
        return conjunction(*operands)

    def factor(self, *operands: Expr) -> Expr:
        return disjunction(*operands)

    def negation(self, operand: Expr) -> Expr:
        return Not(operand)

    def comparison(self, path: Token, operator: Token, argument: Token) -> Expr:
        """`field = x`, and `field :>= x`, which is `field >= x`."""
        sign = operator.strip(BLANKS)
        if len(sign) > 1:
            sign = sign.lstrip(":" + BLANKS)
        return _comparison(path, operator, sign, _argument(argument))

    def exclusion(self, path: Token, operator: Token, argument: Token) -> Expr:
        """`field:!x` is `NOT field:x`."""
        return Not(_comparison(path, operator, ":", _argument(argument)))

    def interval(self, path: Token, operator: Token, ends: Token) -> Expr:
        """`field:1..9` is `field >= 1 AND field <= 9`."""
        low, high = ends.split("..")
        start = _start(ends)
        return conjunction(
            _comparison(path, operator, ">=", Number(low, start)),
            _comparison(path, operator, "<=", Number(high, start + len(low) + 2)),
        )


def _comparison(path: Token, operator: Token, sign: str, argument: Argument) -> Comparison:
    if '"' in path or "'" in path:
        segments = tuple(_unquoted(segment) for segment in _SEGMENT.findall(path))
    else:
        segments = tuple(path.split("."))
    blanks = len(operator) - len(operator.lstrip(BLANKS))
    return Comparison(segments, cast(Operator, sign), argument, _start(path), _start(operator) + blanks)


def _argument(token: Token) -> Argument:
    start = _start(token)
    match token.type:
        case "NUMBER":
            return Number(str(token), start)
        case "NULL":
            return Null(start)
        case "PRESENT":
            return Present(start)
        case _:
            return Text(_unquoted(token), start)


def _unquoted(word: str) -> str:
    """The text that a word stands for: itself, or what is between its quotes."""
    if word[:1] not in ("'", '"'):
        return str(word)
    inner = word[1:-1]
    return _ESCAPE.sub(r"\1", inner) if "\\" in inner else inner


def _start(token: Token) -> int:
    assert token.start_pos is not None  # only tokens made by hand have none
    return token.start_pos


PARSER = Lark.open(
    "grammar.lark",
    rel_to=__file__,
    parser="lalr",
    lexer="contextual",
    transformer=cast(Any, _Builder()),
)
