"""The verb `requests`: the journal of a team of a running emulator."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from emulator.cli.client import add_target, call, opened
from emulator.cli.files import usable_files
from emulator.cli.output import add_json, say, say_json, say_lines
from emulator.state.settings import BadSetting


def add_verbs(verbs: Any) -> None:
    """Declare the verb."""
    parser = verbs.add_parser(
        "requests",
        help="show the last requests of a team",
        examples=(
            "requests --operation files.upload",
            "requests --outcome NOT_FOUND --json",
            "requests --har requests.har",
            "requests --pytest 12 > tests/test_copied.py",
        ),
    )
    parser.add_argument("--operation", metavar="NAME", help="only requests of this operation, such as files.upload")
    parser.add_argument(
        "--outcome", metavar="WORD", help="only requests with this outcome: ok, NOT_FOUND, DROPPED, ..."
    )
    parser.add_argument("--transport", choices=("rest", "grpc"), help="only requests over this transport")
    parser.add_argument("--limit", type=int, default=50, metavar="N", help="the last N; default 50")
    parser.add_argument("--clear", action="store_true", help="remove them from the journal afterwards")
    parser.add_argument("--har", type=Path, metavar="FILE", help="write them there as a HAR file")
    parser.add_argument(
        "--curl", type=int, metavar="NUMBER", help="print this request as a command for curl or grpcurl"
    )
    parser.add_argument("--pytest", type=int, metavar="NUMBER", help="print this request as a test")
    add_target(parser)
    add_json(parser)
    parser.set_defaults(run=_requests)


def _requests(options: argparse.Namespace) -> int:
    given = {name: getattr(options, name) for name in ("operation", "outcome", "transport", "limit")}
    if options.curl is not None and options.pytest is not None:
        raise BadSetting("--curl and --pytest are two ways to print one request: choose one")
    for form in ("curl", "pytest"):
        if getattr(options, form) is not None:
            return _copy(options, getattr(options, form), form)
    body = {name: value for name, value in given.items() if value is not None}
    if options.har is not None:
        return _export(options, body)
    found = call(options, "POST", "/requests/find", body)
    if options.json:
        say_json(found)
    else:
        for request in found["requests"]:
            say(_line(request), style=_style(request["status"]))
        if found["evicted"]:
            say(f"{found['evicted']} older ones were evicted", style="faint")
        if not found["requests"]:
            say("no requests")
    if options.clear:
        call(options, "DELETE", "/requests")
    return 0


def _copy(options: argparse.Namespace, number: int, form: str) -> int:
    """Print a request as a command or a test. Return the exit code, which is 1 if that is impossible."""
    found = call(options, "GET", f"/requests/{number}/code")
    if found[form] is None:
        say(f"xai-emulator: request {number} cannot be copied: {found['reason']}", error=True)
        return 1
    say_lines(found[form].removesuffix("\n"))
    return 0


def _export(options: argparse.Namespace, query: dict[str, Any]) -> int:
    with opened(options, "GET", "/requests/har", query=query) as reply:
        content = reply.read()
    with usable_files(options.har):
        options.har.write_bytes(content)
    say(f"{options.har}: {len(json.loads(content)['log']['entries'])} requests", error=True)
    return 0


def _line(request: dict[str, Any]) -> str:
    name = request["operation"] or f"{request['method']} {request['target']}"
    notes = [f"rule={request['rule']}"] if request["rule"] else []
    notes += [f"fault={fault}" for fault in request["faults"]]
    notes += [f"unknown field {field}" for field in request["unread_fields"]]
    line = f"{request['number']:>5} {request['real_at'][11:23]} {request['transport']:4} {request['status']!s:>4} "
    return f"{line}{request['ms']:>9.1f} ms  {name:28} {' '.join(notes)}".rstrip()


def _style(status: int | str | None) -> str | None:
    if status in ("OK", None) or (isinstance(status, int) and status < 400):
        return None
    return "bad" if status in ("INTERNAL", "UNAVAILABLE") or (isinstance(status, int) and status >= 500) else "note"
