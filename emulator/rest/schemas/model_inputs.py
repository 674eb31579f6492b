"""The input of `/v1/responses` in JSON (OpenAPI: ModelInput, ModelInputPart): the types of items, and their members.

The service reads an item as the first variant that fits, so its refusal does not name the item or the error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Json = dict[str, Any]
_ROLES = ("user", "assistant", "system", "developer")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_content(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(part, dict) for part in value))


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


# The types of items, each with its required members. Items of outputs are sent back unchanged.
_MEMBERS: dict[str, dict[str, Callable[[Any], bool]]] = {
    "message": {"role": lambda role: role in _ROLES, "content": _is_content},
    "function_call": {"call_id": _is_text, "name": _is_text, "arguments": _is_text},
    "function_call_output": {"call_id": _is_text, "output": _is_content},
    "reasoning": {"summary": _is_list},
    "compaction": {"encrypted_content": _is_text},
    "custom_tool_call": {"id": _is_text, "name": _is_text, "input": _is_text},
    "web_search_call": {},
    "file_search_call": {},
    "code_interpreter_call": {},
    "mcp_call": {},
    "image_generation_call": {},
    "shell_call": {},
    "shell_call_output": {},
}


def is_input(value: Any) -> bool:
    """Return whether a value is a text, or a list of valid items; an item without a type is a message."""
    return isinstance(value, str) or (isinstance(value, list) and all(map(_is_item, value)))


def _is_item(item: Any) -> bool:
    if not isinstance(item, dict):
        return False
    kind = item.get("type")
    members = _MEMBERS.get(kind if isinstance(kind, str) else "message" if kind is None else "")
    return members is not None and all(fits(item.get(name)) for name, fits in members.items())
