"""A stored answer is the same object for REST and gRPC, whichever call made it: read, continued, listed and deleted."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from . import matchers
from .case import EMULATOR, case
from .clients.client import MODEL, Client
from .clients.models import refusal_kind
from .clients.rest import RestClient
from .target import Target
from .test_answers import events
from .test_planned_answers import CALLS, PLANNED, TOOL, merged, plan

pytestmark = pytest.mark.own_team
Json = Any
PROTO = "chat.proto: store_messages, GetStoredCompletion; OpenAPI: /v1/responses"
CALL = {"id": "call_7", "function": {"name": "weather", "arguments": "{}"}}
MESSAGES = [
    {"role": "ROLE_USER", "content": [{"text": "The weather?"}]},
    {"role": "ROLE_ASSISTANT", "tool_calls": [CALL]},
    {"role": "ROLE_TOOL", "tool_call_id": "call_7", "content": [{"text": "Rain."}]},
    {"role": "ROLE_USER", "content": [{"text": "Say it in a word."}]},
]
ITEMS = [
    {"type": "message", "role": "user", "content": "The weather?"},
    {"type": "function_call", "call_id": "call_7", "name": "weather", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "call_7"},
    {"type": "message", "role": "user", "content": "Say it in a word."},
]


def answers(client: Client, rest: RestClient, target: Target, *, store: bool) -> dict[str, str]:
    """The id of an answer to the same conversation through each call that can store one."""
    request = {"model": MODEL, "messages": MESSAGES, "store_messages": store}
    started = client.call_rpc("StartDeferredCompletion", **request)["request_id"]
    done = matchers.wait_until(
        lambda: client.call_rpc("GetDeferredCompletion", request_id=started),
        {"status": "DONE"},
        within_seconds=target.wait_seconds_max,
    )
    body = {"model": MODEL, "input": [*ITEMS[:2], {**ITEMS[2], "output": "Rain."}, *ITEMS[3:]], "store": store}
    return {
        "GetCompletion": client.call_rpc("GetCompletion", **request)["id"],
        "GetCompletionChunk": client.stream_rpc("GetCompletionChunk", **request)[-1]["id"],
        "GetDeferredCompletion": done["response"]["id"],
        "POST /v1/responses": rest.json("POST", "/v1/responses", json_body=body)["id"],
        "POST /v1/responses, streamed": events(rest, "/v1/responses", body)[-1]["response"]["id"],
    }


@case(
    "responses.across-transports",
    *("chat.create", "chat.get_deferred", "responses.create", "responses.get", "responses.delete"),
    *("responses.list_input_items",),
    evidence="assumed",
    source=f"{PROTO}; that both show one store is the nearest reading",
    refusal="not found",
    refusing=("responses.get", "responses.delete"),
    control=True,
    paid=True,
)
@pytest.mark.over_grpc
@pytest.mark.one_client_per_protocol
def test_stored(client: Client, rest: RestClient, target: Target) -> None:
    """An answer is stored by each call that asks for it, and is read, continued and deleted over REST and gRPC."""
    counts = set()
    for number, (word, id) in enumerate(answers(client, rest, target, store=True).items()):
        path = f"/v1/responses/{id}"
        shown = rest.json("GET", path)
        text = "".join(part["text"] for each in shown["output"] for part in each.get("content") or ())
        found = client.call_rpc("GetStoredCompletion", response_id=id)
        assert (found["id"], shown["id"], found["outputs"][-1]["message"]["content"]) == (id, id, text), word
        assert found["usage"]["prompt_tokens"] == shown["usage"]["input_tokens"], word
        matchers.check(rest.json("GET", f"{path}/input_items", query={"order": "asc"})["data"], ITEMS, word)
        again = {"role": "user", "content": "Once more."}
        body = {"model": MODEL, "input": [again], "previous_response_id": id, "store": False}
        counts.add(rest.json("POST", "/v1/responses", json_body=body)["usage"]["input_tokens"])
        message = {"role": "ROLE_USER", "content": [{"text": "Once more."}]}
        more = client.call_rpc("GetCompletion", model=MODEL, messages=[message], previous_response_id=id)
        counts.add(more["usage"]["prompt_tokens"])
        delete = partial(client.call_rpc, "DeleteStoredCompletion", response_id=id)
        if number % 2:
            rest.json("DELETE", path)
        else:
            delete()
        assert refusal_kind(partial(rest.json, "GET", path)) == "not_found", word
        assert refusal_kind(partial(rest.json, "DELETE", path)) == "not_found", word
        assert refusal_kind(partial(client.call_rpc, "GetStoredCompletion", response_id=id)) == "not_found", word
        assert refusal_kind(delete) == "not_found", word
    assert len(counts) == 1, counts  # of the same conversation
    for word, id in answers(client, rest, target, store=False).items():
        assert refusal_kind(partial(rest.json, "GET", f"/v1/responses/{id}")) == "not_found", word
        assert refusal_kind(partial(client.call_rpc, "GetStoredCompletion", response_id=id)) == "not_found", word


ENDS = ("added", "done")
# The events of a response with reasoning, a text and two calls, without those that repeat the one before.
EVENTS = (
    *("created", "in_progress"),
    *("output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta"),
    *("reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done"),
    *("output_item.added", "content_part.added", "output_text.delta"),
    *("output_text.done", "content_part.done", "output_item.done"),
    *("output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done") * 2,
    "completed",
)


@case(
    "responses.planned.events",
    "responses.create",
    evidence=EMULATOR,
    source="the planned answers of the emulator; the events are recorded by the AI SDK, 2026-02 to 2026-08",
    control=True,
    paid=True,
)
@pytest.mark.usefixtures("transport")
def test_events(rest: RestClient, target: Target) -> None:
    """Each item and part of a streamed response is begun, continued and ended, and its end repeats the whole of it."""
    plan(target, response=PLANNED)
    body = {"model": MODEL, "input": "Say what is planned.", "tools": [{"type": "function", **TOOL}]}
    found = events(rest, "/v1/responses", body)
    assert merged([each["type"].removeprefix("response.") for each in found]) == [*EVENTS]
    reasoning, text = PLANNED["reasoning_content"], PLANNED["content"]
    for word, part in (("reasoning_summary_text", reasoning), ("output_text", text)):
        deltas = [each["delta"] for each in found if each["type"] == f"response.{word}.delta"]
        [done] = [each for each in found if each["type"] == f"response.{word}.done"]
        assert "".join(deltas) == done["text"] == part
    for word, part in (("reasoning_summary_part", reasoning), ("content_part", text)):
        begun, done = (next(each for each in found if each["type"] == f"response.{word}.{end}") for end in ENDS)
        assert (begun["part"]["text"], done["part"]["text"]) == ("", part)
        assert begun["item_id"] == done["item_id"]
    arguments = [each["arguments"] for each in found if each["type"] == "response.function_call_arguments.done"]
    assert arguments == [call["arguments"] for call in CALLS]
