"""The verbs that print what the emulator knows."""

from __future__ import annotations

import argparse
from typing import Any

from emulator.version import VERSION


def add_verbs(verbs: Any) -> None:
    """Declare the verbs of this room."""
    for name, run, help in (
        ("limits", _limits, "print every limit, its value and where it is from"),
        ("version", _version, "print the version"),
    ):
        verbs.add_parser(name, help=help).set_defaults(run=run)


def _limits(options: argparse.Namespace) -> int:
    from emulator.limits import DEFAULTS, ROWS

    for name, row in ROWS.items():
        print(f"{name:32} {DEFAULTS[name]:>14}  {row.confidence.value:10}  {row.source}")
    return 0


def _version(options: argparse.Namespace) -> int:
    print(VERSION)
    return 0
