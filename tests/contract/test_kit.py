"""The contract kit itself: what it judges, what it says, and that it cannot be fooled."""

from __future__ import annotations

import socket
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from emulator import Emulator
from tests.serving import run_command

from .kit import Run, run_kit
from .mutants import read_mutants


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Every case over plain HTTP, but for the slow ones."""
    folder = tmp_path_factory.mktemp("run")
    junit = folder / "junit.xml"
    run = run_kit("--clients=httpx", "--destructive", "--paid", f"--junitxml={junit}", record=folder / "record.json")
    (folder / "output.txt").write_text(run.output)
    return Run(run.code, run.output, {**run.record, "junit": junit.read_text("utf-8")})


@pytest.fixture(scope="module")
def judged() -> Iterator[Emulator]:
    """An emulator that is judged several times."""
    with Emulator() as emulator:
        yield emulator


# --- the emulator is right, and the kit notices when it is not


def test_emulator_passes_every_http_case(run: Run) -> None:
    """The emulator passes every case over plain HTTP."""
    assert run.code == 0, run.output
    assert run.failed == set()


def test_run_prints_table_per_operation(run: Run) -> None:
    """A run ends with a line for each operation, and the reasons of what was skipped."""
    lines = run.output.splitlines()
    table = lines[next(n for n, line in enumerate(lines) if line.startswith("operation ")) :]
    operations = {line.split()[0] for line in table if line[:1].isalpha()}
    assert {"files.upload", "collections.create", "documents.search", "batches.list_results"} <= operations
    assert any("slow: run it with --slow" in line for line in table)


def test_junit_report_has_case_operations_and_evidence(run: Run) -> None:
    """The JUnit report names the case, its operations and its evidence beside each verdict."""
    cases = ElementTree.fromstring(run.record["junit"]).iter("testcase")
    properties = [{each.get("name"): each.get("value") for each in case.iter("property")} for case in cases]
    assert {"case": "files.get", "operations": "files.upload files.get", "evidence": "documented"} in properties


def test_mutants_fit_the_code() -> None:
    """Every mutant changes something that is there, and has a case (`make contract` shows that the kit finds each)."""
    stale = []
    for mutant in read_mutants():
        try:
            mutant.changed()
        except ValueError as error:
            stale.append(f"{mutant.sentence}: {error}")
    assert stale == []
    assert len({mutant.sentence for mutant in read_mutants()}) == len(read_mutants())


def test_mutants_name_existing_cases(run: Run) -> None:
    """The case that has to find a mutant is there."""
    needed = {mutant.found_by for mutant in read_mutants() if mutant.client == "httpx"}
    assert needed - set(run.record["cases"]) == set()


def test_mutant_fails_run_and_is_reported(tmp_path: Path) -> None:
    """A wrong emulator fails the case that is about what it does wrong, and the run."""
    mutant = next(each for each in read_mutants() if each.found_by == "files.upload.expiry-after-file")
    run = run_kit(
        *("--clients=httpx", "--features=files", "-k", "expiry-after-file"),
        tree=mutant.grow(tmp_path / "tree"),
        record=tmp_path / "record.json",
    )
    assert run.code == 1
    assert mutant.found_by in run.failed
    failures = run.output.partition(" failures ")[2].splitlines()
    assert failures[1] == "the status is 200, not 400"
    assert (
        failures[2]
        == "    2 cases: files.upload.expiry-after-file [httpx], files.upload.openai-expiry-after-file [httpx]"
    )
    assert failures[3] == "    files.upload.expiry-after-file [httpx], step 1 (POST /v1/files)"
    assert failures[4].endswith("(documented: OpenAPI: UploadFileMultipartRequest)")
    assert failures[5] == "    got: 200 application/json"


# --- known failures


@pytest.mark.parametrize(
    ("listed", "code", "says"),
    [
        ('id = "auth.me"\nreason = "not yet"', 1, "it passes, but is on the list of known failures"),
        ('id = "auth.me"\nclient = "openai"\nreason = "not yet"', 0, "4 passed"),
        ('id = "auth.you"\nreason = "not yet"', 4, "cases that do not exist: auth.you"),
        ('id = "auth.me"', 4, "an entry has no 'reason'"),
        ('[other]\nid = "auth.me"', 4, "made of [[case]] entries"),
    ],
)
def test_known_failures_decide_exit_code(judged: Emulator, tmp_path: Path, listed: str, code: int, says: str) -> None:
    """A known failure that passes fails the run, and so does a list that names what does not exist."""
    path = tmp_path / "known.toml"
    path.write_text(f"[[case]]\n{listed}\n")
    target = (f"--base-url={judged.url}", f"--known-failing={path}", "--features=auth", "--clients=httpx")
    narrow = () if code == 4 else ("-k", "auth.me or auth.same-team")
    run = run_kit(*target, *narrow, record=tmp_path / "record.json")
    assert run.code == code, run.output
    assert says in run.output


def test_known_failure_that_fails_is_reported_and_passes_run(tmp_path: Path) -> None:
    """A known failure that fails is reported as such, and does not fail the run."""
    known = tmp_path / "known.toml"
    known.write_text('[[case]]\nid = "files.upload.expiry-after-file"\nreason = "to be fixed"\n')
    mutant = next(each for each in read_mutants() if each.found_by == "files.upload.expiry-after-file")
    run = run_kit(
        *("--clients=httpx", "--features=files", "-k", "files.upload.expiry-after or files.upload.empty"),
        f"--known-failing={known}",
        tree=mutant.grow(tmp_path / "tree"),
        record=tmp_path / "record.json",
    )
    assert run.code == 0, run.output
    assert "to be fixed: the status is 200, not 400 (known to fail)" in run.output


# --- manners: for servers that are not ours


def test_run_deletes_what_it_created(judged: Emulator, tmp_path: Path) -> None:
    """What a run has made is gone when it ends."""
    run = run_kit(
        *(f"--base-url={judged.url}", "--run-prefix=tidy-", "--features=files,search", "--clients=httpx"),
        *("-k", "files.list or search.modes or keyword"),
        record=tmp_path / "record.json",
    )
    assert run.code == 0, run.output
    api, management = f"{judged.api_key}@tidy", f"{judged.management_key}@tidy"
    files = httpx.get(f"{judged.base_url}/files", headers={"authorization": f"Bearer {api}"})
    collections = httpx.get(f"{judged.base_url}/collections", headers={"authorization": f"Bearer {management}"})
    assert (files.json()["data"], collections.json()["collections"]) == ([], [])


def test_run_without_destructive_creates_no_batch(judged: Emulator, tmp_path: Path) -> None:
    """Without --destructive no batch is made, without --slow nothing large is sent."""
    target = (f"--base-url={judged.url}", "--run-prefix=shy-", "--clients=httpx", "--features=batches")
    run = run_kit(*target, record=tmp_path / "record.json")
    assert run.code == 0, run.output
    assert "leaves traces or costs money: run it with --destructive" in run.output
    headers = {"authorization": f"Bearer {judged.api_key}@shy"}
    assert httpx.get(f"{judged.base_url}/batches", headers=headers).json()["batches"] == []


def test_run_over_budget_fails_and_says_so(judged: Emulator, tmp_path: Path) -> None:
    """A run makes no more calls than it may, says so, and is no pass then."""
    target = (f"--base-url={judged.url}", "--clients=httpx", "--features=auth", "--budget=3")
    run = run_kit(*target, record=tmp_path / "record.json")
    assert run.code == 1
    assert "the budget of 3 calls is spent" in run.output
    assert "the run is not complete" in run.output


def test_run_with_every_case_skipped_fails(judged: Emulator, tmp_path: Path) -> None:
    """Where every case is skipped, the run fails."""
    target = (f"--base-url={judged.url}", "--clients=httpx", "--features=batches", "-k", "batches.file")
    assert run_kit(*target, record=tmp_path / "record.json").code == 1


@pytest.mark.parametrize("option", ["--record", "--known-failing", "--node-packages"])
def test_missing_path_is_usage_error_before_run(judged: Emulator, tmp_path: Path, option: str) -> None:
    """An option that names a missing path ends the run with one line and the usage exit code, before any call."""
    nowhere = tmp_path / "nowhere" / "file"
    target = (f"--base-url={judged.url}", "--features=auth", "--clients=httpx")
    run = run_kit(*target, f"{option}={nowhere}", record=tmp_path / "record.json")
    assert run.code == 4, run.output
    assert run.output.startswith(f"ERROR: {option}: {nowhere}")
    assert run.output.strip().count("\n") == 0


def test_server_that_does_not_answer_is_usage_error(tmp_path: Path) -> None:
    """A URL without a server, or that is none, ends the run with a line that says so."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}"
    for url, says in (
        (closed, f"{closed} does not answer: "),
        ("localhost:7878", "'localhost:7878' is not a URL such as http://localhost:7878"),
    ):
        run = run_kit(f"--base-url={url}", record=tmp_path / "record.json")
        assert run.code == 4, run.output
        assert says in run.output


def test_other_server_without_key_is_usage_error(judged: Emulator, tmp_path: Path) -> None:
    """A server that is no emulator is asked with the keys of the environment, and without them not at all."""
    elsewhere = f"{judged.url}/elsewhere"  # the address of a public URL is no emulator's root
    run = run_kit(f"--base-url={elsewhere}", "--features=auth", record=tmp_path / "record.json", XAI_API_KEY="")
    assert run.code == 4, run.output
    assert "/elsewhere is not an emulator, so it needs a key: set XAI_API_KEY" in run.output


# --- the command


def test_verify_writes_report_and_returns_verdict(judged: Emulator, tmp_path: Path) -> None:
    """`xai-emulator verify` judges a server by its URL, writes a report and returns its verdict."""
    report = tmp_path / "report.xml"
    options = ("--base-url", judged.url, "--features", "auth", "--clients", "httpx", "--junit", report)
    code, out, err = run_command("verify", *options)
    assert code == 0, out + err
    assert "auth.api_key" in out
    assert ElementTree.parse(report).getroot().tag == "testsuites"


def test_verify_with_bad_url_is_usage_error() -> None:
    """Without a server it is used wrongly, as with every option that the kit refuses."""
    code, out, err = run_command("verify")
    assert code == 2, out
    assert err == "ERROR: name the server to test: --base-url URL\n\n"
