"""The evidence: which client has driven which operation to what end, as runs of the contract kit have recorded it.

    python -m tools.evidence RECORD …

merges the records into contract_tests/evidence.json and writes docs/evidence.md from it (`make evidence`). Without a
record the page alone is written anew, as after a change of the tables of the code (`make docs`). With --check before
the records nothing is written: what is published is held against them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from emulator.cli.evidence_record import Shown, clients_of, in_order, shown_of, shown_of_limit, span
from emulator.core.limits import DEFAULTS, ROWS
from emulator.operations import OPERATIONS

ROOT = Path(__file__).parent.parent
EVIDENCE = ROOT / "contract_tests" / "evidence.json"
PAGE = ROOT / "docs" / "evidence.md"
TOLD = (
    "sentence",
    "operations",
    "evidence",
    "source",
    "refusal",
    "refusing",
    "limit",
    "fault",
)  # what a case says of itself

HEAD = """\
# Evidence

Written by `make evidence` from runs of the contract kit, and held against the code by a test: not to be edited.

Every operation and limit says how its contract is known: **documented** by xAI, **recorded** from the live service, or
**assumed**, which is the nearest sensible choice where nobody knows. A client has *driven* an operation when a case of
the kit called it with that client, the answer was as the contract says, and the emulator's journal showed the call.
`xai-emulator verify --base-url URL` runs the same cases against any server.
"""


def merge(records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The records of several runs as one: by case the clients it has passed with, and their versions."""
    cases: dict[str, dict[str, Any]] = {}
    for record in records:
        for id, case in record["cases"].items():
            told = {word: case[word] for word in TOLD if case[word] is not None}
            entry = cases.setdefault(id, {**told, "passed_with": {}})
            for client, outcome in case["clients"].items():
                if outcome == "passed":
                    versions = {*entry["passed_with"].get(client, ()), record["clients"][client]}
                    entry["passed_with"][client] = sorted(versions, key=in_order)
    return {
        "cases": {
            id: {**case, "passed_with": dict(sorted(case["passed_with"].items()))} for id, case in sorted(cases.items())
        }
    }


def stale(evidence: Mapping[str, Any], record: Mapping[str, Any]) -> Iterator[str]:
    """What is published and is not so in a run, and what has passed there and is not published."""
    for id, case in record["cases"].items():
        published = evidence["cases"].get(id, {"passed_with": {}})["passed_with"]
        for client, version in record["clients"].items():
            has_passed = case["clients"].get(client) == "passed"
            if has_passed and client not in published:
                yield f"{id} passes with {client} {version}, and that is not published"
            if not has_passed and version in published.get(client, ()):
                yield f"{id} is published as passed with {client} {version}, and does not pass"


def render(evidence: Mapping[str, Any]) -> str:
    """The page."""
    cases = evidence["cases"]
    parts = (_clients(cases), _operations(cases), _limits(cases), _cases(cases))
    return HEAD + "".join(f"\n{line}" for part in parts for line in part) + "\n"


def _clients(cases: Mapping[str, Any]) -> Iterator[str]:
    yield "## Clients\n"
    yield from _table("Client", "Versions")
    for name, versions in clients_of(list(cases.values())).items():
        yield _row(f"`{name}`", ", ".join(versions))


def _operations(cases: Mapping[str, Any]) -> Iterator[str]:
    yield "\n## Operations\n"
    yield from _table("Operation", "Contract", "From", "Driven by", "Cases", "Refusals tested", "Faults tested")
    for name, operation in OPERATIONS.items():
        shown = shown_of(name, cases)
        yield _row(
            f"`{name}`",
            operation.confidence.value,
            operation.source,
            _drivers(shown),
            shown.cases,
            ", ".join(shown.refusals) or "none",
            ", ".join(shown.faults) or "none",
        )


def _limits(cases: Mapping[str, Any]) -> Iterator[str]:
    yield "\n## Limits\n"
    yield "The emulator's own tests lower each of them and try its bounds; the cases drive the real value.\n"
    yield from _table("Limit", "Value", "Contract", "From", "Driven by", "In the cases")
    for name, row in ROWS.items():
        about = [f"`{id}`" for id, case in cases.items() if case.get("limit") == name and case["passed_with"]]
        yield _row(
            f"`{name}`",
            f"{DEFAULTS[name]:,}",
            row.confidence.value,
            row.source,
            _drivers(shown_of_limit(name, cases)),
            ", ".join(about) or "none",
        )


def _drivers(shown: Shown) -> str:
    return ", ".join(f"{client} {span(versions)}" for client, versions in shown.clients.items()) or "no client"


def _cases(cases: Mapping[str, Any]) -> Iterator[str]:
    yield "\n## Cases\n"
    yield from _table("Case", "What it shows", "Contract", "From", "Passed with")
    for id, case in cases.items():
        passed = ", ".join(case["passed_with"]) or "no client"
        yield _row(f"`{id}`", case["sentence"], case["evidence"], case["source"], passed)


def _table(*heads: str) -> Iterator[str]:
    yield _row(*heads)
    yield _row(*("---" for _ in heads))


def _row(*cells: Any) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def main(words: list[str]) -> int:
    """Merge records, if there are any, and write the page; or only check. The exit code: 1 for what is stale."""
    records = [json.loads(Path(word).read_text("utf-8")) for word in words if word != "--check"]
    if "--check" in words:
        published = json.loads(EVIDENCE.read_text("utf-8"))
        found = [line for record in records for line in stale(published, record)]
        print(*found, "Run `make evidence`." if found else "The evidence is that of these runs.", sep="\n")
        return 1 if found else 0
    if records:
        EVIDENCE.write_text(json.dumps(merge(records), indent=1, ensure_ascii=False) + "\n", "utf-8")
    PAGE.write_text(render(json.loads(EVIDENCE.read_text("utf-8"))), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
