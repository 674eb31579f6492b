"""The verb that saves and restores what a team of a running emulator has."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from emulator.cli.client import add_target, call, fetch


def add_verbs(verbs: Any) -> None:
    """Declare the verbs of this room."""
    parser = verbs.add_parser("snapshot", help="save, restore, fetch and send what a team of a running emulator has")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, run, arguments, help in (
        ("list", _list, (), "the snapshots of a team"),
        ("save", _save, ("name",), "save everything a team has"),
        ("restore", _restore, ("name",), "let a team be as it was then"),
        ("fetch", _fetch, ("name", "file"), "copy a snapshot into a file; also good for --seed"),
        ("send", _send, ("name", "file"), "give an emulator a snapshot from a file"),
        ("remove", _remove, ("name",), "remove a snapshot"),
    ):
        action = actions.add_parser(name, help=help)
        for argument in arguments:
            action.add_argument(argument, metavar=argument.upper())
        if name == "restore":
            action.add_argument("--from-team", metavar="NAME", help="restore a snapshot of another team")
        add_target(action)
        action.set_defaults(run=run)


def _list(options: argparse.Namespace) -> int:
    for snapshot in call(options, "GET", "/snapshots")["snapshots"]:
        print(_line(snapshot))
    return 0


def _line(snapshot: dict[str, Any]) -> str:
    return f"{snapshot['name']:24} {snapshot['bytes']:>12} bytes  {snapshot['team']} at {snapshot['at']}"


def _save(options: argparse.Namespace) -> int:
    print(_line(call(options, "POST", "/snapshots", {"name": options.name})["snapshot"]))
    return 0


def _restore(options: argparse.Namespace) -> int:
    body = {} if options.from_team is None else {"from_team": options.from_team}
    print(_line(call(options, "POST", f"/snapshots/{options.name}/restore", body)["snapshot"]))
    return 0


def _fetch(options: argparse.Namespace) -> int:
    content = fetch(options, "GET", f"/snapshots/{options.name}")
    target = Path(options.file)
    part = target.with_name(f"{target.name}.part")
    try:
        part.write_bytes(content)
        os.replace(part, target)
    except OSError as error:
        print(f"xai-emulator: {options.file}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"{options.file}: {len(content)} bytes")
    return 0


def _send(options: argparse.Namespace) -> int:
    try:
        content = Path(options.file).read_bytes()
    except OSError as error:
        print(f"xai-emulator: {options.file}: {error.strerror}", file=sys.stderr)
        return 1
    print(_line(call(options, "PUT", f"/snapshots/{options.name}", data=content)["snapshot"]))
    return 0


def _remove(options: argparse.Namespace) -> int:
    call(options, "DELETE", f"/snapshots/{options.name}")
    return 0
