"""Drafts of cases pass on the emulator that was recorded, after each got a description by hand."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from contract_tests import steps
from contract_tests.case import Case, read_cases
from contract_tests.clients.http import HttpxTransport, Transport
from contract_tests.clients.rest import RestClient
from contract_tests.clients.xai_python import XaiPython
from contract_tests.target import Target, find_target
from emulator import Emulator
from emulator.comparing.drafts import draft_cases
from emulator.comparing.run import Comparison
from emulator.recordings.entries import Grpc
from emulator.recordings.har import Recording
from tests.comparing.test_compare import change, find

Compared = Callable[..., Comparison]
Functions = Callable[[str], dict[str, Callable[..., None]]]


@pytest.fixture
def drafted(recording: Recording, compared: Compared, tmp_path: Path) -> Path:
    """A folder with the drafts of the whole recording, each with a sentence."""
    drafts = draft_cases(compared(recording))
    (tmp_path / "drafts.toml").write_text(drafts.text.replace('sentence = ""', 'sentence = "A reviewed sentence"'))
    return tmp_path


@pytest.fixture
def target() -> Iterator[Target]:
    with Emulator() as emulator:
        keys = {"XAI_API_KEY": emulator.api_key, "XAI_MANAGEMENT_KEY": emulator.management_key}
        yield find_target(emulator.url, keys, grpc=emulator.grpc_target)


@pytest.fixture
def transport() -> Iterator[Transport]:
    transport = HttpxTransport()
    yield transport
    transport.close()


def test_draft_is_refused_until_it_has_a_sentence(recording: Recording, compared: Compared, tmp_path: Path) -> None:
    (tmp_path / "drafts.toml").write_text(draft_cases(compared(recording)).text)
    with pytest.raises(ValueError, match="a case has a sentence"):
        read_cases(tmp_path)


def test_drafts_hold_on_an_emulator(drafted: Path, target: Target, transport: Transport) -> None:
    cases = read_cases(drafted)
    assert {case.feature for case in cases} == {"files", "auth", "collections", "search", "batches"}
    for case in cases:
        steps.run(case, target, transport)


def by_operation(cases: list[Case], operation: str) -> Case:
    return next(case for case in cases if case.operations == (operation,) and case.steps[-1]["expect"]["status"] == 200)


def test_draft_has_the_calls_that_lead_to_it(drafted: Path) -> None:
    """A search needs the collection, the file, and that the one is indexed in the other."""
    search = by_operation(read_cases(drafted), "documents.search")
    assert [step["request"] for step in search.steps] == [
        "POST /v1/files",
        "POST /v1/collections",
        "POST /v1/collections/{collection}/documents/{file}",
        "GET /v1/collections/{collection}/documents/{file}",
        "POST /v1/documents/search",
    ]
    assert search.steps[-1]["json"]["source"] == {"collection_ids": ["{collection}"]}
    assert search.steps[3]["within_seconds"] == 60
    assert search.steps[0]["save"] == {"file": "id"}


def test_draft_expects_kinds_of_what_differs_each_time_and_else_values(drafted: Path) -> None:
    get = by_operation(read_cases(drafted), "files.get").steps[-1]
    assert get["request"] == "GET /v1/files/{file}"
    assert get["expect"]["keys"] == ["bytes", "created_at", "expires_at", "filename", "id", "object", "purpose"]
    expected: dict[str, Any] = get["expect"]["json"]
    assert (expected["id"], expected["created_at"], expected["expires_at"]) == ("{file}", "$number", "$null")
    assert (expected["filename"], expected["object"]) == ("{run}notes-0.txt", "file")


def test_unfinished_answer_is_left_out_and_not_waited_for(recording: Recording, compared: Compared) -> None:
    """A client may look once before the batch is done: no emulator would ever answer that again."""
    for entry in recording.entries:
        if entry.operation in ("batches.get", "documents.get"):
            change(entry, unfinished)
    drafts = draft_cases(compared(recording))
    cases = tomllib.loads(drafts.text)["case"]
    assert drafts.left_out["in progress when recorded, which a case cannot wait for"] >= 2
    assert not {"batches.get", "documents.get"} & {operation for case in cases for operation in case["operations"]}
    (search,) = (case for case in cases if case["source"].endswith("#17"))
    assert search["step"][3]["expect"] == {"status": 200}


def unfinished(answer: dict[str, Any]) -> None:
    if "status" in answer:
        answer["status"] = "DOCUMENT_STATUS_PROCESSING"
    else:
        answer["state"].update(num_pending=1, num_success=0)


def test_exchange_that_differs_comes_first_and_says_how(recording: Recording, compared: Compared) -> None:
    change(find(recording, "files.get", 404), lambda error: error.update(error="No such file."))
    text = draft_cases(compared(recording)).text
    comment = next(line for line in text.splitlines() if line.startswith("# differs"))
    assert comment.startswith('# differs: words $.error: "No such file." there, ')
    first = tomllib.loads(text)["case"][0]
    assert first["step"][-1]["expect"]["json"]["error"] == "No such file."


def test_exchanges_that_are_not_emulated_are_counted_and_left_out(recording: Recording, compared: Compared) -> None:
    find(recording, "auth.me").operation = None
    left_out = draft_cases(compared(recording)).left_out
    assert left_out["of operations that are not emulated"] == 1


# --- over gRPC


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> Functions:
    """Read the tests of a module of the kit, whose marks are declared in a configuration of its own."""
    monkeypatch.setattr(pytest.mark, "_config", None)
    return functions_of


def functions_of(code: str) -> dict[str, Callable[..., None]]:
    module: dict[str, Any] = {"__name__": "contract_tests.test_drafts", "__package__": "contract_tests"}
    exec(compile(code, "test_drafts.py", "exec"), module)
    return {name: each for name, each in module.items() if name.startswith("test_")}


def test_draft_over_grpc_is_refused_until_it_has_a_sentence(
    recording: Recording, compared: Compared, functions: Functions
) -> None:
    with pytest.raises(ValueError, match="a case has a sentence"):
        functions(draft_cases(compared(recording)).code)


def test_drafts_over_grpc_hold_on_an_emulator(
    recording: Recording, compared: Compared, target: Target, functions: Functions
) -> None:
    """An upload in messages, a file that was uploaded over REST, and a refusal, with the kit's client."""
    drafts = draft_cases(compared(recording))
    found = functions(drafts.code.replace('""""""', '"""A reviewed sentence."""'))
    assert len(found) == drafts.code_count == 3
    client, rest = XaiPython(target), RestClient(target, HttpxTransport())
    try:
        for test in found.values():
            test(client, rest, target.run_prefix)
    finally:
        client.close()
        rest.close()


def test_draft_over_grpc_names_what_it_makes_and_expects_what_was_answered(
    recording: Recording, compared: Compared
) -> None:
    code = draft_cases(compared(recording)).code
    assert """client.upload_rpc([{'init': {'name': f'{run}grpc.txt'}}, {'data': b'""" in code
    assert """client.call_rpc('RetrieveFile', file_id=f'{file}')""" in code
    assert """rest.json('POST', '/v1/files', form=[('file', FilePart(f'{run}notes-0.txt', b'""" in code
    assert """{'status': 'NOT_FOUND', 'message': 'File not found'}""" in code


def test_draft_over_grpc_that_differs_comes_first_and_says_how(recording: Recording, compared: Compared) -> None:
    call = next(entry.grpc for entry in recording.entries if isinstance(entry.grpc, Grpc) and entry.grpc.response)
    call.response[0]["size"] = 5
    code = draft_cases(compared(recording)).code
    first = code[code.index("# differs") :].splitlines()[:2]
    assert first[0].startswith("# differs: value $.size: 5 there, ")
    assert first[1].startswith("@case(\"files.draft-grpc-1\", 'files.upload'")
