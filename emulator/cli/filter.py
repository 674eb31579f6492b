"""The verb that reads a filter: its tree, or what is wrong with it, and whether it matches."""

from __future__ import annotations

import argparse
import json
from typing import Any

from emulator.cli.output import add_json, say, say_json, say_lines
from emulator.state.settings import BadSetting


def add_verbs(verbs: Any) -> None:
    """Declare the verbs of this room."""
    parser = verbs.add_parser("filter", help="parse a filter: print its tree or its error")
    parser.add_argument("expression", metavar="EXPR")
    parser.add_argument("--fields", metavar="JSON", help='metadata to match it with: \'{"author": "Jane"}\'')
    add_json(parser)
    parser.set_defaults(run=_filter)


def _filter(options: argparse.Namespace) -> int:
    """The tree and the verdict go to stdout; what is wrong with a filter goes to stderr, with exit code 1."""
    from filter_grammar import FilterError, matches, parse, to_sexpr

    try:
        tree = parse(options.expression)
    except FilterError as error:
        if options.json:
            say_json({"error": error.message, "position": error.position})
        else:
            say_lines(str(error), error=True)
        return 1
    fields = None if options.fields is None else _fields(options.fields)
    text = to_sexpr(tree)
    verdict = None if fields is None else matches(tree, fields)
    if options.json:
        say_json({"tree": text, "matches": verdict})
        return 0
    say_lines(text)
    if verdict is not None:
        say("true" if verdict else "false")
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
