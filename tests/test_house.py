"""The rules of the house, read off the sources: who may import whom, and where time and chance come in."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PRODUCT = ("emulator", "filter_grammar", "fixtures", "contract_tests")
SOURCES = sorted(path for package in PRODUCT for path in (ROOT / package).rglob("*.py"))
EMULATOR = [path for path in SOURCES if path.is_relative_to(ROOT / "emulator")]

# Imports go down only; rooms of one floor do not import each other, but for what is listed beside them.
FLOORS: list[set[str]] = [
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
    "xai_sdk": ("runtime/demo",),  # which is a client; the emulator itself lives beside any version of it
    "filter_grammar": ("operations/filters", "cli"),
}
KNOWS_STATUS = ("core/errors", "core/version", "state/settings")
CLOCK_AND_CHANCE = re.compile(
    r"\b(time\.time|time\.time_ns|time\.sleep|datetime\.now|utcnow|uuid\.uuid|uuid4\(\)|random\.|secrets\.|os\.environ|os\.getenv)\b"
)
MAY_KNOW_TIME = ("core/clock", "core/ids", "state/", "cli/")


def room(path: Path) -> str:
    """The first name below `emulator/`."""
    return path.relative_to(ROOT / "emulator").with_suffix("").parts[0]


def place(path: Path) -> str:
    """The module's path below `emulator/`, with slashes."""
    return path.relative_to(ROOT / "emulator").with_suffix("").as_posix()


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module a file imports at run time, wherever in the file, with its line."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            if node.module == "emulator":
                yield from ((f"emulator.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield node.module, node.lineno


def floor(name: str) -> int:
    """The floor a room is on; a room that is on none has to be put on one."""
    for number, rooms in enumerate(FLOORS):
        if name in rooms:
            return number
    raise AssertionError(f"emulator/{name} stands on no floor of tests/test_house.py")


@pytest.mark.parametrize("path", EMULATOR, ids=place)
def test_imports_go_down(path: Path) -> None:
    """A room imports from the floors below it, and from itself."""
    here = room(path)
    for module, line in imports(path):
        if not module.startswith("emulator."):
            continue
        there = module.split(".")[1]
        if there == here or (here, there) in SIDEWAYS:
            continue
        assert floor(here) < floor(there), f"{path}:{line} imports {module}"


@pytest.mark.parametrize("path", EMULATOR, ids=place)
def test_libraries_stay_in_their_rooms(path: Path) -> None:
    """A transport's library is known to its transport only, SQL to the store only."""
    for module, line in imports(path):
        rooms = ONLY_IN.get(module.split(".")[0])
        if rooms is None:
            continue
        allowed = any(place(path) == each or place(path).startswith(f"{each}/") for each in rooms)
        assert allowed, f"{path}:{line} imports {module}, which belongs in {rooms or 'no room of the emulator'}"


@pytest.mark.parametrize("path", EMULATOR, ids=place)
def test_nothing_happens_by_itself(path: Path) -> None:
    """Wall clock, sleep, chance and environment come in through clock, ids, world and cli alone."""
    if place(path).startswith(MAY_KNOW_TIME):
        return
    for number, line in enumerate(path.read_text().splitlines(), 1):
        code = line.partition("#")[0]
        assert not CLOCK_AND_CHANCE.search(code), f"{path}:{number} {line.strip()}"


@pytest.mark.parametrize("path", EMULATOR, ids=place)
def test_core_does_not_depend_on_transport(path: Path) -> None:
    """Below the pipeline no code asks over which transport a call came, or speaks of a status code."""
    if floor(room(path)) <= floor("pipeline") or room(path) == "port" or place(path) in KNOWS_STATUS:
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            assert node.attr not in ("transport", "status_code"), f"{path}:{node.lineno}"


@pytest.mark.parametrize("package", ["filter_grammar", "contract_tests"])
def test_some_packages_stand_alone(package: str) -> None:
    """The filter language and the kit know nothing of the emulator."""
    for path in (ROOT / package).rglob("*.py"):
        for module, line in imports(path):
            assert module.split(".")[0] != "emulator", f"{path}:{line}"


def test_no_room_is_too_large() -> None:
    """A module of much more than 400 lines is two rooms."""
    sizes = {path.relative_to(ROOT).as_posix(): path.read_text().count("\n") for path in SOURCES}
    assert {name: lines for name, lines in sizes.items() if lines > 480} == {}


def test_nothing_is_left_for_later() -> None:
    """No note to self, and no function that only says that it is missing."""
    for path in SOURCES:
        text = path.read_text()
        assert not re.search(r"\b(TODO|FIXME|XXX)\b", text), path
        assert "NotImplementedError" not in text, path


def test_every_module_says_what_it_is_for() -> None:
    """Every module, class and public function starts with a docstring."""
    missing = []
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        if path.read_text().strip() and not ast.get_docstring(tree):
            missing.append(str(path))
    assert missing == []
