"""Checks of a batch request when it is processed: it is well-formed, but may not be executable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from emulator.core.errors import ApiError
from emulator.core.limits import Limits
from emulator.domain.batches.batch import RequestKind, ResultKind
from emulator.domain.chat import response_rules, rules
from emulator.domain.chat.bodies import Json
from emulator.domain.chat.media import check_media
from emulator.domain.chat.requests import ModelRequest


def complaint(request: ModelRequest, limits: Limits) -> str | None:
    """Return the error of a request that cannot be carried out, or None: that of its endpoint."""
    try:
        if request.result_kind is not ResultKind.CHAT:
            check_media(request)
            return None
        if request.kind == RequestKind.RESPONSES.value:
            response_rules.check(request)
        rules.check(request, limits)
    except ApiError as error:
        return error.message
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
