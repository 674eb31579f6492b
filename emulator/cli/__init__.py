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
from emulator.cli.output import say
from emulator.core.version import VERSION
from emulator.runtime.terminal import printable
from emulator.state.settings import BadSetting

# The module of each verb, in the order of the help. A module is imported when its verb runs, to keep the start fast.
VERBS: dict[str, str] = {
    "serve": "serve",
    "demo": "demo",
    "env": "environment",
    "exec": "environment",
    "wait": "environment",
    "doctor": "doctor",
    "requests": "requests",
    "clock": "clock",
    "faults": "faults",
    "snapshot": "snapshot",
    "teams": "teams",
    "reset": "teams",
    "keys": "keys",
    "trust": "trust",
    "mcp": "mcp",
    "filter": "filter",
    "search": "search",
    "limits": "reports",
    "evidence": "reports",
    "version": "reports",
    "verify": "verify",
    "record": "recording",
    "compare": "compare",
    "completion": "completion",
    "help": "completion",
}
NOT_WINDOWS = "xai-emulator runs on Linux and macOS; on Windows run it in WSL or a container"


class _Verbs(argparse._SubParsersAction):  # type: ignore[type-arg]  # generic in the stubs alone
    """Verbs, or actions of a verb: the description of each is its line in the list of all."""

    def add_parser(self, name: str, *, examples: Sequence[str] = (), **options: Any) -> Any:
        """Add a verb; `examples`, at the end of its help, are arguments of xai-emulator or whole command lines."""
        summary = options["help"]
        lines = [each if "xai-emulator" in each else f"xai-emulator {each}" for each in examples]
        return super().add_parser(
            name,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog="\n  ".join(["examples:", *lines]) if lines else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **options,
        )


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, and that accepts no abbreviated flags."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def add_subparsers(self, **options: Any) -> Any:
        return super().add_subparsers(action=_Verbs, **options)

    def error(self, message: str) -> Any:
        self.exit(2, printable(f"xai-emulator: {message}{self._meant(message)} (see `{self.prog} --help`)") + "\n")

    def _meant(self, message: str) -> str:
        """Return the flag or word nearest to an unknown one, as a question."""
        import difflib

        wrong = re.search(r"arguments: (--[\w-]+)|invalid choice: '([\w-]+)' \(choose from (.*)\)", message)
        if wrong is None:
            return ""
        flags = [flag for each in self._actions for flag in each.option_strings]
        near = difflib.get_close_matches(
            wrong[1] or wrong[2], flags if wrong[1] else re.findall(r"[\w-]+", wrong[3]), n=1
        )
        return f"; did you mean {near[0]}?" if near else ""

    def parse_args(self, words: Any = None, namespace: Any = None) -> Any:
        """Parse as usual, but the parser of the verb, or of its action, reports an unknown flag."""
        options, unknown = self.parse_known_args(words, namespace)
        if unknown:
            self._of(options).error(f"unrecognized arguments: {' '.join(unknown)}")
        return options

    def _of(self, options: argparse.Namespace) -> _Parser:
        for each in self._actions:
            if isinstance(each, _Verbs):
                parser: _Parser = each.choices[getattr(options, each.dest)]
                return parser._of(options)
        return self


def find_parser(parser: argparse.ArgumentParser, words: Sequence[str]) -> argparse.ArgumentParser | None:
    """Return the parser of a verb, or of an action of one; None if there is no such verb."""
    for word in words:
        verbs = next((each for each in parser._actions if isinstance(each, _Verbs)), None)
        if verbs is None or word not in verbs.choices:
            return None
        parser = verbs.choices[word]
    return parser


def build_parser(verb: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of the command line, with all verbs, or with those of one verb's module."""
    parser = _Parser(
        prog="xai-emulator",
        description="A local emulator of xAI's Files, Collections, Documents-search and Batch APIs.",
        epilog="`xai-emulator help VERB` has the flags and examples of a command.",
    )
    parser.add_argument("-V", "--version", action="version", version=f"xai-emulator {VERSION}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=_Parser)
    for module in dict.fromkeys(VERBS.values() if verb is None else [VERBS[verb]]):
        importlib.import_module(f"emulator.cli.{module}").add_verbs(verbs)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb and return the exit code: 0 success, 1 failure, 2 usage error."""
    if sys.platform == "win32":
        say(NOT_WINDOWS, error=True)
        return 2
    words = sys.argv[1:] if arguments is None else list(arguments)
    verb = words[0] if words and words[0] in VERBS else None
    options = build_parser(verb).parse_args(words)
    try:
        code: int = options.run(options)
    except BadSetting as error:
        say(f"xai-emulator: {error}", error=True)
        return 2
    except ControlFailed as error:
        say(f"xai-emulator: {error}", error=True)
        return 1
    except BrokenPipeError:  # the reader closed the pipe, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code
