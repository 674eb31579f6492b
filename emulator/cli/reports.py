"""The verbs that print what the emulator knows."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import Any

import msgspec

from emulator.cli.output import say, say_json
from emulator.core.version import VERSION


def add_verbs(verbs: Any) -> None:
    """Declare the verbs of this module."""
    for name, run, help in (
        ("limits", _limits, "print every limit with its value and source"),
        (
            "evidence",
            _evidence,
            "print the source, the confidence and the tested clients of every operation and limit",
        ),
    ):
        parser = verbs.add_parser(name, help=help)
        parser.add_argument("--json", action="store_true", help="for programs")
        parser.set_defaults(run=run)
    verbs.add_parser("version", help="print the version").set_defaults(run=_version)


def _limits(options: argparse.Namespace) -> int:
    from emulator.core.limits import DEFAULTS, ROWS

    if options.json:
        rows = {
            name: {"value": DEFAULTS[name], "source": row.source, "confidence": row.confidence.value}
            for name, row in ROWS.items()
        }
        say_json(rows)
        return 0
    for name, row in ROWS.items():
        say(f"{name:32} {DEFAULTS[name]:>14}  {row.confidence.value:10}  {row.source}")
    return 0


def _evidence(options: argparse.Namespace) -> int:
    tables = {"operations": _operations(), "limits": _limits_shown()}
    if options.json:
        say_json(tables, msgspec.structs.asdict)
        return 0
    for rows in tables.values():
        for name, row in rows.items():
            say(f"{name:32} {row['confidence']:10}  {row['source']}")
            for line in (*row.get("rest", ()), *row.get("grpc", ()), row["shown"]):
                say(f"{'':32} {'':10}  {line}")
    for word, rows in tables.items():
        counts = Counter(row["confidence"] for row in rows.values())
        say(f"{len(rows)} {word}: {', '.join(f'{count} {confidence}' for confidence, count in counts.items())}")
    return 0


def _limits_shown() -> dict[str, dict[str, Any]]:
    """Every limit: its value, how it is known, and what clients have shown of it."""
    from emulator.cli.evidence_record import record, shown_of_limit
    from emulator.core.limits import DEFAULTS, ROWS

    cases = record()["cases"]
    return {
        name: {
            "value": DEFAULTS[name],
            "confidence": row.confidence.value,
            "source": row.source,
            "shown": shown_of_limit(name, cases),
        }
        for name, row in ROWS.items()
    }


def _operations() -> dict[str, dict[str, Any]]:
    """Every operation: how its contract is known, the ways that lead to it, and what clients have shown of it."""
    from emulator.cli.evidence_record import record, shown_of
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


def _version(options: argparse.Namespace) -> int:
    say(VERSION)
    return 0
