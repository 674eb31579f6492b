"""The npm package of clients/js, under node:test and under Vitest."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import PATIENCE_SECONDS, environment

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "clients" / "js"
NODE_PACKAGES = ROOT / "tests" / "node" / "node_modules"

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="there is no node here")


def run(command: list[str], place: Path) -> str:
    """Run a test runner of JavaScript, whose tests start `python -m emulator`; what it prints."""
    variables = environment(
        EMULATOR_COMMAND=json.dumps([sys.executable, "-m", "emulator"]), PYTHONPATH=str(ROOT), NO_COLOR="1"
    )
    done = subprocess.run(command, cwd=place, env=variables, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_node_test_starts_an_emulator_with_a_team_for_each_test() -> None:
    assert "# pass 8" in run(["node", "--test", "--test-reporter=tap", "test/node.test.mjs"], PACKAGE)


@pytest.mark.skipif(
    not (NODE_PACKAGES / "vitest").is_dir(), reason="the packages that `make test` installs for Node are missing"
)
def test_vitest_has_fixtures_for_the_emulator_and_a_team(tmp_path: Path) -> None:
    package = tmp_path / "package"
    shutil.copytree(PACKAGE, package)
    (package / "node_modules").symlink_to(NODE_PACKAGES)
    vitest = os.path.realpath(NODE_PACKAGES / "vitest" / "vitest.mjs")
    # By default a test has 5 s, in which a busy machine may not start an emulator.
    patience = [f"--{of}-timeout={PATIENCE_SECONDS * 1000}" for of in ("test", "hook")]
    output = run(["node", vitest, "run", *patience, "--root", str(package), "test/vitest.test.mjs"], package)
    assert "3 passed" in output


def test_package_has_types_for_each_of_its_modules() -> None:
    """The declarations name what the modules export, and each entry of package.json is there."""
    exports = json.loads((PACKAGE / "package.json").read_text())["exports"]
    for entry in exports.values():
        assert all((PACKAGE / path).is_file() for path in entry.values())
        code = f"console.log(JSON.stringify(Object.keys(await import('{PACKAGE / entry['default']}'))))"
        if "vitest" in entry["default"]:
            continue  # its only import is a package that may be missing
        names = json.loads(run(["node", "--input-type=module", "-e", code], PACKAGE))
        types = (PACKAGE / entry["types"]).read_text()
        assert all(f"export class {name} " in types or f"export function {name}(" in types for name in names)
