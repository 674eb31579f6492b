"""Conversations under xai-sdk, synchronous and asynchronous: the newest one, and the oldest that is supported.

What an old version cannot do is skipped with the reason.
"""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from importlib.metadata import version
from inspect import isawaitable
from typing import Any

import pydantic
import pytest

pytest.importorskip("xai_sdk", reason="the Python package xai-sdk is not installed")

import grpc
import xai_sdk
from xai_sdk import chat as sdk_chat
from xai_sdk.chat import system, tool, tool_result, user

MODEL = "grok-4.3"
ANSWER = 'From garden.md: "The ferns are watered on Monday."'
POLL = timedelta(milliseconds=1)
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
VERSION = version("xai-sdk")


class Mood(pydantic.BaseModel):
    """What the answer has to be."""

    mood: str
    score: int


class Sdk:
    """One of the two clients; what it returns is waited for."""

    def __init__(self, team: Any, kind: type[Any]) -> None:
        self._loop = asyncio.new_event_loop()
        keys = {"api_key": team.api_key, "management_api_key": team.management_key}
        hosts = {"api_host": team.grpc_target, "management_api_host": team.grpc_target}

        async def open() -> Any:
            return kind(**keys, **hosts)

        self.client = self._loop.run_until_complete(open())

    def create(self, text: Any, **options: Any) -> Any:
        """A conversation of one user message."""
        messages = [text if isinstance(text, list) else user(text)]
        return self.client.chat.create(MODEL, messages=messages[0] if isinstance(text, list) else messages, **options)

    def wait(self, result: Any) -> Any:
        """Return a result, or what it will be."""

        async def waited(awaitable: Awaitable[Any]) -> Any:
            return await awaitable

        return self._loop.run_until_complete(waited(result)) if isawaitable(result) else result

    def read(self, stream: Any) -> list[Any]:
        """Return all that a stream gives."""

        async def read() -> list[Any]:
            return [each async for each in stream]

        return list(stream) if hasattr(stream, "__iter__") else self._loop.run_until_complete(read())

    def close(self) -> None:
        """Close the client."""
        self.wait(self.client.close())
        self._loop.close()


@pytest.fixture(params=["Client", "AsyncClient"])
def sdk(request: pytest.FixtureRequest, team: Any) -> Iterator[Sdk]:
    """Each client."""
    sdk = Sdk(team, getattr(xai_sdk, request.param))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # new versions call some of this deprecated
        yield sdk
    sdk.close()


def helper(name: str) -> Callable[..., Any]:
    """A function of the SDK, which an old one may not have."""
    found = getattr(sdk_chat, name, None)
    if found is None:
        pytest.skip(f"xai-sdk {VERSION} has no {name}()")
    return found  # type: ignore[no-any-return]


def test_sample_returns_text_and_usage(sdk: Sdk) -> None:
    response = sdk.wait(sdk.create([system("Be brief."), user("Hello")]).sample())
    assert (response.content, response.role, response.finish_reason) == ("Hello", "ROLE_ASSISTANT", "REASON_STOP")
    assert response.usage.total_tokens == response.usage.prompt_tokens + response.usage.completion_tokens


def test_stream_adds_up_to_sample(sdk: Sdk) -> None:
    pairs = sdk.read(sdk.create("one two three").stream())
    assert "".join(chunk.content for _, chunk in pairs) == pairs[-1][0].content == "one two three"
    assert pairs[-1][0].usage.total_tokens > 0


def test_batches_return_a_response_for_each_choice(sdk: Sdk) -> None:
    chat = sdk.create("one two")
    assert [each.content for each in sdk.wait(chat.sample_batch(3))] == ["one two"] * 3
    *_, (responses, _) = sdk.read(chat.stream_batch(2))
    assert [each.content for each in responses] == ["one two"] * 2


def test_parse_returns_instance_of_schema(sdk: Sdk) -> None:
    assert sdk.wait(sdk.create("How?").parse(Mood))[1] == Mood(mood="", score=0)


def test_defer_waits_for_answer(sdk: Sdk) -> None:
    assert sdk.wait(sdk.create("later").defer(interval=POLL)).content == "later"


def test_tool_loop_ends_with_result(sdk: Sdk) -> None:
    weather = tool("weather", "The weather of a city.", SCHEMA)
    chat = sdk.create("Rain?", tools=[weather], tool_choice="required")
    asked = sdk.wait(chat.sample())
    [call] = asked.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": ""})
    chat.append(asked)
    chat.append(tool_result("rain"))
    messages = list(chat.messages)
    assert sdk.wait(sdk.create(messages, tools=[weather]).sample()).content.endswith(": rain")


def test_attached_file_is_quoted(sdk: Sdk, team: Any) -> None:
    attach = helper("file")
    chat = sdk.create([user("When are the ferns watered?", attach(team.upload()))])
    assert sdk.wait(chat.sample()).content == ANSWER
    assert sdk.read(chat.stream())[-1][0].content == ANSWER


def test_collections_are_quoted_and_cited(sdk: Sdk, team: Any) -> None:
    try:
        from xai_sdk.tools import collections_search
    except ImportError:
        pytest.skip(f"xai-sdk {VERSION} has no collections_search()")
    collection, file = team.collection()
    chat = sdk.create("When are the ferns watered?", tools=[collections_search([collection])])
    for response in (sdk.wait(chat.sample()), sdk.read(chat.stream())[-1][0]):
        assert response.content == ANSWER
        assert list(response.citations) == [f"collections://{collection}/files/{file}"]
    chat.append(sdk.wait(chat.sample()))
    chat.append(user("And on which day again are the ferns watered?"))
    assert sdk.wait(chat.sample()).content == ANSWER


def test_stored_completion_is_continued_and_deleted(sdk: Sdk) -> None:
    first = sdk.wait(sdk.create("my name is Ada", store_messages=True).sample())
    second = sdk.wait(sdk.create("and now?", previous_response_id=first.id).sample())
    assert second.usage.prompt_tokens > first.usage.prompt_tokens
    [found] = sdk.wait(sdk.client.chat.get_stored_completion(first.id))
    assert found.content == "my name is Ada"
    assert sdk.wait(sdk.client.chat.delete_stored_completion(first.id)) == first.id


def test_refusal_has_status_and_words(sdk: Sdk) -> None:
    chat = sdk.client.chat.create("grok-2", messages=[user("x")])
    with pytest.raises(grpc.RpcError) as refused:
        sdk.wait(chat.sample())
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details() == "Model not found: grok-2"


def test_tokens_add_up_to_text(sdk: Sdk) -> None:
    tokens = sdk.wait(sdk.client.tokenize.tokenize_text("Hello world!", MODEL))
    assert "".join(token.string_token for token in tokens) == "Hello world!"


def test_models_have_prices(sdk: Sdk) -> None:
    names = {model.name: model for model in sdk.wait(sdk.client.models.list_language_models())}
    assert names[MODEL].prompt_text_token_price > 0
