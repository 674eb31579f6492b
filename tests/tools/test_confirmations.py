"""What recordings confirm of the assumed cases is entered, and what they contradict is printed."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from contract_tests.case import CONFIRMATIONS, Case, Confirmation, read_confirmations
from emulator.comparing.differences import Difference
from emulator.comparing.evidence import evidence_of
from emulator.comparing.run import ALIKE, DIFFERS, Comparison, Outcome
from emulator.recordings.entries import About, Log, Page
from emulator.recordings.har import Recording
from tools import evidence
from tools.confirmations import settled

ASSUMED, DOCUMENTED = "files.upload.empty", "files.upload.expires-after"
XAI = ["https://api.x.ai", "https://management-api.x.ai"]


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Copies of the published files, which the tool may write."""
    files = {name: tmp_path / name for name in ("evidence.json", "evidence.md", "confirmed.toml")}
    found = json.loads(evidence.EVIDENCE.read_text("utf-8"))
    found["cases"][ASSUMED] |= {"evidence": "assumed", "source": "no rule is documented"}
    files["evidence.json"].write_text(json.dumps(found), "utf-8")
    files["confirmed.toml"].write_text("", "utf-8")
    for name, path in zip(("EVIDENCE", "PAGE", "CONFIRMED"), files.values(), strict=True):
        monkeypatch.setattr(evidence, name, path)
    return files


def verdicts(path: Path, *, differing: str | None = None, to: list[str] = XAI, cases: tuple[str, ...]) -> str:
    """What `compare --evidence` writes of a recording with two exchanges for each case, one case of which differs."""
    pages = [Page(id, "A sentence") for id in cases]
    outcomes = [
        Outcome(number, "files.upload", "POST /v1/files", DIFFERS if id == differing else ALIKE, page=id)
        for number, id in enumerate(sorted([*cases, *cases]), 1)
    ]
    for outcome in outcomes:
        outcome.differences = [Difference("status", "", 400, 200)] * (outcome.outcome == DIFFERS)
    log = Log(about=About(to=to, recorded="2026-11-21"), pages=pages)
    rows = evidence_of(Comparison(Recording(Path("live.har"), log, []), outcomes))
    path.write_text(json.dumps(rows), "utf-8")
    return str(path)


def case_of(published: dict[str, Path], id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(published["evidence.json"].read_text("utf-8"))["cases"][id]
    return found


def test_confirmed_case_becomes_recorded_with_its_date(
    published: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evidence.main(["--confirm", verdicts(tmp_path / "v.json", cases=(ASSUMED,))]) == 0
    found = case_of(published, ASSUMED)
    assert (found["evidence"], found["source"]) == ("recorded", "recorded 2026-11-21, live.har #1 and 1 more")
    assert read_confirmations(published["confirmed.toml"]) == {
        ASSUMED: Confirmation(date(2026, 11, 21), "live.har #1 and 1 more")
    }
    assert "recorded 2026-11-21, live.har #1" in published["evidence.md"].read_text("utf-8")
    assert "1 confirmed, 0 contradicted" in capsys.readouterr().out


def test_contradicted_case_stays_assumed_and_is_printed(
    published: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = verdicts(tmp_path / "v.json", differing=ASSUMED, cases=(ASSUMED, DOCUMENTED))
    assert evidence.main(["--confirm", file]) == 1
    assert case_of(published, ASSUMED)["evidence"] == "assumed"
    assert read_confirmations(published["confirmed.toml"]) == {}
    assert f"{ASSUMED} (assumed) is contradicted by live.har #1 and 1 more" in capsys.readouterr().out


def test_contradiction_of_a_documented_case_is_printed_too(
    published: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evidence.main(["--confirm", verdicts(tmp_path / "v.json", differing=DOCUMENTED, cases=(DOCUMENTED,))]) == 1
    assert f"{DOCUMENTED} (documented) is contradicted" in capsys.readouterr().out


def test_case_that_is_known_already_is_unchanged(published: dict[str, Path], tmp_path: Path) -> None:
    before = case_of(published, DOCUMENTED)
    assert evidence.main(["--confirm", verdicts(tmp_path / "v.json", cases=(DOCUMENTED,))]) == 0
    assert case_of(published, DOCUMENTED) == before


def test_later_recording_replaces_the_date(published: dict[str, Path], tmp_path: Path) -> None:
    file = Path(verdicts(tmp_path / "v.json", cases=(ASSUMED,)))
    assert evidence.main(["--confirm", str(file)]) == 0
    file.write_text(file.read_text().replace("2026-11-21", "2027-01-02"))
    assert evidence.main(["--confirm", str(file)]) == 0
    assert case_of(published, ASSUMED)["source"].startswith("recorded 2027-01-02")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"service": ["http://localhost:7878"]}, "not xAI's service"),
        ({"service": []}, "not xAI's service"),
        ({"recorded": "yesterday"}, "no date"),
        ({"case": "files.no-such-case"}, "there is no case files.no-such-case"),
        ({"verdict": 5}, "Expected `str`"),
    ],
)
def test_verdicts_that_prove_nothing_are_refused(
    published: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], says: str
) -> None:
    file = Path(verdicts(tmp_path / "v.json", cases=(ASSUMED, DOCUMENTED)))
    rows = json.loads(file.read_text())
    file.write_text(json.dumps([rows[0], rows[1] | change]))
    before = {name: path.read_text("utf-8") for name, path in published.items() if path.exists()}
    assert evidence.main(["--confirm", str(file)]) == 2
    assert says in capsys.readouterr().err
    assert {name: path.read_text("utf-8") for name, path in published.items() if path.exists()} == before


def test_case_in_the_table_counts_as_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONFIRMATIONS, "files.new", Confirmation(date(2026, 11, 21), "live.har #12"))

    assumed, documented = (
        Case("files.new", "A sentence", ("files.get",), evidence, "a guess", "files")
        for evidence in ("assumed", "documented")
    )
    assert (assumed.evidence, assumed.source) == ("recorded", "recorded 2026-11-21, live.har #12")
    assert (documented.evidence, documented.source) == ("documented", "a guess")


def test_confirmed_cases_are_published_as_such() -> None:
    """An entry of a case that is gone, or is documented by now, is to be removed."""
    cases = json.loads(evidence.EVIDENCE.read_text("utf-8"))["cases"]
    assert {id: cases[id]["source"] for id in CONFIRMATIONS} == {id: each.source for id, each in CONFIRMATIONS.items()}


def test_operation_and_limit_without_assumed_cases_are_named() -> None:
    cases = {
        "a": {"operations": ["files.get"], "evidence": "recorded", "limit": "file_bytes_max"},
        "b": {"operations": ["files.get", "files.list"], "evidence": "documented"},
        "c": {"operations": ["files.list"], "evidence": "assumed"},
    }
    cases["d"] = {"operations": ["files.none"], "evidence": "emulator"}  # which says nothing of the service
    known = {"files.get": "assumed", "files.list": "assumed", "files.none": "assumed"}
    assert settled(cases, known, "operations") == ["files.get"]
    assert settled(cases, {"file_bytes_max": "assumed", "file_bytes": "assumed"}, "limit") == ["file_bytes_max"]
    assert settled(cases, {"file_bytes_max": "documented"}, "limit") == []
