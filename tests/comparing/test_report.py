"""The report: grouped, with exit codes that cannot be a success for nothing, and entries that let a difference pass."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from emulator.comparing.differences import Difference
from emulator.comparing.evidence import evidence_of
from emulator.comparing.ignore import BadIgnoreFile, Ignore, entry_for, is_ignored, read_ignores
from emulator.comparing.report import json_of, junit_of, lines_of, report_of
from emulator.comparing.run import ALIKE, DIFFERS, NOT_COMPARED, Comparison, Outcome
from emulator.recordings.entries import About, Log, Page
from emulator.recordings.har import Recording
from emulator.recordings.order import moment

SHAPE = Difference("extra there", "$.data[3].model", "grok", None)
STATUS = Difference("status", "", "400: {}", "200: {}")
HEADER = Difference("header", "retry-after", "1", None)


def outcome(number: int, *differences: Difference, page: str | None = None, why: str = "") -> Outcome:
    kind = NOT_COMPARED if why else DIFFERS if differences else ALIKE
    return Outcome(number, "files.list", "GET /v1/files", kind, why, list(differences), page)


def comparison(*outcomes: Outcome, pages: tuple[str, ...] = (), recorded: str = "2026-11-21") -> Comparison:
    log = Log(about=About(recorded=recorded), pages=[Page(page, f"About {page}") for page in pages])
    return Comparison(Recording(Path("live.har"), log, []), list(outcomes))


def test_equal_differences_are_one_line_and_the_gravest_comes_first() -> None:
    other = Difference("extra there", "$.data[7].model", "another", None)
    report = report_of(comparison(outcome(1, SHAPE), outcome(2, other), outcome(3, STATUS)))
    assert [(group.difference.what, group.exchanges) for group in report.groups] == [
        ("status", [3]),
        ("extra there", [1, 2]),
    ]
    text = "\n".join(lines_of(report))
    assert "#1 and 1 more" in text
    assert text.index("status") < text.index("extra there")
    assert 'difference = "status"' in text


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([outcome(1)], 0),
        ([outcome(1), outcome(2, SHAPE)], 1),
        ([outcome(1), outcome(2, HEADER)], 0),
        ([], 1),
        ([outcome(1, why="of operations that are not emulated")], 1),
    ],
)
def test_exit_code_is_a_success_only_for_what_was_compared(outcomes: list[Outcome], code: int) -> None:
    assert report_of(comparison(*outcomes)).exit_code == code


def test_kinds_that_fail_can_be_chosen() -> None:
    found = comparison(outcome(1, SHAPE), outcome(2, HEADER))
    assert report_of(found, fail_on=["headers"]).exit_code == 1
    assert report_of(found, fail_on=["status"]).exit_code == 0


def test_entry_of_the_report_lets_the_difference_pass(tmp_path: Path) -> None:
    path = tmp_path / "compare.toml"
    lines = entry_for("files.list", SHAPE)
    path.write_text("\n".join(lines).replace('reason = ""', 'reason = "known"'))
    report = report_of(comparison(outcome(1, SHAPE)), read_ignores(path))
    assert (report.exit_code, report.groups, report.ignored, report.unused) == (0, [], 1, [])


def test_entry_that_ignores_nothing_fails() -> None:
    unused = Ignore("files.*", "status", "once")
    report = report_of(comparison(outcome(1)), [unused])
    assert (report.exit_code, report.unused) == (1, [unused])


@pytest.mark.parametrize(
    ("operation", "path", "what", "fits"),
    [
        ("files.*", "$.data[*].model", "extra there", True),
        ("*", "*", "extra there", True),
        ("batches.*", "$.data[*].model", "extra there", False),
        ("files.*", "$.data[*].name", "extra there", False),
        ("files.*", "$.data[*].model", "missing there", False),
    ],
)
def test_entry_fits_by_operation_path_and_difference(operation: str, path: str, what: str, fits: bool) -> None:
    assert is_ignored([Ignore(operation, what, "known", path)], "files.list", SHAPE) is fits


@pytest.mark.parametrize(
    "text",
    [
        '[[ignore]]\noperation = "a"\ndifference = "status"\nreason = ""',
        '[[ignore]]\noperation = "a"\ndifference = "status"',
        '[[ignore]]\noperation = "a"\ndifference = "status"\nreason = "r"\nmore = 1',
        "ignore = 5",
        "[[",
    ],
)
def test_file_of_entries_without_reasons_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "compare.toml"
    path.write_text(text)
    with pytest.raises(BadIgnoreFile):
        read_ignores(path)


def test_cases_are_confirmed_or_contradicted() -> None:
    found = comparison(
        *(outcome(1, page="a"), outcome(2, page="a"), outcome(3, SHAPE, page="b"), outcome(4, page="b")),
        *(outcome(5, page="c"), outcome(6, page="c", why="lacks its content")),
        pages=("a", "b", "c", "d"),
    )
    rows = evidence_of(found)
    assert {row["case"]: row["verdict"] for row in rows} == {
        "a": "confirmed",
        "b": "contradicted",
        "c": "not reached",
        "d": "not reached",
    }
    assert (rows[0]["recorded"], rows[0]["exchanges"]) == ("2026-11-21", [1, 2])


@pytest.mark.parametrize(("today", "says"), [("2026-12-01T00:00:00Z", False), ("2027-03-01T00:00:00Z", True)])
def test_old_recording_says_so(today: str, says: bool) -> None:
    report = report_of(comparison(outcome(1)), now=moment(today))
    assert any("days old" in line for line in lines_of(report)) is says


def test_reports_for_programs_say_the_same() -> None:
    report = report_of(
        comparison(outcome(1), outcome(2, SHAPE, Difference("words", "$.error", "a\x00", "b")), outcome(3, why="w"))
    )
    value = json.loads(json.dumps(json_of(report)))
    assert (value["schema_version"], value["compared"], value["alike"]) == (1, 2, 1)
    assert [each["difference"] for each in value["differences"]] == ["extra there", "words"]
    assert value["not_compared"] == [{"why": "w", "count": 1}]
    (suite,) = ElementTree.fromstring(junit_of(report))
    assert [suite.get(name) for name in ("tests", "failures", "skipped")] == ["3", "1", "1"]
    (failure,) = suite.iter("failure")
    assert "$.error" in str(failure.text)


def test_report_prints_no_more_than_it_is_asked_to() -> None:
    many = [outcome(number, Difference("value", f"$.{name}", 1, 2)) for number, name in enumerate("abcdef")]
    lines = list(lines_of(report_of(comparison(*many)), 2))
    assert "and 4 further ways to differ (--max)" in lines
