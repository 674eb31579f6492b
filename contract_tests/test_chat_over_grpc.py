"""Chat completions over gRPC: outputs, chunks, deferred answers and refusals. Answers cost money on a real service."""

from __future__ import annotations

import json
from typing import Any

import pytest

from . import matchers
from .case import case
from .clients.client import MODEL, Client
from .clients.models import ApiError, Unsupported
from .clients.rest import RestClient
from .target import Target

pytestmark = [pytest.mark.over_grpc, pytest.mark.one_client_per_protocol]
PROTO = "chat.proto: the Chat service"
RECORDED = "recorded by pydantic-ai, 2026-01 to 2026-08"
UNKNOWN = "00000000-0000-4000-8000-000000000000"
FUNCTION = {"name": "weather", "description": "The weather of a city.", "parameters": '{"type": "object"}'}
TEXT = b"The ferns are watered on Monday."


def chat(text: str = "Say the word kettle.", *parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A request of one user message."""
    message = {"role": "ROLE_USER", "content": [{"text": text}, *parts]}
    return {"model": MODEL, "messages": [message], **fields}


def check_call(call: dict[str, Any], **expected: Any) -> None:
    """Fail where a call is not as expected, in the members that the library knows."""
    matchers.check(call, {name: each for name, each in expected.items() if name in call})


def used_tools(answer: dict[str, Any]) -> list[str]:
    """The tools that ran on the server. Raises Unsupported where the library has no names for them."""
    tools = answer["usage"]["server_side_tools_used"]
    if any(isinstance(each, int) for each in tools):
        raise Unsupported("the library does not know the tools that were used")
    return list(tools)


def searching(rest: RestClient, target: Target, name: str, *include: str) -> tuple[dict[str, Any], str]:
    """A request with a tool that searches a collection, and the URI of the document in it."""
    collection = rest.create_collection(f"{name}garden").id
    file = rest.upload_file(TEXT, f"{name}garden.txt").id
    rest.add_document(collection, file)
    matchers.wait_until(
        lambda: rest.get_document(collection, file).status,
        "PROCESSED",
        within_seconds=target.wait_seconds_max,
    )
    tools = [{"collections_search": {"collection_ids": [collection]}}]
    request = chat("Search the collection: when are the ferns watered?", tools=tools, include=list(include))
    return request, f"collections://{collection}/files/{file}"


@case("chat.over-grpc", "chat.create", evidence="recorded", source=RECORDED, paid=True)
def test_answer(client: Client) -> None:
    """Over gRPC an answer is one output with its role, its usage with cost, and the settings it was made with."""
    answer = client.call_rpc("GetCompletion", **chat(max_tokens=100))
    output = {"index": 0, "finish_reason": "REASON_STOP", "message": {"content": "$text", "role": "ROLE_ASSISTANT"}}
    matchers.check(answer, {"id": "$uuid", "model": MODEL, "outputs": [output]})
    usage = answer["usage"]
    matchers.check(usage, {f"{name}_tokens": "$whole" for name in ("completion", "prompt", "total")})
    assert usage.get("cost_in_usd_ticks", 1) > 0  # an older library does not know it
    matchers.check(answer["settings"], {"max_tokens": 100, "parallel_tool_calls": True})


@case("chat.over-grpc.choices", "chat.create", evidence="documented", source=PROTO, paid=True)
def test_choices(client: Client) -> None:
    """Each of several choices is an output of its own."""
    answer = client.call_rpc("GetCompletion", **chat(n=3))
    assert [each["index"] for each in answer["outputs"]] == [0, 1, 2]


@case("chat.over-grpc.function", "chat.create", evidence="recorded", source=RECORDED, paid=True)
def test_function(client: Client) -> None:
    """A function that must be called is called with JSON arguments, complete and on the side of the client."""
    choice = {"mode": "TOOL_MODE_REQUIRED"}
    request = chat("The weather in Bern?", tools=[{"function": FUNCTION}], tool_choice=choice)
    last = client.call_rpc("GetCompletion", **request)["outputs"][-1]
    assert last["finish_reason"] == "REASON_TOOL_CALLS"
    expected = {"type": "TOOL_CALL_TYPE_CLIENT_SIDE_TOOL", "status": "TOOL_CALL_STATUS_COMPLETED"}
    check_call(last["message"]["tool_calls"][0], **expected, id="$text", function={"name": "weather"})
    assert isinstance(json.loads(last["message"]["tool_calls"][0]["function"]["arguments"]), dict)


@case("chat.over-grpc.schema", "chat.create", evidence="documented", source=PROTO, paid=True)
def test_schema(client: Client) -> None:
    """A schema makes the content JSON."""
    schema = '{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}'
    wanted = {"format_type": "FORMAT_TYPE_JSON_SCHEMA", "schema": schema}
    answer = client.call_rpc("GetCompletion", **chat("Name a city.", response_format=wanted))
    assert isinstance(json.loads(answer["outputs"][-1]["message"]["content"])["city"], str)


@case(
    "chat.over-grpc.collections",
    *("chat.create", "responses.get"),
    evidence="recorded",
    source=RECORDED,
    paid=True,
    destructive=True,
)
def test_collections(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """The search of collections is an output with its call, one with what it found, and is cited in the answer."""
    request, uri = searching(rest, target, name, "INCLUDE_OPTION_COLLECTIONS_SEARCH_CALL_OUTPUT")
    answer = client.call_rpc("GetCompletion", **request, store_messages=True)
    assert client.call_rpc("GetStoredCompletion", response_id=answer["id"]) == answer
    call, found, *_ = answer["outputs"]
    assert (call["index"], found["index"]) == (0, 1)
    assert [each["message"]["role"] for each in answer["outputs"][:2]] == ["ROLE_ASSISTANT", "ROLE_TOOL"]
    expected = {"type": "TOOL_CALL_TYPE_COLLECTIONS_SEARCH_TOOL", "status": "TOOL_CALL_STATUS_COMPLETED"}
    check_call(call["message"]["tool_calls"][0], **expected, function={"name": "collections_search"})
    assert json.loads(found["message"]["content"])["search_matches"][0]["chunk_content"]
    cited = found["message"]["citations"][0]["collections_citation"]
    source = {"collection_ids": [uri.split("/")[2]]}
    [match] = client.call_rpc("Search", query="ferns", source=source)["matches"]
    expected = {name: match[name] for name in ("file_id", "chunk_id", "chunk_content", "collection_ids")}
    matchers.check(cited, {**expected, "score": {"$above": 0}})
    assert match["file_id"] == uri.rpartition("/")[2]
    assert answer["outputs"][-1]["finish_reason"] == "REASON_STOP"
    assert uri in answer["citations"]
    searches = used_tools(answer).count("SERVER_SIDE_TOOL_COLLECTIONS_SEARCH")
    assert searches == 1 or (searches and target.team is None)  # a model may search again, an emulator does not


@case(
    "chat.over-grpc.output-left-out",
    *("chat.create",),
    evidence="recorded",
    source=RECORDED,
    paid=True,
    destructive=True,
)
def test_output_left_out(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """Without include what a search found is left out, and its index is skipped."""
    request, _ = searching(rest, target, name)
    outputs = client.call_rpc("GetCompletion", **request)["outputs"]
    assert "ROLE_TOOL" not in [each["message"]["role"] for each in outputs]
    assert [each["index"] for each in outputs][:2] == [0, 2]


@case("chat.over-grpc.file", "chat.create", evidence="recorded", source=RECORDED, paid=True, destructive=True)
def test_file(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """An attached file is searched by a tool, which is counted, and is not cited."""
    file = {"file": {"file_id": rest.upload_file(TEXT, f"{name}garden.txt").id}}
    answer = client.call_rpc("GetCompletion", **chat("When are the ferns watered?", file))
    searches = used_tools(answer).count("SERVER_SIDE_TOOL_ATTACHMENT_SEARCH")
    assert searches == 1 or (searches and target.team is None)
    assert answer["citations"] == []
    assert "Monday" in answer["outputs"][-1]["message"]["content"]


@case("chat.over-grpc.stream", "chat.create", evidence="recorded", source=RECORDED, paid=True)
def test_stream(client: Client) -> None:
    """Each chunk has the id, the role and the usage so far; the last one has the finish_reason and the total."""
    chunks = client.stream_rpc("GetCompletionChunk", **chat())
    assert len({chunk["id"] for chunk in chunks}) == 1
    outputs = [output for chunk in chunks for output in chunk["outputs"]]
    assert {output["delta"]["role"] for output in outputs} == {"ROLE_ASSISTANT"}
    assert "".join(output["delta"]["content"] for output in outputs)
    assert [output["finish_reason"] for output in outputs][-1] == "REASON_STOP"
    usages = [chunk["usage"] for chunk in chunks]
    assert [usage["total_tokens"] for usage in usages[:-1]] == [0] * (len(usages) - 1)
    last = usages[-1]
    assert last["total_tokens"] == sum(last[f"{each}_tokens"] for each in ("prompt", "completion", "reasoning"))


@case(
    "chat.over-grpc.stream-of-search",
    *("chat.create",),
    evidence="recorded",
    source=RECORDED,
    paid=True,
    destructive=True,
)
def test_stream_of_search(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """A search is streamed as its call in progress and its call completed; the citations come with the last chunk."""
    request, uri = searching(rest, target, name)
    chunks = client.stream_rpc("GetCompletionChunk", **request)
    outputs = [output for chunk in chunks for output in chunk["outputs"]]
    calls = [(each["index"], call["status"]) for each in outputs for call in each["delta"]["tool_calls"]]
    assert calls[:2] == [(0, "TOOL_CALL_STATUS_IN_PROGRESS"), (1, "TOOL_CALL_STATUS_COMPLETED")]
    returned = next(each["delta"] for each in outputs if each["index"] == 1)
    assert (returned["role"], returned["content"]) == ("ROLE_TOOL", "")
    assert uri in chunks[-1]["citations"]
    assert [each for chunk in chunks[:-1] for each in chunk["citations"]] == []


@case("chat.over-grpc.stream-of-function", "chat.create", evidence="recorded", source=RECORDED, paid=True)
def test_stream_of_function(client: Client) -> None:
    """The call of a function is streamed whole, in one chunk, before the chunk with the finish_reason."""
    choice = {"mode": "TOOL_MODE_REQUIRED"}
    request = chat("The weather in Bern?", tools=[{"function": FUNCTION}], tool_choice=choice)
    outputs = [output for chunk in client.stream_rpc("GetCompletionChunk", **request) for output in chunk["outputs"]]
    [call] = [call for output in outputs for call in output["delta"]["tool_calls"]]
    expected = {"type": "TOOL_CALL_TYPE_CLIENT_SIDE_TOOL", "status": "TOOL_CALL_STATUS_COMPLETED"}
    check_call(call, **expected, id="$text", function={"name": "weather"})
    assert isinstance(json.loads(call["function"]["arguments"]), dict)
    assert outputs[-1]["finish_reason"] == "REASON_TOOL_CALLS"


@case("chat.over-grpc.deferred", "chat.create", "chat.get_deferred", evidence="documented", source=PROTO, paid=True)
def test_deferred(client: Client, target: Target) -> None:
    """A deferred completion is fetched by its request id once it is done."""
    id = client.call_rpc("StartDeferredCompletion", **chat())["request_id"]
    done = matchers.wait_until(
        lambda: client.call_rpc("GetDeferredCompletion", request_id=id),
        {"status": "DONE"},
        within_seconds=target.wait_seconds_max,
    )
    assert done["response"]["outputs"][0]["message"]["content"]


@case(
    "chat.over-grpc.deferred-unknown",
    *("chat.get_deferred",),
    evidence="assumed",
    source="xai-sdk: the server of its tests",
    refusal="not found",
)
def test_unknown_deferred(client: Client) -> None:
    """A deferred completion that does not exist is not found."""
    with pytest.raises(ApiError) as error:
        client.call_rpc("GetDeferredCompletion", request_id=UNKNOWN)
    assert error.value.kind == "not_found"


REFUSALS: tuple[tuple[dict[str, Any], str, str], ...] = (
    ({"model": "grok-nope"}, "invalid", "Model not found: grok-nope"),
    ({"messages": []}, "invalid", "Messages cannot be empty"),
    ({"max_tokens": -1}, "invalid", "Maximum number of tokens max_tokens must be positive"),
    ({"presence_penalty": 0.5}, "invalid", "does not support parameter presencePenalty"),
    ({"tool_choice": {"mode": "TOOL_MODE_AUTO"}}, "invalid", "no tools were specified"),
)


@case(
    "chat.over-grpc.refusals",
    *("chat.create",),
    evidence="assumed",
    source="recorded over REST, 2026-04 to 2026-09",
    refusal="invalid argument",
)
def test_refusals(client: Client) -> None:
    """What REST refuses gRPC refuses in the same words, whether or not the answer is streamed."""
    for fields, kind, words in REFUSALS:
        for call, rpc in (
            (client.call_rpc, "GetCompletion"),
            (client.stream_rpc, "GetCompletionChunk"),
            (client.call_rpc, "StartDeferredCompletion"),
        ):
            with pytest.raises(ApiError) as error:
                call(rpc, **chat() | fields)
            assert error.value.kind == kind, (rpc, fields)
            assert words in error.value.message, (rpc, fields)


@case(
    "chat.over-grpc.unknown-file",
    *("chat.create",),
    evidence="assumed",
    source="Files guide: a deleted file cannot be used in chat",
    refusal="not found",
)
def test_unknown_file(client: Client) -> None:
    """A file that does not exist is not found, before anything is streamed."""
    file = {"file": {"file_id": f"file_{UNKNOWN}"}}
    with pytest.raises(ApiError) as error:
        client.stream_rpc("GetCompletionChunk", **chat("When?", file))
    assert error.value.kind == "not_found"


@case("models.tokens-over-grpc", "chat.tokenize", evidence="documented", source="tokenize.proto")
def test_tokens(client: Client, rest: RestClient) -> None:
    """The tokens of a text add up to it, as texts and as bytes, and have the numbers that REST says."""
    tokens = client.call_rpc("TokenizeText", text="Hello wörld!", model=MODEL)["tokens"]
    shown = rest.json("POST", "/v1/tokenize-text", json_body={"text": "Hello wörld!", "model": MODEL})["token_ids"]
    for member, kind in (("token_id", int), ("string_token", str), ("token_bytes", list)):
        assert [kind(each[member]) for each in tokens] == [each[member] for each in shown], member
    assert "".join(each["string_token"] for each in tokens) == "Hello wörld!"
    assert b"".join(each["token_bytes"] for each in tokens) == "Hello wörld!".encode()
