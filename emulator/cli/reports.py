"""The verbs that print what the emulator knows."""

from __future__ import annotations

import argparse
import json
from typing import Any

import msgspec

from emulator.version import VERSION


def add_verbs(verbs: Any) -> None:
    """Declare the verbs of this room."""
    for name, run, help in (
        ("limits", _limits, "print every limit, its value and where it is from"),
        ("evidence", _evidence, "print of every operation how its contract is known"),
    ):
        parser = verbs.add_parser(name, help=help)
        parser.add_argument("--json", action="store_true", help="for programs")
        parser.set_defaults(run=run)
    verbs.add_parser("version", help="print the version").set_defaults(run=_version)


def _limits(options: argparse.Namespace) -> int:
    from emulator.limits import DEFAULTS, ROWS

    if options.json:
        rows = {
            name: {"value": DEFAULTS[name], "source": row.source, "confidence": row.confidence.value}
            for name, row in ROWS.items()
        }
        print(json.dumps(rows, indent=2))
        return 0
    for name, row in ROWS.items():
        print(f"{name:32} {DEFAULTS[name]:>14}  {row.confidence.value:10}  {row.source}")
    return 0


def _evidence(options: argparse.Namespace) -> int:
    operations = _operations()
    if options.json:
        print(json.dumps(operations, indent=2, default=msgspec.structs.asdict))
        return 0
    for name, row in operations.items():
        print(f"{name:32} {row['confidence']:10}  {row['source']}")
        for line in (*row["rest"], *row["grpc"], row["shown"]):
            print(f"{'':32} {'':10}  {line}")
    counts = [f"{count} {word}" for word, count in _counts(operations).items()]
    print(f"{len(operations)} operations: {', '.join(counts)}")
    return 0


def _operations() -> dict[str, dict[str, Any]]:
    """Every operation: how its contract is known, the ways that lead to it, and what clients have shown of it."""
    from emulator.cli.shown import record, shown_of
    from emulator.operations import OPERATIONS
    from emulator.rest.routes import ROUTES
    from emulator.rpc.methods import METHODS

    cases = record()["cases"]
    rows: dict[str, dict[str, Any]] = {
        name: {
            "plane": operation.plane.value,
            "confidence": operation.confidence.value,
            "source": operation.source,
            "rest": [],
            "grpc": [],
            "shown": shown_of(name, cases),
        }
        for name, operation in OPERATIONS.items()
    }
    for route in ROUTES:
        rows[route.operation]["rest"].append(f"{route.method} {route.path}")
    for method in METHODS:
        rows[method.operation]["grpc"].append(f"{method.service}/{method.name}")
    return rows


def _counts(operations: dict[str, dict[str, Any]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in operations.values():
        counts[row["confidence"]] = counts.get(row["confidence"], 0) + 1
    return counts


def _version(options: argparse.Namespace) -> int:
    print(VERSION)
    return 0
