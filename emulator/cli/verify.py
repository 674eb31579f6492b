"""The verb `verify`: run the contract kit, which is independent of the emulator, as a process."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from emulator.state.settings import BadSetting

NEEDED = ("pytest", "httpx", "jsonschema_rs")
EXIT_CODES = {0: 0, 4: 2}  # of pytest: all passed, usage error; any other code is a failed run


def add_verbs(verbs: Any) -> None:
    """Declare the verb, with the options of the kit."""
    parser = verbs.add_parser("verify", help="run the contract tests against a server")
    for name, option in _options().items():
        if option.get("flag"):
            parser.add_argument(f"--{name}", action="store_true", help=option["help"])
        else:
            parser.add_argument(f"--{name}", metavar=option["metavar"], help=option["help"])
    parser.add_argument("--junit", metavar="FILE", help="write a JUnit report there")
    parser.set_defaults(run=_verify)


def kit() -> Path:
    """Return the folder of the contract kit: inside this package if installed, beside it in the repository."""
    package = Path(__file__).parent.parent
    return next(path for path in (package / "contract_tests", package.parent / "contract_tests") if path.is_dir())


def _options() -> dict[str, dict[str, Any]]:
    return tomllib.loads((kit() / "options.toml").read_text("utf-8"))


def _verify(options: argparse.Namespace) -> int:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise BadSetting(f"verify needs {', '.join(missing)}, of the extra xai-emulator[contract]")
    folder = kit()
    command = [sys.executable, "-m", "pytest", "-c", str(folder / "pytest.ini"), "--rootdir", str(folder)]
    for name, option in _options().items():
        value = getattr(options, name.replace("-", "_"))
        if value and option.get("flag"):
            command.append(f"--{name}")
        elif value is not None and not option.get("flag"):
            command.append(f"--{name}={value}")
    if options.junit is not None:
        command.append(f"--junitxml={Path(options.junit).absolute()}")
    # Installed pytest plugins must not affect the result.
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return EXIT_CODES.get(subprocess.run([*command, str(folder)], env=environment).returncode, 1)
