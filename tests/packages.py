"""The package built and installed, once in a run of the tests: several workers of pytest-xdist share it."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# What the Dockerfile copies, so that the wheel is built from no more than that.
SOURCES = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
# The wheel is built from the unpacked sdist, as `python -m build` does, which starts an interpreter for each step.
BUILD = """
import os, shutil, sys
from setuptools import build_meta
dist, unpacked = sys.argv[1:]
sdist = build_meta.build_sdist(dist)
shutil.unpack_archive(os.path.join(dist, sdist), unpacked, filter="data")
os.chdir(os.path.join(unpacked, sdist.removesuffix(".tar.gz")))
build_meta.build_wheel(dist)
"""


def built_wheel(factory: pytest.TempPathFactory) -> Path:
    """Return the wheel, which was built from the sdist beside it."""
    (wheel,) = (_shared(factory, "built", _build) / "dist").glob("*.whl")
    return wheel


def installed_programs(factory: pytest.TempPathFactory) -> Path:
    """Return the directory of programs of a new environment that has the wheel."""
    wheel = built_wheel(factory)
    return _shared(factory, "installed", lambda place: _install(wheel, place)) / "venv" / "bin"


def outside(**variables: str) -> dict[str, str]:
    """Return an environment without anything of the tree, and these variables."""
    dropped = ("PYTHON", "PYTEST", "COV", "XAI_EMULATOR_")
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)} | variables


def run(command: list[str | Path], place: Path, **variables: str) -> str:
    """Run a program far from the tree; what it prints."""
    done = subprocess.run(command, cwd=place, env=outside(**variables), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _shared(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Return a directory that the first worker to ask for it fills; the others wait."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    place, complete = base / name, base / f"{name}.complete"
    with open(base / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until it is closed, or its process ends
        if not complete.exists():
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            make(place)
            complete.touch()
    return place


def _build(place: Path) -> None:
    for name in SOURCES:
        source, target = ROOT / name, place / "source" / name
        target.parent.mkdir(exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        else:
            shutil.copy(source, target)
    (place / "dist").mkdir()
    run([sys.executable, "-c", BUILD, place / "dist", place / "unpacked"], place / "source")


def _install(wheel: Path, place: Path) -> None:
    venv.create(place / "venv", symlinks=True)
    programs = place / "venv" / "bin"
    # What it depends on is taken from here, where it is installed already: one line more in the path of the new one.
    libraries = Path(sysconfig.get_path("purelib", vars={"base": str(place / "venv")}))
    (libraries / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    pip = [sys.executable, "-m", "pip", "--python", programs / "python", "install", "--quiet"]
    # Modules are compiled when a test imports them, which is a part of all.
    run([*pip, "--no-compile", "--no-deps", "--no-index", "--no-warn-script-location", wheel], place)
