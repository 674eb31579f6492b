"""One request has one text, one count and one cost, whichever way it comes: over REST, over gRPC or in a batch."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from emulator import Emulator
from emulator.domain.chat.responses_body import from_responses
from emulator.rpc.chat.messages import CHAT_REQUEST, CHAT_RESPONSE
from fixtures.team import EmulatedTeam
from tests.rpc.client import Rpc

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


def whole_body(team: EmulatedTeam, body: Json) -> Json:
    """A whole request; FILE in it stands for a file of the team."""
    file = team.upload("a.txt", b"The kettle is copper.\n\nThe ferns are watered on Monday.")
    whole = {"model": "grok-4.3", "messages": [{"role": "user", "content": "hi there"}], **body}
    found: Json = json.loads(json.dumps(whole).replace("FILE", file))
    return found


def batch_result(team: EmulatedTeam, kind: str, body: Json) -> Json:
    """What a batch answers to one request."""
    batch = team.call("POST", "/v1/batches", {"name": "b"})["batch_id"]
    request = {"batch_request_id": "a", "batch_request": {kind: body}}
    team.call("POST", f"/v1/batches/{batch}/requests", {"batch_requests": [request]})
    team.advance_until(batch_done=batch)
    [result] = team.call("GET", f"/v1/batches/{batch}/results")["results"]
    completion: Json = result["batch_result"]["response"]["chat_get_completion"]
    return completion


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_batch_and_live_call_have_the_same_answer(team: EmulatedTeam, rest: httpx.Client, body: Json) -> None:
    whole = whole_body(team, body)
    live = rest.post("/v1/chat/completions", json=whole).json()
    assert what_counts(batch_result(team, "chat_get_completion", whole)) == what_counts(live)


def answer_over_grpc(emulator: Emulator, body: Json) -> tuple[Any, list[Any]]:
    """A whole answer, and the chunks of another."""
    request = CHAT_REQUEST.to_message(body)
    with Rpc(emulator.grpc_target, emulator.api_key) as rpc:
        whole = rpc.call("xai_api.Chat/GetCompletion", request)
        return whole, rpc.call("xai_api.Chat/GetCompletionChunk", request)  # type: ignore[return-value]  # a stream


def check_chunks(whole: Any, chunks: list[Any]) -> None:
    """Fail where a stream adds up to something else than a whole answer."""
    for output in whole.outputs:
        deltas = [each for chunk in chunks for each in chunk.outputs if each.index == output.index]
        assert "".join(each.delta.content for each in deltas) == output.message.content
        assert deltas[-1].finish_reason == output.finish_reason
    assert chunks[-1].usage == whole.usage
    assert list(chunks[-1].citations) == list(whole.citations)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_grpc_and_rest_have_the_same_answer(
    emulator: Emulator, team: EmulatedTeam, rest: httpx.Client, body: Json
) -> None:
    body = whole_body(team, body)
    live = rest.post("/v1/chat/completions", json=body).json()
    whole, chunks = answer_over_grpc(emulator, body)
    found = CHAT_RESPONSE.to_message(live)
    searches = len(whole.usage.server_side_tools_used)
    assert [each.index - 2 * searches for each in whole.outputs[searches:]] == [each.index for each in found.outputs]
    for mine, theirs in zip(whole.outputs[searches:], found.outputs, strict=True):
        for call in (*mine.message.tool_calls, *theirs.message.tool_calls):
            call.id = ""
        assert (mine.message, mine.finish_reason) == (theirs.message, theirs.finish_reason)
    usage = type(whole.usage)()
    usage.CopyFrom(whole.usage)
    usage.ClearField("server_side_tools_used")  # a chat completion over REST does not contain them
    assert usage == found.usage
    check_chunks(whole, chunks)


@pytest.mark.parametrize("include", [[], ["inline_citations"]], ids=["plain", "inline citations"])
def test_search_over_grpc_and_in_batch_have_the_same_answer(
    emulator: Emulator, team: EmulatedTeam, include: list[str]
) -> None:
    collection = team.call("POST", "/v1/collections", {"collection_name": "c"})["collection_id"]
    file = team.upload("a.txt", b"The ferns are watered on Monday.")
    team.call("POST", f"/v1/collections/{collection}/documents/{file}", {})
    tool = {"type": "file_search", "vector_store_ids": [collection]}
    body = {"model": "grok-4.3", "messages": [{"role": "user", "content": "ferns"}], "tools": [tool]}
    body["include"] = include
    whole, chunks = answer_over_grpc(emulator, body)
    completion = batch_result(team, "chat_get_completion", body)
    assert whole.outputs[-1].message.content == completion["choices"][0]["message"]["content"]
    assert whole.usage.cost_in_usd_ticks == completion["usage"]["cost_in_usd_ticks"]
    assert whole.usage.total_tokens == completion["usage"]["total_tokens"]
    assert list(whole.citations) == completion["citations"]
    assert ("[[1]]" in whole.outputs[-1].message.content) == bool(include)
    check_chunks(whole, chunks)


RESPONSES: dict[str, Json] = {
    "plain": {},
    "instructions": {"instructions": "Be brief."},
    "tools": {"tools": [{"type": "function", "name": "f", "parameters": SCHEMA}]},
    "forced tool": {
        "tools": [{"type": "function", "name": "f", "parameters": SCHEMA}],
        "tool_choice": {"type": "function", "name": "f"},
    },
    "json": {"text": {"format": {"type": "json_object"}}},
    "schema": {"text": {"format": {"type": "json_schema", "name": "m", "schema": SCHEMA}}},
    "short": {"max_output_tokens": 1},
    "file": {
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "When are the ferns watered?"},
                    {"type": "input_file", "file_id": "FILE"},
                ],
            }
        ]
    },
    "collection": {"input": "ferns", "tools": [{"type": "file_search", "vector_store_ids": ["COLLECTION"]}]},
    "collection without marks": {
        "input": "ferns",
        "tools": [{"type": "file_search", "vector_store_ids": ["COLLECTION"]}],
        "include": ["no_inline_citations"],
    },
    "continued": {"previous_response_id": "RESPONSE"},
}


def whole_response_body(team: EmulatedTeam, rest: httpx.Client, body: Json) -> Json:
    """A whole request; FILE, COLLECTION and RESPONSE in it stand for what the team has."""
    file = team.upload("a.txt", b"The kettle is copper.\n\nThe ferns are watered on Monday.")
    collection = team.call("POST", "/v1/collections", {"collection_name": "c"})["collection_id"]
    team.call("POST", f"/v1/collections/{collection}/documents/{file}", {})
    first = rest.post("/v1/responses", json={"model": "grok-4.3", "input": "my name is Ada"}).json()["id"]
    text = json.dumps({"model": "grok-4.3", "input": "hi there", **body})
    for name, id in (("FILE", file), ("COLLECTION", collection), ("RESPONSE", first)):
        text = text.replace(f'"{name}"', f'"{id}"')
    found: Json = json.loads(text)
    return found


def said(response: Json) -> tuple[list[str], list[str], list[Any]]:
    """The texts, the arguments of calls and the cited sources of a response."""
    output = response["output"]
    parts = [part for item in output if item["type"] == "message" for part in item["content"]]
    calls = [item["arguments"] for item in output if item["type"] == "function_call"]
    return [part["text"] for part in parts], calls, [each["url"] for part in parts for each in part["annotations"]]


def said_in_chat(completion: Json) -> tuple[list[str], list[str], list[Any]]:
    """The same of a completion."""
    messages = [choice["message"] for choice in completion["choices"]]
    calls = [call["function"]["arguments"] for each in messages for call in each.get("tool_calls", ())]
    return [each["content"] for each in messages if each["content"]], calls, completion.get("citations", [])


@pytest.mark.parametrize("body", RESPONSES.values(), ids=RESPONSES)
def test_response_and_batch_and_grpc_have_the_same_answer(
    emulator: Emulator, team: EmulatedTeam, rest: httpx.Client, body: Json
) -> None:
    body = whole_response_body(team, rest, body)
    response = rest.post("/v1/responses", json=body).json()
    completion = batch_result(team, "responses", body)
    inline = [] if "include" in body else ["inline_citations"]
    whole, chunks = answer_over_grpc(emulator, {**from_responses(body), "include": inline})
    assert said(response) == said_in_chat(completion)
    texts, calls, cited = said(response)
    output = whole.outputs[-1].message
    assert (output.content, [call.function.arguments for call in output.tool_calls]) == ("".join(texts), calls)
    assert list(whole.citations) == cited
    counts = response["usage"]["input_tokens"], response["usage"]["output_tokens"]
    assert counts == (completion["usage"]["prompt_tokens"], completion["usage"]["completion_tokens"])
    assert counts == (whole.usage.prompt_tokens, whole.usage.completion_tokens)
    cost = response["usage"]["cost_in_usd_ticks"]
    assert cost == completion["usage"]["cost_in_usd_ticks"] == whole.usage.cost_in_usd_ticks
    check_chunks(whole, chunks)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"background": True}, "Argument not supported: background"),
        ({"metadata": {}}, "Argument not supported: metadata"),
        ({"previous_response_id": "x"}, "Response with id=x not found"),
        ({"max_output_tokens": 0}, "Maximum number of tokens max_tokens must be positive but max_tokens = 0"),
    ],
)
def test_response_is_refused_in_batch_as_it_is_live(
    team: EmulatedTeam, rest: httpx.Client, body: Json, sentence: str
) -> None:
    whole = {"model": "grok-4.3", "input": "x", **body}
    assert rest.post("/v1/responses", json=whole).json()["error"] == sentence
    batch = team.call("POST", "/v1/batches", {"name": "b"})["batch_id"]
    request = {"batch_request_id": "a", "batch_request": {"responses": whole}}
    team.call("POST", f"/v1/batches/{batch}/requests", {"batch_requests": [request]})
    team.advance_until(batch_done=batch)
    [result] = team.call("GET", f"/v1/batches/{batch}/results")["results"]
    assert result["batch_result"] == {"error": sentence}
