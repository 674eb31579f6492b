"""LangChain's ChatXAI: completions, and responses where a tool of the server is bound."""

from __future__ import annotations

from typing import Any

import pydantic
import pytest

pytest.importorskip("langchain_xai", reason="the Python package langchain-xai is not installed")

import openai
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_xai import ChatXAI

ANSWER = 'From garden.md: "The ferns are watered on Monday."'


class Mood(pydantic.BaseModel):
    """What the answer has to be."""

    mood: str
    score: int


@tool
def weather(city: str) -> str:
    """The weather of a city."""
    return f"rain in {city}"


@pytest.fixture
def model(team: Any) -> ChatXAI:
    """The model of a team."""
    return ChatXAI(model="grok-4.3", xai_api_base=f"{team.base_url}/", xai_api_key=team.api_key, max_retries=0)


def test_invoke_returns_text_and_usage(model: ChatXAI) -> None:
    message = model.invoke("one two three")
    assert (message.content, message.response_metadata["finish_reason"]) == ("one two three", "stop")
    assert message.usage_metadata["total_tokens"] == message.response_metadata["token_usage"]["total_tokens"] > 0


def test_stream_adds_up_to_message(model: ChatXAI) -> None:
    chunks = list(model.stream("one two three"))
    assert [chunk.content for chunk in chunks if chunk.content] == ["one", " two", " three"]
    whole = sum(chunks[1:], chunks[0])
    assert whole.response_metadata["finish_reason"] == "stop"
    assert whole.usage_metadata["output_tokens"] > 0


def test_tool_loop_ends_with_result(model: ChatXAI) -> None:
    question = HumanMessage("Rain?")
    asked = model.bind_tools([weather], tool_choice="any").invoke([question])
    [call] = asked.tool_calls
    assert (call["name"], call["args"]) == ("weather", {"city": ""})
    result = ToolMessage(weather.invoke({"city": "Bern"}), tool_call_id=call["id"])
    assert model.bind_tools([weather]).invoke([question, asked, result]).content == "weather: rain in Bern"


def test_tool_call_is_streamed(model: ChatXAI) -> None:
    chunks = list(model.bind_tools([weather], tool_choice="any").stream("Rain?"))
    assert [call["name"] for call in sum(chunks[1:], chunks[0]).tool_calls] == ["weather"]


@pytest.mark.parametrize("method", ["function_calling", "json_schema"])
def test_structured_output_is_instance_of_schema(model: ChatXAI, method: Any) -> None:
    assert model.with_structured_output(Mood, method=method).invoke("How?") == Mood(mood="", score=0)


def test_attached_file_is_quoted(team: Any, model: ChatXAI) -> None:
    parts = [{"type": "text", "text": "ferns?"}, {"type": "file", "file": {"file_id": team.upload()}}]
    assert model.invoke([HumanMessage(parts)]).content == ANSWER


def test_bound_file_search_quotes_and_cites(team: Any, model: ChatXAI) -> None:
    collection, file = team.collection()
    searching = model.bind_tools([{"type": "file_search", "vector_store_ids": [collection]}])
    uri = f"collections://{collection}/files/{file}"
    message = searching.invoke("ferns?")
    assert message.text == f"{ANSWER} [[1]]({uri})"
    [cited] = [note for block in message.content for note in block.get("annotations", ())]
    assert cited["url"] == uri
    chunks = list(searching.stream("ferns?"))
    assert "".join(chunk.text for chunk in chunks) == message.text


def test_server_tool_that_is_not_run_is_named(model: ChatXAI) -> None:
    assert "accepted, but not run: web_search" in model.bind_tools([{"type": "web_search"}]).invoke("News?").text


async def test_async_invoke_and_stream(model: ChatXAI) -> None:
    assert (await model.ainvoke("one")).content == "one"
    assert "".join([chunk.content async for chunk in model.astream("one two")]) == "one two"


def test_refusal_is_error_with_its_status(team: Any) -> None:
    model = ChatXAI(model="grok-2", xai_api_base=f"{team.base_url}/", xai_api_key=team.api_key, max_retries=0)
    with pytest.raises(openai.BadRequestError, match="Model not found: grok-2"):
        model.invoke("x")
