"""The filter of a request, if it has one. The grammar is imported with the first filter: it takes 15 ms of a start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from emulator.core.limits import Limits


def list_filter(
    items: Literal["files", "collections", "documents"], text: str | None, limits: Limits
) -> Callable[[Any], bool] | None:
    """Return the test of a list's filter; None without a filter. Raises ApiError for a bad one."""
    if not text or not text.strip():
        return None
    from emulator.operations import filters

    return filters.LISTS[items].accepts(text, limits)


def metadata_filter(text: str | None, limits: Limits) -> Callable[[Mapping[str, str]], bool] | None:
    """Return the test of a search filter; None without a filter. Raises ApiError for a bad one."""
    if not text or not text.strip():
        return None
    from emulator.operations import filters

    return filters.metadata(text, limits)
