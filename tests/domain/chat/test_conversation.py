"""How a `responses` body reads as a chat body, and what is read off a conversation."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.domain.batches.batch import RequestKind
from emulator.domain.chat.bodies import ResponsesBody
from emulator.domain.chat.conversation import messages_of, parts_of, prompt_of, text_of
from emulator.domain.chat.responses_body import chat_of, from_responses

# Those that chat names or nests otherwise; and those that no reference of /v1/responses lists, but SDKs send.
TRANSLATED = {"input", "include", "instructions", "max_output_tokens", "reasoning", "text", "tools", "tool_choice"}
UNLISTED = {"logprobs", "top_logprobs", "safety_identifier", "prompt_cache_key", "reasoning_effort"}
ALIKE = sorted({field.name for field in msgspec.structs.fields(ResponsesBody)} - TRANSLATED | UNLISTED)

JUNK: list[Any] = [None, 5, "text", [], {}, {"type": 5}, {"type": "reasoning"}, {"role": 5}]
PARTS_OF_JUNK: list[Any] = [None, 5, "text", [], {}, {"type": "refusal"}]


def test_text_input_becomes_user_message() -> None:
    """And nothing is in the chat body that was not asked for."""
    assert from_responses({"input": "hi"}) == {"messages": [{"role": "user", "content": "hi"}]}
    assert from_responses({}) == {"messages": []}


@pytest.mark.parametrize("name", ALIKE)
def test_members_with_same_name_are_copied_unless_null(name: str) -> None:
    """Unless it is null."""
    assert from_responses({"input": [], name: 0}) == {"messages": [], name: 0}
    assert from_responses({"input": [], name: None}) == {"messages": []}


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"max_output_tokens": 9}, {"max_tokens": 9}),
        ({"max_output_tokens": None}, {}),
        ({"reasoning": {"effort": "low"}}, {"reasoning_effort": "low"}),
        ({"reasoning": {"summary": "auto"}}, {"reasoning_summary": "auto"}),
        ({"include": ["file_search_call.results", "nonsense"]}, {"include": ["collections_search_call_output"]}),
        ({"include": ["no_inline_citations", 5]}, {}),
        ({"include": "file_search_call.results"}, {}),
        ({"include": ["reasoning.encrypted_content"]}, {"use_encrypted_content": True}),
        ({"store": False}, {"store": False, "use_encrypted_content": True}),
        ({"reasoning": "low"}, {}),
        ({"text": {"format": {"type": "text"}}}, {"response_format": {"type": "text"}}),
        ({"text": {"format": "text"}}, {}),
        ({"text": {"verbosity": "low"}}, {}),
        (
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": {}}}},
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}},
        ),
        ({"tools": []}, {"tools": []}),
        ({"tools": {"type": "function"}}, {}),
        ({"tools": [{"type": "web_search", "name": "n"}]}, {"tools": [{"type": "web_search", "name": "n"}]}),
        ({"tools": ["auto"]}, {"tools": ["auto"]}),
        ({"tools": [{"type": "function", "name": "n"}]}, {"tools": [{"type": "function", "function": {"name": "n"}}]}),
        (
            {"tools": [{"type": "function", "function": {"name": "n"}}]},
            {"tools": [{"type": "function", "function": {"name": "n"}}]},
        ),
        ({"tool_choice": "auto"}, {"tool_choice": "auto"}),
        ({"tool_choice": None}, {}),
        (
            {"tool_choice": {"type": "function", "name": "n"}},
            {"tool_choice": {"type": "function", "function": {"name": "n"}}},
        ),
        ({"instructions": "Be brief."}, {"messages": [{"role": "system", "content": "Be brief."}]}),
        ({"instructions": ["Be brief."]}, {}),
    ],
)
def test_members_with_other_name_are_translated(members: dict[str, Any], expected: dict[str, Any]) -> None:
    """What has not the form of the reference is left out."""
    assert from_responses(members) == {"messages": [], **expected}


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "input_text", "text": "a"}, {"type": "text", "text": "a"}),
        ({"type": "output_text", "text": "a"}, {"type": "text", "text": "a"}),
        ({"type": "text", "text": "a"}, {"type": "text", "text": "a"}),
        (
            {"type": "input_image", "image_url": "u", "detail": "high"},
            {"type": "image_url", "image_url": {"url": "u", "detail": "high"}},
        ),
        ({"type": "input_image", "file_id": "f"}, {"type": "image_url", "image_url": {"file_id": "f"}}),
        (
            {"type": "input_file", "file_id": "f", "filename": "n", "mime_type": "m"},
            {"type": "file", "file": {"file_id": "f", "filename": "n", "mime_type": "m"}},
        ),
        (
            {"type": "input_file", "file_url": "u", "file_data": "d"},
            {"type": "file", "file": {"url": "u", "file_data": "d"}},
        ),
    ],
)
def test_parts_of_a_message_are_translated(part: dict[str, Any], expected: dict[str, Any]) -> None:
    """Each with what it has; a text that stands alone is the content itself."""
    two = [part, {"type": "input_text", "text": "and?"}]
    [message] = from_responses({"input": [{"role": "user", "content": two}]})["messages"]
    assert message == {"role": "user", "content": [expected, {"type": "text", "text": "and?"}]}
    [alone] = from_responses({"input": [{"role": "user", "content": [*PARTS_OF_JUNK, part]}]})["messages"]
    assert alone["content"] == ("a" if expected["type"] == "text" else [expected])


ITEMS: list[dict[str, Any]] = [
    {"role": "user", "content": "hi"},
    {"type": "message", "role": "assistant", "content": "ho"},
    {"type": "function_call", "call_id": "c", "name": "n", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": "rain"},
]


@given(st.lists(st.sampled_from(ITEMS) | st.sampled_from(JUNK), max_size=8))
def test_items_that_are_no_messages_are_left_out(items: list[Any]) -> None:
    """And those round them are read as they are by themselves, in their order."""
    good = [item for item in items if item in ITEMS]
    by_themselves = [message for item in good for message in from_responses({"input": [item]})["messages"]]
    assert len(by_themselves) == len(good)
    assert from_responses({"input": items})["messages"] == by_themselves


texts = st.builds(lambda text: {"type": "text", "text": text}, st.text(max_size=3))


@given(st.lists(texts | st.sampled_from(PARTS_OF_JUNK), max_size=6))
def test_text_of_message_joins_all_text_parts(parts: list[Any]) -> None:
    """A line each, whatever stands between them."""
    said = [part["text"] for part in parts if isinstance(part, dict) and "text" in part]
    assert text_of({"content": parts}) == "\n".join(said)
    assert text_of({"content": "plain"}) == "plain"
    assert text_of({"content": None}) == text_of({}) == text_of("junk") == ""


@given(st.lists(st.sampled_from(["system", "user", "assistant"]), max_size=5))
def test_prompt_is_last_user_message(roles: list[str]) -> None:
    """Or the last word at all, where no user speaks; for both kinds of body."""
    messages = [{"role": role, "content": f"{number}"} for number, role in enumerate(roles)]
    by_user = [number for number, role in enumerate(roles) if role == "user"]
    last = str((by_user or [len(roles) - 1])[-1]) if roles else ""
    assert prompt_of(RequestKind.CHAT, {"messages": messages, "prompt": "no"}) == last
    assert prompt_of(RequestKind.RESPONSES, {"input": messages, "prompt": "no"}) == last


def test_prompt_of_media_request_is_its_prompt_member() -> None:
    """A text, or nothing."""
    for kind in set(RequestKind) - {RequestKind.CHAT, RequestKind.RESPONSES}:
        assert prompt_of(kind, {"prompt": "a hill", "messages": [{"role": "user", "content": "no"}]}) == "a hill"
        assert prompt_of(kind, {"prompt": 5}) == prompt_of(kind, {}) == ""


def test_chat_body_is_not_translated() -> None:
    """A chat body is one already."""
    body = {"input": "hi", "messages": []}
    assert chat_of(RequestKind.CHAT, body) is body
    assert chat_of(RequestKind.RESPONSES, body) == from_responses(body)


def test_parts_of_a_type_are_found_among_junk() -> None:
    """Parts of other types, and what is no message, are left out."""
    file = {"type": "file", "file": {"file_id": "f"}}
    chat = {
        "messages": [None, {}, {"content": "text"}, {"content": [5, file, {"type": "text"}]}, {"content": [file]}],
    }
    assert parts_of(chat, "file") == [file, file]
    assert len(messages_of(chat)) == 4
    assert messages_of({"messages": {"0": {}}}) == messages_of({}) == []
