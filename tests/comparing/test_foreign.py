"""Files of other programs against an emulator: as they are, and as a stranger may have made them."""

from __future__ import annotations

import io
import json
import random
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator import Emulator
from emulator.cli.output import say
from emulator.comparing.differences import FAIL_ON
from emulator.comparing.report import json_of, junit_of, lines_of, report_of
from emulator.comparing.run import ALIKE, NOT_COMPARED, Comparison, compare
from emulator.comparing.send import Target
from emulator.domain.keys import Plane
from emulator.recordings.har import BadRecording, Recording
from emulator.recordings.reading import decode, read
from tests.examples import examples
from tests.recordings.test_foreign import FILES, FOLDER, WITH_GRPC
from tests.recordings.test_untrusted import VALUES, places, replaced

Compare = Callable[[Recording], Comparison]


@pytest.fixture(scope="module")
def compared() -> Iterator[Compare]:
    """Compare with an emulator, each time in a new team."""
    numbers = count()
    with Emulator() as emulator:

        def run(recording: Recording) -> Comparison:
            team = f"team-{next(numbers)}"
            keys = {Plane.INFERENCE: f"xai-emulator@{team}", Plane.MANAGEMENT: f"xai-token-emulator@{team}"}
            return compare(recording, Target(emulator.url, emulator.grpc_target, keys, team))

        yield run


@pytest.mark.parametrize("name", FILES)
def test_file_of_each_program_is_alike(compared: Compare, name: str) -> None:
    comparison = compared(read(FOLDER / name))
    assert [each for outcome in comparison.outcomes for each in outcome.differences] == []
    alike = sum(outcome.outcome == ALIKE for outcome in comparison.outcomes)
    assert alike == (7 if name in WITH_GRPC else 5)


@pytest.mark.parametrize("name", FILES)
def test_difference_in_a_file_of_each_program_is_found(compared: Compare, name: str) -> None:
    recording = read(FOLDER / name)
    created = next(entry for entry in recording.entries if entry.operation == "batches.create")
    created.response.body.text = str(created.response.body.text).replace('"cancel_time":null,', "")
    ((outcome, difference),) = [
        (outcome, each) for outcome in compared(recording).outcomes for each in outcome.differences
    ]
    assert (outcome.operation, difference.what, difference.path) == ("batches.create", "missing there", "$.cancel_time")


def entry(path: str, answer: str, status: int = 200, method: str = "GET", **request: Any) -> dict[str, Any]:
    content = {"mimeType": "application/json", "text": answer}
    headers = [{"name": "content-type", "value": "application/json"}]
    return {
        "request": {"method": method, "url": f"https://api.x.ai{path}", "headers": headers, **request},
        "response": {"status": status, "headers": headers, "content": content},
    }


def of(*entries: dict[str, Any], **about: Any) -> Recording:
    return decode(json.dumps({"log": {"entries": entries, **about}}).encode(), Path("x.har"))


def test_file_without_times_is_compared_by_the_form_of_its_times(compared: Compare) -> None:
    answer = (FOLDER / "chrome.har").read_text()
    text = next(
        each["response"]["content"]["text"]
        for each in json.loads(answer)["log"]["entries"]
        if each["request"]["url"].endswith("/v1/batches")
    )
    created = entry("/v1/batches", text.replace("2026", "2025"), method="POST", postData={"text": '{"name":"evals"}'})
    (outcome,) = compared(of(created)).outcomes
    assert (outcome.outcome, outcome.differences) == (ALIKE, [])


def test_objects_older_than_recording_are_not_compared(compared: Compare) -> None:
    older, made_up, missing = (
        f"/v1/files/file_{uuid}"
        for uuid in (
            "1c84937e-a674-4e83-afb9-0b436f9a4378",
            "00000000-0000-4000-8000-000000000000",
            "2c84937e-a674-4e83-afb9-0b436f9a4378",
        )
    )
    not_found = '{"code":"not-found","error":"File not found"}'
    outcomes = compared(of(entry(older, "{}"), entry(made_up, "{}"), entry(missing, not_found, 404))).outcomes
    assert [(each.outcome, each.why) for each in outcomes] == [
        (NOT_COMPARED, "needs what was there before the recording"),
        ("differs", ""),
        (ALIKE, ""),
    ]


def test_answer_that_is_not_in_the_file_is_not_compared(compared: Compare) -> None:
    without = entry("/v1/files", "")
    del without["response"]["content"]["text"]
    (outcome,) = compared(of(without)).outcomes
    assert (outcome.outcome, outcome.why) == (NOT_COMPARED, "whose answers are not in the file, or not readable")


def test_chat_of_another_program_is_not_compared(compared: Compare) -> None:
    (outcome,) = compared(of(entry("/v1/chat/completions", "{}", method="POST", postData={"text": "{}"}))).outcomes
    assert outcome.outcome == NOT_COMPARED


# --- strangers


HOSTILE: dict[str, dict[str, Any]] = {
    "method with a line break": entry("/v1/files", "{}", method="GET / HTTP/1.1\r\nx: y\r\n\r\nGET"),
    "header with a line break": entry("/v1/files", "{}", headers=[{"name": "x-a", "value": "b\r\nx-c: d"}]),
    "name of a header with a line break": entry("/v1/files", "{}", headers=[{"name": "x\r\ny", "value": "b"}]),
    "deep answer": entry("/v1/files", "[" * 50_000),
    "deep answer that is JSON": entry("/v1/files", "[" * 900 + "]" * 900),
    "deep request": entry("/v1/batches", "{}", method="POST", postData={"text": "[" * 50_000}),
    "number without an end": entry("/v1/files", "9" * 10_000),
    "infinity": entry("/v1/files", '{"data":[],"created_at":Infinity,"expires_at":NaN}'),
    "half a character": entry("/v1/files", '{"data":"\\ud800"}'),
    "half a character in a sentence": entry("/v1/files/x", '{"code":"\\ud800","error":"\\udfff"}', 404),
    "terminal codes": entry("/v1/files/x", '{"code":"a","error":"\\u001b[2J"}', 404),
    "year 9999": {**entry("/v1/files", "{}"), "startedDateTime": "9999-12-31T23:59:59Z"},
    "control path": entry("/_emulator/reset", "{}", method="POST"),
    "control path behind dots": entry("/v1/../_emulator/reset", "{}", method="POST"),
    "upload of endless size": entry(
        "/v1/files",
        '{"bytes": 99999999999999}',
        method="POST",
        postData={"mimeType": "multipart/form-data", "params": [{"name": "file", "fileName": "a"}]},
    ),
    "boundary that is none": entry(
        "/v1/files",
        "{}",
        method="POST",
        postData={"mimeType": "multipart/form-data; boundary=" + "x" * 5000, "text": "--x"},
    ),
    "status that is none": entry("/v1/files", "{}", status=99_999_999_999),
    "unknown method": entry("/v1/files", "{}", method="BREW"),
    "url with everything": entry("/v1/files?a=\ud83d\ude00 \x01#b?c%zz", "{}"),
}


def shown(comparison: Comparison) -> str:
    """Every form of the report, which must be writable."""
    report = report_of(comparison, [], FAIL_ON, 0)
    text = "\n".join(lines_of(report))
    written = json.dumps(json_of(report), ensure_ascii=False)
    assert junit_of(report)
    return text + written


@pytest.mark.parametrize("name", list(HOSTILE))
def test_hostile_entry_is_compared_or_left_out(compared: Compare, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    after = entry("/v1/files", '{"data":[],"has_more":false,"first_id":null,"last_id":null,"object":"list"}')
    comparison = compared(of(HOSTILE[name], after))
    assert len(comparison.outcomes) in (1, 2)
    output = io.TextIOWrapper(io.BytesIO(), "utf-8")  # as strict as a terminal
    monkeypatch.setattr(sys, "stdout", output)
    for line in lines_of(report_of(comparison, [], FAIL_ON, 0)):
        say(line)
    output.flush()
    assert b"\x1b" not in output.buffer.getvalue()  # type: ignore[attr-defined]  # a BytesIO
    shown(comparison)


@pytest.mark.parametrize(
    "call",
    [
        {"request": [5]},
        {"request": ["x", None, []]},
        {"request": [{"file_id": {"a": 1}}]},
        {"request": [{"file_id": {"_bytes": 10**18}}]},
        {"request": [{"file_id": {"_bytes": -1}}]},
        {"request": [{"file_id": {"_bytes": 3, "_base64": "*"}}]},
        {"request": []},
        {"request": [{"file_id": "a"}, {"file_id": "b"}]},
        {"request": [{"file_id": "a"}], "response": [5, None, {"data": {"_bytes": "x"}}]},
        {"request": [{"file_id": "a"}], "status": "\x00", "message": "\n" * 50},
        {"request": [{"file_id": "a"}], "unknown": ["response.", "response.x\n"]},
    ],
)
@pytest.mark.parametrize("method", ["RetrieveFile", "RetrieveFileContent", "UploadFile"])
def test_hostile_messages_are_compared_or_left_out(compared: Compare, call: dict[str, Any], method: str) -> None:
    """In a file that says it is one of ours."""
    asked = {
        "method": "POST",
        "url": f"https://api.x.ai/xai_api.Files/{method}",
        "headers": [{"name": "\n", "value": "\0"}],
    }
    about = {"_xai_emulator": {"to": ["https://api.x.ai"]}}
    (outcome,) = compared(of({"request": asked, "_grpc": {"status": "OK", **call}}, **about)).outcomes
    assert outcome.outcome in (ALIKE, "differs", NOT_COMPARED)
    asked["headers"] = []
    shown(compared(of({"request": asked, "_grpc": {"status": "OK", **call}}, **about)))


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=examples(40),
    deadline=None,
)
@given(st.sampled_from([name for name in FILES if name.endswith(".har")]), VALUES, st.randoms(use_true_random=False))
def test_file_with_any_value_at_any_place_is_compared(
    compared: Compare, name: str, value: Any, chance: random.Random
) -> None:
    sample = json.loads((FOLDER / name).read_text("utf-8-sig"))
    changed = replaced(sample, chance.choice(places(sample)), value)
    try:
        recording = decode(json.dumps(changed).encode(), Path("x.har"))
    except BadRecording:
        return
    shown(compared(recording))
