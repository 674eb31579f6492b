"""Results of the contract kit with this emulator (contract_tests/evidence.json), by operation and limit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from emulator.cli.verify import kit


class Shown(msgspec.Struct, frozen=True):
    """The results for an operation or a limit: clients, number of cases, tested refusals, and failures."""

    clients: dict[str, list[str]]  # versions, oldest first
    cases: int
    refusals: list[str]
    faults: list[str]

    def __str__(self) -> str:
        drivers = ", ".join(f"{name} {span(versions)}" for name, versions in self.clients.items())
        parts = [f"driven by {drivers}" if drivers else "driven by no client"]
        parts += [f"refused: {', '.join(self.refusals)}"] if self.refusals else []
        parts += [f"faults: {', '.join(self.faults)}"] if self.faults else []
        return "; ".join(parts)


def record() -> dict[str, Any]:
    """The record that is published with the kit."""
    found: dict[str, Any] = json.loads((kit() / "evidence.json").read_text("utf-8"))
    return found


def shown_of(operation: str, cases: Mapping[str, Mapping[str, Any]]) -> Shown:
    """Return the results of the cases of an operation."""
    about = [case for case in cases.values() if operation in case["operations"] and case["passed_with"]]
    return _shown(about, operation)


def shown_of_limit(limit: str, cases: Mapping[str, Mapping[str, Any]]) -> Shown:
    """Return the results of the cases of a limit, at its real value."""
    return _shown([case for case in cases.values() if case.get("limit") == limit and case["passed_with"]])


def _shown(about: list[Mapping[str, Any]], operation: str | None = None) -> Shown:
    """Return the results of cases, with the refusals of one operation, if `about` is one."""
    refusing = [case for case in about if "refusal" in case and operation in (None, *case["refusing"])]
    return Shown(
        clients=clients_of(about),
        cases=len(about),
        refusals=sorted({case["refusal"] for case in refusing}),
        faults=sorted({case["fault"] for case in about if "fault" in case}),
    )


def clients_of(cases: list[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The clients that cases have passed with, and their versions."""
    found: dict[str, set[str]] = {}
    for case in cases:
        for name, versions in case["passed_with"].items():
            found.setdefault(name, set()).update(versions)
    return {name: sorted(versions, key=in_order) for name, versions in sorted(found.items())}


def in_order(version: str) -> list[int]:
    """The key that sorts versions by their numbers."""
    return [int(part) for part in version.split(".") if part.isdigit()]


def span(versions: list[str]) -> str:
    """Versions in short: the only one, or the first and the last."""
    return versions[0] if len(versions) == 1 else f"{versions[0]}-{versions[-1]}"
