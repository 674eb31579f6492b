"""The published evidence is that of the code as it stands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from emulator import Emulator
from emulator.cli.evidence_record import clients_of
from emulator.core.limits import ROWS
from emulator.operations import OPERATIONS
from tools import evidence

from .kit import run_kit

PUBLISHED = json.loads(evidence.EVIDENCE.read_text("utf-8"))


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """All cases, as recorded by a run without a budget against a server that is no emulator: nothing is called."""
    record = tmp_path_factory.mktemp("record") / "record.json"
    with Emulator() as emulator:  # the address of a public URL is no emulator's root
        server = (f"--base-url={emulator.url}/elsewhere", f"--grpc={emulator.grpc_target}")
        run_kit(*server, "--clients=httpx,xai-sdk", "--budget=0", record=record, XAI_API_KEY="xai-key")
    return evidence.merge([json.loads(record.read_text("utf-8"))])["cases"]


def test_published_evidence_has_every_case(cases: dict[str, dict[str, object]]) -> None:
    """The record has the cases that the kit has, and says of them what they say of themselves."""

    def fields_of(found: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
        return {id: {word: case.get(word) for word in evidence.CASE_FIELDS} for id, case in found.items()}

    assert fields_of(PUBLISHED["cases"]) == fields_of(cases), "run `make evidence`"


def test_evidence_page_matches_published_record() -> None:
    """docs/evidence.md is what the record and the tables of the code give."""
    assert evidence.PAGE.read_text("utf-8") == evidence.render(PUBLISHED), "run `make docs`"


def test_published_case_has_passed_with_a_client() -> None:
    """No case is published that has never passed."""
    assert [id for id, case in PUBLISHED["cases"].items() if not case["passed_with"]] == []


def test_published_cases_name_existing_operations_and_limits() -> None:
    """What a case is about is in the tables of the code."""
    operations = {name for case in PUBLISHED["cases"].values() for name in case["operations"]}
    limits = {case["limit"] for case in PUBLISHED["cases"].values() if "limit" in case}
    assert operations - set(OPERATIONS) == set()
    assert limits - set(ROWS) == set()


def test_operation_has_successful_and_refused_case() -> None:
    """Each operation has been driven by some client, and has refused something that was tried."""
    cases = [case for case in PUBLISHED["cases"].values() if case["passed_with"]]
    driven = {name for case in cases for name in case["operations"]}
    refusing = {name for case in cases for name in case.get("refusing", ())}
    assert set(OPERATIONS) - driven == set()
    assert set(OPERATIONS) - refusing == set()


@pytest.mark.parametrize(
    ("passed_with", "version", "outcome", "stale"),
    [
        ({"httpx": ["1", "2"]}, "2", "passed", 0),
        ({"httpx": ["1"]}, "2", "passed", 0),  # a newer client is no reason to publish again
        ({"httpx": ["1"]}, "2", "failed", 0),  # it has not passed with that one; the run itself fails
        ({"httpx": ["1", "2"]}, "2", "failed", 1),
        ({"httpx": ["1", "2"]}, "2", None, 1),
        ({"fetch": ["1"]}, "2", "passed", 1),
        ({"fetch": ["1"]}, "2", None, 0),
    ],
)
def test_stale_reports_differences_to_published_evidence(
    passed_with: dict[str, list[str]], version: str, outcome: str | None, stale: int
) -> None:
    """What is published has passed with that version, and what passes is published."""
    run = {"clients": {"httpx": version}, "cases": {"a": {"clients": {} if outcome is None else {"httpx": outcome}}}}
    assert len(list(evidence.stale({"cases": {"a": {"passed_with": passed_with}}}, run))) == stale
    assert len(list(evidence.stale({"cases": {}}, run))) == (outcome == "passed")


def test_published_evidence_spans_client_versions() -> None:
    """The evidence spans several versions of xai-sdk and two major ones of openai."""
    clients = clients_of(list(PUBLISHED["cases"].values()))
    assert len(clients["xai-sdk"]) >= 3
    assert len({version.split(".")[0] for version in clients["openai"]}) >= 2


def test_published_record_is_a_file_of_the_kit() -> None:
    """The record is a file of the kit, so that it is installed with it."""
    assert evidence.EVIDENCE.parent == Path(evidence.ROOT / "contract_tests")
