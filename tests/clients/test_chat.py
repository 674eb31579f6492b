"""Chat completions under the unmodified openai client and curl."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import openai
import pydantic
import pytest

from emulator import Emulator
from tests.serving import PATIENCE_SECONDS

MODEL = "grok-4.3"
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def user(content: Any) -> Any:
    """A user message."""
    return {"role": "user", "content": content}


def test_openai_create_returns_text_and_usage(openai_client: openai.OpenAI) -> None:
    completion = openai_client.chat.completions.create(model=MODEL, messages=[user("Hello")])
    assert completion.choices[0].message.content == "Hello"
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage is not None
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens


def test_openai_create_with_file_quotes_it(openai_client: openai.OpenAI) -> None:
    file = openai_client.files.create(
        file=("notes.md", b"# Garden\n\nThe ferns are watered on Monday."), purpose="user_data"
    )
    parts = [{"type": "text", "text": "When are the ferns watered?"}, {"type": "file", "file": {"file_id": file.id}}]
    completion = openai_client.chat.completions.create(model=MODEL, messages=[user(parts)])
    assert completion.choices[0].message.content == ('From notes.md: "# Garden The ferns are watered on Monday."')


def test_openai_stream_helper_accumulates_completion(openai_client: openai.OpenAI) -> None:
    with openai_client.chat.completions.stream(
        model=MODEL, messages=[user("one two three")], stream_options={"include_usage": True}
    ) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        completion = stream.get_final_completion()
    assert deltas == ["one", " two", " three"]
    assert completion.choices[0].message.content == "one two three"
    assert completion.usage is not None
    assert completion.usage.completion_tokens > 0


class Mood(pydantic.BaseModel):
    """What the answer has to be."""

    mood: str
    score: int


def test_openai_parse_returns_instance_of_schema(openai_client: openai.OpenAI) -> None:
    completion = openai_client.chat.completions.parse(model=MODEL, messages=[user("How?")], response_format=Mood)
    assert completion.choices[0].message.parsed == Mood(mood="", score=0)


def test_openai_tool_loop_ends_with_result(openai_client: openai.OpenAI) -> None:
    messages = [user("Rain in Bern?")]
    asked = openai_client.chat.completions.create(
        model=MODEL, messages=messages, tools=[WEATHER], tool_choice="required"
    )
    message = asked.choices[0].message
    assert asked.choices[0].finish_reason == "tool_calls"
    assert message.tool_calls is not None
    [call] = message.tool_calls
    assert json.loads(call.function.arguments) == {"city": ""}  # type: ignore[union-attr]  # it is a function
    messages += [message.to_dict(), {"role": "tool", "tool_call_id": call.id, "content": "rain"}]
    answered = openai_client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER])
    assert answered.choices[0].message.content == "weather: rain"


def test_openai_tool_call_is_streamed_whole(openai_client: openai.OpenAI) -> None:
    stream = openai_client.chat.completions.create(
        model=MODEL, messages=[user("Rain?")], tools=[WEATHER], tool_choice="required", stream=True
    )
    calls = [call for chunk in stream for call in chunk.choices[0].delta.tool_calls or ()]
    assert [(call.index, call.function.name) for call in calls if call.function] == [(0, "weather")]


def test_openai_sees_refusals_as_its_errors(openai_client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        openai_client.chat.completions.create(model="grok-2", messages=[user("x")])
    assert refused.value.response.json()["error"] == "Model not found: grok-2"
    with pytest.raises(openai.NotFoundError):
        openai_client.chat.completions.create(
            model=MODEL, messages=[user([{"type": "file", "file": {"file_id": "file_nope"}}])]
        )
    with pytest.raises(openai.UnprocessableEntityError):
        openai_client.chat.completions.create(model=MODEL, messages=[user("x")], tools=[{"type": "file_search"}])  # type: ignore[list-item]


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_curl_reads_stream_to_its_end(emulator: Emulator) -> None:
    body = {"model": MODEL, "messages": [user("one two")], "stream": True}
    command = ["curl", "-sSN", "--fail-with-body", f"{emulator.base_url}/chat/completions", "-d", json.dumps(body)]
    command += ["-H", "Content-Type: application/json", "-H", f"Authorization: Bearer {emulator.api_key}"]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS).stdout
    assert output.startswith('data: {"id":')
    assert output.endswith("data: [DONE]\n\n")
