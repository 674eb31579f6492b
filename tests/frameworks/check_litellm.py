"""LiteLLM's xAI provider: completions, responses and images."""

from __future__ import annotations

import json
import os
from typing import Any

import pydantic
import pytest

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it looks for prices on the network
litellm = pytest.importorskip("litellm", reason="the Python package litellm is not installed")

MODEL = "xai/grok-4.3"
ANSWER = 'From garden.md: "The ferns are watered on Monday."'
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER: Any = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}


class Mood(pydantic.BaseModel):
    """What the answer has to be."""

    mood: str
    score: int


@pytest.fixture
def where(team: Any) -> dict[str, Any]:
    """Where LiteLLM sends its requests."""
    return {"api_base": team.base_url, "api_key": team.api_key, "num_retries": 0}


def user(content: Any) -> Any:
    """A user message."""
    return [{"role": "user", "content": content}]


def test_completion_returns_text_and_cost(where: Any) -> None:
    found = litellm.completion(model=MODEL, messages=user("one two three"), max_completion_tokens=50, **where)
    assert (found.choices[0].message.content, found.choices[0].finish_reason) == ("one two three", "stop")
    assert found.usage.total_tokens == found.usage.prompt_tokens + found.usage.completion_tokens
    assert found.usage.cost == pytest.approx(found.usage.cost_in_usd_ticks / 1e10)


def test_streamed_completion_adds_up_and_ends_with_usage(where: Any) -> None:
    options = {"include_usage": True}
    chunks = list(
        litellm.completion(model=MODEL, messages=user("one two"), stream=True, stream_options=options, **where)
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "one two"
    assert chunks[-1].usage.completion_tokens > 0
    whole = litellm.stream_chunk_builder(chunks)
    assert (whole.choices[0].message.content, whole.choices[0].finish_reason) == ("one two", "stop")


def test_tool_loop_ends_with_result(where: Any) -> None:
    messages = user("Rain in Bern?")
    asked = litellm.completion(model=MODEL, messages=messages, tools=[WEATHER], tool_choice="required", **where)
    [call] = asked.choices[0].message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": ""})
    messages += [asked.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "rain"}]
    answered = litellm.completion(model=MODEL, messages=messages, tools=[WEATHER], **where)
    assert answered.choices[0].message.content == "weather: rain"


def test_response_format_gives_json_of_schema(where: Any) -> None:
    found = litellm.completion(model=MODEL, messages=user("How?"), response_format=Mood, **where)
    assert Mood.model_validate_json(found.choices[0].message.content) == Mood(mood="", score=0)


def test_attached_file_is_quoted(team: Any, where: Any) -> None:
    parts = [{"type": "text", "text": "ferns?"}, {"type": "file", "file": {"file_id": team.upload()}}]
    assert litellm.completion(model=MODEL, messages=user(parts), **where).choices[0].message.content == ANSWER


def test_refusal_is_error_with_its_status(where: Any) -> None:
    with pytest.raises(litellm.BadRequestError, match="Model not found: grok-2"):
        litellm.completion(model="xai/grok-2", messages=user("x"), **where)


async def test_async_completion_is_streamed(where: Any) -> None:
    stream = await litellm.acompletion(model=MODEL, messages=user("one two"), stream=True, **where)
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "one two"


def test_response_is_continued_read_and_deleted(where: Any) -> None:
    """LiteLLM puts the id of a response into one of its own."""
    first = litellm.responses(model=MODEL, input="my name is Ada", **where)
    second = litellm.responses(model=MODEL, input="and now?", previous_response_id=first.id, **where)
    assert second.output[-1].content[0].text == "and now?"
    assert second.usage.input_tokens > first.usage.input_tokens
    of_xai = {**where, "custom_llm_provider": "xai"}
    assert litellm.get_responses(second.id, **of_xai).output[-1].content[0].text == "and now?"
    assert litellm.delete_responses(second.id, **of_xai).deleted is True


def test_response_with_file_search_is_streamed_and_cites(team: Any, where: Any) -> None:
    collection, file = team.collection()
    tools = [{"type": "file_search", "vector_store_ids": [collection]}]
    events = list(litellm.responses(model=MODEL, input="ferns?", tools=tools, stream=True, **where))
    last = events[-1].response
    uri = f"collections://{collection}/files/{file}"
    assert [item.type for item in last.output] == ["file_search_call", "message"]
    assert last.output[1].content[0].text == f"{ANSWER} [[1]]({uri})"
    assert last.output[1].content[0].annotations[0].url == uri


def test_image_has_address_and_cost(where: Any) -> None:
    [image] = litellm.image_generation(model="xai/grok-imagine-image", prompt="a kettle", **where).data
    assert "/_media/" in image.url
