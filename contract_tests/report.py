"""What a run has shown: a table per operation, the failures in groups, and a record for the evidence."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .case import EVIDENCE, Case
from .matchers import UUID

WIDTH = 200
GROUPS_MAX = 40
NAMES_MAX = 5
DETAIL_LINES_MAX = 6
# What is different every time and means nothing: ids, and the beginnings of the names of a run.
_VARYING = re.compile(rf"(\w+_)?{UUID}|contract-[0-9a-f]{{8}}-(\d+-)?")


@dataclass
class CaseResult:
    """One case with one client."""

    case: Case
    client: str
    outcome: str  # passed, failed, skipped, or known (to fail)
    reason: str = ""
    where: str = ""  # the step that failed
    detail: str = ""  # what that step was answered


@dataclass
class Report:
    """All results of a run."""

    results: list[CaseResult] = field(default_factory=list)
    left_behind: list[str] = field(default_factory=list)  # why not everything that was made could be removed

    def add(self, result: CaseResult) -> None:
        """Take a result down."""
        self.results.append(result)

    @property
    def has_passed(self) -> bool:
        """Whether any case passed."""
        return any(result.outcome == "passed" for result in self.results)

    def table(self) -> list[str]:
        """A line for each operation, the reasons of what was skipped below it."""
        rows: dict[str, list[CaseResult]] = defaultdict(list)
        for result in self.results:
            for operation in result.case.operations:
                rows[operation].append(result)
        lines = [f"{'operation':32} {'passed':>7} {'failed':>7} {'skipped':>8}"]
        for operation in sorted(rows):
            lines += _row(operation, rows[operation])
        return lines

    def evidence(self) -> list[str]:
        """Return a line for each kind of evidence: how many cases passed with some client, failed, and were skipped."""
        outcomes: dict[str, dict[str, set[str]]] = {kind: defaultdict(set) for kind in EVIDENCE}
        for result in self.results:
            outcomes[result.case.evidence][result.case.id].add(result.outcome)
        lines = [f"{'evidence':32} {'passed':>7} {'failed':>7} {'skipped':>8}"]
        for kind, cases in outcomes.items():
            failed = sum(bool(found & {"failed", "known"}) for found in cases.values())
            skipped = sum(found == {"skipped"} for found in cases.values())
            lines.append(f"{kind:32} {len(cases) - failed - skipped:>7} {failed:>7} {skipped:>8}")
        return lines

    def failures(self) -> list[str]:
        """Equal failures as one group, the largest first: the message, the cases, and one of them in full."""
        groups: dict[tuple[str, str], list[CaseResult]] = defaultdict(list)
        for result in self.results:
            if result.outcome in ("failed", "known"):
                groups[result.outcome, _VARYING.sub("…", result.reason)].append(result)
        ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
        lines = [line for (_, message), group in ordered[:GROUPS_MAX] for line in _group(message, group)]
        if rest := ordered[GROUPS_MAX:]:
            lines.append(f"and {len(rest)} further messages of {sum(len(group) for _, group in rest)} failures")
        return [_cut(line) for line in lines]

    def record(self, clients: dict[str, str]) -> dict[str, Any]:
        """The run as plain values: the versions of the clients, and what each case was seen to do with which."""
        cases: dict[str, Any] = {}
        for result in self.results:
            case = result.case
            entry = cases.setdefault(
                case.id,
                {
                    "sentence": case.sentence,
                    "operations": list(case.operations),
                    "evidence": case.evidence,
                    "source": case.source,
                    "refusal": case.refusal,
                    "refusing": list(case.refusing or case.operations[:1]) if case.refusal else None,
                    "limit": case.limit,
                    "fault": case.fault,
                    "clients": {},
                },
            )
            if result.outcome != "skipped":
                entry["clients"][result.client] = result.outcome
        return {"clients": clients, "cases": cases}


def _group(message: str, group: list[CaseResult]) -> Iterator[str]:
    """The lines of one group. The case that is shown in full is the first one."""
    first = group[0]
    cases = {result.case.id: result.case for result in group}
    known = " (known to fail)" if first.outcome == "known" else ""
    yield f"{message}{known}"
    yield f"    {len(cases)} {'case' if len(cases) == 1 else 'cases'}: {_names(group, list(cases))}"
    yield f"    {first.case.id} [{first.client}], {first.where or 'outside of its steps'}"
    yield f"    expected: {first.case.sentence} ({first.case.evidence}: {first.case.source})"
    detail = [line for line in first.detail.splitlines() if line.strip()][:DETAIL_LINES_MAX]
    yield from (f"    {'got: ' if number == 0 else '     '}{line}" for number, line in enumerate(detail))


def _names(group: Iterable[CaseResult], ids: list[str]) -> str:
    clients: dict[str, list[str]] = defaultdict(list)
    for result in group:
        clients[result.case.id].append(result.client)
    shown = ", ".join(f"{id} [{', '.join(clients[id])}]" for id in ids[:NAMES_MAX])
    return shown if len(ids) <= NAMES_MAX else f"{shown} and {len(ids) - NAMES_MAX} more"


def _row(operation: str, results: list[CaseResult]) -> list[str]:
    counts = Counter(result.outcome for result in results)
    failed = counts["failed"] + counts["known"]
    lines = [f"{operation:32} {counts['passed']:>7} {failed:>7} {counts['skipped']:>8}"]
    for reason, count in Counter(each.reason for each in results if each.outcome == "skipped").items():
        lines.append(f"    {count} skipped: {reason}")
    return [_cut(line) for line in lines]


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[:WIDTH]}…"
