"""What a run has shown: a table per operation with the reasons, and a record for the evidence."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from .case import Case

WIDTH = 100


@dataclass
class Verdict:
    """One case with one client."""

    case: Case
    client: str
    outcome: str  # passed, failed, skipped, or known (to fail)
    reason: str = ""


@dataclass
class Report:
    """All verdicts of a run."""

    verdicts: list[Verdict] = field(default_factory=list)
    left_behind: str | None = None  # why not everything that was made could be removed

    def add(self, verdict: Verdict) -> None:
        """Take a verdict down."""
        self.verdicts.append(verdict)

    @property
    def has_passed(self) -> bool:
        """Whether any case passed."""
        return any(verdict.outcome == "passed" for verdict in self.verdicts)

    def table(self) -> list[str]:
        """A line for each operation, its failures and the reasons of what was skipped below it."""
        rows: dict[str, list[Verdict]] = defaultdict(list)
        for verdict in self.verdicts:
            for operation in verdict.case.operations:
                rows[operation].append(verdict)
        lines = [f"{'operation':32} {'passed':>7} {'failed':>7} {'skipped':>8}"]
        for operation in sorted(rows):
            lines += _row(operation, rows[operation])
        return lines

    def record(self, clients: dict[str, str]) -> dict[str, Any]:
        """The run as plain values: the versions of the clients, and what each case was seen to do with which."""
        cases: dict[str, Any] = {}
        for verdict in self.verdicts:
            case = verdict.case
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
            if verdict.outcome != "skipped":
                entry["clients"][verdict.client] = verdict.outcome
        return {"clients": clients, "cases": cases}


def _row(operation: str, verdicts: list[Verdict]) -> list[str]:
    counts = Counter(verdict.outcome for verdict in verdicts)
    failed = counts["failed"] + counts["known"]
    lines = [f"{operation:32} {counts['passed']:>7} {failed:>7} {counts['skipped']:>8}"]
    for verdict in verdicts:
        if verdict.outcome in ("failed", "known"):
            word = "known to fail" if verdict.outcome == "known" else "failed"
            lines.append(f"    {verdict.case.id} [{verdict.client}] {word} ({verdict.case.evidence}): {verdict.reason}")
    for reason, count in Counter(each.reason for each in verdicts if each.outcome == "skipped").items():
        lines.append(f"    {count} skipped: {reason}")
    return [line if len(line) <= WIDTH * 2 else f"{line[: WIDTH * 2]}…" for line in lines]
