"""Conversations under the unmodified xai-sdk, synchronous and asynchronous."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import grpc
import httpx
import pydantic
import pytest
import xai_sdk
from xai_sdk.chat import file, image, system, tool, tool_result, user
from xai_sdk.tools import collections_search, web_search

from emulator import Emulator
from fixtures.team import EmulatedTeam

MODEL = "grok-4.3"
FERNS = b"The kettle is copper.\n\nThe ferns are watered on Monday."
QUOTE = 'From garden.md: "The kettle is copper. The ferns are watered on Monday."'
POLL = timedelta(milliseconds=1)


def collection(client: xai_sdk.Client) -> tuple[str, str]:
    """A collection with a document, and the id of its file."""
    found = client.collections.create("garden")
    document = client.collections.upload_document(found.collection_id, "garden.md", FERNS)
    return found.collection_id, document.file_metadata.file_id


def weather() -> Any:
    """A function of the client."""
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    return tool("weather", "The weather of a city.", parameters)


class Mood(pydantic.BaseModel):
    """What the answer has to be."""

    mood: str
    score: int


def test_sample_returns_text_and_usage(client: xai_sdk.Client) -> None:
    response = client.chat.create(MODEL, messages=[system("Be brief."), user("Hello")]).sample()
    assert (response.content, response.role, response.finish_reason) == ("Hello", "ROLE_ASSISTANT", "REASON_STOP")
    assert response.usage.total_tokens == response.usage.prompt_tokens + response.usage.completion_tokens
    assert response.usage.cost_in_usd_ticks > 0


def test_stream_adds_up_to_sample(client: xai_sdk.Client) -> None:
    chat = client.chat.create(MODEL, messages=[user("one two three")])
    pairs = list(chat.stream())
    assert [chunk.content for _, chunk in pairs] == ["one", " two", " three", ""]
    response, sampled = pairs[-1][0], chat.sample()
    assert (response.content, response.finish_reason) == (sampled.content, sampled.finish_reason)
    assert response.usage == sampled.usage


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_sample_batch_returns_a_response_for_each_choice(client: xai_sdk.Client) -> None:
    chat = client.chat.create(MODEL, messages=[user("one two")])
    assert [each.content for each in chat.sample_batch(3)] == ["one two"] * 3
    *_, (responses, _) = chat.stream_batch(2)
    assert [each.content for each in responses] == ["one two"] * 2


def test_parse_returns_instance_of_schema(client: xai_sdk.Client) -> None:
    response, mood = client.chat.create(MODEL, messages=[user("How?")]).parse(Mood)
    assert mood == Mood(mood="", score=0)
    assert json.loads(response.content) == {"mood": "", "score": 0}


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_defer_waits_for_answer(client: xai_sdk.Client) -> None:
    chat = client.chat.create(MODEL, messages=[user("later")])
    assert chat.defer(interval=POLL).content == "later"
    assert [each.content for each in chat.defer_batch(2, interval=POLL)] == ["later"] * 2


def test_tool_loop_ends_with_result(client: xai_sdk.Client) -> None:
    chat = client.chat.create(MODEL, messages=[user("Rain in Bern?")], tools=[weather()], tool_choice="required")
    asked = chat.sample()
    [call] = asked.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": ""})
    assert asked.finish_reason == "REASON_TOOL_CALLS"
    chat.append(asked)
    answered = client.chat.create(MODEL, messages=list(chat.messages), tools=[weather()])
    answered.append(tool_result("rain", tool_call_id=call.id))
    assert answered.sample().content == "weather: rain"


def test_attached_file_is_quoted(client: xai_sdk.Client) -> None:
    attached = client.files.upload(FERNS, filename="garden.md")
    chat = client.chat.create(MODEL, messages=[user("When are the ferns watered?", file(attached.id))])
    response = chat.sample()
    assert response.content == QUOTE
    assert list(response.citations) == []
    assert response.server_side_tool_usage == {"SERVER_SIDE_TOOL_ATTACHMENT_SEARCH": 1}
    *_, (streamed, _) = chat.stream()
    assert streamed.content == QUOTE


def test_deleted_file_is_not_found(client: xai_sdk.Client) -> None:
    attached = client.files.upload(FERNS, filename="garden.md")
    client.files.delete(attached.id)
    with pytest.raises(grpc.RpcError) as refused:
        client.chat.create(MODEL, messages=[user("When?", file(attached.id))]).sample()
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def test_collections_are_quoted_and_cited(client: xai_sdk.Client) -> None:
    id, source = collection(client)
    include = ["inline_citations", "collections_search_call_output"]
    chat = client.chat.create(
        MODEL, messages=[user("When are the ferns watered?")], tools=[collections_search([id])], include=include
    )
    uri = f"collections://{id}/files/{source}"
    *_, (streamed, _) = chat.stream()
    for response in (chat.sample(), streamed):
        assert response.content == f"{QUOTE} [[1]]({uri})"
        assert list(response.citations) == [uri]
        [inline] = response.inline_citations
        assert response.content[inline.start_index : inline.end_index] == f"[[1]]({uri})"
        [output] = response.tool_outputs
        assert json.loads(output.message.content)["search_matches"][0]["file_id"] == source
        assert response.server_side_tool_usage == {"SERVER_SIDE_TOOL_COLLECTIONS_SEARCH": 1}
        assert [call.function.name for call in response.tool_calls] == ["collections_search"] * len(response.tool_calls)


def test_conversation_goes_on_after_search(client: xai_sdk.Client) -> None:
    id, _ = collection(client)
    chat = client.chat.create(MODEL, messages=[user("ferns?")], tools=[collections_search([id])])
    chat.append(chat.sample())
    chat.append(user("And the kettle?"))
    assert chat.sample().content == QUOTE


def test_tool_that_is_not_run_is_named(client: xai_sdk.Client) -> None:
    response = client.chat.create(MODEL, messages=[user("News?")], tools=[web_search()]).sample()
    assert response.content == "News?\n\n[xai-emulator: accepted, but not run: web_search]"
    assert response.server_side_tool_usage == {}


def test_image_is_described(client: xai_sdk.Client) -> None:
    chat = client.chat.create(MODEL, messages=[user("What is it?", image("https://example.com/a.png"))])
    assert "[image 1: " in chat.sample().content


def test_cut_stream_is_an_error_after_its_first_chunks(emulator: Emulator, client: xai_sdk.Client) -> None:
    """The client does not repeat a stream of which it has read a part."""
    rule = {"operation": "chat.create", "cut_stream_after_deltas": 2}
    httpx.post(f"{emulator.url}/_emulator/faults", json=rule).raise_for_status()
    stream = client.chat.create(MODEL, messages=[user("one two three")]).stream()
    assert [next(stream)[1].content, next(stream)[1].content] == ["one", " two"]
    with pytest.raises(grpc.RpcError) as cut:
        next(stream)
    assert cut.value.code() is grpc.StatusCode.UNAVAILABLE


def test_rate_limit_arrives_as_resource_exhausted(emulator: Emulator, client: xai_sdk.Client) -> None:
    httpx.post(
        f"{emulator.url}/_emulator/faults", json={"operation": "chat.create", "error": "rate_limited"}
    ).raise_for_status()
    with pytest.raises(grpc.RpcError) as refused:
        client.chat.create(MODEL, messages=[user("x")]).sample()
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_tokens_add_up_to_text(client: xai_sdk.Client) -> None:
    tokens = client.tokenize.tokenize_text("Hello world!", MODEL)
    assert "".join(token.string_token for token in tokens) == "Hello world!"


async def test_async_sample_stream_parse_and_defer(async_client: xai_sdk.AsyncClient) -> None:
    chat = async_client.chat.create(MODEL, messages=[user("one two")])
    assert (await chat.sample()).content == "one two"
    streamed = [chunk.content async for _, chunk in chat.stream()]
    assert streamed == ["one", " two", ""]
    assert (await chat.parse(Mood))[1] == Mood(mood="", score=0)
    assert (await async_client.chat.create(MODEL, messages=[user("x")]).defer(interval=POLL)).content == "x"
    assert len(await async_client.tokenize.tokenize_text("Hello", MODEL)) > 0


async def test_async_tools_and_files(emulator: Emulator, async_client: xai_sdk.AsyncClient) -> None:
    attached = await async_client.files.upload(FERNS, filename="garden.md")
    asked = async_client.chat.create(MODEL, messages=[user("ferns?", file(attached.id))])
    assert (await asked.sample()).content == QUOTE
    team = EmulatedTeam(emulator, "default")
    id = team.call("POST", "/v1/collections", {"collection_name": "c"})["collection_id"]
    team.call("POST", f"/v1/collections/{id}/documents/{attached.id}", {})
    searching = async_client.chat.create(MODEL, messages=[user("ferns?")], tools=[collections_search([id])])
    assert list((await searching.sample()).citations) == [f"collections://{id}/files/{attached.id}"]
    forced = async_client.chat.create(MODEL, messages=[user("x")], tools=[weather()], tool_choice="required")
    [call] = (await forced.sample()).tool_calls
    assert call.function.name == "weather"


async def test_async_client_that_leaves_stream_early_is_served_again(async_client: xai_sdk.AsyncClient) -> None:
    chat = async_client.chat.create(MODEL, messages=[user("one two three")])
    async for _, chunk in chat.stream():
        assert chunk.content == "one"
        break
    assert (await chat.sample()).content == "one two three"
