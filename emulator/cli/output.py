"""Print for the command line. All output passes through here, so that control characters in data are escaped."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from typing import Any

from emulator.runtime.terminal import printable, printable_json, printable_lines

# SGR codes (ECMA-48). Output is styled only on a terminal, and not if NO_COLOR is set (no-color.org).
_STYLES = {"good": "32", "note": "33", "bad": "31", "faint": "2"}


def say(line: str, *, error: bool = False, style: str | None = None) -> None:
    """Print one line, on stderr if it is about an error; `style` is one of good, note, bad and faint."""
    stream = sys.stderr if error else sys.stdout
    text = printable(line)
    if style is not None and stream.isatty() and not os.environ.get("NO_COLOR"):
        text = f"\x1b[{_STYLES[style]}m{text}\x1b[0m"
    print(text, file=stream)


def say_lines(text: str, *, error: bool = False) -> None:
    """Print a text, which may have several lines."""
    print(printable_lines(text), file=sys.stderr if error else sys.stdout)


def say_json(value: Any, default: Any = None) -> None:
    """Print JSON; `default` converts values that JSON does not support."""
    print(printable_json(value, default))


def add_json(parser: Any) -> None:
    """Add the flag `--json`."""
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def say_result(options: argparse.Namespace, value: Any, lines: Iterable[str]) -> None:
    """Print a result: as JSON if `--json` was given, else as lines."""
    if options.json:
        say_json(value)
    else:
        for line in lines:
            say(line)


def say_progress(line: str, *, last: bool) -> None:
    """Print a line on stderr that overwrites the previous one."""
    print(f"\r{printable(line)}", end="\n" if last else "", file=sys.stderr, flush=True)
