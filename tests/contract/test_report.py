"""The report of the contract kit: failures in groups, stories step by step, and what was not asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contract_tests.case import Case
from contract_tests.clients.client import Client, Step, instrumented
from contract_tests.report import GROUPS_MAX, CaseResult, Report
from contract_tests.selection import CaseSelection
from contract_tests.target import Budget, Target

from .kit import run_kit
from .mutants import Mutant

BROKEN = (
    "emulator/rest/schemas/files.py",
    "    file = view.file\n    return FileJson(\n",
    '    raise RuntimeError("broken")\n    return FileJson(\n',
)


def case(id: str, **more: Any) -> Case:
    """A case of some operation."""
    values: dict[str, Any] = {"evidence": "documented", "source": "a guide", "feature": id.partition(".")[0], **more}
    return Case(id, f"The sentence of {id}", ("files.get",), **values)


def test_equal_failures_form_one_group() -> None:
    """One message stands once, with the number of its cases, the first names and one case in full."""
    report = Report()
    for number in range(12):
        id = f"file_00000000-0000-4000-8000-{number:012}"
        report.add(CaseResult(case(f"files.{number}"), "httpx", "failed", f"{id} is lost", "step 1 (get)", "404\n\nno"))
    report.add(CaseResult(case("files.other"), "httpx", "failed", "it is empty", "step 2 (list)", "[]"))
    lines = report.failures()
    assert lines == [
        "… is lost",
        "    12 cases: files.0 [httpx], files.1 [httpx], files.2 [httpx], files.3 [httpx], files.4 [httpx] and 7 more",
        "    files.0 [httpx], step 1 (get)",
        "    expected: The sentence of files.0 (documented: a guide)",
        "    got: 404",
        "         no",
        "it is empty",
        "    1 case: files.other [httpx]",
        "    files.other [httpx], step 2 (list)",
        "    expected: The sentence of files.other (documented: a guide)",
        "    got: []",
    ]


def test_evidence_table_counts_each_case_once() -> None:
    """A case that failed with any client is failed; one that no client could run is skipped."""
    report = Report()
    report.add(CaseResult(case("files.a"), "httpx", "passed"))
    report.add(CaseResult(case("files.a"), "fetch", "failed", "no"))
    report.add(CaseResult(case("files.b", evidence="recorded"), "httpx", "passed"))
    report.add(CaseResult(case("files.b", evidence="recorded"), "litellm", "skipped", "no such call"))
    report.add(CaseResult(case("faults.c", evidence="emulator", control=True), "httpx", "skipped", "no control plane"))
    assert [line.split() for line in report.evidence()] == [
        ["evidence", "passed", "failed", "skipped"],
        ["documented", "0", "1", "0"],
        ["recorded", "1", "0", "0"],
        ["assumed", "0", "0", "0"],
        ["emulator", "0", "0", "1"],
    ]


def test_many_different_failures_are_truncated() -> None:
    """A report of hundreds of different failures shows the most frequent ones, and how many there are besides."""
    report = Report()
    for number in range(500):
        report.add(CaseResult(case(f"files.{number}"), "httpx", "failed", f"reason {number}", "step 1", ""))
    lines = report.failures()
    assert len(lines) < GROUPS_MAX * 10
    assert lines[-1] == f"and {500 - GROUPS_MAX} further messages of {500 - GROUPS_MAX} failures"


def test_instrumented_client_records_its_calls() -> None:
    """Each call of a story is kept with its arguments and how it ended."""

    class Some(Client):
        name, version = "some", "1"

        def read_file(self, file_id: str) -> bytes:
            if file_id == "b":
                raise KeyError(file_id)
            return b"x"

    steps: list[Step] = []
    client = instrumented(Some(), Budget(), steps)
    client.read_file("a")
    with pytest.raises(KeyError):
        client.read_file("b")
    assert steps == [Step("read_file('a')", "b'x'"), Step("read_file('b')", "KeyError: 'b'")]


def test_broad_failure_gives_short_report(tmp_path: Path) -> None:
    """A server that fails in every call about files gets a report of some lines, with steps, sources and answers."""
    tree = Mutant("", (BROKEN,), "files.").grow(tmp_path / "tree")
    run = run_kit("--clients=httpx", "--features=files", tree=tree, record=tmp_path / "record.json")
    assert run.code == 1
    assert len(run.failed) > 50
    failures = run.output.partition(" failures ")[2].partition(" not run ")[0].splitlines()
    assert len(failures) < 80
    assert any("[httpx], step 1 (upload_file(" in line for line in failures)
    assert any(line.startswith("    expected: ") and "(documented: " in line for line in failures)
    assert any(line.startswith("    got: ") and "500" in line for line in failures)


def test_unselected_cases_name_the_option_that_runs_them() -> None:
    """What the options leave out is counted by operation, beside what asks it."""
    target = Target(
        "http://api", "http://api", None, None, "xai-a", "xai-token-m", "run-", features=frozenset({"files"})
    )
    selection = CaseSelection(target)
    batch = case("batches.a")
    assert selection.select(case("files.a"))
    assert not selection.select(batch)
    slow, moved = case("files.slow", slow=True, destructive=True), case("files.moved", control=True)
    alone, passed = case("files.alone"), case("files.passed")
    verdicts = [
        *(CaseResult(each, "httpx", "skipped", target.skip_reason(each) or "") for each in (slow, moved)),
        CaseResult(alone, "httpx", "skipped", "httpx has no such call"),
        CaseResult(passed, "httpx", "skipped", "httpx has no such call"),
        CaseResult(passed, "xai-sdk", "passed"),
    ]
    assert list(selection.lines(verdicts, {"litellm": "it is not installed"})) == [
        "1 case for --slow --destructive: files.get 1",
        "1 case not in --features: batches: files.get 1",
        "1 case not possible here (needs the control plane of an emulator (clock, faults)): files.get 1",
        "1 case that no client can run (httpx has no such call): files.get 1",
        "every case with the client litellm: it is not installed",
    ]
    assert list(CaseSelection(target).lines([CaseResult(passed, "httpx", "passed")], {})) == [
        "nothing: every case ran with some client"
    ]
