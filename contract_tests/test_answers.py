"""An answer of a model is the same through every call: whole, streamed, deferred and stored, over REST and gRPC.

An emulator answers equal requests equally, so that whole answers can be compared. Of other servers nothing is asked
here; what holds for each of their answers is in `relations`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from . import matchers
from .case import EMULATOR, case
from .clients.client import MODEL, Client
from .clients.http import Response
from .clients.rest import RestClient
from .target import Target

pytestmark = pytest.mark.own_team
Json = Any
SOURCE = "the responder of the emulator answers equal requests equally; the formula of costs is recorded, 2026-04"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "n": {"type": "integer"}},
    "required": ["city"],
    "additionalProperties": False,
}
FUNCTION = {"name": "weather", "description": "The weather of a city.", "parameters": SCHEMA}
# Requests, as chat completions, as responses and as messages of gRPC.
REQUESTS: dict[str, tuple[Json, Json, Json]] = {
    "text": ({}, {}, {}),
    "settings": (
        {"temperature": 0.25, "top_p": 0.5, "max_tokens": 400, "user": "u", "seed": 3},
        {"temperature": 0.25, "top_p": 0.5, "max_output_tokens": 400, "user": "u", "instructions": "Be brief."},
        {"temperature": 0.25, "top_p": 0.5, "max_tokens": 400, "user": "u", "seed": 3},
    ),
    "cut": ({"max_tokens": 3}, {"max_output_tokens": 3}, {"max_tokens": 3}),
    "function": (
        {"tools": [{"type": "function", "function": FUNCTION}], "tool_choice": "required"},
        {"tools": [{"type": "function", **FUNCTION}], "tool_choice": "required"},
        {
            "tools": [{"function": {**FUNCTION, "parameters": json.dumps(SCHEMA)}}],
            "tool_choice": {"mode": "TOOL_MODE_REQUIRED"},
        },
    ),
    "schema": (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA}}},
        {"text": {"format": {"type": "json_schema", "name": "city", "schema": SCHEMA}}},
        {"response_format": {"format_type": "FORMAT_TYPE_JSON_SCHEMA", "schema": json.dumps(SCHEMA)}},
    ),
}
TEXT = "Say wörd and kettle, and a text that is longer than twenty characters."
SEARCH_TICKS = 25_000_000  # of one search (recorded by pydantic-ai, 2026-08)
_UUID = re.compile(matchers.UUID)


def without_ids(value: Json, *names: str) -> Json:
    """The same without what differs from call to call: ids, times and the members of these names."""
    if isinstance(value, dict):
        dropped = ("created", "created_at", "completed_at", "sequence_number", *names)
        return {key: without_ids(each, *names) for key, each in value.items() if key not in dropped}
    if isinstance(value, list):
        return [without_ids(each, *names) for each in value]
    return _UUID.sub("ID", value) if isinstance(value, str) else value


def events(rest: RestClient, path: str, body: Json) -> list[Json]:
    """The data of the server-sent events of a streamed answer."""
    text = rest.call("POST", path, json_body={**body, "stream": True}).body.decode()
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


def joined(chunks: list[Json]) -> Json:
    """The completion that chunks make up."""
    whole = {**chunks[0], "object": "chat.completion", "choices": []}
    for chunk in chunks:
        whole |= {key: chunk[key] for key in ("usage", "service_tier", "citations") if chunk.get(key) is not None}
        for choice in chunk["choices"]:
            if choice["index"] == len(whole["choices"]):
                whole["choices"].append({"index": choice["index"], "message": {"content": ""}})
            made = whole["choices"][choice["index"]]
            delta = dict(choice["delta"])
            made["message"]["content"] += delta.pop("content", None) or ""
            made["message"] |= delta
            if choice.get("finish_reason"):
                made["finish_reason"] = choice["finish_reason"]
    return whole


def cost(rest: RestClient, usage: Json, model: str = MODEL) -> int:
    """What a usage of chat completions costs by the prices of its model, which has used no tools."""
    prices = rest.json("GET", f"/v1/language-models/{model}")
    prompt, completion = usage["prompt_tokens_details"], usage["completion_tokens_details"]
    text = usage["prompt_tokens"] - prompt["image_tokens"] - prompt["cached_tokens"]
    made = usage["completion_tokens"] + completion["reasoning_tokens"]
    return int(
        text * prices["prompt_text_token_price"]
        + prompt["cached_tokens"] * prices["cached_prompt_text_token_price"]
        + prompt["image_tokens"] * prices["prompt_image_token_price"]
        + made * prices["completion_text_token_price"]
    )


def deferred(rest: RestClient, target: Target, body: Json) -> Json:
    """The answer to a deferred request, once it is there."""
    id = rest.json("POST", "/v1/chat/completions", json_body={**body, "deferred": True})["request_id"]
    path = f"/v1/chat/deferred-completion/{id}"
    answers: list[Response] = []

    def status() -> int:
        answers.append(rest.call("GET", path))
        return answers[-1].status

    matchers.wait_until(status, 200, within_seconds=target.wait_seconds_max)
    return answers[-1].json()


def agree(found: Json, expected: Json, what: object) -> None:
    """Fail where two values differ, and say at which member."""
    matchers.check(found, expected, str(what))
    matchers.check(expected, found, str(what))


def asked(word: str, place: int) -> Json:
    """A request in one of its three forms."""
    base: Json = (
        {"model": MODEL, "messages": [{"role": "user", "content": TEXT}]},
        {"model": MODEL, "input": TEXT},
        {"model": MODEL, "messages": [{"role": "ROLE_USER", "content": [{"text": TEXT}]}]},
    )[place]
    return {**base, **REQUESTS[word][place]}


@case(
    "chat.same-everywhere",
    *("chat.create", "chat.get_deferred"),
    evidence=EMULATOR,
    source=SOURCE,
    control=True,
    paid=True,
)
@pytest.mark.usefixtures("transport")
def test_completions(rest: RestClient, target: Target) -> None:
    """A completion is the same whole, streamed and deferred, and costs what the prices of its model say."""
    for word in REQUESTS:
        whole = check_completion(rest, target, asked(word, 0), word)
        assert whole["usage"]["cost_in_usd_ticks"] == cost(rest, whole["usage"]), word
        matchers.check(whole["choices"], [{"finish_reason": _ENDS.get(word, "stop")}], word)


def check_completion(rest: RestClient, target: Target, body: Json, word: str) -> Json:
    """Return a completion, and fail where it is another one streamed or deferred."""
    whole = rest.json("POST", "/v1/chat/completions", json_body=body)
    streamed = joined(events(rest, "/v1/chat/completions", {**body, "stream_options": {"include_usage": True}}))
    expected = without_ids(whole, "refusal")
    assert not any(chunk.get("usage") for chunk in events(rest, "/v1/chat/completions", body)), word  # not asked for
    assert 0 <= streamed["created"] - whole["created"] <= target.case_seconds, word
    streamed.setdefault("service_tier", whole["service_tier"])  # chunks have none
    for other in (streamed, deferred(rest, target, body)):
        found = without_ids(other, "refusal")
        for call in (call for each in found["choices"] for call in each["message"].get("tool_calls") or ()):
            assert call.pop("index", 0) == 0, word  # of the call among those of a delta
        agree(found, expected, word)
    matchers.check(whole["usage"], {"completion_tokens_details": _NOTHING, "num_sources_used": 0}, word)
    return whole


_NOTHING = {f"{each}_tokens": 0 for each in ("reasoning", "audio", "accepted_prediction", "rejected_prediction")}
_ENDS = {"cut": "length", "function": "tool_calls"}


@case(
    "responses.same-everywhere",
    *("responses.create", "responses.get", "responses.list_input_items", "responses.compact"),
    *("chat.create", "models.get_language", "documents.search"),
    evidence=EMULATOR,
    source=SOURCE,
    control=True,
    paid=True,
)
@pytest.mark.usefixtures("transport")
def test_responses(rest: RestClient, name: str) -> None:
    """A response is the same whole, streamed and stored, repeats its request, and has the usage of a completion."""
    bodies = {word: asked(word, 1) for word in REQUESTS} | {"search": searching(rest, name)}
    earlier = rest.json("POST", "/v1/responses", json_body={"model": MODEL, "input": "Say one.", "store": True})["id"]
    for word, body in bodies.items():
        whole = rest.json("POST", "/v1/responses", json_body={**body, "store": True})
        stored = rest.json("GET", f"/v1/responses/{whole['id']}")
        agree(stored, {**whole, "instructions": None}, word)
        matchers.check(whole, {key: each for key, each in body.items() if key not in ("input", "include")}, word)
        items = rest.json("GET", f"/v1/responses/{whole['id']}/input_items")
        matchers.check(items, {"data": [{"role": "user", "type": "message", "id": "$text"}], "has_more": False}, word)
        assert TEXT in json.dumps(items, ensure_ascii=False), word
        streamed = events(rest, "/v1/responses", {**body, "store": True})[-1]["response"]
        agree(without_ids(streamed), without_ids(whole), word)
        agree(rest.json("GET", f"/v1/responses/{streamed['id']}"), {**streamed, "instructions": None}, word)
        usage, tokens = whole["usage"], ("input_tokens", "output_tokens")
        if word == "search":
            check_search(rest, whole, body["tools"][0]["vector_store_ids"])
            check_limited_search(rest, body)
            continue
        matchers.check(usage, {"context_details": {each: usage[each] for each in tokens}}, word)
        if word not in ("settings", "function"):  # which have instructions, and tools of another form
            chat = rest.json("POST", "/v1/chat/completions", json_body=asked(word, 0))["usage"]
            assert usage["cost_in_usd_ticks"] == chat["cost_in_usd_ticks"] == cost(rest, chat), word
            assert [usage[each] for each in tokens] == [chat["prompt_tokens"], chat["completion_tokens"]], word
    body = {**asked("text", 1), "previous_response_id": earlier, "store": False}
    whole = rest.json("POST", "/v1/responses", json_body=body)
    streamed = events(rest, "/v1/responses", body)[-1]["response"]
    assert streamed["previous_response_id"] == whole["previous_response_id"] == earlier
    counts: list[int] = []
    for more in ({}, {"instructions": "Be brief. " * 20}):  # which a continued response does not inherit (recorded)
        body = {"model": MODEL, "input": "Say two.", "store": True, **more}
        id = rest.json("POST", "/v1/responses", json_body=body)["id"]
        body = {"model": MODEL, "input": "Say three.", "previous_response_id": id}
        counts.append(rest.json("POST", "/v1/responses", json_body=body)["usage"]["input_tokens"])
    assert counts[0] == counts[1]
    inputs = [{"role": role, "content": text} for role, text in (("user", "a"), ("assistant", "b"), ("user", "c"))]
    many = rest.json("POST", "/v1/responses", json_body={"model": MODEL, "input": inputs, "store": True})["id"]
    path = f"/v1/responses/{many}/input_items"
    for order, expected in (("asc", "abc"), ("desc", "cba")):
        listed = rest.json("GET", path, query={"order": order})["data"]
        page = rest.json("GET", path, query={"order": order, "limit": 2})
        assert (page["data"], page["has_more"]) == (listed[:2], True)
        last = rest.json("GET", path, query={"order": order, "limit": 2, "after": page["last_id"]})
        assert (last["data"], last["has_more"]) == (listed[2:], False)
        full = rest.json("GET", path, query={"order": order, "limit": 3})
        assert (full["data"], full["has_more"]) == (listed, False)
        assert "".join(_said(each) for each in listed) == expected
    compacted = rest.json("POST", "/v1/responses/compact", json_body={"model": MODEL, "input": inputs})
    matchers.check(compacted, {"object": "response.compaction", "usage": {"dropped_message_count": 3}})


def searching(rest: RestClient, name: str) -> Json:
    """A request that searches a collection of two documents, and shows what it found."""
    collection = rest.create_collection(f"{name}garden").id
    for word in "ab":
        file = rest.upload_file(f"The kettle is longer, wörd {word}.".encode(), f"{name}{word}.txt").id
        rest.add_document(collection, file)
    tools = [{"type": "file_search", "vector_store_ids": [collection]}]
    return {"model": MODEL, "input": TEXT, "tools": tools, "include": ["file_search_call.results"]}


def check_search(rest: RestClient, whole: Json, collections: list[str]) -> None:
    """Fail where the results of a search are not those of a search in documents, or it is not paid for."""
    call, message = whole["output"]
    body = {"query": call["queries"][0], "source": {"collection_ids": collections}}
    matches = rest.json("POST", "/v1/documents/search", json_body=body)["matches"]
    found = [(each["file_id"], each["text"], each["score"]) for each in call["results"]]
    assert found == [(each["file_id"], each["chunk_content"], each["score"]) for each in matches]
    assert call["queries"] == [TEXT]
    for note in message["content"][0]["annotations"]:
        assert note["url"] in [f"collections://{collections[0]}/files/{file}" for file, _, _ in found]
    usage = whole["usage"]
    assert usage["server_side_tool_usage_details"]["file_search_calls"] == usage["num_server_side_tools_used"] == 1
    prices = rest.json("GET", f"/v1/language-models/{MODEL}")
    tokens = usage["input_tokens"] * prices["prompt_text_token_price"]
    tokens += usage["output_tokens"] * prices["completion_text_token_price"]
    assert usage["cost_in_usd_ticks"] == tokens + SEARCH_TICKS


def check_limited_search(rest: RestClient, body: Json) -> None:
    """Fail where a tool finds more than it may."""
    limited = {**body, "tools": [{**body["tools"][0], "max_num_results": 1}]}
    assert len(rest.json("POST", "/v1/responses", json_body=limited)["output"][0]["results"]) == 1


def _said(item: Json) -> str:
    content = item["content"]
    return str(content if isinstance(content, str) else content[0]["text"])


def over_grpc(client: Client, target: Target, message: Json) -> Iterator[tuple[str, Json]]:
    """The answers to a request through every call of the Chat service."""
    stored = client.call_rpc("GetCompletion", **message, store_messages=True)
    yield "GetStoredCompletion", client.call_rpc("GetStoredCompletion", response_id=stored["id"])
    id = client.call_rpc("StartDeferredCompletion", **message, store_messages=True)["request_id"]
    done = matchers.wait_until(
        lambda: client.call_rpc("GetDeferredCompletion", request_id=id),
        {"status": "DONE"},
        within_seconds=target.wait_seconds_max,
    )
    yield "GetDeferredCompletion", done["response"]
    chunks = client.stream_rpc("GetCompletionChunk", **message, store_messages=True)
    outputs: list[Json] = []
    for output in (output for chunk in chunks for output in chunk["outputs"]):
        if output["index"] == len(outputs):
            outputs.append({"index": output["index"], "message": {"content": "", "tool_calls": []}})
        made = outputs[output["index"]]
        delta = dict(output["delta"])
        made["message"]["content"] += delta.pop("content")
        made["message"]["tool_calls"] += delta.pop("tool_calls")
        for call in made["message"]["tool_calls"]:
            # A chunk begins a search, its result is another output; an older library has no status.
            if "status" in call and call["type"].endswith("SEARCH_TOOL"):
                call["status"] = "TOOL_CALL_STATUS_COMPLETED"
        made |= {"message": {**made["message"], **delta}, "finish_reason": output["finish_reason"]}
    whole = without_ids(stored)
    shown_outputs = {each["index"] for each in stored["outputs"]}
    outputs = [each for each in outputs if each["index"] in shown_outputs]  # a whole answer leaves results out
    for number, shown in enumerate(whole["outputs"]):
        message = {key: outputs[number]["message"].get(key) for key in shown["message"]}
        outputs[number] = {**dict.fromkeys(shown), **outputs[number], "message": message}
    yield "GetCompletionChunk", {**stored, **chunks[-1], "outputs": outputs, "settings": stored["settings"]}
    yield "GetCompletion", stored


@case(
    "chat.over-grpc.same-everywhere",
    *("chat.create", "chat.get_deferred", "responses.get"),
    evidence=EMULATOR,
    source=SOURCE,
    control=True,
    paid=True,
)
@pytest.mark.over_grpc
@pytest.mark.one_client_per_protocol
def test_over_grpc(client: Client, rest: RestClient, target: Target) -> None:
    """Over gRPC a completion is the same whole, in chunks, deferred and stored, and is that of REST."""
    for word in REQUESTS:
        answer = check_completion_over_grpc(client, rest, target, (asked(word, 2), asked(word, 0)), word)
        check_schemas(answer["settings"], asked(word, 2), word)


def check_completion_over_grpc(
    client: Client, rest: RestClient, target: Target, request: tuple[Json, Json], word: str
) -> Json:
    """Return the answer to a message, and fail where it is another one elsewhere or in answer to a body of REST."""
    message, body = request
    answers = dict(over_grpc(client, target, message))
    answer = answers["GetCompletion"]
    expected = without_ids(answer)
    times = [datetime.fromisoformat(each["created"]).timestamp() for each in answers.values()]
    assert max(times) - min(times) <= target.case_seconds, (word, times)
    for rpc, other in answers.items():
        agree(without_ids(other), expected, (word, rpc))
    settings = {key: each for key, each in message.items() if key in answer["settings"]}
    matchers.check(answer["settings"], _shown(settings), word)
    whole = rest.json("POST", "/v1/chat/completions", json_body=body)
    outputs = answer["outputs"][-len(whole["choices"]) :]
    for output, choice in zip(outputs, whole["choices"], strict=True):
        assert (output["message"]["content"] or "") == (choice["message"].get("content") or ""), word
        called = [
            [call["function"] for call in without_ids(each["message"].get("tool_calls") or [])]
            for each in (output, choice)
        ]
        assert called[0] == called[1], word
    usage = answer["usage"]
    for name in ("prompt_tokens", "completion_tokens", "total_tokens", "cost_in_usd_ticks", "num_sources_used"):
        assert usage.get(name, whole["usage"][name]) == whole["usage"][name], (word, name)
    assert usage["prompt_image_tokens"] == whole["usage"]["prompt_tokens_details"]["image_tokens"], word
    assert (answer["system_fingerprint"], answer["model"]) == (whole["system_fingerprint"], whole["model"]), word
    return answer


def check_schemas(settings: Json, message: Json, word: str) -> None:
    """Fail where the settings of an answer do not repeat the functions and the schema of its request."""
    wanted = message.get("response_format", {})
    found = settings.get("response_format") or {}
    assert found.get("format_type") in (wanted.get("format_type"), "FORMAT_TYPE_TEXT", None), word
    assert json.loads(found.get("schema") or "{}") == json.loads(wanted.get("schema", "{}")), word
    functions = [[tool["function"] for tool in each.get("tools") or ()] for each in (settings, message)]
    for tool, given in zip(*functions, strict=True):
        matchers.check(tool, {**given, "parameters": "$text"}, word)
        assert json.loads(tool["parameters"]) == json.loads(given["parameters"]), word


def _shown(settings: Json) -> Json:
    """Settings as an answer repeats them: floats have 32 bits."""
    return {
        key: {"$above": each - 1e-6} if isinstance(each, float) else each
        for key, each in settings.items()
        if key not in ("tools", "response_format", "seed")
    }
