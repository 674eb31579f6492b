"""Responses under the unmodified openai openai_client."""

from __future__ import annotations

import json
from typing import Any

import openai
import pydantic
import pytest

from emulator import Emulator
from fixtures.team import EmulatedTeam

MODEL = "grok-4.3"
FERNS = b"The ferns are watered on Monday."
WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": True,
}


class Mood(pydantic.BaseModel):
    """What the answer has to be."""

    mood: str
    score: int


def searching(emulator: Emulator, openai_client: openai.OpenAI) -> tuple[Any, str]:
    """The tools that search a collection, and the URI of the file in it."""
    team = EmulatedTeam(emulator, "default")
    collection = team.call("POST", "/v1/collections", {"collection_name": "garden"})["collection_id"]
    file = openai_client.files.create(file=("garden.md", FERNS), purpose="user_data").id
    team.call("POST", f"/v1/collections/{collection}/documents/{file}", {})
    return [{"type": "file_search", "vector_store_ids": [collection]}], f"collections://{collection}/files/{file}"


def test_create_returns_text_and_usage(openai_client: openai.OpenAI) -> None:
    response = openai_client.responses.create(model=MODEL, input="Hello", instructions="Be brief.")
    assert (response.output_text, response.status) == ("Hello", "completed")
    assert response.usage is not None
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens


def test_create_with_file_quotes_it(openai_client: openai.OpenAI) -> None:
    file = openai_client.files.create(file=("garden.md", FERNS), purpose="user_data")
    parts: Any = [{"type": "input_text", "text": "ferns?"}, {"type": "input_file", "file_id": file.id}]
    response = openai_client.responses.create(model=MODEL, input=[{"role": "user", "content": parts}])
    assert response.output_text == 'From garden.md: "The ferns are watered on Monday."'


def test_file_search_is_an_item_and_is_cited(emulator: Emulator, openai_client: openai.OpenAI) -> None:
    tools, uri = searching(emulator, openai_client)
    response = openai_client.responses.create(
        model=MODEL, input="ferns", tools=tools, include=["file_search_call.results"]
    )
    found, message = response.output
    assert found.type == "file_search_call"
    assert found.results is not None
    assert [result.text for result in found.results] == [FERNS.decode()]
    assert message.type == "message"
    [part] = message.content
    assert part.type == "output_text"
    [annotation] = part.annotations
    assert annotation.type == "url_citation"
    assert annotation.url == uri
    assert part.text[annotation.start_index : annotation.end_index] == f"[[1]]({uri})"


def test_stream_helper_accumulates_response(emulator: Emulator, openai_client: openai.OpenAI) -> None:
    tools, uri = searching(emulator, openai_client)
    with openai_client.responses.stream(model=MODEL, input="ferns", tools=tools) as stream:
        events = list(stream)
        response = stream.get_final_response()
    texts = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(texts) == response.output_text
    assert uri in response.output_text
    assert [item.type for item in response.output] == ["file_search_call", "message"]
    assert response.usage is not None


def test_created_stream_ends_with_completed_event(openai_client: openai.OpenAI) -> None:
    events = list(openai_client.responses.create(model=MODEL, input="one two", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == "one two"


def test_parse_returns_instance_of_schema(openai_client: openai.OpenAI) -> None:
    assert openai_client.responses.parse(model=MODEL, input="How?", text_format=Mood).output_parsed == Mood(
        mood="", score=0
    )


def test_tool_loop_ends_with_result(openai_client: openai.OpenAI) -> None:
    asked = openai_client.responses.create(model=MODEL, input="Rain in Bern?", tools=[WEATHER], tool_choice="required")
    [call] = asked.output
    assert call.type == "function_call"
    assert json.loads(call.arguments) == {"city": ""}
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
    items: Any = [{"role": "user", "content": "Rain in Bern?"}, *asked.output, result]
    replayed = openai_client.responses.create(model=MODEL, input=items, tools=[WEATHER])
    continued = openai_client.responses.create(
        model=MODEL, input=[result], previous_response_id=asked.id, tools=[WEATHER]
    )
    assert replayed.output_text == continued.output_text == "weather: rain"


def test_stored_response_is_read_listed_and_deleted(openai_client: openai.OpenAI) -> None:
    created = openai_client.responses.create(
        model=MODEL, input=[{"role": "user", "content": str(each)} for each in range(25)]
    )
    assert openai_client.responses.retrieve(created.id).output_text == created.output_text
    items = list(openai_client.responses.input_items.list(created.id))
    assert [getattr(item, "content", None) for item in items] == [str(each) for each in range(25)]
    openai_client.responses.delete(created.id)
    with pytest.raises(openai.NotFoundError):
        openai_client.responses.retrieve(created.id)


def test_compacted_conversation_is_sent_back(openai_client: openai.OpenAI) -> None:
    talk: Any = [{"role": "user", "content": "my name is Ada"}]
    compacted = openai_client.responses.compact(model=MODEL, input=talk)
    items: Any = [*(item.to_dict() for item in compacted.output), {"role": "user", "content": "and now?"}]
    assert openai_client.responses.create(model=MODEL, input=items).output_text == "and now?"


REFUSALS: dict[str, tuple[dict[str, Any], type[openai.APIStatusError], str]] = {
    "background": ({"background": True}, openai.BadRequestError, "Argument not supported: background"),
    "unknown response": (
        {"previous_response_id": "nothing"},
        openai.NotFoundError,
        "Response with id=nothing not found",
    ),
    "function without parameters": (
        {"tools": [{"type": "function", "name": "f"}]},
        openai.UnprocessableEntityError,
        "missing field `parameters`",
    ),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_client_sees_refusals_as_its_errors(openai_client: openai.OpenAI, refusal: Any, stream: bool) -> None:
    body, kind, words = refusal
    with pytest.raises(kind) as refused:
        openai_client.responses.create(model=MODEL, input="x", stream=stream, **body)
    assert words in refused.value.response.json()["error"]
