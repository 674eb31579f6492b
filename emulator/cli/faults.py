"""The verb `faults`: plan faults in a running emulator, and show which calls they affected."""

from __future__ import annotations

import argparse
from typing import Any

from emulator.cli.client import add_target, call
from emulator.cli.output import add_json, say_result

_EFFECTS: dict[str, tuple[str, Any, str, str]] = {  # flag: field, type, value (small: the words), help
    "--error": ("error", str, "NAME", "refuse with an error; `faults words` lists them"),
    "--status": ("status", int, "STATUS", "refuse with an HTTP status"),
    "--message": ("message", str, "TEXT", "message of the refusal"),
    "--retry-after": ("retry_after_seconds", int, "SECONDS", "to send with the refusal"),
    "--delay": ("delay_seconds", float, "SECONDS", "wait before anything else"),
    "--drop": ("drop", str, "before|after", "reset the connection, before or after the operation runs"),
    "--cut-upload": ("cut_upload_after_bytes", int, "BYTES", "end an upload after so many"),
    "--cut-download": ("cut_download_after_bytes", int, "BYTES", "end a download after so many"),
    "--behaviour": ("behaviour", str, "cancel_reverts", "what the operation does otherwise than usual"),
    "--drip": ("drip_bytes_per_second", int, "BYTES", "let uploads and downloads have so many a second"),
}


def add_verbs(verbs: Any) -> None:
    """Declare the verbs of this module."""
    parser = verbs.add_parser("faults", help="plan faults of a team, and show which calls they affected")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = actions.add_parser("list", help="list rules and scripts, and how many calls they affected")
    show.set_defaults(run=_list)
    add = actions.add_parser("add", help="plan a fault: faults add 'files.*' --error unavailable --times 2")
    add.add_argument("operation", metavar="OPERATION", help="the name of an operation, or a pattern")
    for flag, (field, kind, value, help) in _EFFECTS.items():
        words = value.split("|") if value.islower() else None
        add.add_argument(flag, dest=field, type=kind, choices=words, metavar=value, help=help)
    add.add_argument("--nth", type=int, default=1, metavar="N", help="the first call that meets it; default 1")
    add.add_argument("--times", type=number, default=1, metavar="N", help="how often, or `always`; default 1")
    add.add_argument("--transport", choices=("rest", "grpc"))
    add.set_defaults(run=_add)
    script = actions.add_parser(
        "script", help="plan the outcome of the next calls, one step each: faults script files.list 503 unavailable ok"
    )
    script.add_argument("operation", metavar="OPERATION", help="the name of an operation, or a pattern")
    script.add_argument("steps", nargs="+", metavar="STEP", help="ok, an HTTP status or an error, one for each call")
    script.add_argument("--transport", choices=("rest", "grpc"))
    script.set_defaults(run=_script)
    clear = actions.add_parser("clear", help="remove a rule or a script, or all of them")
    clear.add_argument("id", nargs="?", metavar="ID", help="as `faults list` shows it; default: all")
    clear.set_defaults(run=_clear)
    words = actions.add_parser("words", help="list the operations and errors that a fault can name")
    words.set_defaults(run=_words)
    for each in (show, add, script, clear, words):
        add_target(each)
        add_json(each)


def number(text: str) -> int | None:
    """Parse a number of times; None is for always."""
    return None if text == "always" else int(text)


def _list(options: argparse.Namespace) -> int:
    planned = call(options, "GET", "/faults")
    lines = []
    for rule in planned["rules"]:
        left = "used up" if rule["exhausted"] else "waiting"
        lines.append(f"{rule['id']:12} {_effect(rule['rule']):48} met {rule['hits']} of {rule['calls']} calls, {left}")
    for script in planned["scripts"]:
        steps = f"{script['consumed']} of {len(script['script']['steps'])} steps"
        lines.append(f"{script['id']:12} {script['script']['operation']:48} {steps}, {script['calls']} calls")
    say_result(options, planned, lines or ["no faults are planned"])
    return 0


def _effect(rule: dict[str, Any]) -> str:
    """Return a rule as one line."""
    parts = [f"{name}={rule[name]}" for name, *_ in _EFFECTS.values() if name in rule]
    return f"{rule['operation']} {' '.join(parts)}"


def _add(options: argparse.Namespace) -> int:
    names = [field for field, *_ in _EFFECTS.values()] + ["operation", "nth", "transport"]
    body = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    rule = call(options, "POST", "/faults", {**body, "times": options.times})["rule"]
    first, *others = rule["operations"]
    say_result(options, rule, [f"{rule['id']}: {first}{f' and {len(others)} more' if others else ''}"])
    return 0


def _script(options: argparse.Namespace) -> int:
    body = {
        "operation": options.operation,
        "steps": [_step(step) for step in options.steps],
        "transport": options.transport,
    }
    script = call(options, "POST", "/scripts", body)["script"]
    say_result(options, script, [f"{script['id']}: {len(options.steps)} steps"])
    return 0


def _step(text: str) -> Any:
    """Parse one word as a step of a script."""
    if text == "ok":
        return text
    return {"status": int(text)} if text.isdigit() else {"error": text}


def _clear(options: argparse.Namespace) -> int:
    cleared = call(options, "DELETE", f"/faults/{options.id}" if options.id else "/faults")["cleared"]
    say_result(options, cleared, [f"{cleared['faults']} removed"])
    return 0


def _words(options: argparse.Namespace) -> int:
    words = call(options, "GET", "/faults/vocabulary")
    lines = ["operations:"]
    for operation in words["operations"]:
        moves = [name for name in ("uploads", "downloads") if operation[name]]
        lines.append(f"  {operation['name']:32} {' '.join(moves)}".rstrip())
    lines.append("errors:")
    for error in words["errors"]:
        lines.append(f"  {error['name']:32} {error['status']} {error['grpc']:20} {error['sentence']}")
    say_result(options, words, lines)
    return 0
