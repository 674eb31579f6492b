"""Planned answers of an emulator: streams of reasoning, several calls and several choices, and videos that fail."""

from __future__ import annotations

from typing import Any

import pytest

from . import matchers
from .case import EMULATOR, case
from .clients.client import MODEL, Client
from .clients.rest import RestClient
from .target import Target
from .test_answers import events, joined

pytestmark = pytest.mark.own_team
SOURCE = "the planned answers of the emulator; the order of streams is recorded, 2026-04 to 2026-08"
TEXT = "Say what is planned."
CALLS = [{"name": "weather", "arguments": f'{{"city":"{city}"}}'} for city in ("Bern", "Basel")]
PLANNED = {
    "content": "It is well.",
    "reasoning_content": "First one thinks.",
    "tool_calls": [{"type": "function", "function": call} for call in CALLS],
}
TOOL = {"name": "weather", "parameters": {"type": "object"}}


def plan(target: Target, **rule: Any) -> None:
    """Plan the answer to every request of the team."""
    target.control("POST", "/answers", rule)


def merged(words: list[str]) -> list[str]:
    """Words without those that repeat the one before."""
    return [word for place, word in enumerate(words) if place == 0 or word != words[place - 1]]


@case("chat.planned", "chat.create", evidence=EMULATOR, source=SOURCE, control=True, paid=True)
@pytest.mark.usefixtures("transport")
def test_completion(rest: RestClient, target: Target) -> None:
    """Reasoning is streamed before the text, then each call with its number; with two choices each has all of it."""
    plan(target, response=PLANNED)
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": TEXT}],
        "tools": [{"type": "function", "function": TOOL}],
    }
    for count in (1, 2):
        whole = rest.json("POST", "/v1/chat/completions", json_body={**body, "n": count})
        chunks = events(rest, "/v1/chat/completions", {**body, "n": count})
        for choice in range(count):
            deltas = [each["delta"] for chunk in chunks for each in chunk["choices"] if each["index"] == choice]
            kinds = [
                key for delta in deltas for key in ("reasoning_content", "content", "tool_calls") if delta.get(key)
            ]
            assert merged(kinds) == ["reasoning_content", "content", "tool_calls"], choice
            for key in ("reasoning_content", "content"):
                assert "".join(delta.get(key) or "" for delta in deltas) == PLANNED[key], choice
            calls = [call for delta in deltas for call in delta.get("tool_calls") or ()]
            assert [call["index"] for call in calls] == [0, 1], choice
            shown = whole["choices"][choice]
            assert shown["message"]["reasoning_content"] == PLANNED["reasoning_content"]
            for found in (calls, shown["message"]["tool_calls"]):
                matchers.check(found, [{"id": "$text", "type": "function", "function": call} for call in CALLS])
        assert len(joined(chunks)["choices"]) == len(whole["choices"]) == count


@case("responses.planned", "responses.create", evidence=EMULATOR, source=SOURCE, control=True, paid=True)
@pytest.mark.usefixtures("transport")
def test_response(rest: RestClient, target: Target) -> None:
    """Reasoning, the text and each call are items of the output in this order, and are streamed in it."""
    plan(target, response=PLANNED)
    body = {"model": MODEL, "input": TEXT, "tools": [{"type": "function", **TOOL}]}
    whole = rest.json("POST", "/v1/responses", json_body=body)
    streamed = events(rest, "/v1/responses", body)
    expected = ["reasoning", "message", "function_call", "function_call"]
    for output in (whole["output"], streamed[-1]["response"]["output"]):
        assert [each["type"] for each in output] == expected
        matchers.check(output[2:], CALLS)
        matchers.check(output[1], {"content": [{"text": PLANNED["content"]}]})
    done = [each["item"]["type"] for each in streamed if each["type"] == "response.output_item.done"]
    assert done == expected


@case("chat.planned-over-grpc", "chat.create", evidence=EMULATOR, source=SOURCE, control=True, paid=True)
@pytest.mark.over_grpc
@pytest.mark.one_client_per_protocol
def test_over_grpc(client: Client, target: Target) -> None:
    """Over gRPC reasoning is streamed before the text, and the calls come last, for each of two outputs."""
    plan(target, response=PLANNED)
    request = {"model": MODEL, "messages": [{"role": "ROLE_USER", "content": [{"text": TEXT}]}], "n": 2}
    request |= {"tools": [{"function": {"name": "weather", "parameters": '{"type": "object"}'}}]}
    whole = client.call_rpc("GetCompletion", **request)["outputs"]
    outputs = [output for chunk in client.stream_rpc("GetCompletionChunk", **request) for output in chunk["outputs"]]
    for number in (0, 1):
        deltas = [each["delta"] for each in outputs if each["index"] == number]
        kinds = [key for delta in deltas for key in ("reasoning_content", "content", "tool_calls") if delta.get(key)]
        assert merged(kinds) == ["reasoning_content", "content", "tool_calls"], number
        for key in ("reasoning_content", "content"):
            assert "".join(delta[key] for delta in deltas) == whole[number]["message"][key] == PLANNED[key], number
        for calls in (
            [call for delta in deltas for call in delta["tool_calls"]],
            whole[number]["message"]["tool_calls"],
        ):
            matchers.check(calls, [{"function": call} for call in CALLS])


@case("media.planned-failure", "videos.generate", "videos.get", evidence=EMULATOR, source=SOURCE, control=True)
@pytest.mark.over_both_protocols
def test_failed_video(client: Client, rest: RestClient, target: Target) -> None:
    """A video that cannot be made is started, and fails with the words of the refusal."""
    plan(target, error={"status": 400, "message": "No kettle."})
    body = {"model": "grok-imagine-video", "prompt": "A kettle."}
    if client.protocol == "grpc":
        id = client.call_rpc("GenerateVideo", **body)["request_id"]
        failed = client.call_rpc("GetDeferredVideo", request_id=id)
        matchers.check(failed, {"status": "FAILED", "response": {"error": {"message": {"$contains": "No kettle."}}}})
    id = rest.json("POST", "/v1/videos/generations", json_body=body)["request_id"]
    found = rest.json("GET", f"/v1/videos/{id}")
    matchers.check(found, {"status": "failed", "error": {"message": {"$contains": "No kettle."}}})
