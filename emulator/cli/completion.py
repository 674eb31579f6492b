"""The verbs `completion` and `help`."""

from __future__ import annotations

import argparse
from typing import Any

from emulator.cli.output import say_lines
from emulator.state.settings import BadSetting

SHELLS = ("bash", "zsh", "tcsh")


def add_verbs(verbs: Any) -> None:
    """Declare the verbs."""
    completion = verbs.add_parser(
        "completion",
        help="print a script that completes commands in your shell",
        examples=('eval "$(xai-emulator completion bash)"',),
    )
    completion.add_argument("shell", choices=SHELLS)
    completion.set_defaults(run=_completion)
    text = verbs.add_parser("help", help="print the help of all commands, or of one")
    text.add_argument("words", nargs="*", metavar="COMMAND", help="such as `faults add`")
    text.set_defaults(run=_help)


def _completion(options: argparse.Namespace) -> int:
    import shtab

    from emulator.cli import build_parser

    say_lines(shtab.complete(build_parser(), options.shell))
    return 0


def _help(options: argparse.Namespace) -> int:
    from emulator.cli import build_parser, find_parser

    parser = build_parser()
    found = find_parser(parser, options.words)
    if found is None:
        raise BadSetting(f"there is no command {' '.join(options.words)!r} (see `xai-emulator help`)")
    say_lines(found.format_help().rstrip("\n"))
    return 0
