"""The filter of a request, if it has one. The grammar is imported with the first filter (15 ms)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from emulator.core.limits import Limits

if TYPE_CHECKING:
    from emulator.operations.filters import MetadataFilter

ListName: TypeAlias = Literal["files", "collections", "documents"]


class FilterMistake(NamedTuple):
    """An error of a filter, with its position."""

    position: int  # in characters, from 0
    message: str
    hint: str  # what to write instead


def list_filter(items: ListName, text: str | None, limits: Limits) -> Callable[[Any], bool] | None:
    """Return the predicate of a list's filter; None without a filter. Raises ApiError for an invalid one."""
    if not text or not text.strip():
        return None
    from emulator.operations import filters

    return filters.LISTS[items].accepts(text, limits)


def metadata_filter(text: str | None, limits: Limits) -> MetadataFilter | None:
    """Return a search filter; None without one. Raises ApiError for an invalid one."""
    if not text or not text.strip():
        return None
    from emulator.operations import filters

    return filters.MetadataFilter(text, limits)


def filter_mistakes(items: ListName | None, text: str, limits: Limits) -> list[FilterMistake]:
    """Return all errors of a filter of a list (of a search if `items` is None), in the order of the text."""
    if not text.strip():
        return []
    from emulator.operations import filters

    return [FilterMistake(error.position, error.message, error.hint) for error in filters.errors(text, limits, items)]
