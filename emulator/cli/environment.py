"""The verbs that point clients at an emulator: print the environment, run a command in it, wait for it."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from emulator.cli.client import TOKEN_NAME, ControlFailed, add_target, call, control_token, target_url
from emulator.cli.flags import add_settings, settings_from
from emulator.cli.output import say, say_lines
from emulator.domain.keys import DEFAULT_TEAM, INFERENCE_KEY, MANAGEMENT_KEY
from emulator.state.settings import environment_name

POLL_SECONDS = 0.05
SIGNALLED = 128  # what a shell adds to the number of the signal that ended a command


def add_verbs(verbs: Any) -> None:
    """Declare the verbs of this module."""
    env = verbs.add_parser("env", help='print the environment for clients: eval "$(xai-emulator env)"')
    env.add_argument("--format", choices=tuple(_FORMATS), default="shell", help="default: shell")
    add_target(env)
    env.set_defaults(run=_env)

    run = verbs.add_parser(
        "exec",
        help="run a command against a new emulator: exec -- pytest",
        usage="xai-emulator exec [SETTING …] -- COMMAND …",
    )
    add_settings(run)
    run.add_argument("command", nargs="+", metavar="COMMAND")
    run.set_defaults(run=_exec)

    wait = verbs.add_parser("wait", help="wait until an emulator answers")
    wait.add_argument("--timeout", type=float, default=10.0, metavar="SECONDS", help="default: 10")
    add_target(wait, of_team=False)
    wait.set_defaults(run=_wait)


def environment(url: str, api_key: str, management_key: str, token: str | None = None) -> dict[str, str]:
    """Return the environment variables with which clients call an emulator, and never the real service."""
    values = {
        "XAI_API_KEY": api_key,
        "XAI_MANAGEMENT_KEY": management_key,  # xai-sdk reads this name
        "XAI_MANAGEMENT_API_KEY": management_key,  # the guides and most other clients this one
        "OPENAI_API_KEY": api_key,
        "OPENAI_BASE_URL": f"{url}/v1",
        "XAI_EMULATOR_URL": url,
        "XAI_EMULATOR_GRPC": url.partition("://")[2],  # api_host and management_api_host of xai-sdk
    }
    return values if token is None else {**values, TOKEN_NAME: token}


def _shell(values: Mapping[str, str]) -> str:
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in values.items())


def _dotenv(values: Mapping[str, str]) -> str:
    return "\n".join(f"{name}={value}" for name, value in values.items())


def _json(values: Mapping[str, str]) -> str:
    return json.dumps(values, indent=2)


_FORMATS = {"shell": _shell, "dotenv": _dotenv, "json": _json}


def _env(options: argparse.Namespace) -> int:
    """Only the assignments go to stdout; stderr says whether an emulator answers there."""
    suffix = "" if options.team == DEFAULT_TEAM else f"@{options.team}"
    values = environment(target_url(options), INFERENCE_KEY + suffix, MANAGEMENT_KEY + suffix, control_token(options))
    say_lines(_FORMATS[options.format](values))
    try:
        call(options, "GET", "/clock")
    except ControlFailed as error:
        say(f"# {error}", error=True)
    return 0


def _exec(options: argparse.Namespace) -> int:
    settings = settings_from(options)
    from emulator.runtime.app import Emulator
    from emulator.runtime.start_errors import START_ERRORS, explain_start_error

    values = msgspec.structs.asdict(settings)
    if options.port is None and environment_name("port") not in os.environ:
        values["port"] = 0
    emulator = Emulator(**values)
    try:
        emulator.start()
    except START_ERRORS as error:
        code, line = explain_start_error(error, settings)
        say(line, error=True)
        return code
    try:
        variables = environment(emulator.url, emulator.api_key, emulator.management_key, emulator.control_token)
        return run_command(options.command, {**os.environ, **variables})
    finally:
        emulator.stop()


def run_command(command: list[str], variables: Mapping[str, str]) -> int:
    """Run a command, and return its code as a shell would. Who asks this process to stop asks the command."""
    import signal
    import subprocess

    started: list[subprocess.Popen[bytes]] = []

    def hand_on(number: int, frame: object) -> None:
        if not started:
            raise SystemExit(SIGNALLED + number)
        if number != signal.SIGINT:  # a terminal sends that to the command as well
            started[0].send_signal(number)

    # Functions, for what is ignored here would be ignored by the command too; and before it starts, so none is missed.
    before = {number: signal.signal(number, hand_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        started.append(subprocess.Popen(command, env=dict(variables)))
        code = started[0].wait()
    except OSError as error:
        say(f"xai-emulator: {command[0]}: {error.strerror}", error=True)
        return 127 if isinstance(error, FileNotFoundError) else 126
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else SIGNALLED - code


def _wait(options: argparse.Namespace) -> int:
    end = time.monotonic() + options.timeout
    while True:
        try:
            call(options, "GET", "/ready")
            return 0
        except ControlFailed as error:
            if time.monotonic() >= end:
                say(f"xai-emulator: {error} (waited {options.timeout:g} s)", error=True)
                return 1
        time.sleep(POLL_SECONDS)
