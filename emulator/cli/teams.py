"""The verbs `teams` and `reset`: list, create, change, delete and reset teams of a running emulator."""

from __future__ import annotations

import argparse
import json
from typing import Any

from emulator.cli.client import add_target, call, team
from emulator.cli.output import add_json, say_result
from emulator.state.settings import PER_TEAM, BadSetting, parse


def add_verbs(verbs: Any) -> None:
    """Declare the verbs and their actions."""
    parser = verbs.add_parser(
        "teams",
        help="list, create, change and delete teams",
        examples=("teams list", "teams create ada --set indexing=realistic", "teams set ada profile=strict"),
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="list the teams, their keys and their settings")
    create = actions.add_parser("create", help="create a team")
    create.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting; may be repeated")
    change = actions.add_parser("set", help="override settings of a team; an empty value restores the server's")
    change.add_argument("name", type=team, metavar="TEAM")
    change.add_argument("set", nargs="+", metavar="NAME=VALUE", help=f"one of {', '.join(PER_TEAM)}")
    delete = actions.add_parser("delete", help="delete a team with all its objects")
    for action in (create, delete):
        action.add_argument("name", type=team, metavar="TEAM")
    for action, run in ((listing, _list), (create, _create), (change, _change), (delete, _delete)):
        add_target(action, of_team=False)
        add_json(action)
        action.set_defaults(run=run)

    reset = verbs.add_parser("reset", help="remove all objects of a team, and reset its clock and settings")
    add_target(reset)
    add_json(reset)
    reset.set_defaults(run=_reset)


def _list(options: argparse.Namespace) -> int:
    listed = call(options, "GET", "/teams")
    say_result(options, listed, [_line(each) for each in listed["teams"]] or ["there are no teams yet"])
    return 0


def _line(shown: dict[str, Any]) -> str:
    overrides = " ".join(f"{name}={_text(value)}" for name, value in shown["overrides"].items())
    return f"{shown['name']:24} {shown['api_key']:32} {shown['management_key']:36} {overrides}".rstrip()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _create(options: argparse.Namespace) -> int:
    created = call(options, "POST", "/teams", {"name": options.name, **_settings(options.set)})
    say_result(options, created, [_line(created["team"])])
    return 0


def _change(options: argparse.Namespace) -> int:
    changed = call(options, "PATCH", f"/teams/{options.name}", _settings(options.set))
    say_result(options, changed, [_line(changed["team"])])
    return 0


def _settings(pairs: list[str]) -> dict[str, Any]:
    """Settings as the control API takes them; an empty value is null. Raises BadSetting."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or name not in PER_TEAM:
            raise BadSetting(f"{pair!r} is not NAME=VALUE with a name of {', '.join(PER_TEAM)}")
        found[name] = _limits(text) if name == "limits" and text else text or None
    return found


def _limits(text: str) -> dict[str, int | None]:
    """`limits=file_bytes_max=1MiB,page_items_max=none`, in the units of --limit. Raises BadSetting."""
    return dict(parse("limits", item, "limits") for item in text.split(","))


def _delete(options: argparse.Namespace) -> int:
    deleted = call(options, "DELETE", f"/teams/{options.name}")
    say_result(options, deleted, [f"{options.name} deleted"])
    return 0


def _reset(options: argparse.Namespace) -> int:
    reset = call(options, "POST", "/reset")
    removed = ", ".join(f"{count} {kind}" for kind, count in reset["cleared"].items() if count)
    say_result(options, reset, [f"{options.team} reset; removed: {removed or 'nothing'}"])
    return 0
