"""The package as users get it: built, installed in an environment of its own far from the tree, and used."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = (
    "pyproject.toml",
    "setup.py",
    "LICENSE",
    "README.md",
    "emulator",
    "filter_grammar",
    "fixtures",
    "contract_tests",
)
# A first program by someone who has read three lines of the documentation.
FIRST_TEST = """
def test_both_clients_see_one_team(xai_emulator, xai_client, openai_client):
    file = openai_client.files.create(file=("a.txt", b"Hello"), purpose="assistants", expires_after={
        "anchor": "created_at", "seconds": 3600})
    assert xai_client.files.content(file.id) == b"Hello"
    xai_emulator.advance(3600)
    assert list(openai_client.files.list()) == []


def test_nothing_is_left_of_another_test(openai_client):
    assert list(openai_client.files.list()) == []
"""
# The page and the gRPC contract are files beside the code: both have to be there.
LOOK = """
import sys, urllib.request
import emulator
from emulator import Emulator
assert "site-packages" in emulator.__file__, emulator.__file__
with Emulator() as running:
    for path in ("", "console/main.js", "console/panels/search.js", "console/console.css"):
        with urllib.request.urlopen(f"{running.url}/_emulator/{path}") as reply:
            assert reply.status == 200, path
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new environment that has the wheel, which was built from the sdist."""
    pytest.importorskip("build", reason="the package `build` is not installed")
    place = tmp_path_factory.mktemp("installed")
    for name in SOURCES:
        _copy(ROOT / name, place / "source" / name)
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", place / "dist", place / "source"], place)
    (wheel,), (sdist,) = (place / "dist").glob("*.whl"), (place / "dist").glob("*.tar.gz")
    assert sdist.name.removesuffix(".tar.gz") == wheel.name.partition("-py3")[0]
    venv.create(place / "venv", symlinks=True)
    programs = place / "venv" / "bin"
    # What it depends on is taken from here, where it is installed already: one line more in the path of the new one.
    libraries = Path(sysconfig.get_path("purelib", vars={"base": str(place / "venv")}))
    (libraries / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    pip = [sys.executable, "-m", "pip", "--python", programs / "python", "install", "--quiet"]
    run([*pip, "--no-deps", "--no-index", "--no-warn-script-location", "--force-reinstall", wheel], place)
    return programs


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    else:
        shutil.copy(source, target)


def run(command: list[str | Path], place: Path) -> str:
    """Run a program far from the tree; what it prints."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST", "COV"))
    }
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_installed_demo_runs(installed: Path, tmp_path: Path) -> None:
    """The first hour works from the wheel alone: the documents it shows are in it."""
    said = run([installed / "xai-emulator", "demo", "--once"], tmp_path)
    assert "12 documents, 12 chunks" in said
    assert "3 of 3 requests are done" in said


def test_installed_plugin_is_found(installed: Path, tmp_path: Path) -> None:
    """pytest finds the plugin by itself, and each test has a team of its own."""
    (tmp_path / "test_first.py").write_text(FIRST_TEST)
    assert "2 passed" in run([installed / "python", "-m", "pytest", "-q", tmp_path], tmp_path)


def test_installed_console_is_served(installed: Path, tmp_path: Path) -> None:
    """The console is served out of the installed package."""
    run([installed / "python", "-I", "-c", LOOK], tmp_path)


def test_installed_command_prints_version(installed: Path, tmp_path: Path) -> None:
    """The command and `python -m emulator` are the same program."""
    from emulator.core.version import VERSION

    assert run([installed / "xai-emulator", "version"], tmp_path).strip() == VERSION
    assert VERSION in run([installed / "python", "-m", "emulator", "--version"], tmp_path)
