"""A request that continues a stored answer is answered as the whole conversation is."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from .case import EMULATOR, case
from .clients.client import MODEL, Client
from .clients.models import refusal_kind
from .clients.rest import RestClient
from .test_answer_parameters import FLAT_TOOLS, MESSAGE_TOOLS
from .test_answers import SOURCE, agree, without_ids

pytestmark = pytest.mark.own_team
Json = Any
RESULT = "It is warm."
# Each turn is a text of the user, or None for the result of the call before, and whether a call has to follow.
TURNS: tuple[tuple[str | None, bool], ...] = (("Say one.", False), ("Say two.", True), (None, False), ("Three?", False))


@case(
    "responses.continued-as-whole",
    "responses.create",
    evidence=EMULATOR,
    source=SOURCE,
    refusal="call_id",
    control=True,
    paid=True,
)
@pytest.mark.usefixtures("transport")
def test_responses(rest: RestClient) -> None:
    """A turn after a stored text or call is answered and counted as the whole conversation, which has the call."""
    whole: list[Json] = []
    previous, call = None, ""
    for text, calls in TURNS:
        result = {"type": "function_call_output", "call_id": call, "output": RESULT}
        new = [result if text is None else {"role": "user", "content": text}]
        whole += new
        body = {"model": MODEL, "tools": FLAT_TOOLS, "tool_choice": "required" if calls else "none", "store": True}
        found = rest.json("POST", "/v1/responses", json_body={**body, "input": new, "previous_response_id": previous})
        expected = rest.json("POST", "/v1/responses", json_body={**body, "input": whole})
        without = [without_ids(each, "previous_response_id") for each in (found, expected)]
        agree(without[0], without[1], text)
        previous = found["id"]
        for item in found["output"]:
            if item["type"] == "function_call":
                call = item["call_id"]
                whole.append({name: item[name] for name in ("type", "call_id", "name", "arguments")})
            else:
                whole.append({"role": "assistant", "content": item["content"][0]["text"]})
    wrong = [{"type": "function_call_output", "call_id": f"{call}x", "output": RESULT}]
    for more in ({}, {"previous_response_id": previous}):
        body = {"model": MODEL, "tools": FLAT_TOOLS, "input": wrong, **more}
        assert refusal_kind(partial(rest.json, "POST", "/v1/responses", json_body=body)) == "invalid", more


@case(
    "chat.over-grpc.continued-as-whole",
    "chat.create",
    evidence=EMULATOR,
    source=SOURCE,
    control=True,
    paid=True,
)
@pytest.mark.over_grpc
@pytest.mark.one_client_per_protocol
def test_completions(client: Client) -> None:
    """Over gRPC a turn after a stored text or call is answered and counted as the whole conversation."""
    whole: list[Json] = []
    previous: dict[str, str] = {}
    call = ""
    for text, calls in TURNS:
        result = {"role": "ROLE_TOOL", "tool_call_id": call, "content": [{"text": RESULT}]}
        new = [result if text is None else {"role": "ROLE_USER", "content": [{"text": text}]}]
        whole += new
        choice = {"mode": f"TOOL_MODE_{'REQUIRED' if calls else 'NONE'}"}
        request = {"model": MODEL, "tools": MESSAGE_TOOLS, "tool_choice": choice, "store_messages": True}
        found = client.call_rpc("GetCompletion", **request, **previous, messages=new)
        expected = client.call_rpc("GetCompletion", **request, messages=whole)
        for part in ("outputs", "usage"):
            agree(without_ids(found[part]), without_ids(expected[part]), (text, part))
        previous = {"previous_response_id": found["id"]}
        message = found["outputs"][-1]["message"]
        said: Json = {"role": "ROLE_ASSISTANT", "content": [{"text": message["content"]}]}
        for each in message["tool_calls"]:
            call = each["id"]
            said["tool_calls"] = [{name: each[name] for name in ("id", "function")}]
        whole.append(said)
