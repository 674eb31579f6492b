"""One request has one text, one count and one cost, whichever way it comes: over REST or in a batch."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from emulator import Emulator
from fixtures.team import EmulatedTeam

Json = dict[str, Any]
SCHEMA = {"type": "object", "properties": {"mood": {"enum": ["good", "bad"]}}, "required": ["mood"]}
TOOL = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
BODIES: dict[str, Json] = {
    "plain": {},
    "system": {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]},
    "choices": {"n": 3},
    "tools": {"tools": [TOOL]},
    "forced tool": {"tools": [TOOL], "tool_choice": "required"},
    "json": {"response_format": {"type": "json_object"}},
    "schema": {"response_format": {"type": "json_schema", "json_schema": {"name": "m", "schema": SCHEMA}}},
    "short": {"max_tokens": 1},
    "file": {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "When are the ferns watered?"},
                    {"type": "file", "file": {"file_id": "FILE"}},
                ],
            }
        ]
    },
}


@pytest.fixture
def team(emulator: Emulator) -> EmulatedTeam:
    """A team with a file."""
    emulator.reset()
    return EmulatedTeam(emulator, "default")


def what_counts(completion: Json) -> Json:
    """A completion without what is of one call only."""
    return {key: value for key, value in completion.items() if key not in ("id", "created")} | {
        "choices": [_without_call_ids(choice) for choice in completion["choices"]]
    }


def _without_call_ids(choice: Json) -> Json:
    calls = [{**call, "id": ""} for call in choice["message"].get("tool_calls", ())]
    return {**choice, "message": {**choice["message"], "tool_calls": calls}}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_batch_and_live_call_have_the_same_answer(team: EmulatedTeam, rest: httpx.Client, body: Json) -> None:
    file = team.upload("a.txt", b"The kettle is copper.\n\nThe ferns are watered on Monday.")
    whole = {"model": "grok-4.3", "messages": [{"role": "user", "content": "hi there"}], **body}
    whole = json.loads(json.dumps(whole).replace("FILE", file))
    live = rest.post("/v1/chat/completions", json=whole).json()
    batch = team.call("POST", "/v1/batches", {"name": "b"})["batch_id"]
    request = {"batch_request_id": "a", "batch_request": {"chat_get_completion": whole}}
    team.call("POST", f"/v1/batches/{batch}/requests", {"batch_requests": [request]})
    team.advance_until(batch_done=batch)
    [result] = team.call("GET", f"/v1/batches/{batch}/results")["results"]
    assert what_counts(result["batch_result"]["response"]["chat_get_completion"]) == what_counts(live)
