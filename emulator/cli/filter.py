"""The command that parses a filter: its tree or its errors, whether it matches, and its SQL condition."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from emulator.cli.output import add_json, say, say_json, say_lines
from emulator.state.settings import BadSetting

if TYPE_CHECKING:
    from filter_grammar import Dialect, Expr, FilterError, Sql


def add_verbs(verbs: Any) -> None:
    """Declare the verbs of this module."""
    parser = verbs.add_parser("filter", help="parse a filter: print its tree or its errors")
    parser.add_argument("expression", metavar="EXPR")
    parser.add_argument("--fields", metavar="JSON", help='metadata to match it with: \'{"author": "Jane"}\'')
    parser.add_argument(
        "--sql", choices=["sqlite", "postgresql"], help="print the SQL condition, on text columns of the fields' names"
    )
    add_json(parser)
    parser.set_defaults(run=_filter)


def _filter(options: argparse.Namespace) -> int:
    """Print the tree, the verdict and the SQL to stdout; or all errors to stderr, with exit code 1."""
    from filter_grammar import FilterError, matches, parse_with_errors, to_sexpr

    tree, errors = parse_with_errors(options.expression)
    if tree is None:
        return _report(errors, options.json)
    fields = None if options.fields is None else _fields(options.fields)
    verdict = None if fields is None else matches(tree, fields)
    try:
        sql = None if options.sql is None else _condition(tree, options.sql)
    except FilterError as error:
        return _report([error], options.json)
    text = to_sexpr(tree)
    if options.json:
        condition = None if sql is None else {"text": sql.text, "parameters": sql.parameters}
        say_json({"tree": text, "matches": verdict, "sql": condition})
        return 0
    say_lines(text)
    if verdict is not None:
        say("true" if verdict else "false")
    if sql is not None:
        say_lines(sql.text)
        say_lines(json.dumps(sql.parameters, ensure_ascii=False))
    return 0


def _report(errors: list[FilterError], as_json: bool) -> int:
    if as_json:
        shown = [{"error": each.message, "position": each.position, "hint": each.hint} for each in errors]
        say_json({**shown[0], "errors": shown})
    else:
        say_lines("\n\n".join(map(str, errors)), error=True)
    return 1


def _condition(tree: Expr, dialect: Dialect) -> Sql:
    from filter_grammar import Column, comparisons, to_sql

    names = {node.key for node in comparisons(tree)}
    return to_sql(tree, {name: Column('"' + name.replace('"', '""') + '"') for name in names}, dialect)


def _fields(text: str) -> dict[str, str]:
    """Metadata as it is stored: names and texts. Raises BadSetting."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise BadSetting(f"--fields: this is not JSON ({error})") from None
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise BadSetting('--fields: metadata is an object of texts, such as {"author": "Jane"}')
    return value
