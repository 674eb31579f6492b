"""What recordings of the service say of cases: enter what they confirm in contract_tests/confirmed.toml.

`xai-emulator compare --evidence FILE` writes the verdicts, and `python -m tools.evidence --confirm FILE` reads them. A
case that is confirmed counts as recorded from then on. One that is contradicted stays as it is: a defect with proof.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from contract_tests.case import CONFIRMED, Confirmation
from emulator.comparing import evidence as verdicts

SERVICE = frozenset({"https://api.x.ai", "https://management-api.x.ai"})
ASSUMED, RECORDED, EMULATOR = "assumed", "recorded", "emulator"
HEAD = """\
# Cases that were assumed until a recording of the service confirmed them.
# Written by `python -m tools.evidence --confirm FILE`, from what `xai-emulator compare --evidence FILE` wrote.
"""


class BadVerdicts(ValueError):
    """A file of verdicts that proves nothing; the message is one clear line."""


class Row(msgspec.Struct):
    """What one recording says of one case."""

    case: str
    verdict: str
    recorded: str
    file: str
    service: list[str]
    exchanges: list[int]

    @property
    def where(self) -> str:
        """Return where the proof is, as in `live.har #12 and 3 more`."""
        more = f" and {len(self.exchanges) - 1} more" if len(self.exchanges) > 1 else ""
        return f"{self.file} #{self.exchanges[0]}{more}" if self.exchanges else self.file


class Outcome(msgspec.Struct):
    """The result of the verdicts: the new table, and the lines to print."""

    table: dict[str, Confirmation]
    contradicted: list[str] = []
    confirmed: list[str] = []
    unchanged: int = 0


def read_verdicts(path: Path) -> list[Row]:
    """Read a file of verdicts. Raises BadVerdicts where it is none, or none of xAI's service."""
    try:
        rows = msgspec.json.decode(path.read_bytes(), type=list[Row])
    except (OSError, msgspec.DecodeError) as error:
        raise BadVerdicts(f"{path}: {error}") from None
    for row in rows:
        if not row.service or not SERVICE.issuperset(row.service):
            raise BadVerdicts(
                f"{path}: recorded from {', '.join(row.service) or 'an unknown host'}, which is not xAI's service"
            )
        try:
            date.fromisoformat(row.recorded)
        except ValueError:
            raise BadVerdicts(f"{path}: {row.case}: {row.recorded!r} is no date") from None
    return rows


def apply(rows: Sequence[Row], cases: Mapping[str, Mapping[str, Any]], table: Mapping[str, Confirmation]) -> Outcome:
    """Enter what is confirmed, and name what is contradicted. Raises BadVerdicts for a case that does not exist."""
    outcome = Outcome(dict(table))
    for row in rows:
        if row.case not in cases:
            raise BadVerdicts(f"{row.file}: there is no case {row.case}")
        known = cases[row.case]["evidence"]
        if known == EMULATOR:
            outcome.unchanged += 1
        elif row.verdict == verdicts.CONTRADICTED:
            outcome.contradicted.append(f"{row.case} ({known}) is contradicted by {row.where}, recorded {row.recorded}")
        elif row.verdict == verdicts.CONFIRMED and (known == ASSUMED or row.case in table):
            outcome.table[row.case] = Confirmation(date.fromisoformat(row.recorded), row.where)
            outcome.confirmed.append(row.case)
        else:
            outcome.unchanged += 1
    return outcome


def write(table: Mapping[str, Confirmation], path: Path = CONFIRMED) -> None:
    """Write the table of confirmed cases."""
    lines = [HEAD]
    for id, each in sorted(table.items()):
        lines.append(f"\n[{json.dumps(id)}]\nrecorded = {each.recorded}\nwhere = {json.dumps(each.where)}\n")
    path.write_text("".join(lines), "utf-8")


def confirmed_cases(
    cases: Mapping[str, Mapping[str, Any]], table: Mapping[str, Confirmation]
) -> dict[str, dict[str, Any]]:
    """Return the published cases, those of the table as recorded."""
    return {
        id: {**case, "evidence": RECORDED, "source": table[id].source} if id in table else dict(case)
        for id, case in cases.items()
    }


def _named(case: Mapping[str, Any], field: str) -> list[str]:
    value = case.get(field) or []
    return [value] if isinstance(value, str) else value


def settled(cases: Mapping[str, Mapping[str, Any]], confidence: Mapping[str, str], field: str) -> list[str]:
    """Return the operations or limits that are called assumed although no case about them is assumed any more."""
    found = []
    for name, known in confidence.items():
        evidence = {case["evidence"] for case in cases.values() if name in _named(case, field)} - {EMULATOR}
        if known == ASSUMED and evidence and ASSUMED not in evidence:
            found.append(name)
    return found
