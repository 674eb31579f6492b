"""Walk over the pages of a list, and end on a server whose lists never do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from .clients.models import Page
from .target import Budget

T = TypeVar("T")


def walk(list_page: Callable[[str | None], Page[T]], *, page_items: int = 1) -> Iterator[T]:
    """Yield the items of all pages, up to a page without a token or with fewer than `page_items` items.

    Raises AssertionError where the page tokens show that the list has no end.
    """
    token: str | None = None
    seen: set[str] = set()
    while True:
        page = list_page(token)
        yield from page.items
        token = page.token
        if token is None or len(page.items) < page_items:
            return
        assert token != "", "the last page has the token '', instead of none"
        assert token not in seen, f"the page token {token!r} comes a second time, so the list never ends"
        seen.add(token)


def each_once(ids: Iterable[str], budget: Budget, page_items: int) -> list[str]:
    """Return the ids of a client's own iteration over pages of `page_items`, and spend the budget of its calls.

    Raises AssertionError at an id that comes twice, and BudgetExhausted.
    """
    seen: dict[str, None] = {}
    for number, id in enumerate(ids):
        if number % page_items == 0 and number:  # the first call is counted by the caller
            budget.spend()
        assert id not in seen, f"{id} comes a second time after {number} items, so the list never ends"
        seen[id] = None
    return list(seen)
