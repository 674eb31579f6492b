"""Measure: record a run of the kit, draw mutants, and print which of them the kit does not notice."""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol

from contract_tests.conftest import TARGET
from emulator import Emulator

from .server import Mutant, Wire, install

KIT = Path(__file__).parents[3] / "contract_tests"
SECONDS_MAX = 60  # of cases that are asked about one mutant; then it is not counted
CASE_SECONDS = 30  # a sixth of it is how long a case waits for what a mutant never lets happen
Ask = Callable[[str], str | None]  # runs a case, and returns why it failed


class Measurement:
    """Runs the cases of the kit again and again, in place of the one time for which they were collected."""

    def __init__(self, wire: Wire, sample: int, seed: int, only: str) -> None:
        self._wire, self._sample, self._seed, self._only = wire, sample, seed, only
        self._seconds: dict[str, float] = {}
        self._kills: Counter[str] = Counter()
        self._broken: set[str] = set()
        self.verdicts: dict[Mutant, str] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Record one run, then ask the cases about each mutant."""
        target = session.config.stash[TARGET]
        target.budget.calls_max = sys.maxsize
        items = {item.nodeid: item for item in session.items}

        def ask(id: str) -> str | None:
            reports = runtestprotocol(items[id], log=False, nextitem=None)
            failed = next((report for report in reports if report.failed), None)
            return None if failed is None else f"{id}: {str(failed.longrepr).splitlines()[-1][:160]}"

        for id in items:
            self._wire.case, begin = id, time.perf_counter()
            if (reason := ask(id)) is not None:
                print("fails without a mutant:", reason)
                self._broken.add(id)
            self._seconds[id] = time.perf_counter() - begin
        self._wire.case = None
        mutants = sorted(each for each in self._wire.mutants() if self._only in str(each))
        chosen = random.Random(self._seed).sample(mutants, min(self._sample, len(mutants)))
        print(f"{len(items)} cases, {len(mutants)} mutants, {len(chosen)} chosen with seed {self._seed}", flush=True)
        for number, mutant in enumerate(chosen):
            self.verdicts[mutant] = verdict = self._judge(mutant, ask)
            if not verdict.startswith("noticed"):
                print(f"{number} {mutant}: {verdict}", flush=True)
            if number % 50 == 0:
                target.control("POST", "/reset")
        return True

    def _judge(self, mutant: Mutant, ask: Ask) -> str:
        wire = self._wire
        cases = sorted(wire.seen[mutant.place].cases - self._broken, key=self._cost)
        wire.begin(mutant)
        end, effects = time.perf_counter() + SECONDS_MAX, 0
        try:
            for id in cases:
                if time.perf_counter() > end:
                    return "not decided in time" if wire.changer.count else "without effect"
                wire.changer.forget()
                if (reason := ask(id)) is not None:
                    self._kills[id] += 1
                    return f"noticed by {reason}"
                effects += wire.has_other_answers(id) or mutant.place.part != "request"
        finally:
            wire.mutant = None
        return "survives" if wire.changer.count > 0 and effects else "without effect"

    def _cost(self, id: str) -> float:
        """Quick cases first, and those that have noticed many."""
        return self._seconds[id] / (1 + self._kills[id])


def report(verdicts: dict[Mutant, str]) -> float:
    """Print the share that was noticed, by part; return that of all."""
    groups: dict[str, Counter[str]] = defaultdict(Counter)
    for mutant, verdict in verdicts.items():
        for group in (f"{mutant.place.transport} {mutant.place.part}", "all"):
            groups[group][verdict.partition(" by ")[0]] += 1
    print(f"{'':16} {'noticed':>8} {'survive':>8} {'undecided':>9} {'no effect':>9} {'share':>7}")
    share = 1.0
    for group in sorted(groups, key=lambda name: (name == "all", name)):
        counts = groups[group]
        counted = counts["noticed"] + counts["survives"]
        share = counts["noticed"] / counted if counted else 1.0
        columns = (counts["noticed"], counts["survives"], counts["not decided in time"], counts["without effect"])
        print(f"{group:16} {columns[0]:8} {columns[1]:8} {columns[2]:9} {columns[3]:9} {share:7.1%}")
    return share


def measure(sample: int, seed: int, only: str = "", cases: str = "") -> dict[Mutant, str]:
    """Return what became of each mutant of a sample."""
    wire = Wire()
    install(wire)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    found = Measurement(wire, sample, seed, only)
    with Emulator(port=0) as emulator:
        pytest.main(
            [
                *("-c", str(KIT / "pytest.ini"), "--rootdir", str(KIT), "-qs", "--no-header", "--tb=line"),
                *("-p", "no:cacheprovider", "-p", "no:terminalreporter"),
                *(f"--base-url={emulator.url}", f"--grpc={emulator.grpc_target}", "--clients=httpx,xai-sdk"),
                *("--destructive", "--slow", "--paid", f"--case-seconds={CASE_SECONDS}", "--run-seconds=1000000"),
                *([f"--cases={cases}"] if cases else []),
                str(KIT),
            ],
            plugins=[found],
        )
    return found.verdicts


def main() -> int:
    """Measure a sample."""
    parser = argparse.ArgumentParser(prog="make mutation-kit", description=__doc__)
    parser.add_argument("--sample", type=int, default=300, help="how many mutants (300)")
    parser.add_argument("--seed", type=int, default=1, help="which (1)")
    parser.add_argument("--grep", default="", help="only the mutants that have this in their name")
    parser.add_argument("--cases", default="", help="only the cases whose ids begin so")
    options = parser.parse_args()
    verdicts = measure(options.sample, options.seed, options.grep, options.cases)
    if not verdicts:
        print("no mutant was tried", file=sys.stderr)
        return 2
    report(verdicts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
