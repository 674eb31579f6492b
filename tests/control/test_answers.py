"""Planned answers over the control plane, and the searches of a model request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator import Emulator
from emulator.responders.planned import ANSWERS_MAX

Json = dict[str, Any]


@pytest.fixture
def control(emulator: Emulator) -> Iterator[httpx.Client]:
    """A client of the control plane of the default team, as new."""
    emulator.reset()
    with httpx.Client(base_url=f"{emulator.url}/_emulator") as client:
        yield client


def ask(emulator: Emulator, text: str, **members: Any) -> httpx.Response:
    """The reply to a question."""
    headers = {"authorization": f"Bearer {emulator.api_key}"}
    body = {"model": "grok-4.3", "messages": [{"role": "user", "content": text}], **members}
    return httpx.post(f"{emulator.base_url}/chat/completions", json=body, headers=headers)


def said(reply: httpx.Response) -> str:
    """The text of a completion."""
    return str(reply.json()["choices"][0]["message"]["content"])


def test_answer_is_planned_listed_used_and_removed(emulator: Emulator, control: httpx.Client) -> None:
    rule = {"regex": "capital", "response": "Bern", "times": 1}
    planned = control.post("/answers", json=rule).raise_for_status().json()["answer"]
    assert planned == {
        "id": "answer-1",
        "rule": rule,
        "hits": 0,
        "exhausted": False,
        "left": "answer-1 (capital) answered 0 requests, planned: 1",
    }
    assert [said(ask(emulator, "the capital")) for _ in range(2)] == ["Bern", "the capital"]
    used = {**planned, "hits": 1, "exhausted": True, "left": None}
    assert control.get("/answers").json() == {"schema_version": 1, "answers": [used], "canned": None}
    assert control.get("/answers/answer-1").json()["answer"] == used
    assert control.delete("/answers/answer-1").json()["cleared"] == {"answers": 1}
    assert control.get("/answers/answer-1").status_code == 404
    assert control.delete("/answers/answer-1").status_code == 404


def test_answer_of_another_team_is_not_given(emulator: Emulator, control: httpx.Client) -> None:
    control.post("/answers", json={"response": "theirs"}, params={"team": "other"}).raise_for_status()
    assert said(ask(emulator, "mine")) == "mine"
    assert control.get("/answers").json()["answers"] == []
    control.delete("/answers", params={"team": "other"}).raise_for_status()


def test_reset_removes_planned_answers_and_restore_keeps_them(emulator: Emulator, control: httpx.Client) -> None:
    control.post("/answers", json={"response": "planned"}).raise_for_status()
    control.post("/snapshots", json={"name": "before"}).raise_for_status()
    control.post("/snapshots/before/restore").raise_for_status()
    assert said(ask(emulator, "hi")) == "planned"
    assert control.post("/reset").json()["cleared"]["answers"] == 1
    assert said(ask(emulator, "hi")) == "hi"


def test_ids_of_answers_are_not_given_again(emulator: Emulator, control: httpx.Client) -> None:
    ids = [control.post("/answers", json={"response": "x"}).json()["answer"]["id"] for _ in range(2)]
    control.delete(f"/answers/{ids[0]}").raise_for_status()
    assert control.post("/answers", json={"response": "x"}).json()["answer"]["id"] not in ids


@pytest.mark.parametrize(
    ("rule", "status", "sentence"),
    [
        ({}, 422, "one of response, responses and error is needed"),
        ({"response": "x", "error": "y"}, 422, "response and error exclude each other"),
        ({"response": {"texts": 1}}, 422, "unknown field `texts`"),
        ({"regex": "[", "response": "x"}, 422, "regex: unterminated character set"),
        ({"respond": "x"}, 400, "there is no field 'respond'"),
        ({"response": "x", "times": 0}, 400, "times"),
    ],
)
def test_bad_answer_is_refused_when_it_is_planned(
    control: httpx.Client, rule: Json, status: int, sentence: str
) -> None:
    reply = control.post("/answers", json=rule)
    assert (reply.status_code, sentence in reply.json()["error"]) == (status, True), reply.text


def test_team_has_a_bound_of_planned_answers(emulator: Emulator, control: httpx.Client) -> None:
    for _ in range(ANSWERS_MAX):
        emulator.answer(None, "x")
    with pytest.raises(ValueError, match=f"the team has {ANSWERS_MAX} planned answers already"):
        emulator.answer(None, "x")
    assert control.delete("/answers").json()["cleared"] == {"answers": ANSWERS_MAX}


def test_planned_answer_goes_before_the_rules_of_a_file(emulator: Emulator, tmp_path: Path) -> None:
    file = tmp_path / "rules.jsonl"
    file.write_text('{"strict": true}\n{"response": "from the file"}')
    emulator.reset()
    emulator.configure(responder=f"canned:{file}")
    emulator.answer("hi", "planned", times=1)
    assert [said(ask(emulator, "hi")) for _ in range(2)] == ["planned", "from the file"]
    assert emulator.unused_answers() == []
    emulator.reset()


def test_file_of_rules_that_went_away_is_not_listed(emulator: Emulator, control: httpx.Client, tmp_path: Path) -> None:
    file = tmp_path / "rules.jsonl"
    file.write_text('{"response": "x"}')
    emulator.configure(responder=f"canned:{file}")
    assert control.get("/answers").json()["canned"]["file"] == "rules.jsonl"
    file.unlink()
    emulator._running().services.responders.reload()
    assert control.get("/answers").json()["canned"] is None
    emulator.reset()


def test_searches_of_a_request_are_shown_without_answering_it(emulator: Emulator, control: httpx.Client) -> None:
    headers = {"authorization": f"Bearer {emulator.api_key}"}
    files = {"file": ("stove.md", b"The stove burns birch wood.")}
    file = httpx.post(f"{emulator.base_url}/files", files=files, headers=headers).json()["id"]
    emulator.answer("stove", "planned")
    content = [{"type": "text", "text": "what burns in the stove"}, {"type": "file", "file": {"file_id": file}}]
    body = {"model": "grok-4.3", "messages": [{"role": "user", "content": content}]}
    reply = control.post("/chat/searches", json={"endpoint": "chat", "body": body}).raise_for_status().json()
    [search] = reply["searches"]
    [passage] = search["passages"]
    assert (search["tool"], search["query"]) == ("read_attachment", "what burns in the stove")
    assert (passage["rank"], passage["filename"], passage["text"]) == (1, "stove.md", "The stove burns birch wood.")
    assert [each["hits"] for each in control.get("/answers").json()["answers"]] == [0]
    assert [call["operation"] for call in control.get("/requests").json()["requests"]] == ["files.upload"]


def test_searches_of_a_collection_are_those_of_the_responses_tool(emulator: Emulator, control: httpx.Client) -> None:
    headers = {"authorization": f"Bearer {emulator.management_key}"}
    made = httpx.post(f"{emulator.base_url}/collections", json={"collection_name": "notes"}, headers=headers).json()
    tools = [{"type": "file_search", "vector_store_ids": [made["collection_id"]], "max_num_results": 3}]
    body = {"model": "grok-4.3", "input": "stove", "tools": tools}
    [search] = control.post("/chat/searches", json={"endpoint": "responses", "body": body}).json()["searches"]
    assert (search["tool"], search["limit"], search["passages"]) == ("collections_search", 3, [])


def test_searches_include_files_of_the_response_that_a_request_continues(
    emulator: Emulator, control: httpx.Client
) -> None:
    headers = {"authorization": f"Bearer {emulator.api_key}"}
    files = {"file": ("stove.md", b"The stove burns birch wood.")}
    file = httpx.post(f"{emulator.base_url}/files", files=files, headers=headers).json()["id"]
    content = [{"type": "input_text", "text": "read it"}, {"type": "input_file", "file_id": file}]
    first = {"model": "grok-4.3", "input": [{"role": "user", "content": content}]}
    id = httpx.post(f"{emulator.base_url}/responses", json=first, headers=headers).json()["id"]
    body = {"model": "grok-4.3", "input": "birch wood", "previous_response_id": id}
    [search] = control.post("/chat/searches", json={"endpoint": "responses", "body": body}).json()["searches"]
    assert (search["query"], [each["file_id"] for each in search["passages"]]) == ("birch wood", [file])
    unknown = {**body, "previous_response_id": "nothing"}
    assert control.post("/chat/searches", json={"endpoint": "responses", "body": unknown}).status_code == 404


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ([{"type": "text", "text": "x"}, {"type": "file", "file": {"file_id": "file_nope"}}], 404),
        ("no file", 200),
        (7, 200),
    ],
)
def test_searches_of_what_is_not_there_are_refused(control: httpx.Client, content: Any, status: int) -> None:
    body = {"model": "grok-4.3", "messages": [{"role": "user", "content": content}]}
    assert control.post("/chat/searches", json={"endpoint": "chat", "body": body}).status_code == status
