"""A tree as text: as the filter that parses to it, and in the notation of parenthesised trees."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from filter_grammar.ast import And, Argument, Comparison, Expr, Node, Not, Null, Number, Or, Present, Text
from filter_grammar.lexis import SEGMENT, is_bare

_SURROGATE = re.compile("[\ud800-\udfff]")


def render(expr: Expr) -> str:
    """A filter that parses to this tree: values quoted, OR in parentheses below AND. The tree has to be canonical."""
    pieces: list[str] = []
    todo: list[str | Expr] = [expr]
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            pieces.append(item)
        elif isinstance(item, Comparison):
            pieces.append(_comparison(item))
        elif isinstance(item, Not):
            # The grammar negates a term once: a negation below another one is in parentheses as well.
            bare = isinstance(item.operand, Comparison)
            todo.extend([item.operand, "NOT "] if bare else [")", item.operand, "NOT ("])
        else:
            word = " AND " if isinstance(item, And) else " OR "
            parts = [part for operand in item.operands for part in (word, *_operand(operand))]
            todo.extend(reversed(parts[1:]))
    return "".join(pieces)


def _operand(expr: Expr) -> list[str | Expr]:
    """An operand of AND or OR. Parentheses even where OR would bind tighter anyway: few readers expect that."""
    return ["(", expr, ")"] if isinstance(expr, And | Or) else [expr]


def _comparison(node: Comparison) -> str:
    path = ".".join(
        segment if is_bare(segment, first=not at) else _quoted(segment) for at, segment in enumerate(node.path)
    )
    operator = node.operator if node.operator == ":" else f" {node.operator} "
    return path + operator + _argument(node.argument, _quoted)


def to_sexpr(expr: Node) -> str:
    """The tree in prefix notation: `(and (= author "Jane") (not (: draft *)))`; the empty filter is `(and)`."""
    pieces: list[str] = []
    todo: list[str | Node] = [expr]
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            pieces.append(item)
        elif isinstance(item, Comparison):
            path = ".".join(segment if SEGMENT.fullmatch(segment) else _json(segment) for segment in item.path)
            pieces.append(f"({item.operator} {path} {_argument(item.argument, _json)})")
        elif isinstance(item, Not):
            todo.extend((")", item.operand, "(not "))
        elif isinstance(item, And | Or):
            parts = [part for operand in item.operands for part in (" ", operand)]
            todo.extend(reversed([f"({type(item).__name__.lower()}", *parts, ")"]))
    return "".join(pieces)


def _argument(argument: Argument, quote: Callable[[str], str]) -> str:
    match argument:
        case Text(value):
            return quote(value)
        case Number(lexeme):
            return lexeme
        case Null():
            return "null"
        case Present():
            return "*"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _json(text: str) -> str:
    """A JSON string in readable characters, but with lone surrogates escaped: they cannot be written to a terminal."""
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(text, ensure_ascii=False))
