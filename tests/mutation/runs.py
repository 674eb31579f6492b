"""Test runs in forked processes: one that sees which test touches which line, and one for each mutant."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import pickle
import resource
import signal
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

import coverage
import hypothesis
import pytest
import pytest_asyncio.plugin

from tests.mutation.mutators import ROOT, Mutant

EXAMPLES = 30  # of a property that does not say how many it wants
BROKEN = 70  # the exit status of a process that did not come to its tests
TESTS_MAX = 800  # for a mutant that any test may notice
MEMORY_MAX = 6 << 30  # bytes; an endless loop ends by this or by its time
FLAGS = ("-q", "-x", "--assert=plain", "-p", "no:cacheprovider", "-m", "not slow and not measure")
FLAGS += ("--ignore=tests/control/test_openapi.py",)  # which needs a plugin of schemathesis, and minutes


@dataclass(frozen=True)
class Trace:
    """What a run of some tests without a mistake shows."""

    touched: dict[str, dict[int, frozenset[str]]]  # by module and line: the tests that ran it
    seconds: dict[str, float]  # how long each test takes
    imported: tuple[str, ...]

    def chosen(self, mutant: Mutant) -> list[str]:
        """The tests that may notice a mutant, the quickest first: those that run one of its lines.

        What is read when the module is imported may be noticed by any test. Then those come first that run something
        of the module, or bear its name.
        """
        lines = self.touched.get(mutant.file, {})
        tests = set().union(*(lines.get(line, ()) for line in (lines if mutant.at_import else mutant.lines)))
        if not mutant.at_import and "" not in tests:
            return sorted(tests & self.seconds.keys(), key=self.seconds.__getitem__)
        topic = Path(mutant.file).stem.partition("_")[0]
        tests |= {test for test in self.seconds if topic in test.partition("::")[0]}
        return sorted(self.seconds, key=lambda test: (test not in tests, self.seconds[test]))[:TESTS_MAX]


class _Settings:
    """A plugin: examples are the same each time, and a failing one is not made small."""

    @staticmethod
    def pytest_configure() -> None:
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        parent = hypothesis.settings.get_profile("xai-emulator")
        checks = list(hypothesis.HealthCheck)
        hypothesis.settings.register_profile(
            "mutation", parent, phases=phases, suppress_health_check=checks, max_examples=EXAMPLES
        )
        hypothesis.settings.load_profile("mutation")


class _Recorder:
    """A plugin that notes which test is running, and how long it takes."""

    def __init__(self, recording: coverage.Coverage) -> None:
        self.recording = recording
        self.seconds: dict[str, float] = defaultdict(float)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.recording.switch_context(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] += report.duration

    def pytest_runtest_logfinish(self) -> None:
        self.recording.switch_context("")


class _Choice:
    """A plugin that runs the chosen tests only, the quickest first."""

    def __init__(self, chosen: list[str]) -> None:
        self.place = {test: place for place, test in enumerate(chosen)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((i for i in items if i.nodeid in self.place), key=lambda item: self.place[item.nodeid])


class _Mistaken(importlib.machinery.SourceFileLoader):
    """Imports one module with a mistake."""

    def __init__(self, mutant: Mutant) -> None:
        super().__init__(mutant.module, str(ROOT / mutant.file))
        self.code = mutant.code()

    def get_code(self, fullname: str) -> CodeType:
        return self.code

    def find_spec(self, fullname: str, *_: Any) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.name:
            return None
        return importlib.util.spec_from_file_location(fullname, self.path, loader=self)


def _prepare() -> None:
    os.setsid()
    os.chdir(ROOT)
    os.environ |= {"CI": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "OPENBLAS_NUM_THREADS": "1"}


def trace(folder: str, tests: tuple[str, ...]) -> Trace:
    """Run tests as they are. Raises RuntimeError where one of them fails."""
    reading, writing = os.pipe()
    if pid := os.fork():
        os.close(writing)
        with open(reading, "rb") as pipe:
            answer = pipe.read()
        os.waitpid(pid, 0)
        code, *parts = pickle.loads(answer)
        if code:
            raise RuntimeError(f"{' '.join(tests)}: the tests have to pass first")
        return Trace(*parts)
    _prepare()
    recording = coverage.Coverage(data_file=None, config_file=False, include=[f"{ROOT}/{folder}/*"])
    recorder = _Recorder(recording)
    recording.start()
    code = pytest.main([*FLAGS, *tests], [pytest_asyncio.plugin, _Settings(), recorder])
    recording.stop()
    data = recording.get_data()
    touched = {
        os.path.relpath(file, ROOT): {n: frozenset(names) for n, names in data.contexts_by_lineno(file).items()}
        for file in data.measured_files()
    }
    with open(writing, "wb") as pipe:
        pickle.dump((int(code), touched, dict(recorder.seconds), tuple(sys.modules)), pipe)
    os._exit(0)


def run(mutant: Mutant | None, traced: Trace) -> int:
    """Start the process of a mutant, or of none; its exit status is that of pytest, unless it takes too long."""
    if pid := os.fork():
        return pid
    status = BROKEN
    try:
        _prepare()
        chosen = traced.chosen(mutant) if mutant else list(traced.seconds)
        if mutant and mutant.module in sys.modules:
            raise RuntimeError(f"{mutant.module} is imported already")
        if mutant:
            sys.meta_path.insert(0, _Mistaken(mutant))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(30 + 4 * round(sum(traced.seconds[test] for test in chosen)))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        files = sorted({test.partition("::")[0] for test in chosen})
        plugins = [pytest_asyncio.plugin, _Settings(), _Choice(chosen)]
        status = 1  # what pytest itself raises is noticed too
        status = int(pytest.main([*FLAGS, *files], plugins)) if files else 0
    finally:
        os._exit(status)
