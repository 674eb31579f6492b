"""Stored completions over gRPC: kept, continued, read, deleted and compacted. Answers cost money on a real service."""

from __future__ import annotations

import pytest

from . import matchers
from .case import case
from .clients.client import MODEL, Client
from .clients.models import ApiError
from .clients.rest import RestClient
from .test_chat_over_grpc import PROTO, UNKNOWN, chat

pytestmark = [pytest.mark.over_grpc, pytest.mark.one_client_per_protocol]


@case("responses.over-grpc", "chat.create", "responses.get", evidence="documented", source=PROTO, paid=True)
def test_stored(client: Client) -> None:
    """A completion is stored where the request says so, and read by its id."""
    answer = client.call_rpc("GetCompletion", **chat(store_messages=True))
    stored = client.call_rpc("GetStoredCompletion", response_id=answer["id"])
    assert stored["id"] == answer["id"]
    assert stored["outputs"][-1]["message"]["content"] == answer["outputs"][-1]["message"]["content"]


@case("responses.over-grpc.not-stored", "chat.create", "responses.get", evidence="documented", source=PROTO, paid=True)
def test_not_stored(client: Client) -> None:
    """A completion is not stored unless the request says so."""
    answer = client.call_rpc("GetCompletion", **chat())
    with pytest.raises(ApiError) as error:
        client.call_rpc("GetStoredCompletion", response_id=answer["id"])
    assert error.value.kind == "not_found"


@case("responses.over-grpc.deleted", "responses.delete", "chat.create", evidence="documented", source=PROTO, paid=True)
def test_deleted(client: Client) -> None:
    """A stored completion is deleted once; the answer repeats its id."""
    id = client.call_rpc("GetCompletion", **chat(store_messages=True))["id"]
    assert client.call_rpc("DeleteStoredCompletion", response_id=id)["response_id"] == id
    with pytest.raises(ApiError) as error:
        client.call_rpc("DeleteStoredCompletion", response_id=id)
    assert error.value.kind == "not_found"


@case("responses.over-grpc.continued", "chat.create", evidence="documented", source=PROTO, paid=True)
def test_continued(client: Client) -> None:
    """A completion continues a stored one, whose messages count as prompt."""
    first = client.call_rpc("GetCompletion", **chat(store_messages=True))
    second = client.call_rpc("GetCompletion", **chat(previous_response_id=first["id"]))
    assert second["usage"]["prompt_tokens"] > first["usage"]["prompt_tokens"]
    assert second["settings"]["previous_response_id"] == first["id"]


@case(
    "responses.over-grpc.compacted", "responses.compact", "chat.create", evidence="documented", source=PROTO, paid=True
)
def test_compacted(client: Client, rest: RestClient) -> None:
    """A compacted conversation is encrypted content, which a message of the user carries, and costs what REST says."""
    compacted = client.call_rpc("CompactContext", model=MODEL, input=chat()["messages"] * 2)
    matchers.check(compacted, {"encrypted_content": "$text", "id": "$text", "dropped_message_count": 2})
    prices, usage = rest.json("GET", f"/v1/language-models/{MODEL}"), compacted["usage"]
    tokens = usage["prompt_tokens"] * prices["prompt_text_token_price"]
    tokens += usage["completion_tokens"] * prices["completion_text_token_price"]
    assert usage.get("cost_in_usd_ticks", tokens) == tokens  # an older library does not know it
    assert min(usage[f"{each}_tokens"] for each in ("prompt", "completion")) > 0
    message = {"role": "ROLE_USER", "encrypted_content": compacted["encrypted_content"]}
    answer = client.call_rpc("GetCompletion", model=MODEL, messages=[message])
    assert answer["outputs"][-1]["message"]["content"]


@case(
    "responses.over-grpc.unknown",
    *("responses.get", "responses.delete"),
    evidence="assumed",
    source="xai-sdk: the server of its tests",
    refusal="not found",
)
def test_unknown(client: Client) -> None:
    """A completion that is not stored is not found."""
    for rpc in ("GetStoredCompletion", "DeleteStoredCompletion"):
        with pytest.raises(ApiError) as error:
            client.call_rpc(rpc, response_id=UNKNOWN)
        assert error.value.kind == "not_found", rpc


@case(
    "responses.over-grpc.continue-unknown",
    *("chat.create",),
    evidence="assumed",
    source="as over REST",
    refusal="not found",
)
def test_continue_unknown(client: Client) -> None:
    """A completion that is not stored cannot be continued, whether or not the answer is streamed."""
    for call, rpc in ((client.call_rpc, "GetCompletion"), (client.stream_rpc, "GetCompletionChunk")):
        with pytest.raises(ApiError) as error:
            call(rpc, **chat(previous_response_id=UNKNOWN))
        assert error.value.kind == "not_found", rpc
