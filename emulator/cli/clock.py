"""The verb `clock`: read and move the clock of a team of a running emulator."""

from __future__ import annotations

import argparse
from typing import Any

from emulator.cli.client import add_target, call
from emulator.cli.output import add_json, say_result

# flag of `clock advance`, condition of the control API, help
_UNTIL = (
    ("--until-batch-done", "batch_done", "BATCH_ID", "advance until this batch is done"),
    ("--until-file-expired", "file_expired", "FILE_ID", "advance until this file has expired"),
)


def add_verbs(verbs: Any) -> None:
    """Declare the verb and its actions."""
    parser = verbs.add_parser(
        "clock",
        help="show and move the clock of a team",
        examples=(
            "clock advance 3600",
            "clock advance --until-batch-done batch_1",
            "clock freeze 2026-03-01T09:00:00Z",
        ),
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = actions.add_parser("show", help="show the time of a team")
    advance = actions.add_parser("advance", help="move the clock forward and run what becomes due")
    advance.add_argument("seconds", nargs="?", type=float, metavar="SECONDS")
    for flag, condition, value, text in _UNTIL:
        advance.add_argument(flag, dest=condition, metavar=value, help=text)
    freeze = actions.add_parser("freeze", help="stop the clock, now or at a given time")
    freeze.add_argument("at", nargs="?", metavar="TIME", help="RFC 3339, such as 2026-03-01T09:00:00Z")
    resume = actions.add_parser("resume", help="resume a frozen clock")
    reset = actions.add_parser("reset", help="set the clock to the wall clock")
    for action, run in ((show, _show), (advance, _advance), (freeze, _freeze), (resume, _resume), (reset, _reset)):
        add_target(action)
        add_json(action)
        action.set_defaults(run=run)


def _show(options: argparse.Namespace) -> int:
    return _print(options, call(options, "GET", "/clock"))


def _advance(options: argparse.Namespace) -> int:
    until = {name: getattr(options, name) for _, name, *_ in _UNTIL if getattr(options, name) is not None}
    body = {"until": until} if until else {}
    if options.seconds is not None:
        body["seconds"] = options.seconds
    return _print(options, call(options, "POST", "/clock/advance", body))


def _freeze(options: argparse.Namespace) -> int:
    return _print(options, call(options, "POST", "/clock/freeze", {} if options.at is None else {"at": options.at}))


def _resume(options: argparse.Namespace) -> int:
    return _print(options, call(options, "POST", "/clock/resume"))


def _reset(options: argparse.Namespace) -> int:
    return _print(options, call(options, "POST", "/clock/reset"))


def _print(options: argparse.Namespace, clock: dict[str, Any]) -> int:
    line = f"{clock['now']}  {'frozen' if clock['frozen'] else 'running'}"
    if clock["offset_seconds"] and not clock["frozen"]:
        line += f", {clock['offset_seconds']:+g} s from the wall clock"
    lines = [line]
    lines += [f"  ran {job['kind']} of {job['subject']}" for job in clock.get("jobs", ())]
    say_result(options, clock, lines)
    return 0
