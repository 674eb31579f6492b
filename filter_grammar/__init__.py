"""AIP-160 filters in the dialect of the xAI APIs: parse, check against declared fields, evaluate, render.

Usable alone: it needs lark, and imports it when the first filter is parsed.
"""

from filter_grammar.ast import And, Comparison, Expr, Not, Null, Number, Or, Present, Text, comparisons, to_sexpr
from filter_grammar.check import Checked, Field, Fields, Matching, Type, Value, check
from filter_grammar.errors import FilterError
from filter_grammar.evaluate import matches, predicate
from filter_grammar.parse import DEFAULT, DEPTH_CEILING, Limits, parse
from filter_grammar.render import render

__all__ = [
    "DEFAULT",
    "DEPTH_CEILING",
    "And",
    "Checked",
    "Comparison",
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
    "Text",
    "Type",
    "Value",
    "check",
    "comparisons",
    "matches",
    "parse",
    "predicate",
    "render",
    "to_sexpr",
]
