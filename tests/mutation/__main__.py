"""Whether the tests notice a mistake: `python -m tests.mutation [PATH ...]` tries every mutant of some modules.

A mutant is a process that is forked where all libraries are imported and nothing of ours is, so nothing on disk changes
and most take less than a second. It runs the tests that touch the changed lines, those nearest to the module first. A
mutant that no test notices has to be explained in survivors.toml; one that is explained there has to survive.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import sys
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress

from tests.mutation.mutators import ROOT, Mutant, mutants
from tests.mutation.runs import BROKEN, run, trace
from tests.mutation.survivors import EXPLAINED, UNTRIED

# Which tests are asked about the modules of a folder: the nearest first, and the others about what those let pass.
TESTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "filter_grammar": (("tests/filter_grammar",), ("tests/operations/test_filters.py",)),
    "emulator/domain": (
        ("tests/domain", "tests/operations/test_filters.py"),
        ("tests/operations", "tests/rest", "tests/rpc", "tests/jobs"),
    ),
    "emulator/operations": (
        ("tests/operations", "tests/rest", "tests/test_parity.py"),
        ("tests/rpc", "tests/jobs", "tests/control"),
    ),
}
# Modules that do not import the mutated package: imported once. Every mutant imports the others again.
BELOW = {
    "emulator/domain": ("emulator.core.limits", "filter_grammar.syntax"),
    "emulator/operations": ("emulator.state.services", "emulator.state.teams"),
}
OURS = ("emulator", "filter_grammar", "fixtures", "tests", "contract_tests", "test_", "conftest")


def main() -> int:
    """Run the mutants, print the survivors, and return 0 if all of them are explained."""
    parser = argparse.ArgumentParser(prog="make mutation ARGS=…", description=__doc__)
    parser.add_argument("paths", nargs="*", default=TESTS, help=f"modules, or folders of them ({', '.join(TESTS)})")
    parser.add_argument("--jobs", type=int, default=1, help="how many mutants run at a time (1)")
    parser.add_argument("--grep", default="", help="only the mutants that have this in their name")
    parser.add_argument("--open", action="store_true", help="without the mutants that are explained, for a quick look")
    options = parser.parse_args()
    files = sorted(file for path in options.paths for file in _modules(path))
    survived: list[Mutant] = []
    tried: list[Mutant] = []
    for folder, (near, far) in TESTS.items():
        here = [mutant for file in files if file.startswith(folder + "/") for mutant in mutants(file)]
        here = [m for m in here if (m.file, m.where) not in UNTRIED and options.grep in str(m)]
        here = [m for m in here if not options.open or (m.file, str(m)) not in EXPLAINED]
        tried += here
        for tests in (near, far):
            if here:
                here = _survivors(here, folder, tests, options.jobs)
        survived += here
    return _judge(tried, survived)


def _modules(path: str) -> Iterable[str]:
    place = (ROOT / path).resolve()
    return (str(file.relative_to(ROOT)) for file in ([place] if place.is_file() else place.glob("*.py")))


def _survivors(candidates: list[Mutant], folder: str, tests: tuple[str, ...], jobs: int) -> list[Mutant]:
    """The mutants that none of the tests notices."""
    print(f"{folder}: {len(candidates)} mutants against {' '.join(tests)}", flush=True)
    traced = trace(folder, tests)
    for name in traced.imported:
        if not name.startswith(OURS):
            with suppress(Exception):
                importlib.import_module(name)
    for name in BELOW.get(folder, ()):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # else every fork would copy what is looked at
    gc.disable()
    survived: list[Mutant] = []
    running: dict[int, Mutant | None] = {}
    todo: list[Mutant | None] = [None, *candidates]  # first none at all, to see that what follows is due to the mutants
    while todo or running:
        while todo and len(running) < jobs:
            mutant = todo.pop(0)
            running[run(mutant, traced)] = mutant
        pid, status = os.wait()
        code, mutant = os.waitstatus_to_exitcode(status), running.pop(pid)
        if code == BROKEN or (mutant is None and code != 0):
            raise RuntimeError(f"{mutant or 'no mutant'}: exit status {code}")
        if mutant is not None and code == 0:
            survived.append(mutant)
            print(f"  {mutant.file}:{mutant.lines[0]} {mutant}", flush=True)
    return survived


def _judge(tried: list[Mutant], survived: list[Mutant]) -> int:
    names = {(mutant.file, str(mutant)) for mutant in survived}
    open_ones = sorted(names - EXPLAINED.keys())
    noticed = sorted({(mutant.file, str(mutant)) for mutant in tried} & EXPLAINED.keys() - names)
    counted: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for mutant in tried:
        counted[mutant.file][0] += 1
        counted[mutant.file][1] += (mutant.file, str(mutant)) not in names
    for file, (count, killed) in counted.items():
        print(f"{file:48} {count:5} mutants {killed:5} noticed {count - killed:5} survive")
    for file, name in open_ones:
        print(f"NOT EXPLAINED  {file}  {name}")
    for file, name in noticed:
        print(f"NOTICED, though survivors.toml explains why not  {file}  {name}")
    explained = len(names) - len(open_ones)
    print(f"{len(tried)} mutants, {len(tried) - len(names)} noticed, {explained} explained, {len(open_ones)} open")
    return 1 if open_ones or noticed else 0


if __name__ == "__main__":
    sys.exit(main())
