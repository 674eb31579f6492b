"""Responses in JSON (OpenAPI: ModelRequest, ModelResponse, ListInputItemsResponse, CompactResponse)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from emulator.domain.batches.batch import RequestKind
from emulator.domain.chat.requests import Endpoint, ModelRequest
from emulator.domain.paging import Page
from emulator.http.requests import Int32
from emulator.operations.chat.responses import (
    CompactContext,
    Compacted,
    CreateResponse,
    ListInputItems,
    ResponseId,
)
from emulator.rest.schemas.model_tools import ModelTool

Path = Mapping[str, str]


class ReasoningConfiguration(Struct):
    """The reasoning effort, and how reasoning is reported."""

    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


class TextConfiguration(Struct):
    """The format of the text."""

    format: dict[str, Any] | None = None


class ModelRequestBody(Struct):
    """The body of `POST /v1/responses`. `background`, `metadata`, `max_tokens` and others are refused."""

    input: str | list[dict[str, Any]]
    model: str | None = None
    background: bool | None = None
    context_management: list[dict[str, Any]] | None = None
    include: list[str] | None = None
    instructions: str | None = None
    logprobs: bool | None = None
    max_output_tokens: Int32 | None = None
    max_tokens: Int32 | None = None
    max_turns: Int32 | None = None
    metadata: dict[str, Any] | None = None
    min_p: float | None = None
    parallel_tool_calls: bool | None = None
    previous_response_id: str | None = None
    prompt_cache_key: str | None = None
    reasoning: ReasoningConfiguration | None = None
    reasoning_effort: str | None = None
    response_format: dict[str, Any] | None = None
    safety_identifier: str | None = None
    search_parameters: dict[str, Any] | None = None
    service_tier: str | None = None
    store: bool | None = None
    stream: bool | None = None
    temperature: float | None = None
    text: TextConfiguration | None = None
    tool_choice: str | dict[str, Any] | None = None
    tools: list[ModelTool] | None = None
    top_k: Int32 | None = None
    top_logprobs: Int32 | None = None
    top_p: float | None = None
    truncation: str | None = None
    user: str | None = None
    web_search_options: dict[str, Any] | None = None


class CompactBody(Struct):
    """The body of `POST /v1/responses/compact`."""

    input: str | list[dict[str, Any]]
    model: str | None = None


class InputItemsQuery(Struct):
    """The query of the input items of a response."""

    limit: int = 0
    order: Literal["asc", "desc"] = "asc"
    after: str | None = None


class SummaryJson(Struct):
    """A summary of reasoning."""

    text: str
    type: Literal["summary_text"]


class ReasoningItemJson(Struct, tag="reasoning"):
    """Reasoning."""

    id: str
    summary: list[SummaryJson]
    status: str
    encrypted_content: str | UnsetType = UNSET


class FileSearchResultJson(Struct):
    """A matching chunk. The service leaves the filename empty."""

    file_id: str
    filename: str
    score: float
    text: str


class FileSearchItemJson(Struct, tag="file_search_call"):
    """A search of collections. The results are null unless the request includes them."""

    id: str
    status: str
    queries: list[str]
    results: list[FileSearchResultJson] | None


class AnnotationJson(Struct):
    """A citation. The indices are 0 if the text has no marker for it."""

    type: Literal["url_citation"]
    url: str
    start_index: int
    end_index: int
    title: str


class OutputTextJson(Struct, tag="output_text"):
    """Text."""

    text: str
    logprobs: list[Any]
    annotations: list[AnnotationJson]


class RefusalJson(Struct, tag="refusal"):
    """A refusal, which only a custom responder returns."""

    refusal: str


class MessageItemJson(Struct, tag="message"):
    """A message."""

    content: list[OutputTextJson | RefusalJson]
    id: str
    role: Literal["assistant"]
    status: str


class FunctionCallItemJson(Struct, tag="function_call"):
    """A call of a function of the client."""

    arguments: str
    call_id: str
    name: str
    id: str
    status: str


OutputItem = ReasoningItemJson | FileSearchItemJson | MessageItemJson | FunctionCallItemJson


class ReasoningJson(Struct):
    """The reasoning effort, and how reasoning is reported."""

    effort: str | None
    summary: str


class TextJson(Struct):
    """The format of the text."""

    format: dict[str, Any]


class CachedTokensJson(Struct):
    """Cached tokens of the input."""

    cached_tokens: int


class ReasoningTokensJson(Struct):
    """Reasoning tokens of the output."""

    reasoning_tokens: int


class ToolUsageJson(Struct):
    """How often each tool ran on the server. `document_search_calls` are searches of attached files."""

    web_search_calls: int
    x_search_calls: int
    code_interpreter_calls: int
    file_search_calls: int
    mcp_calls: int
    document_search_calls: int
    image_generation_calls: int


class ContextJson(Struct):
    """The tokens of the context in which the answer was given."""

    input_tokens: int
    output_tokens: int


class ResponseUsageJson(Struct):
    """The usage, in tokens and calls, and its cost in ticks of 1e-10 US dollar."""

    input_tokens: int
    input_tokens_details: CachedTokensJson
    output_tokens: int
    output_tokens_details: ReasoningTokensJson
    total_tokens: int
    num_sources_used: int
    num_server_side_tools_used: int
    cost_in_usd_ticks: int
    context_details: ContextJson
    server_side_tool_usage_details: ToolUsageJson | UnsetType = UNSET


class IncompleteJson(Struct):
    """The reason why a response is incomplete."""

    reason: str


class ModelResponseJson(Struct):
    """A response."""

    created_at: int
    completed_at: int | None
    id: str
    max_output_tokens: int | None
    model: str
    object: Literal["response"]
    output: list[OutputItem]
    parallel_tool_calls: bool
    previous_response_id: str | None
    reasoning: ReasoningJson
    temperature: float
    text: TextJson
    tool_choice: str | dict[str, Any]
    tools: list[dict[str, Any]]
    top_p: float
    usage: ResponseUsageJson
    user: str | None
    incomplete_details: IncompleteJson | None
    status: Literal["completed", "in_progress", "incomplete"]
    store: bool
    metadata: dict[str, str]
    background: bool
    service_tier: str
    truncation: str
    top_logprobs: int
    presence_penalty: float
    frequency_penalty: float
    prompt_cache_key: str | None
    max_tool_calls: int | None
    safety_identifier: str | None
    error: dict[str, Any] | None
    instructions: str | None


class DeletedResponseJson(Struct):
    """The response to the deletion of a response (recorded, 2026-04)."""

    id: str
    object: Literal["response"] = "response"
    deleted: bool = True


class InputItemsJson(Struct):
    """A page of the input of a response."""

    object: Literal["list"]
    data: list[dict[str, Any]]
    first_id: str | None
    last_id: str | None
    has_more: bool


class CompactionItemJson(Struct):
    """A conversation as encrypted content."""

    type: Literal["compaction"]
    encrypted_content: str
    id: str


class CompactUsageJson(Struct):
    """The usage of a compaction, in tokens, and how many messages it replaces."""

    input_tokens: int
    input_tokens_details: CachedTokensJson
    output_tokens: int
    output_tokens_details: ReasoningTokensJson
    total_tokens: int
    dropped_message_count: int


class CompactedJson(Struct):
    """A compacted conversation."""

    id: str
    object: Literal["response.compaction"]
    created_at: int
    model: str
    output: list[CompactionItemJson]
    usage: CompactUsageJson


def _asked(body: dict[str, Any]) -> ModelRequest:
    model = body.get("model") or ""
    return ModelRequest("", "", RequestKind.RESPONSES.value, model, body, endpoint=Endpoint.RESPONSES)


def create(path: Path, body: dict[str, Any]) -> CreateResponse:
    """Return a request for a response."""
    return CreateResponse(_asked(body), stream=bool(body.get("stream")))


def compact(path: Path, body: dict[str, Any]) -> CompactContext:
    """Return a request to compact a conversation."""
    return CompactContext(_asked(body))


def response_id(path: Path) -> ResponseId:
    """Return a request for a stored response."""
    return ResponseId(path["response_id"])


def list_input_items(path: Path, query: InputItemsQuery) -> ListInputItems:
    """Return a request for a page of the input."""
    return ListInputItems(path["response_id"], query.limit, query.order == "desc", query.after)


def deleted_json(result: ResponseId) -> DeletedResponseJson:
    """Render the deletion of a response."""
    return DeletedResponseJson(result.response_id)


def input_items_json(page: Page[dict[str, Any]]) -> InputItemsJson:
    """Render a page of the input."""
    ids = [item["id"] for item in page.items] or [None]
    return InputItemsJson("list", page.items, ids[0], ids[-1], page.more)


def compacted_json(result: Compacted) -> CompactedJson:
    """Render a compacted conversation."""
    usage = result.usage
    written = usage.completion_tokens + usage.reasoning_tokens
    return CompactedJson(
        id=result.id,
        object="response.compaction",
        created_at=result.created,
        model=result.model,
        output=[CompactionItemJson("compaction", result.encrypted_content, result.id)],
        usage=CompactUsageJson(
            input_tokens=usage.prompt_tokens,
            input_tokens_details=CachedTokensJson(usage.cached_tokens),
            output_tokens=written,
            output_tokens_details=ReasoningTokensJson(usage.reasoning_tokens),
            total_tokens=usage.prompt_tokens + written,
            dropped_message_count=result.messages_count,
        ),
    )
