"""Indexes that follow the rows: whatever happened, a search ranks what is there now, as if it had just been built."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.domain.collections import MetricSpace
from emulator.domain.documents import IndexedChunk
from emulator.domain.search import keyword_query
from emulator.store import Store
from emulator.store.index import index_cache
from emulator.store.index.collection_index import Hit, IndexQuery
from tests.examples import examples

TEAM, COLLECTION = "team", "collection"
WORDS = ["ash", "birch", "cedar", "elm"]
ALL = IndexQuery(keyword_query(" ".join(WORDS)), numpy.ones(4, numpy.float32), MetricSpace.COSINE, None)


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    """An empty store in memory."""
    store = Store(None)
    yield store
    store.close()


def put(store: Store, file_id: str, *texts: str, team: str = TEAM, collection: str = COLLECTION) -> None:
    """Index texts as the chunks of a document; a text's vector counts its words."""
    chunks = [IndexedChunk(f"{file_id}/{n}", n, text, text, None) for n, text in enumerate(texts)]
    vectors = numpy.array([[text.split().count(word) for word in WORDS] for text in texts], numpy.float32)
    store.chunks.replace(team, collection, file_id, chunks, vectors.reshape(len(texts), len(WORDS)))


async def ranked(store: Store, question: IndexQuery = ALL, team: str = TEAM, collection: str = COLLECTION) -> object:
    """Both rankings, without the numbers that differ from one history to another."""
    answer = await store.indexes.search(team, collection, question)

    def seen(found: list[Hit]) -> list[tuple[str, int, int, float]]:
        return [(each.version.file_id, each.ordinal, each.rank, each.score) for each in found]

    return seen(answer.keyword), seen(answer.vector)


async def built_anew(store: Store) -> object:
    """What a search answers that finds nothing built."""
    store.indexes.on_drop(TEAM, COLLECTION)
    return await ranked(store)


texts = st.lists(st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join), max_size=5)
changes = st.one_of(
    st.tuples(st.just("put"), st.sampled_from("abc"), texts),
    st.tuples(st.just("remove"), st.sampled_from("abc")),
    st.tuples(st.just("roll back"), st.sampled_from("abc"), texts),
    st.just(("search",)),
    st.just(("remove collection",)),
)


@settings(max_examples=examples(60))
@given(st.lists(changes, max_size=10))
def test_search_sees_current_chunks(history: list[tuple[object, ...]]) -> None:
    """After any history of changes, searches and changes taken back: the same ranking as from an index built now."""

    async def live() -> None:
        store = Store(None)
        try:
            for change in history:
                match change:
                    case ("put", str(file_id), list(texts)):
                        put(store, file_id, *texts)
                    case ("remove", str(file_id)):
                        store.chunks.remove(TEAM, COLLECTION, file_id)
                    case ("roll back", str(file_id), list(texts)):
                        with suppress(ZeroDivisionError), store.transaction():
                            put(store, file_id, *texts)
                            raise ZeroDivisionError
                    case ("remove collection",):
                        store.chunks.remove_collection(TEAM, COLLECTION)
                    case _:
                        await ranked(store)
            assert await ranked(store) == await built_anew(store)
        finally:
            store.close()

    asyncio.run(live())


async def test_documents_are_found_when_they_are_published(store: Store) -> None:
    """Chunks that are stored piece by piece are found all at once, and gone all at once."""
    put(store, "other", "ash")
    assert await ranked(store) == ([("other", 0, 1, pytest.approx(math.log(4 / 3)))], [("other", 0, 1, 0.5)])
    for ordinal in range(200):
        chunk = IndexedChunk(str(ordinal), ordinal, "elm", "elm", None)
        store.chunks.add(TEAM, COLLECTION, "large", [chunk], numpy.ones((1, 4), numpy.float32))
    assert len((await store.indexes.search(TEAM, COLLECTION, ALL)).vector) == 1
    store.chunks.publish(TEAM, COLLECTION, "large")
    assert len((await store.indexes.search(TEAM, COLLECTION, ALL)).vector) == 201
    store.chunks.remove(TEAM, COLLECTION, "large")
    assert len((await store.indexes.search(TEAM, COLLECTION, ALL)).vector) == 1


async def test_injected_text_is_searched_but_not_returned(store: Store) -> None:
    """The indexed text finds the chunk, its content is returned."""
    chunk = IndexedChunk("id", 0, "the content", "ash\n\nthe content", 3)
    store.chunks.replace(TEAM, COLLECTION, "file", [chunk], numpy.ones((1, 4), numpy.float32))
    [found] = (await store.indexes.search(TEAM, COLLECTION, ALL)).keyword
    shown = store.chunks.get(TEAM, COLLECTION, found.version, found.ordinal)
    assert shown is not None
    assert (shown.id, shown.content, shown.page_number) == ("id", "the content", 3)


async def test_chunk_of_older_document_version_is_not_returned(store: Store) -> None:
    """A match ranked before its document was reindexed does not return the new text with the old rank."""
    put(store, "file", "ash")
    [found] = (await store.indexes.search(TEAM, COLLECTION, ALL)).keyword
    put(store, "file", "ash")
    assert store.chunks.get(TEAM, COLLECTION, found.version, found.ordinal) is None


async def test_other_collections_and_teams_move_no_score(store: Store) -> None:
    """However many documents they have."""
    for file_id, text in (("a", "ash birch"), ("b", "ash elm elm"), ("c", "cedar")):
        put(store, file_id, text)
    before = await ranked(store)
    for number in range(30):
        put(store, str(number), "ash ash birch", collection="another")
        put(store, str(number), "elm", "cedar", team="another")
        put(store, "a", "birch", team="another")
    assert await ranked(store, collection="another") != before
    assert await ranked(store, team="another") != before
    assert await ranked(store) == before


@given(st.lists(st.lists(st.sampled_from(WORDS), min_size=1).map(" ".join), max_size=6), st.sets(st.integers(0, 5)))
@settings(max_examples=examples(30))
def test_filter_keeps_order_and_scores_of_hits(documents: list[str], accepted: set[int]) -> None:
    """What is accepted keeps its rank, its score and its place."""

    async def live() -> None:
        store = Store(None)
        try:
            for number, text in enumerate(documents):
                put(store, str(number), text)
            everything = await store.indexes.search(TEAM, COLLECTION, ALL)
            accepts: Callable[[str], bool] = lambda file_id: int(file_id) in accepted  # noqa: E731
            for depth in (None, 2):
                question = IndexQuery(ALL.keywords, ALL.vector, ALL.metric, depth, accepts)
                some = await store.indexes.search(TEAM, COLLECTION, question)
                for whole, part in ((everything.keyword, some.keyword), (everything.vector, some.vector)):
                    assert part == [found for found in whole if accepts(found.version.file_id)][:depth]
        finally:
            store.close()

    asyncio.run(live())


async def test_searches_and_changes_at_the_same_time(store: Store) -> None:
    """Each search answers, and sees at least what was there when it began."""
    for number in range(20):
        put(store, str(number), "ash", "birch")

    async def search(expected: int) -> None:
        answer = await store.indexes.search(TEAM, COLLECTION, ALL)
        assert len(answer.vector) >= expected

    searches = []
    for number in range(20, 40):
        put(store, str(number), "ash", "birch")
        searches.append(asyncio.create_task(search(2 * number + 2)))
        await asyncio.sleep(0)
    await asyncio.gather(*searches)
    assert await ranked(store) == await built_anew(store)


async def test_cancelled_search_does_not_break_index(store: Store) -> None:
    """The build of the index continues, and the next search uses it."""
    for number in range(200):
        put(store, str(number), "ash", "birch")
    for pauses in range(8):
        given_up = asyncio.create_task(store.indexes.search(TEAM, COLLECTION, ALL))
        for _ in range(pauses):
            await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        put(store, str(pauses), "elm")
    assert await ranked(store) == await built_anew(store)


async def test_collection_can_be_removed_during_search(store: Store) -> None:
    """The search ends with what it found, the next one with nothing."""
    for number in range(100):
        put(store, str(number), "ash", "birch")
    search = asyncio.create_task(store.indexes.search(TEAM, COLLECTION, ALL))
    await asyncio.sleep(0)
    store.chunks.remove_collection(TEAM, COLLECTION)
    await search
    assert await ranked(store) == ([], [])


async def test_least_recently_used_index_is_evicted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was not searched for the longest time goes, and comes back when it is searched."""
    monkeypatch.setattr(index_cache, "LOADED_BYTES_MAX", 1)
    for number in range(5):
        put(store, "file", "ash", collection=str(number))
    first = [await ranked(store, collection=str(number)) for number in range(5)]
    assert [await ranked(store, collection=str(number)) for number in range(5)] == first


async def test_index_is_rebuilt_after_build_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search during which a build fails raises the error; the next one builds again."""
    put(store, "file", "ash")
    with monkeypatch.context() as broken:
        broken.setattr(store.chunks, "rows", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await ranked(store)
    assert len((await store.indexes.search(TEAM, COLLECTION, ALL)).keyword) == 1


async def test_search_of_cleared_team_finds_nothing(store: Store) -> None:
    """Also what had been ranked before."""
    put(store, "file", "ash")
    await ranked(store)
    store.clear(TEAM)
    assert await ranked(store) == ([], [])


async def test_store_can_be_closed_during_index_build() -> None:
    """The work ends with it, and nothing is left open."""
    store = Store(None)
    for number in range(300):
        put(store, str(number), "ash")
    search = asyncio.create_task(store.indexes.search(TEAM, COLLECTION, ALL))
    for _ in range(3):
        await asyncio.sleep(0)
    store.close()
    assert isinstance((await asyncio.gather(search, return_exceptions=True))[0], asyncio.CancelledError | RuntimeError)


@pytest.mark.measure
async def test_indexing_and_search_do_not_block_event_loop(store: Store) -> None:
    """Neither indexing in pieces nor building, ranking and removing takes it 50 ms of its own time at once."""
    steps = [0.0]

    async def watch() -> None:
        before = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            steps.append(now - before)
            before = now

    watcher = asyncio.create_task(watch())
    text = "ash birch cedar elm " * 200
    for number in range(0, 4096, 128):
        chunks = [IndexedChunk(str(n), n, text, text, None) for n in range(number, number + 128)]
        vectors = numpy.ones((128, 1024), numpy.float32)
        await asyncio.sleep(0)
        with store.transaction():
            store.chunks.add(TEAM, COLLECTION, "large", chunks, vectors)
        await asyncio.sleep(0)
    store.chunks.publish(TEAM, COLLECTION, "large")
    question = IndexQuery(ALL.keywords, numpy.ones(1024, numpy.float32), ALL.metric, 1000)
    assert len((await store.indexes.search(TEAM, COLLECTION, question)).vector) == 1000
    put(store, "other", "ash")
    await asyncio.sleep(0)
    store.chunks.remove(TEAM, COLLECTION, "large")
    await asyncio.sleep(0)
    assert len((await store.indexes.search(TEAM, COLLECTION, ALL)).vector) == 1
    watcher.cancel()
    assert max(steps) < 0.05
