"""What is installed is what is in the tree, and what CI installs is what is asked for."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.packages import built_wheel

ROOT = Path(__file__).parent.parent
INSTALLED_AS = {
    "emulator": "emulator",
    "filter_grammar": "filter_grammar",
    "fixtures": "emulator/fixtures",
    "contract_tests": "emulator/contract_tests",
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements-ci.lock").read_text().split()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is built from the sdist."""
    return built_wheel(tmp_path_factory)


def test_wheel_holds_every_file_of_the_packages_under_its_installed_name(wheel: Path) -> None:
    """The wheel holds every file of the four packages, fixtures/ and contract_tests/ inside emulator, and no other."""
    expected = {
        str(PurePosixPath(name, file.relative_to(ROOT / folder).as_posix()))
        for folder, name in INSTALLED_AS.items()
        for file in (ROOT / folder).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == expected


def test_wheel_holds_the_licence_of_everything_in_it(wheel: Path) -> None:
    """The metadata names the licence of the code and that of the fonts, whose text lies beside each font."""
    archive = zipfile.ZipFile(wheel)
    (metadata,) = (archive.read(name).decode() for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    assert "License-Expression: Apache-2.0 AND OFL-1.1\n" in metadata
    fonts = [name for name in archive.namelist() if name.endswith(".woff2")]
    assert len(fonts) == 2
    for font in fonts:
        licence = font.replace(".woff2", "-OFL.txt")
        assert b"SIL OPEN FONT LICENSE Version 1.1" in archive.read(licence), font
        assert f"License-File: {licence}\n" in metadata


def test_wheel_is_importable_without_the_tree(wheel: Path, tmp_path: Path) -> None:
    """From an unpacked wheel the mapped packages import under emulator, and no top-level `fixtures` appears."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        "import importlib.util, emulator.contract_tests, emulator.fixtures, emulator.core.version, filter_grammar\n"
        "assert importlib.util.find_spec('fixtures') is None\n"
        "print(emulator.core.version.VERSION, emulator.fixtures.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    version, file = done.stdout.split()
    assert version in wheel.name
    assert Path(file).is_relative_to(tmp_path)


def test_lock_names_versions_and_nothing_else() -> None:
    """The lock is a list of name==version: no address, no path, no marker."""
    assert [line for line in LOCK if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.+!]*", line)] == []


# What CI does not install is not locked.
EXTRAS = [extra for name, extra in PROJECT["optional-dependencies"].items() if name != "mutation"]


@pytest.mark.parametrize("requirement", [*PROJECT["dependencies"], *(line for extra in EXTRAS for line in extra)])
def test_lock_satisfies(requirement: str) -> None:
    """Every requirement has a lower bound, and a locked version that meets it."""
    asked = Requirement(requirement)
    assert any(specifier.operator == ">=" for specifier in asked.specifier)
    locked = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in LOCK)}
    assert locked[canonicalize_name(asked.name)] in asked.specifier
