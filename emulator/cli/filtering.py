"""The verb that reads a filter: its tree, or what is wrong with it, and whether it matches."""

from __future__ import annotations

import argparse
import json
from typing import Any

from emulator.cli.output import say, say_lines
from emulator.settings import BadSetting


def add_verbs(verbs: Any) -> None:
    """Declare the verbs of this room."""
    parser = verbs.add_parser("filter", help="print the tree of a filter, or what is wrong with it")
    parser.add_argument("expression", metavar="EXPR")
    parser.add_argument("--fields", metavar="JSON", help='metadata to hold it against: \'{"author": "Jane"}\'')
    parser.set_defaults(run=_filter)


def _filter(options: argparse.Namespace) -> int:
    """The tree and the verdict go to stdout; what is wrong with a filter goes to stderr, with exit code 1."""
    from filter_grammar import FilterError, matches, parse, to_sexpr

    try:
        tree = parse(options.expression)
    except FilterError as error:
        say_lines(str(error), error=True)
        return 1
    fields = None if options.fields is None else _fields(options.fields)
    say_lines(to_sexpr(tree))
    if fields is not None:
        say("true" if matches(tree, fields) else "false")
    return 0


def _fields(text: str) -> dict[str, str]:
    """Metadata as it is stored: names and texts. Raises BadSetting."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise BadSetting(f"--fields: this is not JSON ({error})") from None
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise BadSetting('--fields: metadata is an object of texts, such as {"author": "Jane"}')
    return value
