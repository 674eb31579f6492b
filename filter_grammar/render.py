"""Render a tree as the filter that parses to it."""

from __future__ import annotations

from filter_grammar.ast import And, Comparison, Expr, Not, Or, argument_text
from filter_grammar.lexis import is_bare


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
    return path + operator + argument_text(node.argument, _quoted)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
