"""What a run does not ask, and which option asks it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from .case import Case
from .report import CaseResult
from .target import Target


class CaseSelection:
    """The cases that are left out of a run by its options."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._deselected: dict[str, dict[str, Case]] = defaultdict(dict)  # by option, by id

    def select(self, case: Case) -> bool:
        """Whether a case is among those that the run is about; one that is not is noted."""
        for option, word, words in (
            ("--features", case.feature, self._target.features),
            ("--evidence", case.evidence, self._target.evidence),
        ):
            if word not in words:
                self._deselected[f"not in {option}: {word}"][case.id] = case
                return False
        if not self._target.includes(case):
            self._deselected["not in --cases"][case.id] = case
            return False
        return True

    def lines(self, results: Iterable[CaseResult], missing: Mapping[str, str]) -> Iterator[str]:
        """One line for each reason: how many cases, of which operations, and what asks them."""
        results = list(results)
        asked = {result.case.id for result in results if result.outcome != "skipped"}
        unasked: dict[str, dict[str, Case]] = defaultdict(dict)
        for option, cases in self._deselected.items():
            unasked[option] |= cases
        for result in results:
            if result.case.id not in asked:
                unasked[self._how_to_run(result)].setdefault(result.case.id, result.case)
        for how, cases in sorted(unasked.items()):
            yield f"{_number(len(cases), 'case')} {how}: {_operations(cases.values())}"
        for name, reason in missing.items():
            yield f"every case with the client {name}: {reason}"
        if not unasked and not missing:
            yield "nothing: every case ran with some client"

    def _how_to_run(self, result: CaseResult) -> str:
        """What asks a case that was skipped: its options, else whatever takes the reason away."""
        case, target = result.case, self._target
        if target.skip_reason(case) is None:
            return f"that no client can run ({result.reason})"
        flags = [
            flag
            for flag, is_needed in (
                ("--slow", case.slow and not target.slow),
                ("--destructive", case.destructive and not target.destructive),
                ("--paid", case.paid and not target.paid),
            )
            if is_needed
        ]
        return f"for {' '.join(flags)}" if flags else f"not possible here ({result.reason})"


def _number(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _operations(cases: Iterable[Case]) -> str:
    counts = Counter(case.operations[0] for case in cases)
    return ", ".join(f"{operation} {count}" for operation, count in sorted(counts.items()))
