"""Agents of pydantic-ai, with its xAI model over gRPC and its OpenAI models over REST."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pydantic
import pytest

pytest.importorskip("pydantic_ai", reason="the Python package pydantic-ai is not installed")

import xai_sdk
from pydantic_ai import Agent, FileSearchTool, NativeOutput, ToolOutput, UploadedFile
from pydantic_ai.capabilities import NativeTool
from pydantic_ai.exceptions import ModelAPIError
from pydantic_ai.models import Model
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.models.xai import XaiModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.providers.xai import XaiProvider

ANSWER = 'From garden.md: "The ferns are watered on Monday."'
KINDS = ["xai", "chat", "responses"]


class Mood(pydantic.BaseModel):
    """What the answer has to be."""

    mood: str
    score: int


@pytest.fixture
async def client(team: Any) -> AsyncIterator[xai_sdk.AsyncClient]:
    """The client that the xAI model calls."""
    client = xai_sdk.AsyncClient(api_key=team.api_key, api_host=team.grpc_target)
    yield client
    await client.close()


def model_of(kind: str, team: Any, client: Any, name: str = "grok-4.3") -> Model:
    """A model of pydantic-ai."""
    if kind == "xai":
        return XaiModel(name, provider=XaiProvider(xai_client=client))
    provider = OpenAIProvider(base_url=team.base_url, api_key=team.api_key)
    return (OpenAIChatModel if kind == "chat" else OpenAIResponsesModel)(name, provider=provider)


@pytest.fixture(params=KINDS)
def model(request: pytest.FixtureRequest, team: Any, client: Any) -> Model:
    """Each model."""
    return model_of(request.param, team, client)


async def test_run_returns_text_and_usage(model: Model) -> None:
    result = await Agent(model).run("one two three")
    assert result.output == "one two three"
    assert result.usage.output_tokens > 0


async def test_stream_adds_up_to_text(model: Model) -> None:
    async with Agent(model).run_stream("one two three") as result:
        assert [text async for text in result.stream_text(delta=True, debounce_by=None)] == ["one", " two", " three"]


async def test_agent_runs_function_and_reads_its_result(team: Any, model: Model) -> None:
    team.answer(turn=1, response={"tool_calls": [{"name": "weather", "arguments": {"city": "Bern"}}]})
    agent, asked = Agent(model), []

    @agent.tool_plain
    def weather(city: str) -> str:
        """The weather of a city."""
        asked.append(city)
        return f"rain in {city}"

    assert (await agent.run("Rain?")).output == "weather: rain in Bern"
    assert asked == ["Bern"]


@pytest.mark.parametrize("output", [ToolOutput(Mood), NativeOutput(Mood)], ids=["tool", "native"])
async def test_output_is_instance_of_schema(model: Model, output: Any) -> None:
    assert (await Agent(model, output_type=output).run("How?")).output == Mood(mood="", score=0)


async def test_conversation_goes_on_with_its_history(model: Model) -> None:
    agent = Agent(model)
    first = await agent.run("my name is Ada")
    second = await agent.run("and now?", message_history=first.all_messages())
    assert second.output == "and now?"
    assert second.usage.input_tokens > first.usage.input_tokens


async def test_refusal_is_error_of_model(request: pytest.FixtureRequest, team: Any, client: Any) -> None:
    for kind in KINDS:
        with pytest.raises(ModelAPIError, match="Model not found: grok-2"):
            await Agent(model_of(kind, team, client, "grok-2")).run("x")


@pytest.mark.parametrize("kind", ["xai", "responses"])
async def test_file_search_quotes_collection(team: Any, client: Any, kind: str) -> None:
    collection, _ = team.collection()
    searching = NativeTool(FileSearchTool(file_store_ids=[collection]))
    agent = Agent(model_of(kind, team, client), capabilities=[searching])
    result = await agent.run("ferns?")
    assert result.output.startswith(ANSWER)
    assert result.response.parts[0].part_kind == "builtin-tool-call"
    async with agent.run_stream("ferns?") as streamed:
        assert await streamed.get_output() == result.output
    history = result.all_messages()  # the search and what it found are sent back
    assert (await agent.run("ferns?", message_history=history)).output.startswith(ANSWER)


async def test_uploaded_file_is_quoted_by_xai_model(team: Any, client: Any) -> None:
    file = UploadedFile(file_id=team.upload(), provider_name="xai")
    assert (await Agent(model_of("xai", team, client)).run(["ferns?", file])).output == ANSWER
