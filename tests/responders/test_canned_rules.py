"""Canned rules: what they match, what they answer, and how a file of them is checked."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator import Emulator
from emulator.core.errors import ApiError, Kind
from emulator.domain.chat.evidence import Passage, Search, SearchTool
from emulator.domain.chat.requests import Endpoint, ModelRequest
from emulator.responders import make_responder

Json = dict[str, Any]
PASSAGE = Passage("The ferns  are\nwatered.", 0.5, "file_1", "notes.md", "chunk_1", ("collection_1",))
FOUND = Search(SearchTool.COLLECTIONS, "ferns", 10, passages=(PASSAGE,), targets=("collection_1",))
NOTHING = Search(SearchTool.ATTACHMENTS, "ferns", 10, targets=("notes.md",))
TOOL = {"type": "function", "function": {"name": "weather"}}
CALL = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
CONVERSATION = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Weather in Bern?"},
    {"role": "assistant", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c", "content": "rain"},
]


def asked(messages: Any = CONVERSATION, evidence: tuple[Search, ...] = (), **body: Any) -> ModelRequest:
    """A request as a responder gets it."""
    whole = {"messages": messages, "tools": [TOOL], **body}
    request = ("", "", "chat_get_completion", "grok-4.3", whole)
    return ModelRequest(*request, endpoint=Endpoint.CHAT, evidence=evidence)


def answer(path: Path, rules: list[Json], request: ModelRequest) -> Any:
    """What a file of rules answers."""
    file = path / "rules.jsonl"
    file.write_text("\n".join(map(json.dumps, rules)))
    [said] = asyncio.run(make_responder(f"canned:{file}").answer([request]))
    return said


@pytest.mark.parametrize(
    ("conditions", "fits"),
    [
        ({"contains": "Bern"}, True),
        ({"contains": "Basel"}, False),
        ({"regex": "^weather"}, False),
        ({"regex": "(?i)^weather"}, True),
        ({"system": "brief"}, True),
        ({"system": ["brief", "Be"]}, True),
        ({"system": ["brief", "long"]}, False),
        ({"turn": 2}, True),
        ({"turn": 1}, False),
        ({"tool_result": "rain"}, True),
        ({"tool_result": "snow"}, False),
        ({"tool_result": True}, True),
        ({"tool": "weather"}, True),
        ({"tool": "file_search"}, False),
        ({"format": "text"}, True),
        ({"format": "json_schema"}, False),
        ({"model": "grok-4*"}, True),
        ({"model": "grok-3*"}, False),
        ({"endpoint": "chat"}, True),
        ({"endpoint": "batch"}, False),
        ({"contains": "Bern", "turn": 1}, False),
        ({"found": False}, True),
        ({"found": True}, False),
        ({"file": "*.md"}, False),
    ],
)
def test_rule_fits_when_all_conditions_hold(tmp_path: Path, conditions: Json, fits: bool) -> None:
    said = answer(tmp_path, [{**conditions, "response": "yes"}, {"response": "no"}], asked())
    assert said == ("yes" if fits else "no")


@pytest.mark.parametrize(
    ("conditions", "search", "fits"),
    [
        ({"found": True}, FOUND, True),
        ({"found": True}, NOTHING, False),
        ({"collection": "collection_1"}, FOUND, True),
        ({"collection": "collection_2"}, FOUND, False),
        ({"file": "*.md"}, NOTHING, True),
        ({"file": "*.txt"}, NOTHING, False),
    ],
)
def test_rule_looks_at_what_was_found(tmp_path: Path, conditions: Json, search: Search, fits: bool) -> None:
    said = answer(tmp_path, [{**conditions, "response": "yes"}, {"response": "no"}], asked(evidence=(search,)))
    assert said == ("yes" if fits else "no")


def test_response_names_what_was_found(tmp_path: Path) -> None:
    text = "{quote} {file_name} {file_id} {collection_id} {chunk_id} {score} {citation} {tool_result} {turn} {else}"
    assert answer(tmp_path, [{"response": text}], asked(evidence=(FOUND,))) == (
        "The ferns are watered. notes.md file_1 collection_1 chunk_1 0.5 "
        "[[1]](collections://collection_1/files/file_1) rain 2 {else}"
    )


def test_response_without_matches_leaves_names_empty(tmp_path: Path) -> None:
    assert answer(tmp_path, [{"response": "<{quote}{citation}{score}>"}], asked()) == "<>"


def test_message_is_made_of_json_reasoning_and_calls(tmp_path: Path) -> None:
    response = {"json": {"said": "{prompt}"}, "reasoning": "Turn {turn}.", "tool_calls": [{"name": "f"}]}
    assert answer(tmp_path, [{"response": response}], asked()) == {
        "content": '{"said": "Weather in Bern?"}',
        "reasoning_content": "Turn 2.",
        "tool_calls": [{"name": "f"}],
    }


def test_error_has_status_code_and_retry_after(tmp_path: Path) -> None:
    error = {"status": 429, "code": "slow-down", "message": "later", "retry_after": 3}
    said = answer(tmp_path, [{"error": error}], asked())
    assert isinstance(said, ApiError)
    assert (said.kind, said.status, said.code, said.message, said.retry_after) == (
        *(Kind.RESOURCE_EXHAUSTED, 429, "slow-down"),
        *("later", 3),
    )


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ({"regex": "(", "response": "x"}, "line 1: "),
        ({"endpoint": "smtp", "response": "x"}, "line 1: "),
        ({"contain": "x", "response": "x"}, "line 1: .*unknown field `contain`"),
        ({"error": {"status": 200, "message": "x"}}, "line 1: "),
        ({"strict": True, "response": "x"}, "line 1: strict needs a line of its own"),
    ],
)
def test_bad_rule_is_refused_with_its_line(tmp_path: Path, line: Json, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        answer(tmp_path, [line], asked())


def test_live_call_without_matching_rule_of_strict_file_returns_400(tmp_path: Path) -> None:
    file = tmp_path / "rules.jsonl"
    file.write_text('{"strict": true}\n{"contains": "known", "response": "yes"}')
    with Emulator(responder=f"canned:{file}") as emulator:
        headers = {"authorization": f"Bearer {emulator.api_key}"}
        with httpx.Client(base_url=emulator.base_url, headers=headers) as client:
            body = {"model": "grok-4.3", "messages": [{"role": "user", "content": "known"}]}
            known = client.post("/chat/completions", json=body)
            assert known.json()["choices"][0]["message"]["content"] == "yes"
            body["messages"] = [{"role": "user", "content": "other"}]
            reply = client.post("/chat/completions", json=body)
    expected = {"code": "emulator:no-rule", "error": 'No rule of rules.jsonl matches: "other"'}
    assert (reply.status_code, reply.json()) == (400, expected)
