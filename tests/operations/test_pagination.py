"""Pages of a list, over a list that is nothing but numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.domain.paging import Cursor, Page
from emulator.operations import pagination
from tests.operations.client import end_slices_after, turns

QUERY = ("numbers",)


class Numbers:
    """The numbers below some number as the rows of a store, which remembers how many were asked for each time."""

    def __init__(self, count: int) -> None:
        self.rows, self.asked = range(count), list[int]()

    def fetch(self, after: Cursor | None, limit: int) -> list[int]:
        """So many numbers after a position."""
        start = 0 if after is None else after.seq + 1
        self.asked.append(limit)
        return list(self.rows[start : start + limit])

    def page(self, limit: int, token: str | None = None, accepts: Callable[[int], bool] | None = None) -> Page[int]:
        """One page of them."""
        found = pagination.page(
            self.fetch, lambda row: Cursor(row, row), query=QUERY, token=token, limit=limit, accepts=accepts
        )
        return asyncio.run(found)


@given(
    count=st.integers(0, 1500),
    limit=st.integers(1, 700),
    accepted=st.none() | st.frozensets(st.integers(0, 12), max_size=13),
)
def test_pages_are_full_and_together_the_list(count: int, limit: int, accepted: frozenset[int] | None) -> None:
    """With a filter or without: nothing is missing or twice, and `more` is true on each page but the last."""
    numbers = Numbers(count)
    accepts = None if accepted is None else lambda row: row % 13 in accepted
    expected = [row for row in numbers.rows if accepts is None or accepts(row)]
    page = numbers.page(limit, accepts=accepts)
    pages = [page]
    while page.more:
        assert len(page.items) == limit
        page = numbers.page(limit, page.next_token, accepts)
        pages.append(page)
    assert [row for page in pages for row in page.items] == expected
    assert len(pages) == max(1, -(-len(expected) // limit))
    assert (page.next_token is not None) is (len(page.items) == limit)


LIMITS = st.integers(1, 700)
READ_ROWS = 20_000  # at most by one page; more of the largest steps show nothing further


@given(LIMITS.flatmap(lambda limit: st.tuples(st.just(limit), st.integers(1, min(400, READ_ROWS // limit)))))
def test_filtered_page_reads_few_rows_beyond_its_end(drawn: tuple[int, int]) -> None:
    """It begins with as many rows as are wanted, and then doubles that: never far beyond the last row of the page.

    Nor does it read more at a time than leaves others their turn.
    """
    limit, every = drawn
    numbers = Numbers(limit * every * 3 + pagination.SCAN_ROWS)
    page = numbers.page(limit, accepts=lambda row: row % every == 0)
    assert numbers.asked == [min((limit + 1) * 2**n, pagination.SCAN_ROWS) for n in range(len(numbers.asked))]
    assert sum(numbers.asked[:-1]) <= page.items[-1] + every
    numbers.asked.clear()
    numbers.page(limit)
    assert numbers.asked == [limit + 1]


def test_page_of_zero_items_has_no_token() -> None:
    """It is what a limit of the emulator of 0 makes of a page."""
    for accepts in (None, lambda row: True):
        page = Numbers(3).page(0, accepts=accepts)
        assert (page.items, page.next_token, page.more) == ([], None, True)


@pytest.mark.parametrize("wanted", [1, 40])
def test_scan_that_uses_up_its_slice_yields_between_rows(monkeypatch: pytest.MonkeyPatch, wanted: int) -> None:
    """One row may take long: others have their turn before the next one, not after all that were read with it."""
    end_slices_after(3, monkeypatch)
    looked: list[int] = []

    def accepts(row: int) -> bool:
        looked.append(row)
        return row >= 20

    async def look() -> list[int]:
        with turns(lambda: len(looked)) as had:
            await pagination.page(
                Numbers(30).fetch,
                lambda row: Cursor(row, row),
                query=QUERY,
                token=None,
                limit=wanted,
                accepts=accepts,
            )
        return had

    assert {*range(3, 20, 3)} <= {*asyncio.run(look())}


def test_scan_that_is_cancelled_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that leaves cancels its call: no further row is looked at."""
    end_slices_after(1, monkeypatch)
    looked: list[int] = []

    def accepts(row: int) -> bool:
        looked.append(row)
        return False

    async def look() -> None:
        scan = asyncio.ensure_future(
            pagination.page(
                Numbers(1000).fetch,
                lambda row: Cursor(row, row),
                query=QUERY,
                token=None,
                limit=1,
                accepts=accepts,
            )
        )
        while len(looked) < 5:
            await asyncio.sleep(0)
        scan.cancel()
        await asyncio.wait([scan])

    asyncio.run(look())
    assert len(looked) == 5


@pytest.mark.parametrize("accepts", [None, lambda row: True])
def test_page_without_token_starts_after_given_position(accepts: Callable[[int], bool] | None) -> None:
    """Where no token says otherwise, a page begins behind the position that is given."""
    numbers = Numbers(9)

    async def rows(token: str | None, after: Cursor) -> list[int]:
        page = await pagination.page(
            numbers.fetch,
            lambda row: Cursor(row, row),
            query=QUERY,
            token=token,
            after=after,
            limit=3,
            accepts=accepts,
        )
        return page.items

    token = numbers.page(3).next_token
    assert asyncio.run(rows(None, Cursor(4, 4))) == [5, 6, 7]
    assert asyncio.run(rows(token, Cursor(4, 4))) == [3, 4, 5]
