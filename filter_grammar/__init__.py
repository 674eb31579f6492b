"""AIP-160 filters in the dialect of the xAI APIs: parse, check against declared fields, evaluate, render.

Usable alone: it needs lark, and imports it when the first filter is parsed. The translation to SQL and the parser that
collects errors are imported when they are first used.
"""

import importlib
from typing import TYPE_CHECKING

from filter_grammar.ast import And, Comparison, Expr, Not, Null, Number, Or, Present, Text, comparisons, fold, to_sexpr
from filter_grammar.check import Checked, Field, Fields, Matching, Type, Value, check, check_all
from filter_grammar.errors import FilterError
from filter_grammar.evaluate import matches, metadata_test, numeral, predicate
from filter_grammar.parse import DEFAULT, DEPTH_CEILING, Limits, parse
from filter_grammar.render import render

if TYPE_CHECKING:
    from filter_grammar.recover import parse_with_errors
    from filter_grammar.sql import Column, Dialect, Sql, to_sql

__all__ = [
    "DEFAULT",
    "DEPTH_CEILING",
    "And",
    "Checked",
    "Column",
    "Comparison",
    "Dialect",
    "Expr",
    "Field",
    "Fields",
    "FilterError",
    "Limits",
    "Matching",
    "Not",
    "Null",
    "Number",
    "Or",
    "Present",
    "Sql",
    "Text",
    "Type",
    "Value",
    "check",
    "check_all",
    "comparisons",
    "fold",
    "matches",
    "metadata_test",
    "numeral",
    "parse",
    "parse_with_errors",
    "predicate",
    "render",
    "to_sexpr",
    "to_sql",
]

_LAZY = {"Column": "sql", "Dialect": "sql", "Sql": "sql", "parse_with_errors": "recover", "to_sql": "sql"}


def __getattr__(name: str) -> object:
    """Import what few programs use when it is first asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
