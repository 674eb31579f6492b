"""`xai-emulator compare`."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from emulator import Emulator
from emulator.recordings.entries import About, Content, Entry, Pair, PostData, Request, Response
from emulator.recordings.har import HarWriter

Run = Callable[..., tuple[int, str, str]]
CREATED = (
    '{"batch_id":"batch_00000000-0000-4000-8001-000000000001","name":"evals","create_time":"2026-11-21",'
    '"expire_time":"2026-12-21","create_api_key_id":"00000000-0000-4000-8002-000000000001","cancel_time":null,'
    '"cancel_by_xai_message":null,"state":{"num_requests":0,"num_pending":0,"num_success":0,"num_error":0,"num_cancelled":0}}'
)


def write(path: Path, answer: str = CREATED) -> Path:
    """A recording of one batch that was made."""
    writer = HarWriter(path, About(to=["https://api.x.ai"], recorded="2026-11-21"))
    request = Request(
        "POST",
        "https://api.x.ai/v1/batches",
        headers=[Pair("authorization", "Bearer [inference key]"), Pair("content-type", "application/json")],
        body=PostData("application/json", '{"name":"evals"}'),
    )
    response = Response(200, headers=[Pair("content-type", "application/json")])
    response.body = Content(len(answer), "application/json", answer)
    writer.add(
        Entry(request, response, "2026-11-21T12:00:00.000000Z", number=1, operation="batches.create", plane="inference")
    )
    writer.close()
    return path


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder without a compare.toml."""
    monkeypatch.chdir(tmp_path)


def test_recording_that_is_alike_succeeds(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("compare", str(write(tmp_path / "live.har")))
    assert (code, "compared 1 of 1: 1 alike" in out) == (0, True)


def test_difference_fails_and_is_reported_in_every_form(run: Run, tmp_path: Path) -> None:
    live = write(tmp_path / "live.har", CREATED.replace('"name":"evals"', '"name":"evals","tier":"x"'))
    report, junit, evidence = tmp_path / "r.json", tmp_path / "r.xml", tmp_path / "e.json"
    flags = ("--json", str(report), "--junit", str(junit), "--evidence", str(evidence))
    code, out, _ = run("compare", *flags, str(live))
    assert code == 1
    assert "$.tier" in out
    assert json.loads(report.read_text())["differences"][0]["difference"] == "extra there"
    assert "failure" in junit.read_text()
    assert json.loads(evidence.read_text()) == []


def test_difference_in_compare_toml_passes(run: Run, tmp_path: Path) -> None:
    live = write(tmp_path / "live.har", CREATED.replace('"name":"evals"', '"name":"evals","tier":"x"'))
    entry = '[[ignore]]\noperation = "batches.create"\npath = "$.tier"\ndifference = "extra there"\nreason = "new"\n'
    (tmp_path / "compare.toml").write_text(entry)
    assert run("compare", str(live))[0] == 0
    (tmp_path / "compare.toml").write_text(entry.replace("tier", "other"))
    assert run("compare", str(live))[0] == 1


def test_emulator_that_runs_is_asked_in_a_team_of_its_own(run: Run, tmp_path: Path) -> None:
    with Emulator() as emulator:
        live = str(write(tmp_path / "live.har"))
        assert run("compare", "--url", emulator.url, "--team", "fresh", live)[0] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing.har"], "No such file"),
        (["bad.har"], "no HAR file"),
        (["--fail-on", "everything", "live.har"], "everything"),
        (["--url", "http://localhost:1", "live.har"], "--team"),
        (["--ignore", "missing.toml", "live.har"], "No such file"),
        (["--json", "x.json", "live.har", "live.har"], "one file"),
        (["--with", "missing.har", "live.har"], "No such file"),
        (["--with", "live.har", "live.har", "live.har"], "one file"),
        (["--noise", "live.har", "live.har", "live.har"], "one file"),
        (["--with", "live.har", "--evidence", "e.json", "live.har"], "--evidence"),
        (["--json", "missing/x.json", "live.har"], "missing/x.json: No such file"),
    ],
)
def test_wrong_use_is_refused(run: Run, tmp_path: Path, words: list[str], message: str) -> None:
    write(tmp_path / "live.har")
    (tmp_path / "bad.har").write_text("{}")
    code, _, err = run("compare", *words)
    assert (code, message in err) == (2, True), err


def test_two_recordings_are_compared_without_an_emulator(run: Run, tmp_path: Path) -> None:
    first, same = write(tmp_path / "first.har"), write(tmp_path / "same.har")
    changed = write(tmp_path / "changed.har", CREATED.replace('"name":"evals"', '"name":"evals","tier":"x"'))
    code, out, _ = run("compare", str(first), "--with", str(same))
    assert (code, "compared 1 of 1: 1 alike" in out) == (0, True)
    code, out, _ = run("compare", str(first), "--with", str(changed))
    assert (code, "$.tier" in out) == (1, True)
    assert "there is first.har (2026-11-21), here is changed.har (2026-11-21)" in out


def test_difference_at_a_place_where_two_recordings_differ_is_noise(run: Run, tmp_path: Path) -> None:
    """The service says another name each time; a member that it always adds is a difference all the same."""
    further = CREATED.replace('"cancel_time"', '"new":1,"cancel_time"')
    first, second = (write(tmp_path / f"{name}.har", further.replace("evals", name)) for name in ("first", "second"))
    report = tmp_path / "report.json"
    code, out, _ = run("compare", str(first), "--noise", str(second), "--json", str(report))
    assert (code, "noise, at places where two recordings differ as well: 1 differences" in out) == (1, True)
    assert [each["path"] for each in json.loads(report.read_text())["differences"]] == ["$.new"]
    other = write(tmp_path / "other.har", CREATED.replace("evals", "other"))
    code, out, _ = run("compare", str(first), "--noise", str(second), "--with", str(other))
    assert (code, "$.new" in out, "$.name" in out) == (1, True, False)


def test_noise_of_another_script_is_refused(run: Run, tmp_path: Path) -> None:
    live, empty = write(tmp_path / "live.har"), tmp_path / "empty.har"
    HarWriter(empty, About(to=["https://api.x.ai"])).close()
    code, _, err = run("compare", str(live), "--noise", str(empty))
    assert (code, "no exchange in common" in err) == (2, True)


def test_drafts_of_cases_are_written(run: Run, tmp_path: Path) -> None:
    drafts = tmp_path / "drafts.toml"
    code, out, _ = run("compare", "--cases", str(drafts), str(write(tmp_path / "live.har")))
    assert (code, f"{drafts}: drafts of 1 cases" in out) == (0, True)
    (case,) = tomllib.loads(drafts.read_text())["case"]
    assert (case["operations"], case["source"]) == (["batches.create"], "recorded 2026-11-21, live.har #1")


def test_empty_recording_is_no_success(run: Run, tmp_path: Path) -> None:
    HarWriter(tmp_path / "empty.har", About()).close()
    code, out, _ = run("compare", str(tmp_path / "empty.har"))
    assert (code, "nothing could be compared" in out) == (1, True)


def test_file_of_another_program_is_compared(run: Run) -> None:
    cassette = Path(__file__).parents[1] / "recordings" / "foreign" / "vcrpy.yaml"
    code, out, _ = run("compare", str(cassette))
    assert (code, "compared 5 of 5: 5 alike" in out) == (0, True)


@pytest.mark.parametrize("content", [b"", b"\x00\xff" * 50, b"[" * 100_000, b"interactions: &a [*a]", b"9:7:version;"])
def test_garbage_is_refused_with_one_sentence(run: Run, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.har").write_bytes(content)
    code, out, err = run("compare", str(tmp_path / "x.har"))
    assert (code, out, len(err.splitlines())) == (2, "", 1)
