"""Runs the contract kit against an emulator of some tree, as a process of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulator import Emulator
from emulator.cli.environment import environment as clients_environment
from emulator.domain.keys import INFERENCE_KEY, MANAGEMENT_KEY
from tests.fork_server import KIT, KIT_OPTIONS, ROOT, run
from tests.serving import PATIENCE_SECONDS, Served, environment

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


def run_kit(*options: str, record: Path, tree: Path = ROOT, **variables: str) -> Run:
    """Start the emulator of a tree, judge it, stop it; with `--base-url` judge the one that runs there.

    The working directory has to be that of the repository.
    """
    with ExitStack() as running:
        if not any(option.startswith("--base-url") for option in options):
            variables |= running.enter_context(_start(tree))
        given = (f"--record={record}", f"--case-seconds={PATIENCE_SECONDS}", *options)
        chosen = environment(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", **variables)
        chosen.pop("PYTEST_ADDOPTS", None)
        code, out, err = run([*KIT_OPTIONS, *given, str(KIT)], chosen, "kit")
    found = json.loads(record.read_text("utf-8")) if record.exists() else {"clients": {}, "cases": {}}
    return Run(code, out + err, found)


@contextmanager
def _start(tree: Path) -> Iterator[dict[str, str]]:
    """Run the emulator of a tree, that of this one in this process; the environment for its clients."""
    if tree == ROOT:
        with Emulator() as emulator:
            yield clients_environment(emulator.url, emulator.api_key, emulator.management_key)
    else:
        with Served(python=("-P",), PYTHONPATH=str(tree)) as served:  # -P: not the emulator of the working directory
            yield clients_environment(served.url, INFERENCE_KEY, MANAGEMENT_KEY)
