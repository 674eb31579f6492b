"""The bodies of chat and `responses` requests, as REST documents them (OpenAPI: ChatRequest, ModelRequest).

Batches only check the types of documented members, and store a body as sent. `rest/schemas` declares the stricter
schemas of the endpoints.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Json = dict[str, Any]
Int32 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]


class ImageUrl(Struct):
    """An image: its URL (a data URL included), or the id of a file."""

    url: str | None = None
    image_url: str | None = None
    file_id: str | None = None
    detail: str | None = None


class FileRef(Struct):
    """A file attached to a message."""

    file_id: str | None = None
    url: str | None = None
    file_data: str | None = None  # base64
    filename: str | None = None
    mime_type: str | None = None


class ContentPart(Struct):
    """One part of a chat message."""

    type: str
    text: str | None = None
    image_url: ImageUrl | str | None = None
    file: FileRef | None = None


class FunctionCall(Struct):
    """A function and its arguments as JSON text."""

    name: str
    arguments: str


class ToolCall(Struct):
    """A call by a model."""

    id: str
    function: FunctionCall
    type: str | None = None


class MessageBase(Struct):
    """The members of all forms of a message beside its role."""

    content: str | list[ContentPart] | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    reasoning_content: str | None = None


class Message(MessageBase, kw_only=True):
    """A message of a conversation."""

    role: Literal["system", "user", "assistant", "tool", "function", "developer"]


class Tool(Struct):
    """A tool of the client (`function`), or of the server (every other type): those are accepted and never run."""

    type: str
    function: dict[str, Any] | None = None


class ChatOptions(Struct):
    """The members of a chat completions body that are the same in a batch and at the endpoint."""

    model: str | None = None
    frequency_penalty: float | None = None
    logprobs: bool | None = None
    max_completion_tokens: Int32 | None = None
    max_tokens: Int32 | None = None
    n: Int32 | None = None
    parallel_tool_calls: bool | None = None
    presence_penalty: float | None = None
    reasoning_effort: str | None = None
    response_format: dict[str, Any] | None = None
    search_parameters: dict[str, Any] | None = None
    service_tier: str | None = None
    stop: list[str] | str | None = None
    temperature: float | None = None
    tool_choice: str | dict[str, Any] | None = None
    top_logprobs: Int32 | None = None
    top_p: float | None = None
    user: str | None = None


class ChatBody(ChatOptions):
    """The chat completions body of a batch request. One without messages is accepted, and fails when processed."""

    messages: list[Message] | None = None
    seed: Int32 | None = None
    tools: list[Tool] | None = None


class InputItem(Struct):
    """An input item of a response: a message, a call, or the output of one."""

    type: str | None = None
    role: str | None = None
    content: str | list[dict[str, Any]] | None = None


class ResponsesBody(Struct):
    """The body of /v1/responses."""

    input: str | list[InputItem]
    model: str | None = None
    include: list[str] | None = None
    instructions: str | None = None
    max_output_tokens: Int32 | None = None
    max_turns: Int32 | None = None
    parallel_tool_calls: bool | None = None
    previous_response_id: str | None = None
    reasoning: dict[str, Any] | None = None
    search_parameters: dict[str, Any] | None = None
    service_tier: str | None = None
    store: bool | None = None
    temperature: float | None = None
    text: dict[str, Any] | None = None
    tool_choice: str | dict[str, Any] | None = None
    tools: list[Tool] | None = None
    top_p: float | None = None
    user: str | None = None
