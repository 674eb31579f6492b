"""The verb that saves and restores what a team of a running emulator has."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emulator.cli.client import ControlFailed, add_target, call, opened, team
from emulator.cli.output import add_json, say_progress, say_result
from emulator.core import ids

PIECE_BYTES = 1024 * 1024


def add_verbs(verbs: Any) -> None:
    """Declare the verbs of this module."""
    parser = verbs.add_parser("snapshot", help="save, restore, copy and remove snapshots of a team")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, run, arguments, help in (
        ("list", _list, (), "list the snapshots of a team"),
        ("save", _save, ("name",), "save the state of a team"),
        ("restore", _restore, ("name",), "return to a saved state"),
        ("fetch", _fetch, ("name", "file"), "download a snapshot into a file, which --seed accepts too"),
        ("send", _send, ("name", "file"), "upload a snapshot from a file"),
        ("remove", _remove, ("name",), "remove a snapshot"),
    ):
        action = actions.add_parser(name, help=help)
        for argument in arguments:
            action.add_argument(argument, metavar=argument.upper())
        if name == "restore":
            action.add_argument("--from-team", type=team, metavar="NAME", help="restore a snapshot of another team")
        add_target(action)
        add_json(action)
        action.set_defaults(run=run)


def _list(options: argparse.Namespace) -> int:
    snapshots = call(options, "GET", "/snapshots")["snapshots"]
    say_result(options, snapshots, [_line(each) for each in snapshots] or ["no snapshots are saved"])
    return 0


def _line(snapshot: dict[str, Any]) -> str:
    return f"{snapshot['name']:24} {snapshot['bytes']:>13,} bytes  {snapshot['team']} at {snapshot['at']}"


def _save(options: argparse.Namespace) -> int:
    began = time.perf_counter()
    saved = call(options, "POST", "/snapshots", {"name": options.name})["snapshot"]
    say_result(options, saved, [f"{_line(saved)}, saved in {_seconds(began)}"])
    return 0


def _seconds(began: float) -> str:
    return f"{time.perf_counter() - began:.1f} seconds"


def _restore(options: argparse.Namespace) -> int:
    body = {} if options.from_team is None else {"from_team": options.from_team}
    began = time.perf_counter()
    restored = call(options, "POST", f"/snapshots/{options.name}/restore", body)["snapshot"]
    say_result(options, restored, [f"{_line(restored)}, restored in {_seconds(began)}"])
    return 0


def _fetch(options: argparse.Namespace) -> int:
    began = time.perf_counter()
    with opened(options, "GET", f"/snapshots/{options.name}") as reply:
        size = int(reply.headers["content-length"])
        _keep(Path(options.file), _counted(iter(lambda: reply.read(PIECE_BYTES), b""), size), size)
    fetched = {"file": options.file, "bytes": size}
    say_result(options, fetched, [f"{options.file}: {size:,} bytes, fetched in {_seconds(began)}"])
    return 0


def _keep(target: Path, pieces: Iterable[bytes], size: int) -> None:
    """Write pieces into a file that is whole, or not there. Raises ControlFailed."""
    part = target.with_name(f"{target.name}.{ids.fresh_name()[:8]}.part")  # which is not there, so nothing is lost
    with _local(target):
        file = part.open("xb")
    try:
        with file:
            for piece in pieces:
                with _local(part):
                    file.write(piece)
        if part.stat().st_size < size:
            raise ControlFailed(f"the download of the snapshot ended before its {size:,} bytes were received")
        with _local(target):
            os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def _send(options: argparse.Namespace) -> int:
    began, source = time.perf_counter(), Path(options.file)
    with _local(source):
        size = source.stat().st_size
    with opened(options, "PUT", f"/snapshots/{options.name}", _counted(_read(source), size), size) as reply:
        sent = json.load(reply)["snapshot"]
    say_result(options, sent, [f"{_line(sent)}, sent in {_seconds(began)}"])
    return 0


def _read(source: Path) -> Iterator[bytes]:
    with _local(source), source.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


@contextmanager
def _local(file: Path) -> Iterator[None]:
    """Say of a failure that it is about a file of this machine, not about the emulator."""
    try:
        yield
    except OSError as error:
        raise ControlFailed(f"{file}: {error.strerror}") from None


def _counted(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The pieces as they are; who watches on a terminal sees how many have gone by."""
    gone, watched = 0, sys.stderr.isatty()
    for piece in pieces:
        gone += len(piece)
        if watched:
            say_progress(f"{gone:,} of {size:,} bytes", last=gone >= size)
        yield piece


def _remove(options: argparse.Namespace) -> int:
    cleared = call(options, "DELETE", f"/snapshots/{options.name}")["cleared"]
    say_result(options, cleared, [f"{options.name} removed"])
    return 0
