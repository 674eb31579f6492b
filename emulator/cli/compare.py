"""The verb `compare`: compare recordings of the service with an emulator."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from emulator.cli.client import control_token, target_url, team
from emulator.cli.files import usable_files
from emulator.cli.flags import add_settings, settings_from
from emulator.cli.output import say
from emulator.domain.keys import INFERENCE_KEY, MANAGEMENT_KEY, Plane
from emulator.state.settings import BadSetting

if TYPE_CHECKING:
    from emulator.comparing.report import Report
    from emulator.comparing.send import Target
    from emulator.recordings.har import Recording

OF_ONE_FILE = ("json", "junit", "evidence", "cases", "url", "other", "noise")


def add_verbs(verbs: Any) -> None:
    """Declare the verb."""
    parser = verbs.add_parser(
        "compare",
        help="compare recordings of the real service with an emulator",
        usage="xai-emulator compare [OPTION …] FILE …",
        examples=[
            "compare live.har",
            "compare --only 'files.*' --json report.json live.har",
            "compare live-2026-11.har --with live-2026-12.har",
        ],
    )
    option = parser.add_argument
    parser.add_argument("file", nargs="+", type=Path, metavar="FILE", help="a HAR file, of `record` or a browser")
    option("--url", metavar="URL", help="compare with this emulator instead of a new one; needs --team")
    option("--team", type=team, metavar="NAME", help="which team of it, a new one")
    option(
        "--with", dest="other", type=Path, metavar="OTHER", help="compare with this recording instead of an emulator"
    )
    option(
        "--noise",
        type=Path,
        metavar="SECOND",
        help="another recording of the same script: accept differences where the two differ as well",
    )
    option("--only", default="*", metavar="PATTERN", help="report only these operations, for example files.*")
    option("--ignore", type=Path, metavar="FILE", help="differences to accept; default compare.toml, if it exists")
    option("--fail-on", metavar="KINDS", help="which make exit code 1; default status,shape,format,words,value")
    option("--max", type=int, default=20, metavar="N", help="print at most N kinds of differences; default 20")
    option("--json", type=Path, metavar="FILE", help="write the report to FILE as JSON")
    option("--junit", type=Path, metavar="FILE", help="write the report to FILE as JUnit XML")
    option("--evidence", type=Path, metavar="FILE", help="write the confirmed cases of the kit to FILE")
    option(
        "--cases",
        type=Path,
        metavar="FILE",
        help="write drafts of contract cases to FILE, as TOML, and those over gRPC beside it, as Python",
    )
    group = parser.add_argument_group("settings of the emulator to compare with")
    add_settings(group, without=("port", "host"))
    parser.set_defaults(run=_compare, port=None, host=None)


def _compare(options: argparse.Namespace) -> int:
    """Return the exit code: 1 for a difference, or if nothing could be compared; 2 for a file that cannot be read."""
    from emulator.comparing.differences import CLASSES, FAIL_ON
    from emulator.comparing.ignore import DEFAULT_FILE, read_ignores
    from emulator.recordings.reading import read

    kinds = FAIL_ON if options.fail_on is None else tuple(options.fail_on.split(","))
    if unknown := set(kinds) - set(CLASSES.values()):
        known = ", ".join(dict.fromkeys(CLASSES.values()))
        raise BadSetting(f"--fail-on: {sorted(unknown)[0]!r} is none of {known}")
    if (options.url is None) != (options.team is None):
        raise BadSetting("--url and --team must be given together")
    if len(options.file) > 1 and any(getattr(options, name) for name in OF_ONE_FILE):
        raise BadSetting("--json, --junit, --evidence, --cases, --url, --with and --noise are for one file")
    if options.other is not None and (options.url or options.evidence):
        raise BadSetting("--with calls no emulator, so it excludes --url and --evidence")
    with usable_files():
        recordings = [read(path) for path in options.file]
        other = None if options.other is None else read(options.other)
        second = None if options.noise is None else read(options.noise)
        path = options.ignore or DEFAULT_FILE
        ignores = read_ignores(path) if options.ignore or path.exists() else []
    from emulator.comparing.report import report_of
    from emulator.comparing.run import NothingInCommon, compare_with, noise_between
    from emulator.core.clock import wall

    try:
        noise = frozenset() if second is None else noise_between(recordings[0], second)
    except NothingInCommon as error:
        raise BadSetting(f"--noise: {error}") from None
    codes = []
    for recording in recordings:
        fresh = [msgspec.structs.replace(each, matches=0) for each in ignores]
        compared = _compared(options, recording) if other is None else compare_with(recording, other, options.only)
        report = report_of(compared, fresh, kinds, wall(), noise)
        _print(options, report, len(recordings) > 1)
        codes.append(report.exit_code)
    return max(codes)


def _compared(options: argparse.Namespace, recording: Recording) -> Any:
    from emulator.comparing.run import compare
    from emulator.comparing.send import Target

    if options.url is not None:
        return compare(recording, _running(options), options.only)
    from emulator.runtime.app import Emulator

    values = msgspec.structs.asdict(settings_from(options))
    with Emulator(**{**values, "port": 0, "host": "localhost", "log": "quiet"}) as emulator:
        keys = {Plane.INFERENCE: emulator.api_key, Plane.MANAGEMENT: emulator.management_key}
        target = Target(emulator.url, emulator.grpc_target, keys, "default", emulator.control_token)
        return compare(recording, target, options.only)


def _running(options: argparse.Namespace) -> Target:
    from emulator.comparing.send import Target

    url, name = target_url(options), options.team
    keys = {Plane.INFERENCE: f"{INFERENCE_KEY}@{name}", Plane.MANAGEMENT: f"{MANAGEMENT_KEY}@{name}"}
    return Target(url, url.partition("://")[2], keys, name, control_token(options))


def _print(options: argparse.Namespace, report: Report, is_one_of_several: bool) -> None:
    from emulator.comparing.evidence import evidence_of
    from emulator.comparing.report import json_of, junit_of, lines_of

    if is_one_of_several:
        say(f"{report.comparison.recording.path}:")
    for line in lines_of(report, options.max):
        say(line)
    with usable_files():
        for path, content in (
            (options.json, json_of),
            (options.evidence, lambda report: evidence_of(report.comparison)),
        ):
            if path is not None:
                path.write_text(json.dumps(content(report), indent=1, ensure_ascii=False) + "\n", "utf-8")
        if options.cases is not None:
            _draft(options.cases, report)
        if options.junit is not None:
            options.junit.write_bytes(junit_of(report))


def _draft(path: Path, report: Report) -> None:
    from emulator.comparing.drafts import draft_cases

    drafts = draft_cases(report.comparison)
    path.write_text(drafts.text, "utf-8")
    say(f"{path}: drafts of {drafts.count} cases; read_cases refuses them until each has a sentence")
    if drafts.code:
        code = path.with_suffix(".py")
        code.write_text(drafts.code, "utf-8")
        say(f"{code}: drafts of {drafts.code_count} cases over gRPC, for the folder of the kit")
    for why, count in drafts.left_out.items():
        say(f"no draft for {count} exchanges: {why}")
