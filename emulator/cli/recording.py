"""The verb `record`: record calls between clients and the service, or sanitize a HAR file."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emulator.cli.environment import environment, run_command
from emulator.cli.files import usable_files
from emulator.cli.output import say
from emulator.domain.keys import Plane
from emulator.state.settings import BadSetting

if TYPE_CHECKING:
    from emulator.recorder.server import Recorder, RecorderOptions

DEFAULT_OUT = Path("recording.har")
REAL_HOSTS = ("https://api.x.ai", "https://management-api.x.ai")
KEYS = {Plane.INFERENCE: ("XAI_API_KEY",), Plane.MANAGEMENT: ("XAI_MANAGEMENT_KEY", "XAI_MANAGEMENT_API_KEY")}


def add_verbs(verbs: Any) -> None:
    """Declare the verbs of this module."""
    parser = verbs.add_parser(
        "record",
        help="record calls to the real service in a file without secrets, to compare them with the emulator",
        usage="xai-emulator record [OPTION …] [-- COMMAND …]",
        examples=[
            "record --out live.har",
            "record --out live.har -- pytest tests/",
            "record --out live.har -- xai-emulator verify --evidence assumed",
        ],
    )
    option = parser.add_argument
    option(
        "--out", type=Path, default=DEFAULT_OUT, metavar="FILE", help=f"the HAR file to write; default {DEFAULT_OUT}"
    )
    option("--overwrite", action="store_true", help="replace the file if it exists")
    option("--to", default=REAL_HOSTS[0], metavar="URL", help=f"the service; default {REAL_HOSTS[0]}")
    option("--management-to", metavar="URL", help=f"its management host; default {REAL_HOSTS[1]}, or that of --to")
    option(
        "--grpc-to", metavar="HOST:PORT", help="its gRPC host, with TLS unless it begins with http://; default as --to"
    )
    option("--management-grpc-to", metavar="HOST:PORT", help="likewise of the management host")
    option("--host", default="localhost", help="address to listen on; other than loopback only with --own-keys")
    option("--port", type=int, default=None, metavar="PORT", help="default 7878; with a command any free one")
    option("--own-keys", action="store_true", help="never use the keys of the environment: clients send their own")
    option("--contents", choices=("lengths", "keep"), default="lengths", help="file contents; default lengths")
    option("--strike", action="append", default=[], metavar="TEXT", help="redact this text, too; may be repeated")
    option("--keep", action="append", default=[], metavar="RULE", help="turn this sanitizer off; may be repeated")
    option("--budget", type=int, metavar="CALLS", help="forward at most CALLS calls")
    option(
        "--from", dest="source", type=Path, metavar="FILE", help="sanitize this HAR file into --out, and record nothing"
    )
    option("--ca", type=Path, metavar="FILE", help="root certificates, in PEM, for a TLS proxy in between")
    parser.add_argument("command", nargs="*", metavar="COMMAND", help="command to run against the recorder")
    parser.set_defaults(run=_record)


def keys_of(variables: Mapping[str, str]) -> dict[Plane, str]:
    """Return the real keys in an environment, by plane."""
    found = {}
    for plane, names in KEYS.items():
        key = next((variables[name] for name in names if variables.get(name)), None)
        if key is not None:
            found[plane] = key
    return found


def _record(options: argparse.Namespace) -> int:
    from emulator.pipeline.origin_check import is_loopback
    from emulator.recordings.sanitizer_rules import RULES

    for rule in options.keep:
        if rule not in RULES:
            raise BadSetting(f"--keep: {rule!r} is none of {', '.join(RULES)}")
    if options.source is not None:
        return _sanitize(options)
    if not is_loopback(options.host) and not options.own_keys:
        raise BadSetting(
            f"--host: {options.host} lets other machines use your key; record there with --own-keys, or on localhost"
        )
    keys = {} if options.own_keys else keys_of(os.environ)
    if not keys and not options.own_keys:
        raise BadSetting("record needs a key of the service: set XAI_API_KEY, or use --own-keys")
    return _recording(options, keys)


def _sanitize(options: argparse.Namespace) -> int:
    """Write the exchanges of any program's HAR file without secrets and personal data."""
    from msgspec import UNSET

    from emulator.recordings.entries import About
    from emulator.recordings.har import HarWriter
    from emulator.recordings.planes import without_contents, without_unknown
    from emulator.recordings.reading import read
    from emulator.recordings.sanitize import Sanitizer

    if options.command:
        raise BadSetting("--from records nothing, so it takes no command")
    labels = {key: f"[{plane.value} key]" for plane, key in keys_of(os.environ).items()}
    sanitizer = Sanitizer(labels, options.strike, options.keep)
    with usable_files(options.out):
        source = read(options.source)
        about = source.log.about if isinstance(source.log.about, About) else About(contents=options.contents)
        writer = HarWriter(options.out, about, overwrite=options.overwrite)
    skipped = source.elsewhere
    for entry in source.entries:
        if entry.operation is None and entry.grpc is UNSET:
            skipped += 1  # its content is unknown
            continue
        without_unknown(entry)
        if options.contents == "lengths":
            without_contents(entry)
        writer.add_encoded(sanitizer.encode(entry))
    writer.close()
    say(f"{options.out}: {writer.entries} exchanges; left out: {skipped} of other hosts or unknown paths", error=True)
    say("Read the file before you share it.", error=True)
    return 0


def _recording(options: argparse.Namespace, keys: dict[Plane, str]) -> int:
    from emulator.port import CannotListen
    from emulator.recorder.server import BadUpstream, RecorderThread

    try:
        settings = _options(options, keys)
        with (
            usable_files(options.out),
            RecorderThread(settings, lambda line: say(line, error=True)) as recorder,
        ):
            code = _run(recorder, settings, options.command)
    except BadUpstream as error:
        raise BadSetting(str(error)) from None
    except CannotListen as error:
        say(f"xai-emulator: {error}", error=True)
        return 1
    for line in recorder.summary():
        say(line, error=True)
    return code or (1 if recorder.journal.lost else 0)


def _options(options: argparse.Namespace, keys: dict[Plane, str]) -> RecorderOptions:
    from emulator.recorder.server import RecorderOptions

    return RecorderOptions(
        out=options.out,
        keys=keys,
        to=options.to,
        management_to=options.management_to,
        grpc_to=options.grpc_to,
        management_grpc_to=options.management_grpc_to,
        host=options.host,
        port=options.port if options.port is not None else 0 if options.command else 7878,
        own_keys=options.own_keys,
        keep_contents=options.contents == "keep",
        strike=tuple(options.strike),
        keep=tuple(options.keep),
        budget=options.budget,
        ca=options.ca,
        overwrite=options.overwrite,
    )


def _run(recorder: Recorder, settings: RecorderOptions, command: list[str]) -> int:
    """Record until the command ends, or until a signal. Return the exit code."""
    if command:
        return run_command(command, {**_without_keys(os.environ), **_variables(recorder)})
    import signal
    import threading

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: stop.set())
    _announce(recorder, settings)
    stop.wait()
    return 0


def _variables(recorder: Recorder) -> dict[str, str]:
    keys = recorder.keys.of_run
    return environment(recorder.url, keys[Plane.INFERENCE], keys[Plane.MANAGEMENT])


def _without_keys(variables: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without any variable whose value is a real key."""
    secrets = set(keys_of(variables).values())
    return {name: value for name, value in variables.items() if value not in secrets}


def _announce(recorder: Recorder, settings: RecorderOptions) -> None:
    """Print one line on stdout, for programs that wait for it, and the keys of the run on stderr."""
    target = recorder.url.partition("://")[2]
    to = ",".join(sorted(set(settings.hosts.values())))
    say(f"xai-emulator recording {recorder.url} grpc={target} to={to} pid={os.getpid()}")
    sys.stdout.flush()
    if not settings.own_keys:
        for name, value in _variables(recorder).items():
            say(f"export {name}={value}", error=True)
