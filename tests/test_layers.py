"""Rules that the sources keep: the direction of imports, where libraries, time and randomness may be used."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PRODUCT = ("emulator", "filter_grammar", "fixtures", "contract_tests")
SOURCES = sorted(path for package in PRODUCT for path in (ROOT / package).rglob("*.py"))
EMULATOR = [path for path in SOURCES if path.is_relative_to(ROOT / "emulator")]

# Imports go down only. Packages of one layer do not import each other, except for SIDEWAYS.
LAYERS: list[set[str]] = [
    {"__init__", "__main__", "cli"},
    {"recorder", "comparing"},
    {"runtime"},
    {"recordings"},
    {"rest", "rpc", "control"},
    {"http"},
    {"pipeline"},
    {"jobs"},
    {"operations"},
    {"responders"},
    {"state"},
    {"store", "search", "port"},
    {"domain"},
    {"core"},
]
SIDEWAYS = {("__main__", "cli")}
ONLY_IN = {
    "starlette": ("http", "rest", "control", "runtime/app"),
    "grpc": ("rpc",),
    "google": ("rpc",),
    "sqlite3": ("store",),
    "uvicorn": ("port",),
    "lark": (),
    "xai_sdk": ("runtime/demo",),  # which is a client; the emulator works with any version of it installed
    "filter_grammar": ("operations/filters", "operations/field_filters", "cli"),
}
STATUS_CODES_ALLOWED_IN = ("core/errors", "core/version", "state/settings")
TIME_AND_RANDOMNESS = re.compile(
    r"\b(time\.time|time\.time_ns|time\.sleep|datetime\.now|utcnow|uuid\.uuid|uuid4\(\)|random\.|secrets\.|os\.environ|os\.getenv)\b"
)
TIME_ALLOWED_IN = ("core/clock", "core/ids", "state/", "cli/")


def package_of(path: Path) -> str:
    """Return the first name below `emulator/`."""
    return path.relative_to(ROOT / "emulator").with_suffix("").parts[0]


def module_of(path: Path) -> str:
    """Return the path of a module below `emulator/`, with slashes."""
    return path.relative_to(ROOT / "emulator").with_suffix("").as_posix()


@functools.cache
def tree_of(path: Path) -> ast.Module:
    """Return the syntax tree of a file, which several tests read."""
    return ast.parse(path.read_text())


@functools.cache
def imports(path: Path) -> list[tuple[str, int]]:
    """Return every module that a file imports at run time, anywhere in it, with its line."""
    nodes = list(ast.walk(tree_of(path)))
    typing_only = {
        id(child)
        for node in nodes
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.walk(node)
    }
    found = []
    for node in nodes:
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            if node.module == "emulator":
                found += [(f"emulator.{alias.name}", node.lineno) for alias in node.names]
            else:
                found.append((node.module, node.lineno))
    return found


def layer_of(name: str) -> int:
    """Return the layer of a package, counted from the top. A new package has to be listed."""
    for number, packages in enumerate(LAYERS):
        if name in packages:
            return number
    raise AssertionError(f"emulator/{name} is in no layer of tests/test_layers.py")


# One test looks at all modules and names every line that breaks its rule: a test for each would take a second longer.


def test_imports_go_to_lower_layers_only() -> None:
    """A package imports from the layers below it, and from itself."""
    wrong = []
    for path in EMULATOR:
        here = package_of(path)
        for module, line in imports(path):
            if not module.startswith("emulator."):
                continue
            there = module.split(".")[1]
            if there == here or (here, there) in SIDEWAYS:
                continue
            if layer_of(here) >= layer_of(there):
                wrong.append(f"{path}:{line} imports {module}")
    assert wrong == []


def test_library_is_imported_by_its_packages_only() -> None:
    """A transport's library is imported by its transport only, sqlite3 by the store only."""
    wrong = []
    for path in EMULATOR:
        for module, line in imports(path):
            packages = ONLY_IN.get(module.split(".")[0])
            if packages is None:
                continue
            if not any(module_of(path) == each or module_of(path).startswith(f"{each}/") for each in packages):
                where = packages or "no package of the emulator"
                wrong.append(f"{path}:{line} imports {module}, which belongs in {where}")
    assert wrong == []


def test_time_and_randomness_come_from_core_and_state_only() -> None:
    """The wall clock, sleep, random numbers and the environment are read by clock, ids, state and cli alone."""
    assert [
        f"{path}:{number} {line.strip()}"
        for path in EMULATOR
        if not module_of(path).startswith(TIME_ALLOWED_IN)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if TIME_AND_RANDOMNESS.search(line.partition("#")[0])
    ] == []


def test_core_does_not_depend_on_transport() -> None:
    """Below the pipeline no code asks over which transport a call came, or speaks of a status code."""
    assert [
        f"{path}:{node.lineno}"
        for path in EMULATOR
        if layer_of(package_of(path)) > layer_of("pipeline")
        and package_of(path) != "port"
        and module_of(path) not in STATUS_CODES_ALLOWED_IN
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and node.attr in ("transport", "status_code")
    ] == []


@pytest.mark.parametrize("package", ["filter_grammar", "contract_tests"])
def test_stand_alone_package_does_not_import_emulator(package: str) -> None:
    """The filter language and the kit can be used without the emulator."""
    for path in (ROOT / package).rglob("*.py"):
        for module, line in imports(path):
            assert module.split(".")[0] != "emulator", f"{path}:{line}"


def test_modules_are_short() -> None:
    """A module of much more than 400 lines is to be split."""
    sizes = {path.relative_to(ROOT).as_posix(): path.read_text().count("\n") for path in SOURCES}
    assert {name: lines for name, lines in sizes.items() if lines > 480} == {}


def test_sources_have_no_todo_and_no_stub() -> None:
    """Nothing is merged unfinished."""
    for path in SOURCES:
        text = path.read_text()
        assert not re.search(r"\b(TODO|FIXME|XXX)\b", text), path
        assert "NotImplementedError" not in text, path


def test_modules_have_docstrings() -> None:
    """Its first line says what the module is for."""
    missing = []
    for path in SOURCES:
        if path.read_text().strip() and not ast.get_docstring(tree_of(path)):
            missing.append(str(path))
    assert missing == []
