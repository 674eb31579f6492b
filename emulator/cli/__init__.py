"""The command line: `xai-emulator serve` and its verbs."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

from emulator.cli.client import ControlFailed
from emulator.settings import BadSetting
from emulator.version import VERSION

# Which room has which verb, in the order of the help. A room is not entered before one of its verbs is wanted.
VERBS: dict[str, str] = {
    "serve": "running",
    "demo": "demonstrating",
    "env": "environment",
    "exec": "environment",
    "wait": "environment",
    "doctor": "doctor",
    "faults": "planning",
    "snapshot": "saving",
    "filter": "filtering",
    "search": "searching",
    "limits": "reports",
    "evidence": "reports",
    "version": "reports",
    "verify": "verifying",
}


class _Parser(argparse.ArgumentParser):
    """Refuses with one line, and no abbreviations."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> Any:
        self.exit(2, f"xai-emulator: {message}{_meant(message)} (see `{self.prog} --help`)\n")


def _meant(message: str) -> str:
    """The verb or flag that a wrong word comes near to, as a question."""
    import difflib

    wrong = re.search(r"arguments: (--[\w-]+)|invalid choice: '([\w-]+)'", message)
    if wrong is None:
        return ""
    verbs = next(each for each in build_parser()._actions if isinstance(each, argparse._SubParsersAction)).choices
    flags = {word for verb in verbs.values() for each in verb._actions for word in each.option_strings}
    near = difflib.get_close_matches(wrong[1] or wrong[2], flags if wrong[1] else verbs, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def build_parser(verb: str | None = None) -> argparse.ArgumentParser:
    """The parser of the command line, with every verb, or with those of one verb's room."""
    parser = _Parser(prog="xai-emulator", description=__doc__)
    parser.add_argument("--version", action="version", version=f"xai-emulator {VERSION}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=_Parser)
    for room in dict.fromkeys(VERBS.values() if verb is None else [VERBS[verb]]):
        importlib.import_module(f"emulator.cli.{room}").add_verbs(verbs)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb and return the exit code: 0 done, 1 failed, 2 used wrongly."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    verb = words[0] if words and words[0] in VERBS else None
    options = build_parser(verb).parse_args(words)
    try:
        code: int = options.run(options)
    except BadSetting as error:
        print(f"xai-emulator: {error}", file=sys.stderr)
        return 2
    except ControlFailed as error:
        print(f"xai-emulator: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read the output has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code
