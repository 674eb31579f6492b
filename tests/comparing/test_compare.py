"""Recordings against an emulator: the same gives no difference, and each planted one is found and named."""

from __future__ import annotations

import copy
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET

from emulator import Emulator
from emulator.comparing.binding import Binding
from emulator.comparing.differences import Difference
from emulator.comparing.judge import Judge
from emulator.comparing.rules import PROGRESS
from emulator.comparing.run import (
    ALIKE,
    DIFFERS,
    IN_PROGRESS,
    NOT_COMPARED,
    Comparison,
    Outcome,
    is_spaced_otherwise,
    spacing,
)
from emulator.domain.documents import STATUS_TRANSITIONS, DocumentStatus
from emulator.recordings.entries import Entry, Grpc, Pair, PostData
from emulator.recordings.har import Recording
from emulator.recordings.sanitize import Sanitizer
from emulator.recordings.sanitizer_rules import RULES
from tests.comparing.conftest import record_flow

Compared = Callable[..., Comparison]


def differing(comparison: Comparison) -> list[tuple[Outcome, Difference]]:
    return [(outcome, each) for outcome in comparison.outcomes for each in outcome.differences]


def find(recording: Recording, operation: str, status: int = 200, **more: Any) -> Entry:
    """The first exchange of an operation over REST."""
    return next(
        entry
        for entry in recording.entries
        if entry.operation == operation and entry.response.status == status and entry.grpc is UNSET
    )


def find_grpc(recording: Recording, method: str, status: str = "OK") -> Grpc:
    return next(
        entry.grpc
        for entry in recording.entries
        if isinstance(entry.grpc, Grpc) and entry.request.url.endswith(method) and entry.grpc.status == status
    )


def change(entry: Entry, work: Callable[[Any], Any]) -> None:
    """Change the recorded JSON of an answer."""
    assert isinstance(entry.response.body.text, str)
    value = json.loads(entry.response.body.text)
    changed = work(value)
    entry.response.body.text = json.dumps(value if changed is None else changed, separators=(",", ":"))


def test_recording_of_an_emulator_is_alike(recording: Recording, compared: Compared) -> None:
    comparison = compared(recording)
    assert differing(comparison) == []
    assert {outcome.outcome for outcome in comparison.outcomes} <= {ALIKE, IN_PROGRESS}
    assert {outcome.operation.partition(".")[0] for outcome in comparison.outcomes} == {
        *("files", "auth", "collections", "documents", "batches")
    }


def test_other_ids_on_either_side_are_alike(recording: Recording, compared: Compared) -> None:
    assert differing(compared(recording, random_seed="1")) == []


PLANTED: dict[str, tuple[str, Callable[[Any], Any], str, str]] = {
    "key lost": ("files.get", lambda file: file.pop("object") and None, "missing there", "$.object"),
    "key new": ("files.get", lambda file: file.update(brand_new=1), "extra there", "$.brand_new"),
    "keys in another order": ("files.get", lambda file: dict(reversed(file.items())), "order", "$"),
    "null": ("files.get", lambda file: file.update(filename=None), "kind", "$.filename"),
    "number for text": ("files.get", lambda file: file.update(filename=5), "kind", "$.filename"),
    "number": ("files.get", lambda file: file.update(bytes=1), "value", "$.bytes"),
    "text": ("files.get", lambda file: file.update(filename="other.txt"), "value", "$.filename"),
    "prefix of an id": ("files.get", lambda file: file.update(id="x" + file["id"]), "format", "$.id"),
    "time": ("files.get", lambda file: file.update(created_at=file["created_at"] - 60), "value", "$.created_at"),
    "form of a date": (
        "batches.get",
        lambda batch: batch.update(create_time="2026-11-21T00:00:00Z"),
        "format",
        "$.create_time",
    ),
    "digits of a time": (
        "collections.create",
        lambda made: made.update(created_at=made["created_at"][:-4] + "Z"),
        "format",
        "$.created_at",
    ),
    "enum": (
        "documents.get",
        lambda document: document.update(status="DOCUMENT_STATUS_FAILED"),
        "value",
        "$.status",
    ),
    "items": ("documents.list", lambda page: page["documents"].clear(), "items", "$.documents"),
    "nested": ("documents.get", lambda document: document["fields"].clear(), "missing there", "$.fields.author"),
}


@pytest.mark.parametrize("name", list(PLANTED))
def test_planted_difference_is_found_and_nothing_else(recording: Recording, compared: Compared, name: str) -> None:
    operation, work, what, path = PLANTED[name]
    entry = find(recording, operation)
    change(entry, work)
    ((outcome, difference),) = differing(compared(recording))
    assert (outcome.number, outcome.outcome) == (entry.number, DIFFERS)
    assert (difference.what, difference.place) == (what, path)


@pytest.mark.parametrize("wrap", [lambda map: {"fields": map}, lambda map: {"documents": [{"fields": map}]}])
def test_map_in_another_order_is_alike_and_an_object_is_not(wrap: Callable[[dict[str, str]], Any]) -> None:
    """Protobuf does not order the entries of a map: xai-sdk writes them in another order in each process."""
    there, here = {"year": "1843", "author": "Ada"}, {"author": "Ada", "year": "1843"}
    judge = Judge("documents.list", Binding(), over_grpc=False, left_out=False)
    assert judge.compare(wrap(there), wrap(here)) == []
    assert [each.what for each in judge.compare(wrap(there), wrap({**here, "author": "Bob"}))] == ["value"]
    assert [(each.what, each.path) for each in judge.compare(there, here)] == [("order", "$")]


def test_planted_words_of_a_refusal_are_found(recording: Recording, compared: Compared) -> None:
    change(find(recording, "files.get", 404), lambda error: error.update(error="No such file."))
    ((_, difference),) = differing(compared(recording))
    assert (difference.what, difference.path, difference.there) == ("words", "$.error", "No such file.")


def test_planted_status_is_found_and_its_dependents_wait(recording: Recording, compared: Compared) -> None:
    """A call that the service refused and the emulator accepts gives later calls no id."""
    entry = find(recording, "collections.create")
    entry.response.status = 418
    comparison = compared(recording)
    ((outcome, difference),) = differing(comparison)
    assert (outcome.number, difference.what) == (entry.number, "status")
    waiting = [each for each in comparison.outcomes if each.waits_for == entry.number]
    assert {each.operation for each in waiting} >= {"documents.add", "documents.list", "documents.search"}
    assert {each.outcome for each in waiting} == {NOT_COMPARED}


def test_planted_header_is_found(recording: Recording, compared: Compared) -> None:
    entry = find(recording, "files.get")
    entry.response.headers = [
        Pair("content-type", "text/json") if pair.name == "content-type" else pair for pair in entry.response.headers
    ]
    ((_, difference),) = differing(compared(recording))
    assert (difference.what, difference.path, difference.kind) == ("header", "content-type", "headers")


def test_header_that_only_the_service_sends_is_noted_once(recording: Recording, compared: Compared) -> None:
    for entry in recording.entries:
        entry.response.headers.append(Pair("x-ratelimit-remaining", "5"))
    comparison = compared(recording)
    assert (differing(comparison), comparison.headers_there) == ([], ["x-ratelimit-remaining"])


@pytest.mark.parametrize(
    ("method", "status", "plant", "what"),
    [
        ("RetrieveFile", "OK", lambda call: call.response[0].update(size=1), "value"),
        ("RetrieveFile", "OK", lambda call: call.response[0].pop("filename"), "missing there"),
        ("RetrieveFile", "OK", lambda call: call.response.clear(), "items"),
        ("RetrieveFile", "OK", lambda call: call.unknown.append("response.17"), "extra there"),
        ("RetrieveFile", "NOT_FOUND", lambda call: setattr(call, "message", "Gone for good"), "words"),
        ("RetrieveFile", "NOT_FOUND", lambda call: setattr(call, "status", "INVALID_ARGUMENT"), "status"),
    ],
)
def test_planted_difference_over_grpc_is_found(
    recording: Recording, compared: Compared, method: str, status: str, plant: Callable[[Any], Any], what: str
) -> None:
    plant(find_grpc(recording, method, status))
    ((_, difference),) = differing(compared(recording))
    assert difference.what == what


def test_same_id_for_two_things_is_a_difference(recording: Recording, compared: Compared) -> None:
    uploads = [entry for entry in recording.entries if entry.operation == "files.upload" and entry.grpc is UNSET]
    first = json.loads(str(uploads[0].response.body.text))["id"]
    change(uploads[1], lambda file: file.update(id=first))
    found = [each for outcome, each in differing(compared(recording)) if outcome.number == uploads[1].number]
    assert [each.what for each in found] == ["identity"]


# Emulators that behave otherwise than the recorded one, with the kinds of what is found, and some of the operations.
MUTANTS: dict[str, tuple[dict[str, Any], set[str], set[str]]] = {
    "shorter pages": ({"limits": {"page_items_max": 1}}, {"items", "kind"}, {"files.list"}),
    "smaller files": ({"limits": {"file_bytes_max": 100}}, {"status"}, {"files.upload"}),
    "further members": ({"chaos": "7:unknown_fields"}, {"missing there"}, {"auth.me", "batches.get", "files.get"}),
    "another order": ({"chaos": "7:shuffled"}, {"order"}, {"auth.me", "collections.create", "files.get"}),
    "late objects": ({"chaos": "7:lag"}, {"status"}, {"files.get"}),
    "failing deletes": ({"chaos": "7:delete_fails"}, {"status"}, {"files.delete"}),
    "slower indexing": ({"indexing": "realistic"}, {"kind", "value"}, {"documents.get", "documents.list"}),
    "slower batches": ({"batches": "realistic"}, {"value", "items"}, {"batches.get", "batches.list_results"}),
}


@pytest.mark.parametrize("name", list(MUTANTS))
def test_emulator_that_behaves_otherwise_is_found(recording: Recording, compared: Compared, name: str) -> None:
    settings, kinds, operations = MUTANTS[name]
    found = differing(compared(recording, **settings))
    assert {difference.what for _, difference in found} == kinds
    assert operations <= {outcome.operation for outcome, _ in found}


def test_ends_of_keys_in_a_refusal_are_not_compared() -> None:
    """They are those of the emulator's key, which has another end for each team."""
    there, here = (f"Incorrect API key provided: xa***{end}. You can obtain one." for end in ("or", "88"))
    judge = Judge("files.list", Binding(), over_grpc=False, left_out=False)
    assert judge.words(there, here, "$.error") == []
    assert judge.words(there, here.replace("***", "..."), "$.error") != []


def test_list_with_an_item_that_was_made_meanwhile_pairs_it_by_its_place(
    recording: Recording, compared: Compared
) -> None:
    """An id that a list is the first to name is not waited for: the item is compared with the one of here."""
    results = find(recording, "batches.list_results")
    change(results, lambda page: page["results"][0].update(batch_request_id=None))
    ((outcome, difference),) = differing(compared(recording))
    assert (outcome.number, difference.what) == (results.number, "kind")
    assert difference.place == "$.results[*].batch_request_id"


def test_null_of_an_unfinished_batch_is_a_difference(recording: Recording, compared: Compared) -> None:
    """Only what depends on the progress is excused, such as the counts."""
    batch = find(recording, "batches.cancel")

    def unfinish(value: dict[str, Any]) -> None:
        value["state"].update(num_pending=1, num_success=0)
        value["name"] = None

    change(batch, unfinish)
    ((outcome, difference),) = differing(compared(recording))
    assert (outcome.number, difference.what, difference.path) == (batch.number, "kind", "$.name")


@pytest.mark.parametrize("planted", [False, True])
def test_recording_is_judged_alike_before_and_after_it_is_sanitized(
    compared: Compared, tmp_path: Path, planted: bool
) -> None:
    """What the placeholders stand for makes no difference, whether there is one or not."""
    with Emulator() as service:
        raw = record_flow(service, tmp_path / "raw.har", keep=tuple(RULES))
    if planted:
        change(find(raw, "files.get"), lambda file: file.update(bytes=1))
        change(find(raw, "files.list"), lambda page: page["data"].reverse())
        change(find(raw, "collections.create"), lambda made: made.pop("collection_id") and None)
    sanitizer = Sanitizer()
    clean = copy.deepcopy(raw)
    for entry in clean.entries:
        sanitizer.clean(entry)
    assert raw.entries[0].response.body.text != clean.entries[0].response.body.text
    judgements = [
        [
            (outcome.number, outcome.outcome, outcome.why, [(each.what, each.path) for each in outcome.differences])
            for outcome in compared(each).outcomes
        ]
        for each in (raw, clean)
    ]
    assert judgements[0] == judgements[1]
    assert any(outcome == DIFFERS for _, outcome, _, _ in judgements[0]) == planted


def test_unfinished_document_is_in_progress(recording: Recording, compared: Compared) -> None:
    entry = find(recording, "documents.get")
    change(entry, lambda document: document.update(status="DOCUMENT_STATUS_PROCESSING", last_indexed_at=None))
    comparison = compared(recording)
    assert differing(comparison) == []
    assert entry.number in [each.number for each in comparison.outcomes if each.outcome == IN_PROGRESS]


def test_things_of_others_in_a_list_are_no_difference(recording: Recording, compared: Compared) -> None:
    foreign = "file_99999999-9999-4999-8999-999999999999"
    for entry in recording.entries:
        if entry.operation == "files.list" and entry.response.status == 200 and entry.grpc is UNSET:
            change(entry, lambda page: page["data"].insert(0, {**(page["data"] or [{}])[0], "id": foreign}))
    assert differing(compared(recording)) == []


def test_thing_of_others_in_a_list_has_its_members_compared(recording: Recording, compared: Compared) -> None:
    foreign = {"id": "file_99999999-9999-4999-8999-999999999999", "brand_new": 1}
    entry = find(recording, "files.list")
    change(entry, lambda page: page["data"].append({**page["data"][0], **foreign}))
    ((outcome, difference),) = differing(compared(recording))
    assert (outcome.number, difference.what, difference.place) == (entry.number, "extra there", "$.data[*].brand_new")


def test_spaces_between_members_are_compared(recording: Recording, compared: Compared) -> None:
    """The bytes of an answer are more than its values: refusals of the management plane have a blank after a comma."""
    entry = find(recording, "files.get")
    entry.response.body.text = str(entry.response.body.text).replace('","', '", "').replace(":", ": ", 1)
    ((outcome, difference),) = differing(compared(recording))
    assert (outcome.number, difference.what, difference.path) == (entry.number, "format", "spaces between members")


@pytest.mark.parametrize("text", ['{"a":"b: c, d"}', '{"a":"\\": ,"}', '{"a":1}'])
def test_spaces_within_strings_do_not_count(text: str) -> None:
    assert spacing(text) == {":"}


@pytest.mark.parametrize(
    ("there", "here", "differs"),
    [
        ('{"a":[{"b":1,"c":2}]}', '{"a":[]}', False),
        ('{"a":[]}', "{}", False),
        ('{"a":1,"b":2}', '{"a":1, "b":2}', True),
        ('{"a":[{"b":1,"c":2}]}', '{"a": []}', True),
    ],
)
def test_spaces_of_marks_that_only_one_text_has_are_not_compared(there: str, here: str, differs: bool) -> None:
    """A list may be empty on one side while the service still works."""
    assert is_spaced_otherwise(there, here) == is_spaced_otherwise(here, there) == differs


def test_progress_has_every_status_in_the_order_of_its_transitions() -> None:
    """A status that is missing there would be reported wherever the service was slower."""
    (order,) = PROGRESS
    places = {DocumentStatus(name): place for place, name in enumerate(order)}
    assert set(DocumentStatus) - set(places) == {DocumentStatus.FAILED}
    for status in places.keys() - {DocumentStatus.PROCESSED}:
        following = STATUS_TRANSITIONS[status] - {DocumentStatus.FAILED, DocumentStatus.PROCESSING}
        assert all(places[status] < places[each] for each in following)


def test_answer_of_the_recorder_and_of_a_failing_service_is_not_compared(
    recording: Recording, compared: Compared
) -> None:
    first, second, third = (entry for entry in recording.entries if entry.operation in ("auth.me", "files.delete"))
    first.by, second.response.status, third.response.status = "recorder", 503, 429
    comparison = compared(recording)
    skipped = {outcome.number for outcome in comparison.outcomes if outcome.outcome == NOT_COMPARED}
    assert {first.number, second.number, third.number} <= skipped


def test_calls_that_overlapped_are_sent_in_the_order_in_which_they_began(
    recording: Recording, compared: Compared
) -> None:
    """Entries are written when they end: a slow one that makes an id may stand behind the calls that use it."""
    recording.entries.append(recording.entries.pop(recording.entries.index(find(recording, "collections.create"))))
    assert differing(compared(recording)) == []


def test_call_with_a_key_that_the_recording_made_is_not_compared(recording: Recording, compared: Compared) -> None:
    """The file has neither the key nor its rights; one that the service does not know is refused here, too."""
    create, get = copy.deepcopy(find(recording, "files.get")), find(recording, "files.get")
    create.request.method, create.request.url = "POST", "https://management-api.x.ai/auth/teams/team_1/api-keys"
    create.started, create.operation = recording.entries[0].started, "keys.create"
    recording.entries.insert(0, create)
    refused = find(recording, "files.list", 400)
    for entry, status in ((get, 403), (refused, 400)):
        entry.response.status = status
        entry.request.headers = [Pair("authorization", "Bearer [other key]")]
    outcomes = [each for each in compared(recording).outcomes if each.operation.startswith("files.")]
    assert [each.number for each in outcomes if each.why == "with a key that the file does not have"] == [get.number]
    assert next(each for each in outcomes if each.number == refused.number).outcome != NOT_COMPARED


def test_only_limits_judged_operations_but_sends_all(recording: Recording, compared: Compared) -> None:
    change(find(recording, "files.get"), lambda file: file.update(bytes=1))
    comparison = compared(recording, only="documents.*")
    assert differing(comparison) == []
    judged = {outcome.operation for outcome in comparison.outcomes if outcome.outcome == ALIKE}
    assert {name.partition(".")[0] for name in judged} == {"documents"}


def test_hosts_named_in_recording_are_not_called(recording: Recording, compared: Compared) -> None:
    """Every URL and header of the file leads to a listener, which must hear nothing."""
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.setblocking(False)
        place = f"127.0.0.1:{trap.getsockname()[1]}"
        for entry in recording.entries:
            path = "/" + entry.request.url.split("/", 3)[3]
            entry.request.url = f"http://{place}{path}"
            entry.request.headers += [
                Pair("host", place),
                Pair("x-forwarded-host", place),
                Pair("referer", f"http://{place}"),
            ]
        assert differing(compared(recording)) == []
        with pytest.raises(BlockingIOError):
            trap.accept()


def test_file_of_a_browser_is_compared_without_keys(recording: Recording, compared: Compared) -> None:
    """Chrome leaves keys out, and knows no operations, numbers and planes."""
    recording.log.about = UNSET
    recording.entries = [
        entry
        for entry in recording.entries
        if entry.grpc is UNSET and entry.response.status != 401 and entry.operation != "files.upload"
    ]
    for entry in recording.entries:
        entry.operation, entry.plane, entry.number = UNSET, UNSET, UNSET
        entry.request.headers = [pair for pair in entry.request.headers if pair.name != "authorization"]
    comparison = compared(recording)
    assert {"collections.create", "batches.create", "batches.get"} <= {
        outcome.operation for outcome in comparison.outcomes if outcome.outcome in (ALIKE, IN_PROGRESS)
    }


def test_recording_with_contents_is_alike_also_in_what_is_found(compared: Compared, tmp_path: Path) -> None:
    with Emulator() as service:
        recording = record_flow(service, tmp_path / "kept.har", keep_contents=True, keep=("texts",))
    assert differing(compared(recording)) == []
    change(find(recording, "documents.search"), lambda found: found["matches"].clear())
    ((_, difference),) = differing(compared(recording))
    assert (difference.what, difference.path) == ("items", "$.matches")


@pytest.mark.parametrize(
    "name", ["../secret.bin", "/etc/passwd", "live.files/../x.bin", "other.files/1.bin", "live.files/2.bin"]
)
def test_content_outside_of_its_folder_is_never_read(recording: Recording, compared: Compared, name: str) -> None:
    upload = find(recording, "files.upload")
    assert isinstance(upload.request.body, PostData)
    assert isinstance(upload.request.body.params, list)
    upload.request.body.params[-1].file = name
    comparison = compared(recording)
    outcome = next(each for each in comparison.outcomes if each.number == upload.number)
    assert (outcome.outcome, outcome.why.startswith("lacks its content")) == (NOT_COMPARED, True)


def test_items_in_another_order_are_a_difference(recording: Recording, compared: Compared) -> None:
    entry = find(recording, "files.list")
    change(entry, lambda page: page["data"].reverse())
    ((outcome, difference),) = differing(compared(recording))
    assert (outcome.number, difference.what, difference.path) == (entry.number, "order", "$.data[*]")
