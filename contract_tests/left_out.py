"""What a run does not ask, and which option asks it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from .case import Case
from .report import Verdict
from .target import Target


class LeftOut:
    """The cases that are left out of a run by its options."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._deselected: dict[str, dict[str, Case]] = defaultdict(dict)  # by option, by id

    def is_chosen(self, case: Case) -> bool:
        """Whether a case is among those that the run is about; one that is not is noted."""
        for option, word, words in (
            ("--features", case.feature, self._target.features),
            ("--evidence", case.evidence, self._target.evidence),
        ):
            if word not in words:
                self._deselected[f"not in {option}: {word}"][case.id] = case
                return False
        if not self._target.is_asked_about(case):
            self._deselected["not in --cases"][case.id] = case
            return False
        return True

    def lines(self, verdicts: Iterable[Verdict], missing: Mapping[str, str]) -> Iterator[str]:
        """One line for each reason: how many cases, of which operations, and what asks them."""
        verdicts = list(verdicts)
        asked = {verdict.case.id for verdict in verdicts if verdict.outcome != "skipped"}
        unasked: dict[str, dict[str, Case]] = defaultdict(dict)
        for option, cases in self._deselected.items():
            unasked[option] |= cases
        for verdict in verdicts:
            if verdict.case.id not in asked:
                unasked[self._remedy(verdict)].setdefault(verdict.case.id, verdict.case)
        for remedy, cases in sorted(unasked.items()):
            yield f"{_number(len(cases), 'case')} {remedy}: {_operations(cases.values())}"
        for name, reason in missing.items():
            yield f"every case with the client {name}: {reason}"
        if not unasked and not missing:
            yield "nothing: every case was asked with some client"

    def _remedy(self, verdict: Verdict) -> str:
        """What asks a case that was skipped: its options, else whatever takes the reason away."""
        case, target = verdict.case, self._target
        if target.refuses(case) is None:
            return f"that none of the clients can ask ({verdict.reason})"
        flags = [
            flag
            for flag, is_needed in (
                ("--slow", case.slow and not target.slow),
                ("--destructive", case.destructive and not target.destructive),
            )
            if is_needed
        ]
        return f"for {' '.join(flags)}" if flags else f"not possible here ({verdict.reason})"


def _number(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _operations(cases: Iterable[Case]) -> str:
    counts = Counter(case.operations[0] for case in cases)
    return ", ".join(f"{operation} {count}" for operation, count in sorted(counts.items()))
