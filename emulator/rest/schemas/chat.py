"""Chat completions in JSON (OpenAPI: ChatRequest, ChatResponse, TokenizeRequest). Refusals name these structs."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from emulator.domain.batches.batch import RequestKind
from emulator.domain.chat.answers import Answer
from emulator.domain.chat.bodies import ChatOptions, MessageBase, ToolCall
from emulator.domain.chat.completions import completion_json
from emulator.domain.chat.requests import Endpoint, ModelRequest
from emulator.operations.chat.completions import CreateCompletion, DeferredId, Fetched, Started
from emulator.operations.chat.tokenize import Tokenize, Tokens

Path = Mapping[str, str]


class Role(enum.Enum):
    """The role of a message, in the order in which a refusal names them (recorded, 2026-04)."""

    DEVELOPER = "developer"
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"
    FUNCTION = "function"


class FunctionDefinition(Struct):
    """A function of the client."""

    name: str
    description: str | None = None
    parameters: Any = None
    strict: bool | None = None


class ChatTool(Struct):
    """A tool. Tools that run on the server belong to /v1/responses."""

    type: Literal["function", "live_search"]
    function: FunctionDefinition | None = None


class ChatMessage(MessageBase, kw_only=True):
    """A message of a conversation."""

    role: Role


class StreamOptions(Struct):
    """Whether the stream ends with the usage."""

    include_usage: bool | None = None


class ChatRequest(ChatOptions, kw_only=True):
    """The body of `POST /v1/chat/completions`."""

    messages: list[ChatMessage]
    deferred: bool | None = None
    logit_bias: dict[str, float] | None = None
    prompt_cache_key: str | None = None
    safety_identifier: str | None = None
    seed: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[ChatTool] | None = None
    web_search_options: dict[str, Any] | None = None


class MessageJson(Struct):
    """The message of a choice."""

    role: Literal["assistant"]
    content: str | None
    refusal: str | None
    reasoning_content: str | UnsetType = UNSET
    tool_calls: list[ToolCall] | UnsetType = UNSET


class ChoiceJson(Struct):
    """A choice of a completion."""

    index: int
    message: MessageJson
    finish_reason: str


class PromptDetailsJson(Struct):
    """The tokens of the prompt, by kind."""

    text_tokens: int
    audio_tokens: int
    image_tokens: int
    cached_tokens: int


class CompletionDetailsJson(Struct):
    """The tokens of the completion, by kind."""

    reasoning_tokens: int
    audio_tokens: int
    accepted_prediction_tokens: int
    rejected_prediction_tokens: int


class UsageJson(Struct):
    """The usage, in tokens, and its cost in ticks of 1e-10 US dollar."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetailsJson
    completion_tokens_details: CompletionDetailsJson
    num_sources_used: int
    cost_in_usd_ticks: int


class ChatResponse(Struct):
    """A completion, or the request id of a deferred one."""

    id: str | UnsetType = UNSET
    object: Literal["chat.completion"] | UnsetType = UNSET
    created: int | UnsetType = UNSET
    model: str | UnsetType = UNSET
    choices: list[ChoiceJson] | UnsetType = UNSET
    usage: UsageJson | UnsetType = UNSET
    citations: list[str] | UnsetType = UNSET
    system_fingerprint: str | UnsetType = UNSET
    service_tier: str | UnsetType = UNSET
    request_id: str | UnsetType = UNSET


class TokenizeRequest(Struct):
    """The body of `POST /v1/tokenize-text`."""

    text: str = ""
    model: str | None = None
    user: str | None = None


class TokenJson(Struct):
    """A token."""

    token_id: int
    string_token: str
    token_bytes: list[int]


class TokenizeResponse(Struct):
    """The tokens of a text."""

    token_ids: list[TokenJson]


def create(path: Path, body: dict[str, Any]) -> CreateCompletion:
    """Return a request for a completion."""
    request = ModelRequest(
        *("", "", RequestKind.CHAT.value, body.get("model") or "", {**body, "messages": body["messages"]}),
        endpoint=Endpoint.CHAT,
    )
    options = body.get("stream_options") or {}
    return CreateCompletion(
        request,
        stream=bool(body.get("stream")),
        deferred=bool(body.get("deferred")),
        include_usage=bool(options.get("include_usage")),
    )


def deferred_id(path: Path) -> DeferredId:
    """Return a request for a deferred completion."""
    return DeferredId(path["request_id"])


def chat_response(result: Answer | Started) -> dict[str, Any]:
    """Render a completion, or the request id of a deferred one."""
    return {"request_id": result.request_id} if isinstance(result, Started) else completion_json(result)


def fetched_response(result: Fetched) -> dict[str, Any] | None:
    """Render a deferred completion; None while it is pending."""
    return None if result.answer is None else completion_json(result.answer)


def tokenize(path: Path, body: TokenizeRequest) -> Tokenize:
    """Return a request for the tokens of a text."""
    return Tokenize(body.text, body.model or "")


def tokens_json(result: Tokens) -> TokenizeResponse:
    """Render tokens."""
    return TokenizeResponse(
        [TokenJson(token.id, token.text, list(token.text.encode("utf-8", "surrogatepass"))) for token in result.tokens]
    )
