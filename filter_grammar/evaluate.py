"""Whether a filter accepts something: a tree becomes a table of tests with two exits each.

The exits of a test are other tests or the verdict, so AND, OR and NOT cost nothing when a document is tested: the
connectives are spent on wiring the exits. Nothing recurses, at any depth.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from functools import lru_cache
from typing import Any, TypeVar

from filter_grammar.ast import And, Comparison, Expr, Not, Null, Number, Predicate, Present, Text
from filter_grammar.lexis import NUMERAL, Operator

T = TypeVar("T")

COMPARE: dict[Operator, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    ":": operator.eq,  # on a plain value, having it is being equal to it
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

# Exact, and total: a numeral beyond every exponent is infinite or zero instead of an error.
_exact = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[]).create_decimal
_spells_number = NUMERAL.fullmatch


def matches(expr: Expr, fields: Mapping[str, str]) -> bool:
    """Whether a document with this metadata is accepted. A field the document does not have matches nothing."""
    return predicate(expr)(fields)


def predicate(expr: Expr) -> Predicate:
    """The filter as a function of the metadata, compiled once for each tree."""
    if expr.predicate is None:
        object.__setattr__(expr, "predicate", assemble(expr, lambda node: metadata_test(node, node.key)))
    assert expr.predicate is not None
    return expr.predicate


# Every comparison of a filter with one field asks for the same value: what it spells is found out once.
_VALUES_KEPT = 16


@lru_cache(_VALUES_KEPT)
def numeral(text: str) -> Decimal | None:
    """The number that a text spells, exactly, if it spells one."""
    # Whole numbers are the usual case, and known as such faster than by a pattern.
    return _exact(text) if (text.isdecimal() and text.isascii()) or _spells_number(text) else None


# Exits of a test, beside the index of another one.
_ACCEPT, _REJECT, _NEXT = -1, -2, -3


def assemble(expr: Expr, test_of: Callable[[Comparison], Callable[[T], bool]]) -> Callable[[T], bool]:
    """One function for the whole tree, from the function that makes a test of each comparison.

    The tree is walked from its end, so that every test after the current one stands in the table already; `entry` is
    where the part just walked begins, and `_NEXT` becomes just that when a node is taken up.
    """
    steps: list[tuple[Callable[[T], bool], int, int]] = []
    entry = _ACCEPT
    todo: list[tuple[Expr, int, int]] = [(expr, _ACCEPT, _REJECT)]
    while todo:
        node, yes, no = todo.pop()
        yes, no = (entry if at == _NEXT else at for at in (yes, no))
        if isinstance(node, Comparison):
            steps.append((test_of(node), yes, no))
            entry = len(steps) - 1
        elif isinstance(node, Not):
            todo.append((node.operand, no, yes))
        elif not node.operands:
            entry = yes if isinstance(node, And) else no
        else:
            on_yes, on_no = (_NEXT, no) if isinstance(node, And) else (yes, _NEXT)
            todo.extend((operand, on_yes, on_no) for operand in node.operands[:-1])
            todo.append((node.operands[-1], yes, no))

    def run(subject: T) -> bool:
        at = entry
        while at >= 0:
            test, yes, no = steps[at]
            at = yes if test(subject) else no
        return at == _ACCEPT

    return run


folded = lru_cache(_VALUES_KEPT)(str.casefold)


def metadata_test(comparison: Comparison, key: str) -> Callable[[Mapping[str, str]], bool]:
    """The test of one comparison on metadata, where every value is text, or there is none."""
    match comparison.argument:
        case Text(text):
            return _text_test(key, comparison.operator, text)
        case Number(lexeme):
            return _number_test(key, comparison.operator, lexeme)
        case Null() | Present() as marker:
            test = null_test(comparison.operator, marker)
            return lambda fields: test(fields.get(key))


def _text_test(key: str, sign: Operator, text: str) -> Callable[[Mapping[str, str]], bool]:
    """Exact, or in code point order. A document without the field fails every comparison, `!=` included."""
    if COMPARE[sign] is operator.eq:
        return lambda fields: fields.get(key) == text
    compare = COMPARE[sign]

    def test(fields: Mapping[str, str]) -> bool:
        value = fields.get(key)
        return value is not None and compare(value, text)

    return test


def _number_test(key: str, sign: Operator, lexeme: str) -> Callable[[Mapping[str, str]], bool]:
    """As numbers where the value spells one. Any other text is not equal to a number, and has no order with it."""
    number = numeral(lexeme)
    compare = COMPARE[sign]
    without_number = sign == "!="

    def test(fields: Mapping[str, str]) -> bool:
        value = fields.get(key)
        if value is None:
            return False
        stored = numeral(value)
        return without_number if stored is None else compare(stored, number)

    return test


def null_test(sign: Operator, marker: Null | Present) -> Callable[[object], bool]:
    """The test of a value against `null` or `*`, which is the same for every kind of field."""
    if isinstance(marker, Present) or sign == "!=":
        return lambda value: value is not None
    if COMPARE[sign] is operator.eq:
        return lambda value: value is None
    return lambda value: False  # nothing comes before or after null
