"""Pages of lists: matching items from the position of a token on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from emulator.core.time_slices import TimeSlices
from emulator.domain.paging import Cursor, Page, decode_token, encode_token

T = TypeVar("T")

SCAN_ROWS = 100  # read at once if a filter skips many: a row can have 64 KiB of fields

Fetch = Callable[[Cursor | None, int], list[T]]


async def page(
    fetch: Fetch[T],
    cursor: Callable[[T], Cursor],
    *,
    query: tuple[Any, ...],
    token: str | None,
    limit: int,
    after: Cursor | None = None,
    accepts: Callable[[T], bool] | None = None,
) -> Page[T]:
    """Return the page after `token`, or after a position. It is full if enough items match.

    `query` is everything that a token is valid for: the list, its order and its filter.
    """
    if token:
        after = decode_token(token, query)
    if accepts is None:
        found = fetch(after, limit + 1)
    else:
        found = await _scan(fetch, cursor, after, limit + 1, accepts)
    items = found[:limit]
    next_token = encode_token(cursor(items[-1]), query) if items and len(items) == limit else None
    return Page(items, next_token, more=len(found) > limit)


async def _scan(
    fetch: Fetch[T], cursor: Callable[[T], Cursor], after: Cursor | None, wanted: int, accepts: Callable[[T], bool]
) -> list[T]:
    """Return the next matching items. Other calls may run between two rows; the position stays valid."""
    found: list[T] = []
    slices = TimeSlices()
    count = min(wanted, SCAN_ROWS)  # assume that the filter accepts everything; if not, read more each time
    while True:
        rows = fetch(after, count)
        for row in rows:
            if accepts(row):
                found.append(row)
            if len(found) == wanted:
                break
            await slices.pause()
        if len(found) == wanted or len(rows) < count:
            return found
        after = cursor(rows[-1])
        count = min(2 * count, SCAN_ROWS)
