"""The command line: `xai-emulator serve` and its verbs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from emulator.settings import (
    FIELDS,
    BadSetting,
    Settings,
    collect,
    environment_name,
    flag,
    from_environment,
    parse,
)
from emulator.version import VERSION


class _Parser(argparse.ArgumentParser):
    """Refuses with one line, and no abbreviations."""

    def error(self, message: str) -> Any:
        self.exit(2, f"xai-emulator: {message} (see `{self.prog} --help`)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb and return the exit code: 0 done, 1 failed, 2 used wrongly."""
    parser = _Parser(prog="xai-emulator", description=__doc__, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"xai-emulator {VERSION}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=_Parser)
    serve = verbs.add_parser("serve", help="start an emulator", allow_abbrev=False)
    _add_settings(serve)
    serve.set_defaults(run=_serve)
    for name, run, help in (
        ("limits", _limits, "print every limit, its value and where it is from"),
        ("version", _version, "print the version"),
    ):
        verbs.add_parser(name, help=help, allow_abbrev=False).set_defaults(run=run)
    options = parser.parse_args(arguments)
    try:
        code: int = options.run(options)
    except BadSetting as error:
        print(f"xai-emulator: {error}", file=sys.stderr)
        return 2
    return code


def _add_settings(parser: argparse.ArgumentParser) -> None:
    for name, field in FIELDS.items():
        repeat = field.metadata["repeat"]
        parser.add_argument(
            flag(name),
            dest=name,
            metavar=field.metadata["metavar"],
            action="append" if repeat else "store",
            help=f"{field.metadata['help']} [{environment_name(name)}]",
        )


def settings_from(options: argparse.Namespace) -> Settings:
    """The settings of a command line: flags beat the environment, the environment beats the defaults."""
    values = from_environment(os.environ)
    for name, field in FIELDS.items():
        given = getattr(options, name)
        if given is None:
            continue
        if field.metadata["repeat"]:
            values[name] = collect(name, [parse(name, text, flag(name)) for text in given])
        else:
            values[name] = parse(name, given, flag(name))
    return Settings(**values)


def _serve(options: argparse.Namespace) -> int:
    settings = settings_from(options)
    from emulator.serve import serve

    return serve(settings)


def _limits(options: argparse.Namespace) -> int:
    from emulator.limits import DEFAULTS, ROWS

    for name, row in ROWS.items():
        print(f"{name:32} {DEFAULTS[name]:>14}  {row.confidence.value:10}  {row.source}")
    return 0


def _version(options: argparse.Namespace) -> int:
    print(VERSION)
    return 0
