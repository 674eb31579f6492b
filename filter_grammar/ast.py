"""The tree of a filter: three connectives over comparisons.

Nodes are immutable and remember where they were written; positions take no part in equality. Nothing here recurses, so
a filter nested a thousand deep compares, hashes and prints like any other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from filter_grammar.lexis import SEGMENT, Operator

T = TypeVar("T")
Predicate: TypeAlias = Callable[[Mapping[str, str]], bool]

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Text:
    """A quoted string, a bare word or a bare timestamp: all of them are text."""

    value: str
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Number:
    """A bare numeral, in the spelling of the filter: `1e3` and `1000` are different arguments with the same value."""

    lexeme: str
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Null:
    """The bare word `null`: the field is not set."""

    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Present:
    """The bare `*` after `:`: the field is set, to whatever."""

    position: int = field(default=0, compare=False)


Argument: TypeAlias = Text | Number | Null | Present


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Node:
    """What all nodes share: equality by structure, the text they were parsed from, and a compiled form."""

    source: str | None = field(default=None, kw_only=True)  # on the root of a parsed tree only
    predicate: Predicate | None = field(default=None, kw_only=True)  # filled by evaluate.predicate on first use

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Node):
            return NotImplemented
        return self is other or list(_shape(self)) == list(_shape(other))

    def __hash__(self) -> int:
        return hash(tuple(_shape(self)))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {to_sexpr(self)}>"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Comparison(Node):
    """One field compared with one argument. `path` is the field name, cut at its dots; `:` is the has operator."""

    path: tuple[str, ...]
    operator: Operator
    argument: Argument
    position: int = 0
    operator_position: int = 0

    @property
    def key(self) -> str:
        """The path as one name: metadata is a flat map, whose keys may hold dots."""
        return ".".join(self.path)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Not(Node):
    """True where its operand is not."""

    operand: Expr


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class And(Node):
    """True where every operand is; with no operands, the empty filter."""

    operands: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Or(Node):
    """True where any operand is."""

    operands: tuple[Expr, ...]


Expr: TypeAlias = Comparison | Not | And | Or


def conjunction(*operands: Expr) -> Expr:
    """The canonical AND of the operands: flat, and a single operand stands for itself."""
    flat = _flat(And, operands)
    return flat[0] if len(flat) == 1 else And(flat)


def disjunction(*operands: Expr) -> Expr:
    """The canonical OR of the operands: flat, and a single operand stands for itself."""
    flat = _flat(Or, operands)
    return flat[0] if len(flat) == 1 else Or(flat)


def _flat(kind: type[And] | type[Or], operands: tuple[Expr, ...]) -> tuple[Expr, ...]:
    flat: list[Expr] = []
    for operand in operands:
        if isinstance(operand, kind):
            flat.extend(operand.operands)  # as one piece: this is what a deep nest of parentheses costs
        else:
            flat.append(operand)
    return tuple(flat)


def fold(
    expr: Expr,
    of_comparison: Callable[[Comparison], T],
    of_not: Callable[[T], T],
    of_and: Callable[[Sequence[T]], T],
    of_or: Callable[[Sequence[T]], T],
) -> T:
    """A value for the whole tree, from one for each comparison and what the connectives make of values."""
    values: list[T] = []
    for node in reversed(list(_preorder(expr))):  # operands come before their node, the first one last
        if isinstance(node, Comparison):
            values.append(of_comparison(node))
        elif isinstance(node, Not):
            values.append(of_not(values.pop()))
        elif isinstance(node, And | Or):
            at = len(values) - len(node.operands)
            operands, values = values[at:], values[:at]
            values.append((of_and if isinstance(node, And) else of_or)(operands))
    [value] = values
    return value


def comparisons(expr: Expr) -> Iterator[Comparison]:
    """Every comparison of the tree, in the order of the filter."""
    return (node for node in _preorder(expr) if isinstance(node, Comparison))


def _preorder(root: Node) -> Iterator[Node]:
    todo = [root]
    while todo:
        node = todo.pop()
        yield node
        if isinstance(node, Not):
            todo.append(node.operand)
        elif isinstance(node, And | Or):
            todo.extend(reversed(node.operands))


def _shape(root: Node) -> Iterator[object]:
    """What two equal trees have in common. The number of operands makes the sequence unambiguous."""
    for node in _preorder(root):
        if isinstance(node, Comparison):
            yield node.path, node.operator, node.argument
        else:
            yield type(node), len(node.operands) if isinstance(node, And | Or) else 1


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
            pieces.append(f"({item.operator} {path} {argument_text(item.argument, _json)})")
        elif isinstance(item, Not):
            todo.extend((")", item.operand, "(not "))
        elif isinstance(item, And | Or):
            parts = [part for operand in item.operands for part in (" ", operand)]
            todo.extend(reversed([f"({type(item).__name__.lower()}", *parts, ")"]))
    return "".join(pieces)


def argument_text(argument: Argument, quote: Callable[[str], str]) -> str:
    """Return an argument as text, its strings quoted by a function."""
    match argument:
        case Text(value):
            return quote(value)
        case Number(lexeme):
            return lexeme
        case Null():
            return "null"
        case Present():
            return "*"


def _json(text: str) -> str:
    """A JSON string in readable characters, but with lone surrogates escaped: they cannot be written to a terminal."""
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(text, ensure_ascii=False))
