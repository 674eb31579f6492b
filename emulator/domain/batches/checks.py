"""Checks of a batch request when it is processed: it is well-formed, but may not be executable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from emulator.core.errors import ApiError
from emulator.domain.batches.batch import RequestKind, ResultKind
from emulator.domain.chat import response_rules
from emulator.domain.chat.bodies import Json
from emulator.domain.chat.conversation import messages_of, parts_of
from emulator.domain.chat.media import check_media
from emulator.domain.chat.requests import ModelRequest

_CHOICES_MAX = 128  # the OpenAPI names no bound; this is that of OpenAI's API
_FILE_SOURCES = ("file_id", "url", "file_data")


def complaint(request: ModelRequest) -> str | None:
    """Return the error of a request that cannot be carried out, or None."""
    if request.kind == RequestKind.RESPONSES.value:
        try:
            response_rules.check(request)
        except ApiError as error:
            return error.message
    if request.result_kind is ResultKind.CHAT:
        n = request.body.get("n")
        if n is not None and not 1 <= n <= _CHOICES_MAX:
            return f"n must be between 1 and {_CHOICES_MAX}, got {n}"
        return _about_chat(request.chat)
    try:
        check_media(request)
    except ApiError as error:
        return error.message
    return None


def _about_chat(chat: Json) -> str | None:
    if not messages_of(chat):
        return "Messages cannot be empty"
    tokens = chat.get("max_completion_tokens", chat.get("max_tokens"))
    if isinstance(tokens, int) and tokens <= 0:  # observed live, 2026-08
        return f"Maximum number of tokens max_tokens must be positive but max_tokens = {tokens}"
    files = [part.get("file") for part in parts_of(chat, "file")]
    if not all(isinstance(file, dict) and any(file.get(source) for source in _FILE_SOURCES) for file in files):
        return "FileContent must set one of file_id, url, or inline data"  # observed live, 2026-08
    return None


def file_ids(body: Json) -> Iterator[str]:
    """Return the ids of the files that a request needs, except in schemas of tools, where `file_id` is only a name."""
    for key, value in body.items():
        if key == "file_id" and isinstance(value, str) and value:
            yield value
        elif key not in ("tools", "response_format", "text"):
            yield from _file_ids(value)


def _file_ids(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from file_ids(value)
    elif isinstance(value, list):
        for item in value:
            yield from _file_ids(item)
