"""An answer as a response of `/v1/responses`: whole, and at the start of a stream. Key order as recorded, 2026-07."""

from __future__ import annotations

from typing import Any

from emulator.domain.chat.answers import Answer, Usage
from emulator.domain.chat.bodies import Json
from emulator.domain.chat.evidence import SearchTool
from emulator.domain.chat.response_items import output_items

_TEMPERATURE, _TOP_P = 0.7, 0.95  # the defaults (recorded, 2026-04)
_SUMMARIES = ("auto", "concise", "detailed")  # any other word is replaced by the last one (recorded, 2026-09)
# Why an answer is incomplete (OpenAPI and the TypeScript SDK: incomplete_details.reason), by its finish_reason.
_INCOMPLETE = {"length": "max_output_tokens", "max_context": "max_prompt_tokens", "time_limit": "max_time_limit"}
_COUNTERS = (
    *("web_search_calls", "x_search_calls", "code_interpreter_calls", "file_search_calls", "mcp_calls"),
    *("document_search_calls", "image_generation_calls"),
)
_COUNTER_OF = {SearchTool.COLLECTIONS: "file_search_calls", SearchTool.ATTACHMENTS: "document_search_calls"}


def response_json(answer: Answer) -> Json:
    """Render a whole response."""
    return _response(answer, output_items(answer), usage_json(answer.usage), answer.created)


def stored_response_json(answer: Answer) -> Json:
    """Render a stored response: without its reasoning and its instructions (recorded, 2026-09)."""
    output = output_items(answer, with_reasoning=False)
    return _response(answer, output, usage_json(answer.usage), answer.created) | {"instructions": None}


def begun_response_json(answer: Answer) -> Json:
    """Render a response without output, for the start of a stream."""
    return _response(answer, [], None, None)


def incomplete_reason(answer: Answer) -> str | None:
    """Return why an answer is incomplete."""
    return next((_INCOMPLETE[each.finish_reason] for each in answer.choices if each.finish_reason in _INCOMPLETE), None)


def _response(answer: Answer, output: list[Json], usage: Json | None, completed_at: int | None) -> Json:
    settings = answer.settings
    reason = incomplete_reason(answer) if completed_at is not None else None
    status = "in_progress" if completed_at is None else "incomplete" if reason else "completed"
    summary = settings.get("reasoning_summary")
    response: Json = {
        "created_at": answer.created,
        "completed_at": completed_at,
        "id": answer.id,
        "max_output_tokens": settings.get("max_tokens", settings.get("max_completion_tokens")),
        "model": answer.model,
        "object": "response",
        "output": output,
        "parallel_tool_calls": settings.get("parallel_tool_calls", True),
        "previous_response_id": settings.get("previous_response_id"),
        "reasoning": {
            "effort": settings.get("reasoning_effort"),
            "summary": summary if summary in _SUMMARIES else _SUMMARIES[-1],
        },
        "temperature": settings.get("temperature", _TEMPERATURE),
        "text": {"format": _text_format(settings.get("response_format"))},
        "tool_choice": _flat(settings.get("tool_choice", "auto")),
        "tools": [_flat(tool) for tool in settings.get("tools", ())],
        "top_p": settings.get("top_p", _TOP_P),
    }
    if usage is not None:
        response["usage"] = usage
    return response | {
        "user": settings.get("user"),
        "incomplete_details": {"reason": reason} if reason else None,
        "status": status,
        "store": settings.get("store", False),
        "metadata": {"system_fingerprint": answer.system_fingerprint},
        "background": False,
        "service_tier": answer.service_tier,
        "truncation": "disabled",
        "top_logprobs": settings.get("top_logprobs", 0),
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "prompt_cache_key": settings.get("prompt_cache_key"),
        "max_tool_calls": None,
        "safety_identifier": settings.get("safety_identifier"),
        "error": None,
        "instructions": settings.get("instructions"),
    }


def _text_format(chosen: Any) -> Json:
    """Return the format in the flat form of /v1/responses; a chat body has the schema below `json_schema`."""
    if not isinstance(chosen, dict):
        return {"type": "text"}
    schema = chosen.get("json_schema")
    return {"type": chosen.get("type"), **(schema if isinstance(schema, dict) else {})}


def _flat(tool: Any) -> Any:
    """Return a function in the flat form of /v1/responses; a chat body has it below `function`."""
    if not isinstance(tool, dict) or not isinstance(tool.get("function"), dict):
        return tool
    return {"type": "function", **tool["function"]}


def usage_json(usage: Usage) -> Json:
    """Render the usage. Reasoning tokens are part of output_tokens (recorded, 2026-04)."""
    written = usage.completion_tokens + usage.reasoning_tokens
    rendered: Json = {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.prompt_tokens + written,
        "num_sources_used": usage.num_sources_used,
        "num_server_side_tools_used": len(usage.tools),
        "cost_in_usd_ticks": usage.cost_in_usd_ticks,
    }
    if usage.tools:
        counts = dict.fromkeys(_COUNTERS, 0)
        for tool in usage.tools:
            counts[_COUNTER_OF[tool]] += 1
        rendered["server_side_tool_usage_details"] = counts
    return rendered | {"context_details": {"input_tokens": usage.context_tokens, "output_tokens": written}}
