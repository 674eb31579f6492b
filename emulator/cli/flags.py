"""The flags of the settings, one for each row of the table."""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection
from typing import Any

from emulator.state.settings import ROWS, Row, Settings, collect, environment_name, flag, from_environment, parse


def add_settings(parser: Any, without: Collection[str] = ()) -> None:
    """Add a flag for every setting except those named."""
    for name, row in ROWS.items():
        if name in without:
            continue
        parser.add_argument(
            flag(name),
            dest=name,
            metavar=row.metavar,
            action="append" if row.repeat else "store",
            help=f"{row.help}{_default(row)} [{environment_name(name)}]",
        )


def _default(row: Row) -> str:
    return f"; default {row.default}" if isinstance(row.default, str | int) else ""


def settings_from(options: argparse.Namespace) -> Settings:
    """Return the settings of a command line: flags override the environment, which overrides the defaults."""
    values = from_environment(os.environ)
    for name, row in ROWS.items():
        given = getattr(options, name)
        if given is None:
            continue
        if row.repeat:
            values[name] = collect(name, [parse(name, text, flag(name)) for text in given])
        else:
            values[name] = parse(name, given, flag(name))
    return Settings(**values)
