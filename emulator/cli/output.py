"""What the command line prints: all of it passes here, so that no data reaches the terminal as control characters."""

from __future__ import annotations

import sys
from typing import Any

from emulator.terminal import printable, printable_json, printable_lines


def say(line: str, *, error: bool = False) -> None:
    """Print one line, on stderr if it is about an error."""
    print(printable(line), file=sys.stderr if error else sys.stdout)


def say_lines(text: str, *, error: bool = False) -> None:
    """Print a text that may have several lines."""
    print(printable_lines(text), file=sys.stderr if error else sys.stdout)


def say_json(value: Any, default: Any = None) -> None:
    """Print JSON; `default` turns what JSON does not know into what it knows."""
    print(printable_json(value, default))


def say_progress(line: str, *, last: bool) -> None:
    """Print a line on stderr over the one before it."""
    print(f"\r{printable(line)}", end="\n" if last else "", file=sys.stderr, flush=True)
