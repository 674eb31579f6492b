"""Translate a `responses` body to the equivalent chat completions body.

Responders, usage and gRPC read the chat completions form only: a `responses` request of a batch is returned as a chat
completion, and is a GetCompletionsRequest over gRPC. Bodies are not validated: invalid members are omitted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from emulator.domain.batches.batch import RequestKind
from emulator.domain.chat.bodies import Json

_SAME = (
    *("model", "temperature", "top_p", "parallel_tool_calls", "previous_response_id", "max_turns", "user"),
    *("search_parameters", "service_tier", "store", "logprobs", "top_logprobs", "safety_identifier"),
    *("prompt_cache_key", "reasoning_effort"),
)
# The values of `include`, with the names of chat.proto: IncludeOption.
_INCLUDED = {
    "file_search_call.results": "collections_search_call_output",
    "web_search_call.action.sources": "web_search_call_output",
    "code_interpreter_call.outputs": "code_execution_call_output",
}
_TEXTS = ("input_text", "output_text", "text")


def chat_of(kind: RequestKind, body: Json) -> Json:
    """Return the chat completions form of a chat or `responses` body."""
    return from_responses(body) if kind is RequestKind.RESPONSES else body


def from_responses(body: Json) -> Json:
    """Return the equivalent chat completions body of a `responses` body."""
    chat: Json = {name: body[name] for name in _SAME if body.get(name) is not None}
    chat["messages"] = [*_instructions(body), *_messages(body.get("input"))]
    if body.get("max_output_tokens") is not None:
        chat["max_tokens"] = body["max_output_tokens"]
    chat |= _included(body)
    reasoning = body.get("reasoning")
    for name, member in (("reasoning_effort", "effort"), ("reasoning_summary", "summary")):
        if _member(reasoning, member) is not None:
            chat[name] = _member(reasoning, member)
    text_format = _member(body.get("text"), "format")
    if isinstance(text_format, dict):
        chat["response_format"] = _response_format(text_format)
    if isinstance(body.get("tools"), list):
        chat["tools"] = [_nested(tool) for tool in body["tools"]]
    if body.get("tool_choice") is not None:
        chat["tool_choice"] = _nested(body["tool_choice"])
    return chat


def _included(body: Json) -> Json:
    """Return the options of `include`; unknown words are ignored."""
    given = body.get("include")
    wanted = [each for each in given if isinstance(each, str)] if isinstance(given, list) else []
    include = [_INCLUDED[each] for each in wanted if each in _INCLUDED]
    found: Json = {"include": include} if include else {}
    if "reasoning.encrypted_content" in wanted or body.get("store") is False:
        found["use_encrypted_content"] = True
    return found


def _instructions(body: Json) -> list[Json]:
    text = body.get("instructions")
    return [{"role": "system", "content": text}] if isinstance(text, str) and text else []


def _messages(given: Any) -> Iterator[Json]:
    if isinstance(given, str):
        yield {"role": "user", "content": given}
    for item in given if isinstance(given, list) else ():
        if not isinstance(item, dict):
            continue
        if item.get("type") == "function_call":
            function = {"name": item.get("name"), "arguments": item.get("arguments")}
            call = {"id": item.get("call_id"), "type": "function", "function": function}
            yield {"role": "assistant", "tool_calls": [call]}
        elif item.get("type") == "function_call_output":
            yield {"role": "tool", "tool_call_id": item.get("call_id"), "content": _content(item.get("output"))}
        elif item.get("type") == "compaction":
            yield {"role": "user", "encrypted_content": item.get("encrypted_content")}
        elif isinstance(item.get("role"), str):
            yield {"role": item["role"], "content": _content(item.get("content"))}


def _content(content: Any) -> Any:
    if not isinstance(content, list):
        return content
    parts = [part for item in content if isinstance(item, dict) and (part := _part(item)) is not None]
    return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts


def _part(item: Json) -> Json | None:
    type = item.get("type")
    if type in _TEXTS:
        return {"type": "text", "text": item.get("text")}
    if type == "input_image":
        source = {"url": item.get("image_url"), "file_id": item.get("file_id"), "detail": item.get("detail")}
        return {"type": "image_url", "image_url": _without_none(source)}
    if type == "input_file":
        names = ("file_id", "file_data", "filename", "mime_type")
        source = {name: item.get(name) for name in names} | {"url": item.get("file_url")}
        return {"type": "file", "file": _without_none(source)}
    return None


def _response_format(text_format: Json) -> Json:
    if text_format.get("type") != "json_schema":
        return {"type": text_format.get("type")}
    return {"type": "json_schema", "json_schema": {key: text_format[key] for key in text_format if key != "type"}}


def _nested(tool: Any) -> Any:
    """Return a function in the form of chat, below `function`; in `responses` it is flat."""
    if not isinstance(tool, dict) or tool.get("type") != "function" or "function" in tool:
        return tool
    return {"type": "function", "function": {key: value for key, value in tool.items() if key != "type"}}


def _without_none(members: Json) -> Json:
    return {key: value for key, value in members.items() if value is not None}


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None
