"""Evaluate search filters on columns of fields: the same results as evaluating each document, but all at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, Any

from emulator.store.field_columns import Columns
from filter_grammar import Comparison, Expr, Number, Text, fold, metadata_test
from filter_grammar.lexis import Operator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[Any]

# A comparison is true for a range of the sorted values: from the first value for which one comparison is true to before
# the first for which another one is. (`!=` is true for all other values.)
_RUNS: dict[Operator, tuple[Operator | None, Operator | None]] = {
    "<": (None, ">="),
    "<=": (None, ">"),
    ">": (">", None),
    ">=": (">=", None),
    "=": (">=", ">"),
    ":": (">=", ">"),
    "!=": (">=", ">"),
}


def mask_of(expr: Expr, columns: Columns) -> Mask:
    """Return the mask of the documents that a filter accepts."""
    import numpy

    rows = columns.rows

    def both(masks: Sequence[Mask]) -> Mask:
        return reduce(numpy.logical_and, masks, numpy.ones(rows, numpy.bool_))

    def either(masks: Sequence[Mask]) -> Mask:
        return reduce(numpy.logical_or, masks, numpy.zeros(rows, numpy.bool_))

    return fold(expr, lambda node: _comparison(node, columns), numpy.logical_not, both, either)


def _comparison(node: Comparison, columns: Columns) -> Mask:
    column, rows = columns.peek(node.key), columns.rows
    match node.argument:
        case Text(text) if node.operator in ("=", ":", "!="):
            codes = column.equal(text)
        case Text():
            codes = column.run(column.texts, *_ends(node))
        case Number():
            codes = column.run(column.numbers, *_ends(node))
        case _:  # tests only whether the field is present
            test = metadata_test(node, node.key)
            present, absent = test({node.key: ""}), test({})
            return column.where(rows, None if present else column.numbers[:0], absent=absent)
    mask = column.where(rows, codes)
    return column.where(rows, None) & ~mask if node.operator == "!=" else mask


def _ends(node: Comparison) -> tuple[Callable[[str], bool] | None, Callable[[str], bool] | None]:
    begins, ends = (None if sign is None else _test(node, sign) for sign in _RUNS[node.operator])
    return begins, ends


def _test(node: Comparison, sign: Operator) -> Callable[[str], bool]:
    """Return the predicate of the same comparison with another operator."""
    test = metadata_test(replace(node, operator=sign), node.key)
    return lambda value: test({node.key: value})
