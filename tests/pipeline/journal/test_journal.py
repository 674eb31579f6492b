"""The journal's memory: bounded by number and by bytes, each team's by itself, and honest about what it forgot."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.operations.base import Call
from emulator.pipeline.journal.journal import BODY_BYTES_MAX, Entry, Journal, Watcher
from emulator.pipeline.journal.query import CallQuery, Expectation, Inconclusive, find, holds
from tests.serving import PATIENCE_SECONDS


def begin_in(journal: Journal, call: Call) -> Entry:
    """Start the entry of a call in a journal of the test's own."""
    entry = journal.begin(call.team.name, call.at, call.transport, call.operation.name, call.envelope, call.secret)
    call.entry = entry
    return entry


def note(journal: Journal, call: Call, reply: bytes = b"{}") -> None:
    """Note a call that is answered at once."""
    begin_in(journal, call).end()
    journal.replied(call, 200, reply)


@given(sizes=st.lists(st.integers(0, 12_000), max_size=40), entries_max=st.integers(1, 10))
def test_ring_keeps_its_bounds_and_counts_evicted_entries(
    make_call: Callable[..., Call], sizes: list[int], entries_max: int
) -> None:
    """The last calls are kept, in order, and every number is either there or counted as forgotten."""
    journal = Journal(entries_max=entries_max, bytes_max=30_000)
    for size in sizes:
        note(journal, make_call(), b"x" * size)
    ring = journal.ring("default")
    assert len(ring.entries) <= entries_max
    assert ring.bytes == sum(entry.size for entry in ring.entries) <= 30_000
    numbers = [entry.number for entry in ring.entries]
    assert numbers == list(range(len(sizes) - len(numbers) + 1, len(sizes) + 1))
    assert ring.evicted == len(sizes) - len(numbers)
    assert all(len(entry.response.kept) <= BODY_BYTES_MAX for entry in ring.entries if entry.response is not None)


def test_noisy_team_evicts_its_own_entries_first(make_call: Callable[..., Call]) -> None:
    """Beyond the bound of all teams together the one that holds most forgets."""
    journal = Journal(all_max=60_000)
    note(journal, make_call(team="quiet"))
    for _ in range(100):
        note(journal, make_call(team="noisy"), b"x" * 5_000)
    assert len(journal.ring("quiet").entries) == 1
    assert journal.ring("quiet").bytes + journal.ring("noisy").bytes <= 60_000
    assert journal.ring("noisy").evicted > 80


@given(
    calls=st.lists(st.sampled_from(["files.list", "files.get"]), max_size=12),
    after=st.integers(0, 12),
    low=st.integers(0, 6),
    high=st.none() | st.integers(0, 6),
)
def test_expectation_over_evicted_entries_is_never_wrong(
    make_call: Callable[..., Call], calls: list[str], after: int, low: int, high: int | None
) -> None:
    """Compared with an unbounded journal, a bounded one returns the same answer or none."""
    small, large = Journal(entries_max=3), Journal()
    for operation in calls:
        note(small, make_call(operation))
        note(large, make_call(operation))
    expected = Expectation(operation="files.get", after=after, at_least=low, at_most=high)
    truth = holds(large.ring("default"), expected, len(find(large.ring("default"), expected)))
    ring = small.ring("default")
    try:
        assert holds(ring, expected, len(find(ring, expected))) == truth
    except Inconclusive:
        assert ring.evicted_since(after) > 0


def test_cleared_entries_make_no_expectation_inconclusive(make_call: Callable[..., Call]) -> None:
    """Clearing makes a new beginning: nothing of before can change a verdict."""
    journal = Journal(entries_max=2)
    for _ in range(5):
        note(journal, make_call())
    assert journal.clear("default") == 2
    ring = journal.ring("default")
    assert (ring.evicted, ring.last, ring.bytes) == (0, 5, 0)
    assert holds(ring, Expectation(times=0), 0)
    note(journal, make_call())
    assert [entry.number for entry in find(ring, CallQuery())] == [6]


@pytest.mark.parametrize(
    ("query", "limit", "found", "looked_at"),
    [
        (CallQuery(after=97), None, [98, 99, 100], 4),
        (CallQuery(), 2, [99, 100], 3),
        (CallQuery(operation="files.get"), 1, [100], 2),
        (CallQuery(after=100), None, [], 1),
        (CallQuery(operation="files.list"), 5, [], 100),
    ],
)
def test_query_looks_at_no_entry_older_than_its_answer(
    make_call: Callable[..., Call], query: CallQuery, limit: int | None, found: list[int], looked_at: int
) -> None:
    """What a client asks after each of its calls costs as much with a full journal as with an empty one."""
    journal, seen = Journal(), list[int]()

    class Watched(deque[Entry]):
        def __reversed__(self) -> Iterator[Entry]:
            for entry in super().__reversed__():
                seen.append(entry.number)
                yield entry

    for _ in range(100):
        note(journal, make_call("files.get"))
    ring = journal.ring("default")
    ring.entries = Watched(ring.entries)
    assert [entry.number for entry in find(ring, query, limit)] == found
    assert len(seen) == looked_at


def test_call_that_outlives_its_entry_is_not_counted(make_call: Callable[..., Call]) -> None:
    """It was evicted or cleared while it ran, and its bodies are not counted."""
    journal = Journal(entries_max=1)
    slow = make_call()
    begin_in(journal, slow)
    note(journal, make_call())
    journal.replied(slow, 200, b"x" * 5_000)
    ring = journal.ring("default")
    assert ring.bytes == sum(entry.size for entry in ring.entries)


def test_slow_watcher_misses_entries_and_blocks_no_call(
    make_call: Callable[..., Call], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for a watcher is bounded; other teams' calls are not in it."""
    monkeypatch.setattr("emulator.pipeline.journal.journal.WATCHED_MAX", 3)
    journal = Journal()
    with journal.watch("default") as watcher:
        note(journal, make_call(team="other"))
        for _ in range(5):
            note(journal, make_call())
        assert len(watcher) == 3
    note(journal, make_call())
    assert len(watcher) == 3


def test_call_that_outlives_its_team_is_not_counted_for_next_team(make_call: Callable[..., Call]) -> None:
    """The next team of that name is not charged for a reply that was never its own."""
    journal = Journal(bytes_max=100_000)
    old = [make_call() for _ in range(50)]
    for call in old:
        begin_in(journal, call)
    journal.drop("default")
    note(journal, make_call())
    size = journal.ring("default").bytes
    for call in old:
        journal.replied(call, 200, b"x" * 8000)
    assert journal.ring("default").bytes == size
    note(journal, make_call())
    assert len(journal.ring("default").entries) == 2


def test_watcher_of_deleted_team_watches_next_team_of_its_name(make_call: Callable[..., Call]) -> None:
    """A deletion between them does not make the stream silent for ever."""
    journal = Journal()
    with journal.watch("default") as watcher:
        journal.drop("default")
        note(journal, make_call())
        assert len(watcher) == 1
    journal.drop("default")
    assert journal.ring("default").last == 0


async def read(watcher: Watcher, count: int) -> list[tuple[int, int | None]]:
    """Read so often from a watcher that never has to wait: numbers of dropped calls, and the number of the next."""
    read = [await watcher.next(PATIENCE_SECONDS) for _ in range(count)]
    return [(dropped, None if entry is None else entry.number) for dropped, entry in read]


def test_listener_that_is_cancelled_as_an_event_comes_ends(make_call: Callable[..., Call]) -> None:
    """A cancellation that comes together with an event is not lost: Python 3.11's `wait_for` would swallow it."""

    async def run() -> None:
        journal = Journal()
        with journal.watch("default") as watcher:

            async def listen() -> None:
                while True:
                    await watcher.next(PATIENCE_SECONDS)

            listening = asyncio.create_task(listen())
            await asyncio.sleep(0)  # it waits
            note(journal, make_call())
            await asyncio.sleep(0)  # the listener is about to resume
            listening.cancel()
            await asyncio.wait([listening], timeout=PATIENCE_SECONDS)
            assert listening.cancelled()

    asyncio.run(run())


def test_slow_listener_is_told_how_many_calls_it_missed(make_call: Callable[..., Call]) -> None:
    """At most so many calls wait for a listener; beyond that they are counted in the place where they would be."""

    async def run() -> None:
        journal, watcher = Journal(), Watcher(waiting_max=2)
        journal.ring("default").watchers.add(watcher)

        def numbers(count: int) -> list[int]:
            for _ in range(count):
                note(journal, make_call())
            return [entry.number for entry in list(journal.ring("default").entries)[-count:]]

        assert numbers(5) == [1, 2, 3, 4, 5]
        assert await read(watcher, 1) == [(0, 1)]
        assert numbers(1) == [6]
        assert await read(watcher, 2) == [(0, 2), (3, 6)]
        assert numbers(3) == [7, 8, 9]
        assert await read(watcher, 3) == [(0, 7), (0, 8), (1, None)], "returned before it waits for more"
        assert await watcher.next(0) == (0, None)

    asyncio.run(run())
