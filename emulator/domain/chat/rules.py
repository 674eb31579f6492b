"""Checks of chat requests, with the messages of the real service. Unknown members are accepted.

The real service checks the schema of a body first, then the model, the key, and finally these arguments
(recorded, 2026-09): operations have `require_model` in their `screen`, `check` comes after authentication.
"""

from __future__ import annotations

from typing import Any

from emulator.core.errors import ApiError, Kind, invalid
from emulator.core.limits import Limits
from emulator.domain.chat.answers import usage_of
from emulator.domain.chat.bodies import Json
from emulator.domain.chat.conversation import text_of
from emulator.domain.chat.models import LATEST, LanguageModel, find_language
from emulator.domain.chat.requests import ModelRequest

LIVE_SEARCH = (
    "Live search is deprecated. Please switch to the Agent Tools API: https://docs.x.ai/docs/guides/tools/overview"
)
_FILE_SOURCES = ("file_id", "url", "file_data")
_PARTS = ("text", "image_url", "file", "text_file")


def require_model(name: str) -> None:
    """Refuse an unknown language model. A missing one means `latest`."""
    if find_language(name) is None:
        raise invalid(f"Model not found: {(name or LATEST)[:200]}", rule="model_not_found", param="model")


def check(request: ModelRequest, limits: Limits) -> None:
    """Refuse a request whose arguments the real service refuses."""
    chat, model = request.chat, request.language_model
    refuse_live_search(chat)
    check_messages(request)
    check_tools(request, limits)
    check_sampling(chat, model, limits)
    check_parts(request)
    check_prompt_length(request)


def refuse_live_search(chat: Json) -> None:
    """Refuse the former web search parameters, which tools replaced in January 2026."""
    tools = chat.get("tools")
    types = [tool.get("type") for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    given = [name for name in ("search_parameters", "web_search_options") if chat.get(name) is not None]
    if given or "live_search" in types:
        raise ApiError(Kind.WITHDRAWN, LIVE_SEARCH, rule="live_search", param=given[0] if given else "tools")


def no_messages() -> ApiError:
    """Return the refusal of a conversation without messages (recorded, 2026-04; the code is spelled so)."""
    return ApiError(
        Kind.INVALID_ARGUMENT, "Bad data: Messages cannot be empty", rule="messages", param="messages", code="400"
    )


def check_messages(request: ModelRequest) -> None:
    """Refuse a conversation without messages, and empty messages."""
    if not request.messages:
        raise no_messages()
    for message in request.messages:
        content = message.get("content")
        is_empty = content in (None, "", [])
        if is_empty and not (message.get("tool_calls") or message.get("encrypted_content")):
            raise invalid("Each message must have at least one content element", rule="content", param="messages")


def check_tools(request: ModelRequest, limits: Limits) -> None:
    """Refuse a tool choice without tools, too many tools, and several choices if a tool of the server runs."""
    chat = request.chat
    if chat.get("tool_choice") is not None and not request.tools:
        raise invalid(
            "Invalid request content: A tool_choice was set on the request but no tools were specified.",
            rule="tool_choice",
            param="tool_choice",
        )
    most = limits.chat_tools_max
    if most is not None and len(request.tools) > most:
        raise invalid(f"At most {most} tools are supported.", rule="chat_tools_max", param="tools")
    n = chat.get("n")
    if isinstance(n, int) and n != 1:
        choices_max = limits.chat_choices_max
        if n < 1 or (choices_max is not None and n > choices_max):
            raise invalid(f"n must be between 1 and {choices_max}, got {n}", rule="chat_choices_max", param="n")
        if request.files or request.server_tools:
            raise invalid("n must be 1 when server-side tools are used", rule="choices", param="n")


def check_sampling(chat: Json, model: LanguageModel, limits: Limits) -> None:
    """Refuse parameters that the model does not support, and invalid bounds."""
    for name in ("max_completion_tokens", "max_tokens"):
        bound = chat.get(name)
        if isinstance(bound, int) and bound <= 0:
            raise not_positive(bound)
    for name, shown in (("presence_penalty", "presencePenalty"), ("frequency_penalty", "frequencyPenalty")):
        if chat.get(name) is not None:  # even 0 (recorded, 2026-09)
            raise unsupported(model, shown, name)
    effort = chat.get("reasoning_effort")
    if effort is not None and (model.efforts is None or effort not in model.efforts):
        raise unsupported(model, "reasoningEffort", "reasoning_effort")
    stop = chat.get("stop")
    if stop:
        if not model.accepts_stop:
            raise unsupported(model, "stop", "stop")
        most = limits.chat_stop_texts_max
        if most is not None and isinstance(stop, list) and len(stop) > most:
            raise invalid(f"At most {most} stop sequences are supported.", rule="chat_stop_texts_max", param="stop")


def not_positive(bound: int) -> ApiError:
    """Return the refusal of an invalid token limit (recorded, 2026-08)."""
    return invalid(
        f"Maximum number of tokens max_tokens must be positive but max_tokens = {bound}",
        rule="max_tokens",
        param="max_tokens",
    )


def unsupported(model: LanguageModel, shown: str, param: str) -> ApiError:
    """Return the refusal of a parameter that a model does not support (recorded, 2026-07 to 2026-09)."""
    sentence = f"Model {model.id} does not support parameter {shown}."
    return invalid(sentence, rule="model_parameter", param=param)


def check_parts(request: ModelRequest) -> None:
    """Refuse parts without content, files without a source, and images for a model that accepts none."""
    if not request.has_parts:
        return
    for message in request.messages:
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            _check_part(part)
    for file in request.files:
        if not any(file.get(source) for source in _FILE_SOURCES):
            raise no_file_source()
    if request.images and "image" not in request.language_model.input_modalities:
        sentence = "Invalid request content: Image inputs are not supported by this model."
        raise invalid(sentence, rule="model_parameter", param="messages")


def _check_part(part: Any) -> None:
    """Refuse a part with the form of another API (recorded, 2026-09)."""
    kind = part.get("type") if isinstance(part, dict) else None
    if kind not in _PARTS or (kind != "text_file" and part.get(kind) is None):
        raise invalid("Empty content block", rule="content", param="messages")
    if kind == "file" and not isinstance(part["file"], dict):  # in a batch; live the schema is checked before
        raise no_file_source()


def no_file_source() -> ApiError:
    """Return the refusal of a file part that names no file (recorded, 2026-08)."""
    return invalid("FileContent must set one of file_id, url, or inline data", rule="file_source", param="messages")


def check_prompt_length(request: ModelRequest) -> None:
    """Refuse a prompt that exceeds the context of the model."""
    most = request.language_model.context_tokens_max
    # A token has four characters, so a short conversation need not be counted.
    if sum(len(text_of(message)) for message in request.messages) <= most:
        return
    count = usage_of(request, ()).context_tokens
    if count > most:
        raise invalid(
            f"This model's maximum prompt length is {most} but the request contains {count} tokens.",
            rule="prompt_tokens",
            param="messages",
        )
