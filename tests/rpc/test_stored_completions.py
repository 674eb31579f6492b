"""Stored completions of the Chat service: kept, continued, read over both transports, deleted, compacted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from emulator import Emulator
from fixtures.team import EmulatedTeam
from tests.rest.test_responses import FERNS, post, text_of
from tests.rpc.client import Rpc
from tests.rpc.client import message as made

CHAT = "xai_api.Chat"
USER, ASSISTANT = 1, 2  # MessageRole
DONE, EXPIRED = 1, 2  # DeferredStatus
DAY = 86_400


@pytest.fixture
def rpc(emulator: Emulator) -> Iterator[Rpc]:
    """A plain client of an emulator that was reset."""
    emulator.reset()
    with Rpc(emulator.grpc_target, emulator.api_key) as rpc:
        yield rpc


@pytest.fixture
def team(emulator: Emulator) -> EmulatedTeam:
    """The team of the client."""
    return EmulatedTeam(emulator, "default")


def said(text: str, *parts: Any, role: int = USER) -> Any:
    """A message."""
    return made("xai_api.Message", role=role, content=[made("xai_api.Content", text=text), *parts])


def asked(*messages: Any, **fields: Any) -> Any:
    """A request whose answer is stored."""
    return made(
        "xai_api.GetCompletionsRequest", **{"model": "grok-4.3", "messages": messages, "store_messages": True, **fields}
    )


def complete(rpc: Rpc, request: Any) -> Any:
    """A whole answer."""
    return rpc.call(f"{CHAT}/GetCompletion", request)


def get(rpc: Rpc, id: str) -> Any:
    """A stored answer."""
    return rpc.call(f"{CHAT}/GetStoredCompletion", made("xai_api.GetStoredCompletionRequest", response_id=id))


def delete(rpc: Rpc, id: str) -> Any:
    """The answer to a deletion."""
    return rpc.call(f"{CHAT}/DeleteStoredCompletion", made("xai_api.DeleteStoredCompletionRequest", response_id=id))


def compact(rpc: Rpc, *messages: Any) -> Any:
    """A compacted conversation."""
    return rpc.call(f"{CHAT}/CompactContext", made("xai_api.CompactContextRequest", model="grok-4.3", input=messages))


def test_stored_completion_is_returned_as_it_was(rpc: Rpc) -> None:
    answer = complete(rpc, asked(said("one")))
    assert answer.settings.store_messages
    assert get(rpc, answer.id) == answer


def test_completion_is_stored_only_where_request_says_so(rpc: Rpc) -> None:
    answer = complete(rpc, asked(said("one"), store_messages=False))
    assert rpc.refusal(f"{CHAT}/GetStoredCompletion", made("xai_api.GetStoredCompletionRequest", response_id=answer.id))


@pytest.mark.parametrize("method", ["GetCompletionChunk", "StartDeferredCompletion"])
def test_streamed_and_deferred_completions_are_stored(emulator: Emulator, rpc: Rpc, method: str) -> None:
    rpc.call(f"{CHAT}/{method}", asked(said("one")))
    assert emulator._running().services.store.responses.total("default") == 1


@pytest.mark.parametrize("method", ["GetStoredCompletion", "DeleteStoredCompletion"])
def test_unknown_completion_is_not_found(rpc: Rpc, method: str) -> None:
    error = rpc.refusal(f"{CHAT}/{method}", made(f"xai_api.{method}Request", response_id="x"))
    assert (error.code().name, error.details()) == ("NOT_FOUND", "Response not found")


def test_deleted_completion_is_gone_for_both_transports(rpc: Rpc, rest: httpx.Client) -> None:
    answer = complete(rpc, asked(said("one")))
    assert delete(rpc, answer.id).response_id == answer.id
    assert rest.get(f"/v1/responses/{answer.id}").status_code == 404
    assert rpc.refusal(f"{CHAT}/GetStoredCompletion", made("xai_api.GetStoredCompletionRequest", response_id=answer.id))


def test_conversation_goes_on_over_either_transport(rpc: Rpc, rest: httpx.Client) -> None:
    first = complete(rpc, asked(said("my name is Ada")))
    second = complete(rpc, asked(said("and now?"), previous_response_id=first.id))
    whole = asked(said("my name is Ada"), said("my name is Ada", role=ASSISTANT), said("and now?"))
    assert second.settings.previous_response_id == first.id
    assert second.usage.prompt_tokens == complete(rpc, whole).usage.prompt_tokens
    over_rest = post(rest, "and now?", previous_response_id=first.id).json()
    assert over_rest["usage"]["input_tokens"] == second.usage.prompt_tokens
    third = complete(rpc, asked(said("and then?"), previous_response_id=over_rest["id"]))
    assert third.usage.prompt_tokens > second.usage.prompt_tokens


def test_response_of_rest_is_read_over_grpc(rpc: Rpc, rest: httpx.Client) -> None:
    schema = {"type": "json_schema", "name": "m", "schema": {"type": "object", "properties": {}}}
    body = {"text": {"format": schema}, "include": ["file_search_call.results"], "user": "u", "max_output_tokens": 50}
    created = post(rest, **body).json()
    found = get(rpc, created["id"])
    assert (found.id, found.created.seconds, found.model) == (created["id"], created["created_at"], created["model"])
    assert found.outputs[0].message.content == text_of(created)
    assert found.usage.cost_in_usd_ticks == created["usage"]["cost_in_usd_ticks"]
    assert (found.settings.store_messages, found.settings.user, found.settings.max_tokens) == (True, "u", 50)


def test_completion_of_grpc_is_read_over_rest(rpc: Rpc, rest: httpx.Client, team: EmulatedTeam) -> None:
    file = team.upload("a.txt", FERNS.encode())
    part = made("xai_api.Content", file=made("xai_api.FileContent", file_id=file))
    image = made("xai_api.Content", image_url=made("xai_api.ImageUrlContent", image_url="https://example.com/a.png"))
    call = made("xai_api.ToolCall", id="c", function=made("xai_api.FunctionCall", name="f", arguments="{}"))
    talk = (
        said("ferns?", part, image),
        made("xai_api.Message", role=ASSISTANT, tool_calls=[call]),
        made("xai_api.Message", role=5, content=[made("xai_api.Content", text="rain")], tool_call_id="c"),
    )
    answer = complete(rpc, asked(*talk, temperature=0.5))
    found = rest.get(f"/v1/responses/{answer.id}").json()
    assert text_of(found) == answer.outputs[-1].message.content
    assert (found["store"], found["temperature"]) == (True, 0.5)
    items = rest.get(f"/v1/responses/{answer.id}/input_items").json()["data"]
    assert [item["type"] for item in items] == ["message", "function_call", "function_call_output"]
    assert items[0]["content"] == [
        {"type": "input_text", "text": "ferns?"},
        {"type": "input_file", "file_id": file},
        {"type": "input_image", "image_url": "https://example.com/a.png"},
    ]
    assert (items[1]["call_id"], items[1]["name"], items[2]["output"]) == ("c", "f", "rain")
    assert text_of(post(rest, "ferns?", previous_response_id=answer.id).json()).startswith("From a.txt:")


def test_compacted_conversation_stands_for_its_messages(rpc: Rpc, rest: httpx.Client) -> None:
    talk = (said("my name is Ada"), said("hello Ada", role=ASSISTANT))
    compacted = compact(rpc, *talk)
    assert compacted.dropped_message_count == 2
    assert compacted.id.startswith("cmp_")
    assert compacted.usage.prompt_tokens > 0
    short = made("xai_api.Message", role=USER, encrypted_content=compacted.encrypted_content)
    answers = [complete(rpc, asked(*begun, said("and now?"))) for begun in ((short,), talk)]
    assert [each.outputs[0].message.content for each in answers] == ["and now?"] * 2
    assert answers[0].usage == answers[1].usage
    item = {"type": "compaction", "encrypted_content": compacted.encrypted_content}
    over_rest = post(rest, [item, {"role": "user", "content": "and now?"}]).json()
    assert over_rest["usage"]["input_tokens"] == answers[0].usage.prompt_tokens
    items = rest.get(f"/v1/responses/{answers[0].id}/input_items").json()["data"]
    assert [each["type"] for each in items] == ["compaction", "message"]


def test_encrypted_content_of_another_service_is_refused(rpc: Rpc) -> None:
    foreign = made("xai_api.Message", role=USER, encrypted_content="bm90IG91cnM=")
    error = rpc.refusal(f"{CHAT}/GetCompletion", asked(foreign))
    assert error.code().name == "INVALID_ARGUMENT"


@pytest.mark.parametrize(("seconds", "status"), [(DAY - 1, DONE), (DAY, EXPIRED), (2 * DAY - 1, EXPIRED)])
def test_deferred_completion_that_has_expired_says_so(rpc: Rpc, team: EmulatedTeam, seconds: int, status: int) -> None:
    team.freeze()
    id = rpc.call(f"{CHAT}/StartDeferredCompletion", asked(said("one"))).request_id
    team.advance(seconds)
    found = rpc.call(f"{CHAT}/GetDeferredCompletion", made("xai_api.GetDeferredRequest", request_id=id))
    assert (found.status, found.HasField("response")) == (status, status == DONE)


def test_expired_deferred_completion_is_forgotten_in_the_end(
    emulator: Emulator, rpc: Rpc, rest: httpx.Client, team: EmulatedTeam
) -> None:
    team.freeze()
    id = rpc.call(f"{CHAT}/StartDeferredCompletion", asked(said("one"))).request_id
    team.advance(DAY)
    assert rest.get(f"/v1/chat/deferred-completion/{id}").status_code == 404
    team.advance(DAY)
    error = rpc.refusal(f"{CHAT}/GetDeferredCompletion", made("xai_api.GetDeferredRequest", request_id=id))
    assert (error.code().name, error.details()) == ("NOT_FOUND", "Invalid request ID")
    assert emulator._running().services.store.deferred.get("default", id) is None
