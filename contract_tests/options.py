"""The options of a run (options.toml), and the server that they select."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from .case import EVIDENCE, FEATURES
from .clients import FACTORIES
from .known_failures import KnownFailures
from .target import (
    CALLS_MAX,
    CASE_SECONDS,
    CASE_SECONDS_ELSEWHERE,
    RUN_SECONDS,
    RUN_SECONDS_ELSEWHERE,
    Budget,
    InvalidTarget,
    Target,
    find_target,
)

OPTIONS = tomllib.loads(Path(__file__).with_name("options.toml").read_text("utf-8"))


def add_options(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("contract", "the server, and what may be done to it")
    for name, option in OPTIONS.items():
        if option.get("flag"):
            group.addoption(f"--{name}", action="store_true", help=option["help"])
        else:
            group.addoption(f"--{name}", metavar=option["metavar"], help=option["help"])


def target_of(config: pytest.Config) -> Target:
    """The server that the options name. Raises UsageError."""
    option = config.getoption
    base_url = option("--base-url") or os.environ.get("XAI_EMULATOR_URL")
    if base_url is None:
        raise pytest.UsageError("name the server to test: --base-url URL")
    try:
        target = find_target(
            base_url,
            os.environ,
            grpc=option("--grpc") or (None if option("--base-url") else os.environ.get("XAI_EMULATOR_GRPC")),
            management_url=option("--management-url"),
            management_grpc=option("--management-grpc"),
            run_prefix=option("--run-prefix"),
        )
    except InvalidTarget as error:
        raise pytest.UsageError(str(error)) from None
    is_emulator = target.team is not None
    run_seconds = RUN_SECONDS if is_emulator else RUN_SECONDS_ELSEWHERE
    case_seconds = CASE_SECONDS if is_emulator else CASE_SECONDS_ELSEWHERE
    return replace(
        target,
        features=_words(config, "--features", FEATURES),
        evidence=_words(config, "--evidence", EVIDENCE),
        cases=tuple(word.strip() for word in (option("--cases") or "").split(",") if word.strip()),
        slow=option("--slow"),
        destructive=option("--destructive"),
        paid=option("--paid"),
        case_seconds=_integer(config, "--case-seconds", case_seconds),
        budget=Budget(_integer(config, "--budget", CALLS_MAX), _integer(config, "--run-seconds", run_seconds)),
    )


def clients_of(config: pytest.Config) -> list[str]:
    """The clients that are asked for, in their order."""
    wanted = _words(config, "--clients", FACTORIES)
    return [name for name in FACTORIES if name in wanted]


def known_failures_of(config: pytest.Config) -> KnownFailures:
    """The list of known failures. Raises UsageError."""
    file: str | None = config.getoption("--known-failing")
    try:
        return KnownFailures.read(file)
    except OSError as error:
        raise pytest.UsageError(f"--known-failing: {file}: {error.strerror}") from None
    except ValueError as error:
        raise pytest.UsageError(f"--known-failing: {file}: {error}") from None


def packages_of(config: pytest.Config) -> Path:
    """The folder of the JavaScript packages. Raises UsageError."""
    folder = Path(config.getoption("--node-packages") or ".")
    if not folder.is_dir():
        raise pytest.UsageError(f"--node-packages: {folder} is not a folder")
    return folder


def record_of(config: pytest.Config) -> Path | None:
    """Where the record goes: looked at before the run, which may be long. Raises UsageError."""
    if (name := config.getoption("--record")) is None:
        return None
    file = Path(name)
    if file.is_dir() or not file.absolute().parent.is_dir():
        raise pytest.UsageError(f"--record: {file} cannot be written: it is a folder, or in one that does not exist")
    return file


def _words(config: pytest.Config, option: str, known: Iterable[str]) -> frozenset[str]:
    """Words separated by commas; all there are where none are given."""
    text: str | None = config.getoption(option)
    if text is None:
        return frozenset(known)
    found = frozenset(word.strip() for word in text.split(",") if word.strip())
    if unknown := found - set(known):
        raise pytest.UsageError(f"{option}: {', '.join(sorted(unknown))} is not among {', '.join(known)}")
    return found


def _integer(config: pytest.Config, option: str, otherwise: int) -> int:
    text: str | None = config.getoption(option)
    if text is not None and not (text.isascii() and text.isdigit()):
        raise pytest.UsageError(f"{option}: {text!r} is not a whole number")
    return otherwise if text is None else int(text)
