"""Checks of `/v1/responses` requests, with the messages of the real service, in addition to `rules` for every endpoint.

Unknown members are accepted, so this lists the members that are refused.
"""

from __future__ import annotations

from typing import Any

from emulator.core.errors import ApiError, Kind, invalid
from emulator.domain.chat import rules
from emulator.domain.chat.requests import Endpoint, ModelRequest

_NOT_SUPPORTED = {
    "background": "background",
    "metadata": "metadata",
    "max_tokens": "max_tokens, use max_output_tokens instead",  # as in the service, whose message is not known
    "response_format": "response_format",
}
# Members of tools: reported, 2026-06 to 2026-10; OpenAPI: "rejected if set".
_NOT_SUPPORTED_OF_TOOLS = {
    "file_search": ("filters", "ranking_options"),
    "collections_search": ("filters", "ranking_options"),
    "web_search": ("external_web_access",),
    "code_interpreter": ("container",),
    "mcp": ("require_approval", "connector_id"),
}
# Parts of a message, with the members of which each needs one.
_CONTENT = {
    "input_text": ("text",),
    "output_text": ("text",),
    "text": ("text",),
    "refusal": ("refusal",),
    "input_image": ("image_url", "file_id"),
    "input_file": (),  # a file without a source has its own message
}


def check(request: ModelRequest) -> None:
    """Refuse members that a `responses` body must not have."""
    body = request.body
    rules.refuse_live_search(body)
    for name, words in _NOT_SUPPORTED.items():
        if body.get(name) is not None:
            raise _not_supported(words, name)
    if body.get("instructions") and body.get("previous_response_id"):  # the code is spelled so (recorded, 2026-07)
        both = "instructions and previous_response_id together"
        raise ApiError(Kind.INVALID_ARGUMENT, f"Argument not supported: {both}", rule="argument", code="400")
    for tool in request.tools:
        for name in _NOT_SUPPORTED_OF_TOOLS.get(str(tool.get("type")), ()):
            if tool.get(name) is not None:
                raise _not_supported(name, "tools")
    for item in _list(body.get("input")):
        for part in _list(item.get("content")) if isinstance(item, dict) else ():
            _check_part(part)


def check_function_outputs(request: ModelRequest) -> None:
    """Refuse the result of a call that was not made (recorded, 2026-09; the message is assumed)."""
    if request.endpoint is not Endpoint.RESPONSES:
        return
    made: set[Any] = set()
    for message in request.messages:
        made.update(call.get("id") for call in _list(message.get("tool_calls")) if isinstance(call, dict))
        if message.get("role") == "tool" and message.get("tool_call_id") not in made:
            id = str(message.get("tool_call_id"))[:200]
            sentence = f"No tool call found for function call output with call_id {id}."
            raise ApiError(Kind.MISSHAPEN_BODY, sentence, rule="call_id", param="input", as_json=True)


def not_found(id: str) -> ApiError:
    """Return the refusal of a response that is not stored (recorded, 2026-04)."""
    return ApiError(Kind.NOT_FOUND, f"Response with id={id[:200]} not found", rule="not_found")


def _check_part(part: Any) -> None:
    """Refuse a part with the form of another API (recorded, 2026-09)."""
    members = _CONTENT.get(str(part.get("type"))) if isinstance(part, dict) else None
    if members is None or (members and all(part.get(name) is None for name in members)):
        raise invalid("Empty content block", rule="content", param="input")


def _not_supported(words: str, param: str) -> ApiError:
    return invalid(f"Argument not supported: {words}", rule="argument", param=param)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
