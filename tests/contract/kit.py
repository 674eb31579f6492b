"""Runs the contract kit against an emulator of some tree, as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.serving import PATIENCE_SECONDS

ROOT = Path(__file__).parent.parent.parent
KIT = ROOT / "contract_tests"
NODE_PACKAGES = ROOT / "tests" / "node"


@dataclass(frozen=True)
class Run:
    """What a run of the kit has shown."""

    code: int
    output: str
    record: dict[str, Any]

    @property
    def failed(self) -> set[str]:
        """The ids of the cases that failed with some client."""
        return {id for id, case in self.record["cases"].items() if "failed" in case["clients"].values()}


def run_kit(*options: str, record: Path, tree: Path = ROOT, python: str = sys.executable) -> Run:
    """Start the emulator of a tree, judge it, stop it; with `--base-url` judge the one that runs there."""
    is_running = any(option.startswith("--base-url") for option in options)
    emulator = [] if is_running else [sys.executable, "-m", "emulator", "exec", "--"]
    pytest = [python, "-m", "pytest", "-c", KIT / "pytest.ini", "--rootdir", KIT]
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment.pop("PYTEST_ADDOPTS", None)
    done = subprocess.run(
        [*emulator, *pytest, f"--record={record}", f"--case-seconds={PATIENCE_SECONDS}", *options, KIT],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_SECONDS,
    )
    found = json.loads(record.read_text("utf-8")) if record.exists() else {"clients": {}, "cases": {}}
    return Run(done.returncode, done.stdout + done.stderr, found)
