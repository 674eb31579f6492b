"""The indexes of the collections that were searched last, in memory, on a thread of their own.

They are built from the rows of chunks when a collection is first searched, and brought up to date by later searches. So
nothing of them has to be committed, rolled back or repaired; and neither building nor ranking holds up the event loop.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import msgspec

from emulator.store.chunks import Chunks, DocumentVersion, IndexRow

if TYPE_CHECKING:
    from emulator.store.index.collection_index import Index, IndexQuery, IndexResult

T = TypeVar("T")
Key = tuple[str, str]  # team, collection id

LOADED_MAX = 64  # collections; the one that was not searched for the longest time is built again when it is
SLICE = 64  # chunks, or documents, read between two chances for other calls


class _Entry(msgspec.Struct, eq=False):
    """A collection's index, which editions it holds, and whose documents have changed since."""

    key: Key
    index: Index | None = None
    editions: dict[str, DocumentVersion] = msgspec.field(default_factory=dict)  # by file id
    touched: set[str] = msgspec.field(default_factory=set)
    changes: int = 0  # heard of so far
    changes_held: int = 0  # of these, how many the index holds
    work: asyncio.Task[None] | None = None
    users: int = 0


class Indexes:
    """Ranks the chunks of collections. Called on the event loop."""

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks
        chunks.subscribe(self)
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self._closed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="search")

    async def search(self, team: str, collection_id: str, question: IndexQuery) -> IndexResult:
        """Rank the chunks of a collection as it is now."""
        entry = self._entries.setdefault((team, collection_id), _Entry((team, collection_id)))
        self._entries.move_to_end(entry.key)
        if len(self._entries) > LOADED_MAX:
            self.on_drop(*next(iter(self._entries)))
        entry.users += 1
        try:
            index = await self._up_to_date(entry)
            return await self._run(partial(index.answer, question))
        finally:
            self._leave(entry)

    def on_change(self, team: str, collection_id: str, file_id: str) -> None:
        """Hear that a document may have changed."""
        entry = self._entries.get((team, collection_id))
        if entry is not None:
            entry.changes += 1
            entry.touched.add(file_id)

    def on_drop(self, team: str, collection_id: str) -> None:
        """Let the index of a collection go, if there is one."""
        entry = self._entries.pop((team, collection_id), None)
        if entry is not None:
            entry.users += 1
            self._leave(entry)

    def forget_team(self, team: str) -> None:
        """Let the indexes of a team go: needed where its rows are changed by other means than `Chunks`."""
        for key in [key for key in self._entries if key[0] == team]:
            self.on_drop(*key)

    def close(self) -> None:
        """Let all indexes go and end the thread."""
        self._closed = True
        for entry in self._entries.values():
            if entry.work is not None:
                entry.work.cancel()
            self._thread.submit(_close, entry)
        self._thread.shutdown()

    def _leave(self, entry: _Entry) -> None:
        """Close the index of a forgotten collection when its last user has left."""
        entry.users -= 1
        forgotten = self._entries.get(entry.key) is not entry
        if forgotten and entry.users == 0 and not self._closed:
            self._thread.submit(_close, entry)

    async def _up_to_date(self, entry: _Entry) -> Index:
        """The index with all changes up to now; a search that is given up leaves the work going for the next one."""
        wanted = entry.changes
        while entry.work is not None or entry.index is None or entry.changes_held < wanted:
            if entry.work is None:
                entry.work = asyncio.create_task(self._catch_up(entry))
            await asyncio.shield(entry.work)
        return entry.index

    async def _catch_up(self, entry: _Entry) -> None:
        """Build the index, or bring into it what has changed. When that fails, the next search builds it anew.

        Editions that come up meanwhile wait for the next time, so that chunks always stand in order of editions.
        """
        entry.users += 1
        changes, touched, entry.touched = entry.changes, entry.touched, set()
        last = self._chunks.last_edition()
        try:
            if entry.index is None:
                await self._build(entry, await self._run(partial(_open, entry)), last)
            else:
                await self._update(entry, entry.index, touched, last)
            entry.changes_held = changes
        except BaseException:
            if self._entries.get(entry.key) is entry:
                self.on_drop(*entry.key)
            raise
        finally:
            entry.work = None
            self._leave(entry)

    async def _build(self, entry: _Entry, index: Index, last: int) -> None:
        after = 0
        while editions := self._chunks.editions(*entry.key, after, last, SLICE):
            await self._add(entry, index, editions)
            after = editions[-1].number

    async def _update(self, entry: _Entry, index: Index, touched: Iterable[str], last: int) -> None:
        """Take out what is stale and append what is new."""
        stale: list[DocumentVersion] = []
        new: list[DocumentVersion] = []
        for count, file_id in enumerate(touched, 1):
            held, current = entry.editions.get(file_id), self._chunks.edition(*entry.key, file_id)
            if held != current and (current is None or current.number <= last):
                stale += [held] if held else []
                new += [current] if current else []
            if count % SLICE == 0:
                await asyncio.sleep(0)
        await self._run(partial(index.remove, stale))
        for edition in stale:
            del entry.editions[edition.file_id]
        await self._add(entry, index, sorted(new, key=lambda edition: edition.number))

    async def _add(self, entry: _Entry, index: Index, editions: Iterable[DocumentVersion]) -> None:
        batch: list[IndexRow] = []
        for edition in editions:
            after = -1
            while rows := self._chunks.rows(*entry.key, edition, after, SLICE - len(batch)):
                batch += rows
                after = rows[-1].ordinal
                if len(batch) == SLICE:
                    await self._run(partial(index.add, batch))
                    batch = []
            entry.editions[edition.file_id] = edition
        await self._run(partial(index.add, batch))

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _open(entry: _Entry) -> Index:
    """A new index, known to its entry at once: who waits for it may be cancelled, and then it must still be closed."""
    from emulator.store.index.collection_index import Index

    entry.index = Index()
    return entry.index


def _close(entry: _Entry) -> None:
    if entry.index is not None:
        entry.index.close()
