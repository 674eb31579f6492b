"""Two recordings of one script: alike whatever the ids and the date, and each change of the service is found."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import datetime, timedelta

import httpx
import msgspec
import pytest
from msgspec import UNSET

from emulator import Emulator
from emulator.comparing.report import lines_of, report_of
from emulator.comparing.run import ALIKE, DIFFERS, IN_PROGRESS, NOT_COMPARED, compare_with
from emulator.recordings.entries import Entry, PostData
from emulator.recordings.har import Recording
from tests.comparing.conftest import record_flow
from tests.comparing.test_compare import change, differing, find

DAYS = 100


@pytest.fixture(scope="module")
def recorded_later(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recording]:
    """The same script on another emulator months later, with the real ids kept."""
    with Emulator(random_seed="later") as service:
        advance = {"seconds": DAYS * 86_400}
        httpx.post(f"{service.url}/_emulator/clock/advance", json=advance, trust_env=False).raise_for_status()
        yield record_flow(service, tmp_path_factory.mktemp("later") / "later.har", keep=("ids",))


@pytest.fixture
def later(recorded_later: Recording) -> Recording:
    """A copy, which a test may change; each exchange began when the service's clock says."""
    found = copy.deepcopy(recorded_later)
    for entry in found.entries:
        entry.started = (datetime.fromisoformat(entry.started) + timedelta(days=DAYS)).isoformat()
    return found


def renamed(recording: Recording, prefix: str) -> Recording:
    """The recording of a run whose names begin so."""
    found = copy.deepcopy(recording)
    for entry in found.entries:
        text = msgspec.json.encode(entry).decode().replace("notes", f"{prefix}notes")
        changed = msgspec.json.decode(text, type=Entry)
        entry.request, entry.response, entry.grpc = changed.request, changed.response, changed.grpc
    return found


def test_recordings_of_one_script_are_alike(recording: Recording, later: Recording) -> None:
    comparison = compare_with(recording, later)
    assert differing(comparison) == []
    assert comparison.unpaired == 0
    judged = [each for each in comparison.outcomes if each.outcome in (ALIKE, IN_PROGRESS)]
    assert {each.operation.partition(".")[0] for each in judged} == {
        *("files", "auth", "collections", "documents", "batches")
    }
    assert all("asked again" in each.why for each in comparison.outcomes if each.outcome == NOT_COMPARED)


def test_body_of_no_bytes_asks_the_same_as_none(recording: Recording) -> None:
    """A Content-Type without a body is noted as one of no bytes."""
    other = copy.deepcopy(recording)
    find(recording, "batches.cancel").request.body = PostData("application/json", "")
    find(other, "batches.cancel").request.body = UNSET
    comparison = compare_with(recording, other)
    assert (differing(comparison), comparison.unpaired) == ([], 0)


def test_empty_object_is_another_request_than_none(recording: Recording) -> None:
    other = copy.deepcopy(recording)
    find(recording, "batches.cancel").request.body = PostData("application/json", "{}")
    find(other, "batches.cancel").request.body = UNSET
    comparison = compare_with(recording, other)
    assert [each.operation for each in comparison.outcomes if "not in the other" in each.why] == ["batches.cancel"]
    assert comparison.unpaired == 1


def test_change_of_the_service_is_found(recording: Recording, later: Recording) -> None:
    change(find(later, "files.get"), lambda file: file.update(brand_new=1))
    change(find(later, "files.get", 404), lambda error: error.update(error="No such file."))
    found = {(difference.what, difference.place) for _, difference in differing(compare_with(recording, later))}
    assert found == {("missing there", "$.brand_new"), ("words", "$.error")}


def test_time_that_moved_more_than_the_recordings_is_found(recording: Recording, later: Recording) -> None:
    change(find(later, "files.get"), lambda file: file.update(created_at=file["created_at"] + 3600))
    ((_, difference),) = differing(compare_with(recording, later))
    assert (difference.what, difference.path) == ("value", "$.created_at")


def test_progress_of_either_side_is_not_judged(recording: Recording) -> None:
    other = copy.deepcopy(recording)
    for one in (recording, other):
        entry = find(one, "documents.get" if one is recording else "documents.list")
        entry.response.body.text = str(entry.response.body.text).replace("STATUS_PROCESSED", "STATUS_PROCESSING")
    comparison = compare_with(recording, other)
    assert differing(comparison) == []
    in_progress = {each.operation for each in comparison.outcomes if each.outcome == IN_PROGRESS}
    assert in_progress == {"documents.get", "documents.list"}


def test_exchange_without_counterpart_is_counted_on_both_sides(recording: Recording) -> None:
    other = copy.deepcopy(recording)
    recording.entries.remove(find(recording, "batches.cancel"))
    other.entries.remove(find(other, "auth.me"))
    comparison = compare_with(recording, other)
    missing = [each for each in comparison.outcomes if each.why == "not in the other recording"]
    assert ([each.operation for each in missing], comparison.unpaired) == (["auth.me"], 1)
    text = "\n".join(lines_of(report_of(comparison)))
    assert "1 exchanges of live.har" in text
    assert "1 not in the other recording" in text


def test_names_that_a_client_chose_may_differ(recording: Recording) -> None:
    """As those of the contract kit do, which begin with a random prefix."""
    one, other = renamed(recording, "run-9a8b7c6d-"), renamed(recording, "run-1f2e3d4c-")
    assert differing(compare_with(one, other)) == []


def test_status_that_changed_differs(recording: Recording) -> None:
    other = copy.deepcopy(recording)
    find(other, "files.delete").response.status = 204
    comparison = compare_with(recording, other)
    assert [each.operation for each in comparison.outcomes if each.outcome == DIFFERS] == ["files.delete"]


def test_answer_whose_text_one_recording_lacks_is_not_judged(recording: Recording) -> None:
    other = copy.deepcopy(recording)
    find(other, "files.get").response.body.text = UNSET
    comparison = compare_with(recording, other)
    assert differing(comparison) == []
    assert [each.operation for each in comparison.outcomes if "lacks its content" in each.why] == ["files.get"]
