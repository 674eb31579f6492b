"""Chat as messages and as JSON: the request and the response, their messages and their tools."""

from __future__ import annotations

from typing import Any

from emulator.rpc.fields import (
    FLAG,
    TEXT,
    WHOLE,
    Base64,
    Codec,
    EnumCodec,
    Field,
    FunctionCodec,
    Json,
    JsonText,
    Number,
    OneOf,
    Shape,
    TimestampCodec,
)
from emulator.rpc.messages import load
from emulator.rpc.requests import Message

NUMBER, MOMENT = Number(), TimestampCodec()

# --- the parts of messages

IMAGE_URL = Shape(
    "xai_api.ImageUrlContent",
    (
        Field("image_url", TEXT, "url", aliases=("image_url",)),
        Field("file_id", TEXT),
        Field("detail", EnumCodec("xai_api.ImageDetail", "DETAIL_")),
    ),
)
FILE = Shape(
    "xai_api.FileContent",
    (
        Field("file_id", TEXT),
        Field("url", TEXT),
        Field("data", Base64(), "file_data"),
        Field("filename", TEXT),
        Field("mime_type", TEXT),
    ),
)
_PARTS: dict[str, Codec] = {"text": TEXT, "image_url": IMAGE_URL, "file": FILE}


def _part_to_json(content: Message) -> Json:
    name = content.WhichOneof("content")
    return {} if name is None else {"type": name, name: _PARTS[name].to_json(getattr(content, name))}


def _part_to_message(part: Any) -> Message:
    name = part["type"]
    value = part[name]
    if name == "image_url" and isinstance(value, str):
        value = {"url": value}
    return load().message("xai_api.Content")(**{name: _PARTS[name].to_message(value)})


_FUNCTION_CALL = Shape("xai_api.FunctionCall", (Field("name", TEXT), Field("arguments", TEXT)))
_CALL_TYPES = {
    "CLIENT_SIDE_TOOL": "function",
    "WEB_SEARCH_TOOL": "web_search_call",
    "X_SEARCH_TOOL": "x_search_call",
    "CODE_EXECUTION_TOOL": "code_interpreter_call",
    "COLLECTIONS_SEARCH_TOOL": "file_search_call",
    "MCP_TOOL": "mcp_call",
}
TOOL_CALL = Shape(
    "xai_api.ToolCall",
    (
        Field("id", TEXT),
        Field(
            "type",
            EnumCodec("xai_api.ToolCallType", "TOOL_CALL_TYPE_", lambda name: _CALL_TYPES.get(name, name.lower())),
        ),
        Field("status", EnumCodec("xai_api.ToolCallStatus", "TOOL_CALL_STATUS_")),
        Field("error_message", TEXT),
        Field("function", _FUNCTION_CALL),
    ),
)
ROLE = EnumCodec("xai_api.MessageRole", "ROLE_")
_MESSAGE = Shape(
    "xai_api.Message",
    (
        Field("role", ROLE),
        Field("content", FunctionCodec(_part_to_json, _part_to_message)),
        Field("name", TEXT),
        Field("tool_calls", TOOL_CALL),
        Field("tool_call_id", TEXT),
        Field("reasoning_content", TEXT),
        Field("encrypted_content", TEXT),
    ),
)


def _message_to_json(message: Message) -> Json:
    """The content of a message with one text part is its text."""
    found = _MESSAGE.to_json(message)
    content = found.get("content", [])
    if len(content) == 1 and content[0].get("type") == "text":
        found["content"] = content[0]["text"]
    return found


def _message_to_message(value: Any) -> Message:
    if isinstance(value.get("content"), str):
        value = {**value, "content": [{"type": "text", "text": value["content"]}]}
    return _MESSAGE.to_message(value)


MESSAGE = FunctionCodec(_message_to_json, _message_to_message)

# --- tools

_FUNCTION = Shape(
    "xai_api.Function",
    (Field("name", TEXT), Field("description", TEXT), Field("strict", FLAG), Field("parameters", JsonText())),
)
_LOCATION = Shape(
    "xai_api.WebSearchUserLocation",
    (Field("country", TEXT), Field("city", TEXT), Field("region", TEXT), Field("timezone", TEXT)),
)
_WEB_SEARCH = Shape(
    "xai_api.WebSearch",
    (
        Field("excluded_domains", TEXT),
        Field("allowed_domains", TEXT),
        Field("enable_image_understanding", FLAG),
        Field("user_location", _LOCATION),
        Field("enable_image_search", FLAG),
    ),
)
_X_SEARCH = Shape(
    "xai_api.XSearch",
    (
        Field("from_date", MOMENT),
        Field("to_date", MOMENT),
        Field("allowed_x_handles", TEXT),
        Field("excluded_x_handles", TEXT),
        Field("enable_image_understanding", FLAG),
        Field("enable_video_understanding", FLAG),
    ),
)
_RERANKER = Shape("xai_api.RerankerModel", (Field("model", TEXT), Field("instructions", TEXT)))
_FUSION = Shape(
    "xai_api.ReciprocalRankFusion",
    (Field("k", WHOLE), Field("embedding_weight", NUMBER), Field("text_weight", NUMBER)),
)
_COLLECTIONS_SEARCH = Shape(
    "xai_api.CollectionsSearch",
    (
        Field("collection_ids", TEXT, "vector_store_ids"),
        Field("limit", WHOLE, "max_num_results"),
        Field("instructions", TEXT),
        Field(
            "hybrid_retrieval",
            Shape(
                "xai_api.HybridRetrieval",
                (
                    Field("search_multiplier", WHOLE),
                    Field("reranker_model", _RERANKER),
                    Field("reciprocal_rank_fusion", _FUSION),
                ),
            ),
        ),
        Field("semantic_retrieval", Shape("xai_api.SemanticRetrieval", (Field("reranker", _RERANKER),))),
        Field("keyword_retrieval", Shape("xai_api.KeywordRetrieval", (Field("reranker", _RERANKER),))),
    ),
)
_MCP = Shape(
    "xai_api.MCP",
    (
        Field("server_label", TEXT),
        Field("server_description", TEXT),
        Field("server_url", TEXT),
        Field("allowed_tool_names", TEXT, "allowed_tools"),
        Field("authorization", TEXT),
        Field("extra_headers", FunctionCodec(dict, dict), "headers"),
    ),
)
_TOOL = OneOf(
    "xai_api.Tool",
    "tool",
    {
        "function": (
            "function",
            FunctionCodec(
                lambda function: {"function": _FUNCTION.to_json(function)},
                lambda tool: _FUNCTION.to_message(tool["function"]),
            ),
        ),
        "web_search": ("web_search", _WEB_SEARCH),
        "x_search": ("x_search", _X_SEARCH),
        "code_interpreter": ("code_execution", Shape("xai_api.CodeExecution", ())),
        "file_search": ("collections_search", _COLLECTIONS_SEARCH),
        "mcp": ("mcp", _MCP),
        "attachment_search": ("attachment_search", Shape("xai_api.AttachmentSearch", (Field("limit", WHOLE),))),
        "image_generation": ("image_generation", Shape("xai_api.ImageGeneration", (Field("action", TEXT),))),
    },
)
_MODE = EnumCodec("xai_api.ToolMode", "TOOL_MODE_")


def _choice_to_json(choice: Message) -> Any:
    if choice.WhichOneof("tool_choice") == "function_name":
        return {"type": "function", "function": {"name": choice.function_name}}
    return _MODE.to_json(choice.mode)


def _choice_to_message(choice: Any) -> Message:
    make = load().message("xai_api.ToolChoice")
    if isinstance(choice, str):
        return make(mode=_MODE.to_message(choice))
    return make(function_name=choice["function"]["name"])


_FORMAT = EnumCodec("xai_api.FormatType", "FORMAT_TYPE_")
_SCHEMA = JsonText()


def _format_to_json(wanted: Message) -> Json:
    found: Json = {"type": _FORMAT.to_json(wanted.format_type)}
    return found | ({"json_schema": {"schema": _SCHEMA.to_json(wanted.schema)}} if wanted.HasField("schema") else {})


def _format_to_message(wanted: Any) -> Message:
    schema = wanted["json_schema"]["schema"] if "json_schema" in wanted else None
    return load().message("xai_api.ResponseFormat")(
        format_type=_FORMAT.to_message(wanted["type"]), schema=None if schema is None else _SCHEMA.to_message(schema)
    )


# --- live search

_SITES = (Field("excluded_websites", TEXT), Field("country", TEXT), Field("safe_search", FLAG))
_SOURCE = OneOf(
    "xai_api.Source",
    "source",
    {
        "web": ("web", Shape("xai_api.WebSource", (*_SITES, Field("allowed_websites", TEXT)))),
        "news": ("news", Shape("xai_api.NewsSource", _SITES)),
        "x": (
            "x",
            Shape(
                "xai_api.XSource",
                (
                    Field("included_x_handles", TEXT, aliases=("x_handles",)),
                    Field("excluded_x_handles", TEXT),
                    Field("post_favorite_count", WHOLE),
                    Field("post_view_count", WHOLE),
                ),
            ),
        ),
        "rss": ("rss", Shape("xai_api.RssSource", (Field("links", TEXT),))),
    },
)
_SEARCH = Shape(
    "xai_api.SearchParameters",
    (
        Field("mode", EnumCodec("xai_api.SearchMode", "", lambda name: name.removesuffix("_SEARCH_MODE").lower())),
        Field("from_date", MOMENT),
        Field("to_date", MOMENT),
        Field("return_citations", FLAG),
        Field("max_search_results", WHOLE),
        Field("sources", _SOURCE),
    ),
)

# --- the request

_POLICY = Shape(
    "xai_api.PolicyGuideline",
    (
        Field("category", EnumCodec("xai_api.GuidelineCategory", "GUIDELINE_CATEGORY_")),
        Field("behavior", EnumCodec("xai_api.GuidelineBehavior", "GUIDELINE_BEHAVIOR_")),
    ),
)
CHAT_REQUEST = Shape(
    "xai_api.GetCompletionsRequest",
    (
        Field("model", TEXT),
        Field("messages", MESSAGE),
        Field("frequency_penalty", NUMBER),
        Field("logprobs", FLAG),
        Field("top_logprobs", WHOLE),
        Field("max_tokens", WHOLE, aliases=("max_completion_tokens",)),
        Field("n", WHOLE),
        Field("presence_penalty", NUMBER),
        Field("response_format", FunctionCodec(_format_to_json, _format_to_message)),
        Field("seed", WHOLE),
        Field("stop", TEXT),
        Field("temperature", NUMBER),
        Field("top_p", NUMBER),
        Field("user", TEXT),
        Field("tools", _TOOL),
        Field("tool_choice", FunctionCodec(_choice_to_json, _choice_to_message)),
        Field("reasoning_effort", EnumCodec("xai_api.ReasoningEffort", "EFFORT_")),
        Field("search_parameters", _SEARCH),
        Field("parallel_tool_calls", FLAG),
        Field("previous_response_id", TEXT),
        Field("store_messages", FLAG, "store"),
        Field("use_encrypted_content", FLAG),
        Field("max_turns", WHOLE),
        Field("include", EnumCodec("xai_api.IncludeOption", "INCLUDE_OPTION_")),
        Field("agent_count", EnumCodec("xai_api.AgentCount", "AGENT_COUNT_")),
        Field("service_tier", EnumCodec("xai_api.ServiceTier", "SERVICE_TIER_")),
        Field("safety_identifier", TEXT),
        Field("guidelines", Shape("xai_api.Guideline", (Field("policy", _POLICY),))),
    ),
)

# --- the response


def _seconds_to_message(seconds: Any) -> Message:
    return load().message("google.protobuf.Timestamp")(seconds=seconds)


SECONDS = FunctionCodec(lambda moment: moment.seconds, _seconds_to_message)  # of the Unix epoch
_REASONS = {
    "STOP": "stop",
    "MAX_LEN": "length",
    "MAX_CONTEXT": "max_context",
    "TOOL_CALLS": "tool_calls",
    "TIME_LIMIT": "time_limit",
    "INVALID": "",
}
_BYTES = FunctionCodec(list, bytes)
_TOKEN = (Field("token", TEXT), Field("logprob", NUMBER), Field("bytes", _BYTES))
_LOGPROB = Shape("xai_api.LogProb", (*_TOKEN, Field("top_logprobs", Shape("xai_api.TopLogProb", _TOKEN))))
FINISH_REASON = EnumCodec("xai_api.FinishReason", "REASON_", _REASONS.__getitem__)


def _called(call: Any) -> Message:
    """Return a function call of an answer, which is complete (recorded); the JSON of REST has no status."""
    return TOOL_CALL.to_message({"status": "completed", **call})


_OUTPUT = Shape(
    "xai_api.CompletionOutput",
    (
        Field("index", WHOLE),
        Field("finish_reason", FINISH_REASON),
        Field(
            "message",
            Shape(
                "xai_api.CompletionMessage",
                (
                    Field("content", TEXT),
                    Field("role", ROLE),
                    Field("tool_calls", FunctionCodec(TOOL_CALL.to_json, _called)),
                    Field("reasoning_content", TEXT),
                    Field("encrypted_content", TEXT),
                ),
            ),
        ),
        Field("logprobs", Shape("xai_api.LogProbs", (Field("content", _LOGPROB),))),
    ),
)
_USAGE = Shape(
    "xai_api.SamplingUsage",
    tuple(
        Field(name, WHOLE)
        for name in (
            *("completion_tokens", "prompt_tokens", "total_tokens", "prompt_text_tokens", "prompt_image_tokens"),
            *("reasoning_tokens", "cached_prompt_text_tokens", "num_sources_used", "cost_in_usd_ticks"),
        )
    ),
)
_DETAILS = {
    "prompt_tokens_details": {
        "prompt_text_tokens": "text_tokens",
        "prompt_image_tokens": "image_tokens",
        "cached_prompt_text_tokens": "cached_tokens",
    },
    "completion_tokens_details": {"reasoning_tokens": "reasoning_tokens"},
}


def _usage_to_message(usage: Any) -> Message:
    """Flatten the two levels of the usage over REST."""
    flat = dict(usage)
    for level, names in _DETAILS.items():
        details = usage.get(level)
        if isinstance(details, dict):
            flat |= {name: details.get(key) for name, key in names.items()}
    return _USAGE.to_message(flat)


USAGE = FunctionCodec(_USAGE.to_json, _usage_to_message)
CHAT_RESPONSE = Shape(
    "xai_api.GetChatCompletionResponse",
    (
        Field("id", TEXT),
        Field("outputs", _OUTPUT, "choices"),
        Field("created", SECONDS),
        Field("model", TEXT),
        Field("system_fingerprint", TEXT),
        Field("usage", USAGE),
        Field("citations", TEXT),
        Field("service_tier", EnumCodec("xai_api.ServiceTier", "SERVICE_TIER_")),
    ),
)

# The members of the request that an answer repeats.
SETTINGS = Shape(
    "xai_api.RequestSettings",
    tuple(
        each
        for each in CHAT_REQUEST.fields
        if each.name
        in (
            *("max_tokens", "parallel_tool_calls", "previous_response_id", "reasoning_effort", "temperature"),
            *("response_format", "tool_choice", "tools", "top_p", "user", "use_encrypted_content", "include"),
            "store_messages",
        )
    ),
)
