"""The indexes of the collections that were searched last, in memory, ranked on one thread.

An entry goes through these states, each entered on the event loop:

    no entry --search--> building --> current --on_change--> behind --search--> updating --> current
    any state --on_drop, or too many entries, or a failed update--> dropped: closed when its last user leaves

- `changes` counts what the entry has heard of, `changes_held` how much of that the index holds. A search waits until
  the changes it found on arrival are held. It does not ask for later ones, so a busy collection is still searched.
- One task brings an entry up to date, for all searches that wait. It is shielded: a search whose client leaves does not
  take the work away from the others.
- An update reads the versions up to the newest one at its start. Newer ones wait for the next update, so that chunks
  are added in order.
- `users` counts searches and tasks, so that an index is closed by its last user and never under one.
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
    """A collection's index, the versions it holds, and the files whose documents have changed since."""

    key: Key
    index: Index | None = None
    versions: dict[str, DocumentVersion] = msgspec.field(default_factory=dict)  # by file id
    changed_files: set[str] = msgspec.field(default_factory=set)
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

    async def search(self, team: str, collection_id: str, query: IndexQuery) -> IndexResult:
        """Rank the chunks of a collection as it is now."""
        entry = self._entries.setdefault((team, collection_id), _Entry((team, collection_id)))
        self._entries.move_to_end(entry.key)
        if len(self._entries) > LOADED_MAX:
            self.on_drop(*next(iter(self._entries)))
        entry.users += 1
        try:
            index = await self._up_to_date(entry)
            return await self._run(partial(index.answer, query))
        finally:
            self._leave(entry)

    def on_change(self, team: str, collection_id: str, file_id: str) -> None:
        """Mark a document as changed."""
        entry = self._entries.get((team, collection_id))
        if entry is not None:
            entry.changes += 1
            entry.changed_files.add(file_id)

    def on_drop(self, team: str, collection_id: str) -> None:
        """Drop the index of a collection, if there is one."""
        entry = self._entries.pop((team, collection_id), None)
        if entry is not None:
            entry.users += 1
            self._leave(entry)

    def drop_team(self, team: str) -> None:
        """Drop the indexes of a team: needed where its rows are changed by other means than `Chunks`."""
        for key in [key for key in self._entries if key[0] == team]:
            self.on_drop(*key)

    def close(self) -> None:
        """Close all indexes and end the thread."""
        self._closed = True
        for entry in self._entries.values():
            if entry.work is not None:
                entry.work.cancel()
            self._thread.submit(_close, entry)
        self._thread.shutdown()

    def _leave(self, entry: _Entry) -> None:
        """Close the index of a dropped entry when its last user has left."""
        entry.users -= 1
        is_dropped = self._entries.get(entry.key) is not entry
        if is_dropped and entry.users == 0 and not self._closed:
            self._thread.submit(_close, entry)

    async def _up_to_date(self, entry: _Entry) -> Index:
        """Return the index with all changes up to now."""
        wanted = entry.changes
        while entry.work is not None or entry.index is None or entry.changes_held < wanted:
            if entry.work is None:
                entry.work = asyncio.create_task(self._catch_up(entry))
            await asyncio.shield(entry.work)
        return entry.index

    async def _catch_up(self, entry: _Entry) -> None:
        """Build or update the index. If that fails, the next search builds it again."""
        entry.users += 1
        changes, changed_files, entry.changed_files = entry.changes, entry.changed_files, set()
        last = self._chunks.last_version()
        try:
            if entry.index is None:
                await self._build(entry, await self._run(partial(_open, entry)), last)
            else:
                await self._update(entry, entry.index, changed_files, last)
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
        while versions := self._chunks.versions(*entry.key, after, last, SLICE):
            await self._add(entry, index, versions)
            after = versions[-1].number

    async def _update(self, entry: _Entry, index: Index, changed_files: Iterable[str], last: int) -> None:
        """Remove stale versions and append new ones."""
        stale: list[DocumentVersion] = []
        new: list[DocumentVersion] = []
        for count, file_id in enumerate(changed_files, 1):
            held, current = entry.versions.get(file_id), self._chunks.version(*entry.key, file_id)
            if held != current and (current is None or current.number <= last):
                stale += [held] if held else []
                new += [current] if current else []
            if count % SLICE == 0:
                await asyncio.sleep(0)
        await self._run(partial(index.remove, stale))
        for version in stale:
            del entry.versions[version.file_id]
        await self._add(entry, index, sorted(new, key=lambda version: version.number))

    async def _add(self, entry: _Entry, index: Index, versions: Iterable[DocumentVersion]) -> None:
        batch: list[IndexRow] = []
        for version in versions:
            after = -1
            while rows := self._chunks.rows(*entry.key, version, after, SLICE - len(batch)):
                batch += rows
                after = rows[-1].ordinal
                if len(batch) == SLICE:
                    await self._run(partial(index.add, batch))
                    batch = []
            entry.versions[version.file_id] = version
        await self._run(partial(index.add, batch))

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _open(entry: _Entry) -> Index:
    """Open an index. Its entry has it at once, so that it is closed even if the task that waits for it is cancelled."""
    from emulator.store.index.collection_index import Index

    entry.index = Index()
    return entry.index


def _close(entry: _Entry) -> None:
    if entry.index is not None:
        entry.index.close()
