"""Each parameter of a request to a language model has its effect: live, streamed, deferred, stored and in a batch."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

import pytest

from . import matchers
from .case import EMULATOR, case
from .clients.client import MODEL, Client
from .clients.rest import RestClient
from .target import Target
from .test_answers import (
    FUNCTION,
    SCHEMA,
    SOURCE,
    TEXT,
    agree,
    check_completion,
    check_completion_over_grpc,
    cost,
    events,
    without_ids,
)

pytestmark = pytest.mark.own_team
Json = Any
PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)
CONTENT = b"The kettle is warm, and so is the hall."
FUNCTIONS = [FUNCTION, {"name": "look_up", "description": "Look a word up.", "parameters": SCHEMA}]
TOOLS = [{"type": "function", "function": each} for each in FUNCTIONS]
FLAT_TOOLS = [{"type": "function", **each} for each in FUNCTIONS]
MESSAGE_TOOLS = [{"function": {**each, "parameters": json.dumps(SCHEMA)}} for each in FUNCTIONS]


@dataclass(frozen=True)
class Row:
    """A parameter as chat completions, responses and messages of gRPC have it, and what it makes of a completion.

    An endpoint without the parameter has None.
    """

    chat: Json
    response: Json
    message: Json
    expected: Json


def _user(*parts: Json) -> Json:
    return [{"role": "user", "content": [{"type": "text", "text": TEXT}, *parts]}]


def _turns(role: str, text: str, *names: str) -> Json:
    """A conversation of four messages, in the words of an endpoint."""
    system, user, assistant = names
    said = ((system, "Be brief. " * 9), (user, "Say one."), (assistant, "One. " * 20), (user, TEXT))
    return [{role: name, "content": [{"text": each}] if text == "parts" else each} for name, each in said]


CALL = {"finish_reason": "tool_calls", "message": {"tool_calls": [{"function": {"name": "look_up"}}]}}
ROWS: dict[str, Row] = {
    "priority": Row(
        {"service_tier": "priority"},
        {"service_tier": "priority"},
        {"service_tier": "SERVICE_TIER_PRIORITY"},
        {"service_tier": "priority"},
    ),
    "completion limit": Row(
        {"max_completion_tokens": 4},
        {"max_output_tokens": 4},
        {"max_tokens": 4},
        {"choices": [{"finish_reason": "length"}], "usage": {"completion_tokens": 4}},
    ),
    "stop": Row(
        {"stop": ["kettle", "wörd", "nothing"]},
        None,
        {"stop": ["kettle", "wörd", "nothing"]},
        {"choices": [{"finish_reason": "stop", "message": {"content": {"$matches": "^Say ?$"}}}]},
    ),
    "one stop": Row(
        {"stop": "kettle"},
        None,
        {"stop": ["kettle"]},
        {"choices": [{"finish_reason": "stop", "message": {"content": {"$matches": "^Say wörd and ?$"}}}]},
    ),
    "zeros": Row(
        {"temperature": 0, "top_p": 0}, {"temperature": 0, "top_p": 0}, {"temperature": 0.0, "top_p": 0.0}, {}
    ),
    "choices": Row({"n": 3}, None, {"n": 3}, {"choices": [{"index": 0}, {"index": 1}, {"index": 2}]}),
    "named function": Row(
        {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "look_up"}}},
        {"tools": FLAT_TOOLS, "tool_choice": {"type": "function", "name": "look_up"}},
        {"tools": MESSAGE_TOOLS, "tool_choice": {"function_name": "look_up"}},
        {"choices": [CALL]},
    ),
    "no call": Row(
        {"tools": TOOLS, "tool_choice": "none", "parallel_tool_calls": False},
        {"tools": FLAT_TOOLS, "tool_choice": "none", "parallel_tool_calls": False},
        {"tools": MESSAGE_TOOLS, "tool_choice": {"mode": "TOOL_MODE_NONE"}, "parallel_tool_calls": False},
        {"choices": [{"finish_reason": "stop", "message": {"tool_calls": "$absent"}}]},
    ),
    "effort": Row(
        {"reasoning_effort": "low"},
        {"reasoning": {"effort": "low", "summary": "concise"}},
        {"reasoning_effort": "EFFORT_LOW"},
        {},
    ),
    "image": Row(
        {"messages": _user({"type": "image_url", "image_url": {"url": PNG, "detail": "high"}})},
        {
            "input": [
                {
                    "role": "user",
                    "content": [{"type": "input_text", "text": TEXT}, {"type": "input_image", "image_url": PNG}],
                }
            ]
        },
        {
            "messages": [
                {
                    "role": "ROLE_USER",
                    "content": [{"text": TEXT}, {"image_url": {"image_url": PNG, "detail": "DETAIL_HIGH"}}],
                }
            ]
        },
        {"usage": {"prompt_tokens_details": {"image_tokens": {"$above": 0}}}},
    ),
    "attached bytes": Row(
        {
            "messages": _user(
                {
                    "type": "file",
                    "file": {"file_data": b64encode(CONTENT).decode(), "filename": "a.txt", "mime_type": "text/plain"},
                }
            )
        },
        None,
        {
            "messages": [
                {
                    "role": "ROLE_USER",
                    "content": [
                        {"text": TEXT},
                        {"file": {"data": CONTENT, "filename": "a.txt", "mime_type": "text/plain"}},
                    ],
                }
            ]
        },
        {"choices": [{"message": {"content": {"$contains": "The kettle is warm"}}}]},
    ),
    "turns": Row(
        {"messages": _turns("role", "text", "system", "user", "assistant")},
        None,
        {"messages": _turns("role", "parts", "ROLE_SYSTEM", "ROLE_USER", "ROLE_ASSISTANT")},
        {"usage": {"prompt_tokens": {"$above": 40}}},
    ),
    "ignored": Row(
        {
            "seed": 3,
            "user": "u",
            "logprobs": False,
            "top_logprobs": 0,
            "logit_bias": {"1": 2.0},
            "prompt_cache_key": "k",
        },
        {"user": "u", "prompt_cache_key": "k", "safety_identifier": "s", "truncation": "disabled", "max_turns": 2},
        {"seed": 3, "user": "u", "max_turns": 2, "safety_identifier": "s"},
        {"choices": [{"message": {"content": {"$contains": TEXT}}}]},
    ),
}


def chat_body(row: Row) -> Json:
    """The body of a chat completion."""
    return {"model": MODEL, "messages": [{"role": "user", "content": TEXT}], **row.chat}


def price(rest: RestClient, whole: Json) -> int:
    """What a completion without tools costs."""
    return cost(rest, whole["usage"], whole["model"]) * (2 if whole["service_tier"] == "priority" else 1)


@case(
    "chat.parameters",
    *("chat.create", "chat.get_deferred", "models.get_language"),
    evidence=EMULATOR,
    source=SOURCE,
    control=True,
    paid=True,
)
@pytest.mark.usefixtures("transport")
def test_chat(rest: RestClient, target: Target) -> None:
    """Each parameter of a chat completion has its effect, also streamed and deferred, and on the costs."""
    for word, row in ROWS.items():
        whole = check_completion(rest, target, chat_body(row), word)
        matchers.check(whole, row.expected, word)
        if word != "attached bytes":  # a search, which costs as well
            assert whole["usage"]["cost_in_usd_ticks"] == price(rest, whole), word


@case(
    "responses.parameters",
    *("responses.create", "responses.get", "chat.create"),
    evidence=EMULATOR,
    source=SOURCE,
    control=True,
    paid=True,
)
@pytest.mark.usefixtures("transport")
def test_responses(rest: RestClient) -> None:
    """Each parameter of a response has the effect that it has on a completion, is repeated, streamed and stored."""
    for word, row in ROWS.items():
        if row.response is None:
            continue
        body = {"model": MODEL, "input": TEXT, "store": True, **row.response}
        whole = rest.json("POST", "/v1/responses", json_body=body)
        repeated = {key: each for key, each in body.items() if key not in ("input", "max_turns")}
        matchers.check(whole, repeated, word)
        agree(rest.json("GET", f"/v1/responses/{whole['id']}"), whole, word)
        agree(without_ids(events(rest, "/v1/responses", body)[-1]["response"]), without_ids(whole), word)
        chat = rest.json("POST", "/v1/chat/completions", json_body=chat_body(row))
        message = chat["choices"][0]["message"]
        texts = [part["text"] for item in whole["output"] for part in item.get("content") or ()]
        assert "".join(texts) == (message.get("content") or ""), word
        calls = [item["name"] for item in whole["output"] if item["type"] == "function_call"]
        assert calls == [call["function"]["name"] for call in message.get("tool_calls") or ()], word
        if "tools" not in body:  # which have another form, and so other tokens
            usage = whole["usage"]
            assert usage["cost_in_usd_ticks"] == chat["usage"]["cost_in_usd_ticks"], word
            assert usage["input_tokens"] == chat["usage"]["prompt_tokens"], word


@case(
    "chat.over-grpc.parameters",
    *("chat.create", "chat.get_deferred", "responses.get"),
    evidence=EMULATOR,
    source=SOURCE,
    control=True,
    paid=True,
)
@pytest.mark.over_grpc
@pytest.mark.one_client_per_protocol
def test_over_grpc(client: Client, rest: RestClient, target: Target) -> None:
    """Each parameter of a completion over gRPC has the effect of its REST member, streamed, deferred and stored too."""
    for word, row in ROWS.items():
        content = [{"role": "ROLE_USER", "content": [{"text": TEXT}]}]
        message = {"model": MODEL, "messages": content, **row.message}
        answer = check_completion_over_grpc(client, rest, target, (message, chat_body(row)), word)
        tier = f"SERVICE_TIER_{'PRIORITY' if word == 'priority' else 'DEFAULT'}"
        assert answer.get("service_tier", tier) == tier, word


@case(
    "batches.chat.parameters",
    *("batches.add_requests", "batches.list_results", "chat.create"),
    evidence=EMULATOR,
    source=SOURCE,
    control=True,
    destructive=True,
    paid=True,
)
@pytest.mark.over_both_protocols
def test_batches(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """Each parameter of a completion or a response has the effect in a batch that it has live, and is kept."""
    ids = [rest.create_batch(f"{name}{word}").id for word in ("chat", "responses", "grpc")]
    content = [{"role": "ROLE_USER", "content": [{"text": TEXT}]}]
    chats = {word: {"chat_get_completion": chat_body(row)} for word, row in ROWS.items()}
    responses = {
        word: {"responses": {"model": MODEL, "input": TEXT, **row.response}}
        for word, row in ROWS.items()
        if row.response is not None
    }
    for id, bodies in zip(ids[:2], (chats, responses), strict=True):
        requests = [{"batch_request_id": word, "batch_request": body} for word, body in bodies.items()]
        rest.call("POST", f"/v1/batches/{id}/requests", json_body={"batch_requests": requests})
    messages = {word: {"model": MODEL, "messages": content, **row.message} for word, row in ROWS.items()}
    if client.protocol == "grpc":
        requests = [{"batch_request_id": word, "completion_request": each} for word, each in messages.items()]
        client.call_rpc("AddBatchRequests", batch_id=ids[2], batch_requests=requests)
    else:
        ids.pop()
    for id in ids:
        matchers.wait_until(
            lambda id=id: vars(rest.get_batch(id)),  # type: ignore[misc]
            {"pending": 0, "failed": 0, "succeeded": {"$above": 0}},
            within_seconds=target.wait_seconds_max,
        )
    for id in ids:
        for result in rest.json("GET", f"/v1/batches/{id}/results")["results"]:
            word = result["batch_request_id"]
            live = rest.json("POST", "/v1/chat/completions", json_body=chat_body(ROWS[word]))
            found = result["batch_result"]["response"]["chat_get_completion"]
            if "tools" in ROWS[word].chat and id != ids[0]:  # which count as they are written, so in another form
                live["usage"] = found["usage"]
            agree(without_ids(found), without_ids(live), (word, id))
    for word, message in messages.items():
        if client.protocol == "grpc":
            kept = client.call_rpc("GetBatchRequestResult", batch_id=ids[2], batch_request_id=word)["request"]
            matchers.check(_comparable(kept["completion_request"]), _comparable(message), word)


def _comparable(value: Json) -> Json:
    """A request without the parameters of functions, which are JSON as text, and without bytes."""
    if isinstance(value, dict):
        return {key: _comparable(each) for key, each in value.items() if key not in ("parameters", "data")}
    return [_comparable(each) for each in value] if isinstance(value, list) else value
