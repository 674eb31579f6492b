"""The verb that looks for what will not work on this machine, and says why."""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from emulator.cli.client import DEFAULT_URL
from emulator.cli.output import add_json, say, say_json
from emulator.state.settings import CLIENT_NAMES, BadSetting, Settings, from_environment

GOOD, NOTE, BAD = "ok", "note", "bad"
_STYLE_OF = {GOOD: "good", NOTE: "note", BAD: "bad"}
FILES_WANTED = 512  # open at once: a thousand idle connections need more, a test-suite less
_REAL_KEY = re.compile(r"xai-(?:token-)?[A-Za-z0-9]{40,}")
_PROXIES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "grpc_proxy")
_KEYS = ("XAI_API_KEY", "XAI_MANAGEMENT_KEY", "XAI_MANAGEMENT_API_KEY", "OPENAI_API_KEY")
# The modules that extract text from documents, and what each reads.
EXTRACTORS = {"pypdf": "PDF", "defusedxml": "DOCX, PPTX, ODT, EPUB", "openpyxl": "XLSX", "striprtf": "RTF"}


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    state: str
    subject: str
    sentence: str


def add_verbs(verbs: Any) -> None:
    """Declare the verbs of this module."""
    parser = verbs.add_parser("doctor", help="check this machine for problems")
    parser.add_argument("--data-dir", metavar="DIR", type=Path, help="check this directory, too")
    add_json(parser)
    parser.set_defaults(run=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    """Exit code 1 if something will not work; notes are not counted."""
    findings = [finding for look in LOOKS for finding in look(options)]
    if options.json:
        say_json([msgspec.structs.asdict(finding) for finding in findings])
    else:
        for finding in findings:
            say(f"{finding.state:5} {finding.subject}: {finding.sentence}", style=_STYLE_OF[finding.state])
    return 1 if any(finding.state == BAD for finding in findings) else 0


def _python(options: argparse.Namespace) -> Iterator[Finding]:
    from emulator.store.database import Database

    version = ".".join(map(str, sys.version_info[:3]))
    state = GOOD if sys.version_info >= (3, 11) else BAD
    yield Finding(state, "python", f"{version} at {sys.executable}; 3.11 or newer is needed")
    database = Database(None)
    row = database.row("SELECT sqlite_version()")
    database.close()
    yield Finding(GOOD, "sqlite", row[0] if row else "")


def _libraries(options: argparse.Namespace) -> Iterator[Finding]:
    for module, what in (("grpc", "gRPC, which xai-sdk speaks, cannot be served"), ("uvloop", "")):
        if importlib.util.find_spec(module) is not None:
            yield Finding(GOOD, module, "is installed")
        elif what:
            yield Finding(BAD, module, f"is not installed: {what}")
        else:
            yield Finding(NOTE, module, "is not installed: small requests are slower")
    missing = [kinds for module, kinds in EXTRACTORS.items() if importlib.util.find_spec(module) is None]
    if missing:
        yield Finding(BAD, "extraction", f"{', '.join(missing)} documents cannot be read: install xai-emulator again")
    else:
        yield Finding(GOOD, "extraction", f"{', '.join(EXTRACTORS.values())} documents can be read")


def _environment(options: argparse.Namespace) -> Iterator[Finding]:
    settings = None
    try:
        settings = from_environment(os.environ)
        yield Finding(GOOD, "settings", f"{len(settings)} from the environment")
    except BadSetting as error:
        yield Finding(BAD, "settings", f"{error}; serve will refuse to start")
    for name in _KEYS:
        if _REAL_KEY.fullmatch(os.environ.get(name, "")):
            yield Finding(
                NOTE, name, 'holds a key that looks real; for the emulator any will do: eval "$(xai-emulator env)"'
            )
    proxies = [name for name in _PROXIES if os.environ.get(name)]
    exempt = {host.strip() for name in ("NO_PROXY", "no_proxy") for host in os.environ.get(name, "").split(",")}
    if proxies and not exempt & {"localhost", "*"}:
        yield Finding(
            BAD, "proxy", f"{', '.join(proxies)} send clients of localhost elsewhere; set NO_PROXY=localhost,127.0.0.1"
        )
    base = os.environ.get("OPENAI_BASE_URL")
    if base and not re.match(r"https?://(localhost|127\.0\.0\.1|\[::1\])[:/]", base):
        yield Finding(NOTE, "OPENAI_BASE_URL", "does not point to this machine, so openai calls the real service")
    if any(name in os.environ for name in CLIENT_NAMES):
        yield Finding(GOOD, "clients", f"the environment points them to {os.environ.get('XAI_EMULATOR_URL', 'one')}")


def _network(options: argparse.Namespace) -> Iterator[Finding]:
    try:
        addresses = sorted({str(info[4][0]) for info in socket.getaddrinfo("localhost", None)})
    except OSError as error:
        yield Finding(BAD, "localhost", f"is not known here ({error}): clients that use localhost:PORT fail")
        return
    strange = [address for address in addresses if address not in ("127.0.0.1", "::1")]
    if strange:
        yield Finding(BAD, "localhost", f"means {', '.join(strange)}, and the emulator listens on 127.0.0.1 and ::1")
    else:
        yield Finding(GOOD, "localhost", f"is {' and '.join(addresses)}")
    with socket.socket() as probe:
        port = Settings().port
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            yield Finding(
                NOTE, f"port {port}", f"another program listens: an emulator, if {DEFAULT_URL}/_emulator/health answers"
            )
        else:
            yield Finding(GOOD, f"port {port}", "is free")


def _disk(options: argparse.Namespace) -> Iterator[Finding]:
    """Check the disk. A missing directory is not created: its parent is checked instead."""
    directory = options.data_dir or Path(tempfile.gettempdir())
    tried = next(each for each in (directory, *directory.absolute().parents) if each.exists())
    where = "data directory" if options.data_dir else "temporary directory"
    try:
        with tempfile.TemporaryFile(dir=tried):
            pass
        stat = os.statvfs(tried)
        free = stat.f_bavail * stat.f_frsize // 1024**2
        state = GOOD if free > 1024 else NOTE
        can = "is writable" if tried == directory else "is not there, can be made,"
        yield Finding(state, where, f"{directory} {can} and has {free} MiB left")
    except OSError as error:
        yield Finding(BAD, where, f"{directory}: {error.strerror}")
    if options.data_dir and tried == directory:
        yield _lock(directory)


def _lock(directory: Path) -> Finding:
    from emulator.core.locks import DirectoryLock, LockTaken

    try:
        DirectoryLock(directory, create=False).release()
    except LockTaken as error:
        return Finding(BAD, "lock", str(error))
    except FileNotFoundError:  # no emulator has worked here yet
        pass
    except OSError as error:
        return Finding(BAD, "lock", f"{directory}: {error.strerror}")
    return Finding(GOOD, "lock", "no other process uses the data directory")


def _files(options: argparse.Namespace) -> Iterator[Finding]:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    state = GOOD if soft == resource.RLIM_INFINITY or soft >= FILES_WANTED else NOTE
    yield Finding(state, "open files", f"at most {soft}; each connection needs one, over gRPC three")


LOOKS: tuple[Callable[[argparse.Namespace], Iterator[Finding]], ...] = (
    _python,
    _libraries,
    _environment,
    _network,
    _disk,
    _files,
)
