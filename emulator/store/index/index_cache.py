"""The indexes of collections in memory: they grow while documents are indexed, and can be searched at the same time.

An entry, which belongs to one collection, goes through these states, each entered on the event loop:

    no entry --stage or search--> behind --search or pause--> updating --> current --publish or remove--> behind
    any state --on_drop, or too much memory, or a failed update--> dropped

- `stage` gets the chunks of a document as they are written. They are in the index before the document is published,
  so publishing only assigns its version to its slot. Chunks that were not staged (after a restart, or after the entry
  was dropped) are read from the rows instead.
- `changes` counts the changes that the entry was notified of, `changes_held` those that the index contains. A search
  waits for the changes that were made before it. It does not wait for later ones, so a busy collection is still
  searched.
- One task updates an entry for all searches that wait. It is shielded: a search whose client disconnects does not
  cancel the work for the others.
- Three threads: one changes indexes, one ranks, one merges large segments. They share segments and the `View`, which
  never change.
- After a pause in the changes an index is tidied, and saved if the store has a data directory. `close` saves it too.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import msgspec

from emulator.core import memory
from emulator.core.time_slices import TimeSlices
from emulator.store.chunks import Chunks, DocumentVersion, IndexRow
from emulator.store.index.segment_files import SegmentFiles

if TYPE_CHECKING:
    from emulator.store.index.collection_index import IndexQuery, IndexResult
    from emulator.store.index.live_index import LiveIndex

T = TypeVar("T")
Key = tuple[str, str]  # team, collection id

LOADED_BYTES_MAX = 1 << 30  # above it the least recently used index is dropped, and rebuilt at its next use
SLICE = 64  # chunks, or documents, read between two yields to other calls
BUFFERED_MAX = 256  # chunks that are indexed together
PAUSE_SECONDS = 1.0  # without a change, before an index is tidied
_FREED_SHARE = 8  # of the size of an index: about the memory that building and merging it takes, in blocks of all sizes


class _Staged(msgspec.Struct):
    """A document that is not published yet, and whose chunks up to an ordinal are in the index."""

    slot: int
    next: int = 0


class _Entry(msgspec.Struct, eq=False):
    """The index of a collection, the versions in it, and the files whose documents have changed since."""

    key: Key
    index: LiveIndex | None = None
    is_complete: bool = False  # whether it has contained all documents, so that only `changed_files` may be missing
    versions: dict[str, int] = msgspec.field(default_factory=dict)  # slots by file id; the view has the numbers
    staged: dict[str, _Staged] = msgspec.field(default_factory=dict)  # by file id
    slots: int = 0  # assigned so far
    new_files: list[str] = msgspec.field(default_factory=list)  # of slots that are not in the index yet
    buffer: list[tuple[int, IndexRow]] = msgspec.field(default_factory=list)
    gone: list[int] = msgspec.field(default_factory=list)  # slots that are not removed from the index yet
    changed_files: set[str] = msgspec.field(default_factory=set)
    changes: int = 0  # notified so far
    changes_held: int = -1  # how many of them are in the index
    work: asyncio.Task[None] | None = None
    tidying: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle | None = None
    bytes: int = 0

    def new_slot(self, file_id: str) -> int:
        """Assign a slot to a document, and return it."""
        self.slots += 1
        self.new_files.append(file_id)
        return self.slots - 1


Work: TypeAlias = Callable[[_Entry], Awaitable[None]]


class Indexes:
    """Ranks the chunks of collections. Called on the event loop."""

    def __init__(self, chunks: Chunks, files: SegmentFiles) -> None:
        self._chunks = chunks
        self._files = files
        chunks.subscribe(self)
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self._changing = ThreadPoolExecutor(1, thread_name_prefix="index")
        self._merging = ThreadPoolExecutor(1, thread_name_prefix="index-merges")
        self._ranking = ThreadPoolExecutor(1, thread_name_prefix="search")

    async def search(self, team: str, collection_id: str, query: IndexQuery) -> IndexResult:
        """Rank the current chunks of a collection. Needs no index, and no numpy, if no document is indexed."""
        if not self._chunks.versions(team, collection_id, 0, self._chunks.last_version(), 1):
            from emulator.store.index.collection_index import IndexResult

            return IndexResult([], [])
        entry = self._entry((team, collection_id))
        index = await self._up_to_date(entry)
        from emulator.store.index.live_index import answer

        return await _run(self._ranking, partial(answer, index.view, query))

    async def stage(self, team: str, collection_id: str, file_id: str, rows: Sequence[IndexRow]) -> None:
        """Add chunks of a document that were just written: all of its chunks, from the first one, in order."""
        entry = self._entry((team, collection_id))
        if entry.index is None and self._files.names(team, collection_id):
            await self._have(entry, self._open, lambda: entry.index is not None)  # its files use the first slots
        staged = entry.staged.get(file_id)
        if staged is None:
            if rows and rows[0].ordinal:
                return  # the entry is newer than the first chunks; publishing reads all of them
            staged = entry.staged[file_id] = _Staged(entry.new_slot(file_id))
        entry.buffer += [(staged.slot, row) for row in rows]
        staged.next += len(rows)
        self._plan(entry)
        await self._have(entry, self._flush, lambda: len(entry.buffer) < BUFFERED_MAX)

    async def _have(self, entry: _Entry, work: Work, is_done: Callable[[], bool]) -> None:
        """Run work on an entry until it is done.

        If it fails, the entry is dropped, and the next search tries again.
        """
        while not is_done() and self._entries.get(entry.key) is entry:
            if entry.work is None:
                entry.work = asyncio.create_task(self._working(entry, work))
            with suppress(Exception):
                await asyncio.shield(entry.work)

    def on_publish(self, team: str, collection_id: str, file_id: str) -> None:
        """Note that a document became searchable."""
        self._note(team, collection_id, file_id)

    def on_remove(self, team: str, collection_id: str, file_id: str) -> None:
        """Note that a document is not searchable any more, and that its chunks will be written again."""
        entry = self._note(team, collection_id, file_id)
        staged = None if entry is None else entry.staged.pop(file_id, None)
        if entry is not None and staged is not None:
            entry.gone.append(staged.slot)

    def _note(self, team: str, collection_id: str, file_id: str) -> _Entry | None:
        entry = self._entries.get((team, collection_id))
        if entry is not None:
            entry.changes += 1
            entry.changed_files.add(file_id)
            self._plan(entry)
        return entry

    def on_drop(self, team: str, collection_id: str) -> None:
        """Drop the index of a collection, with its files."""
        self._evict((team, collection_id))
        names = self._files.forget(team, collection_id)
        if names:
            with suppress(RuntimeError):  # no loop is running; the next start removes them
                asyncio.get_running_loop().call_soon(self._files.remove_unknown, names)

    def drop_team(self, team: str) -> None:
        """Drop the indexes of a team: needed if its rows are changed by other means than `Chunks`."""
        loaded = [collection_id for owner, collection_id in self._entries if owner == team]
        for collection_id in {*loaded, *self._files.collections(team)}:
            self.on_drop(team, collection_id)

    def _evict(self, key: Key) -> None:
        """Remove an index from memory. Tasks that use it keep it until they end."""
        entry = self._entries.pop(key, None)
        if entry is not None and entry.timer is not None:
            entry.timer.cancel()

    def loaded_bytes(self, team: str, collection_id: str) -> int:
        """Return the memory that the index of a collection takes."""
        entry = self._entries.get((team, collection_id))
        return 0 if entry is None else entry.bytes

    def close(self) -> None:
        """Stop all work and the threads, and save unsaved segments."""
        entries = list(self._entries.values())
        for entry in entries:
            for task in (entry.work, entry.tidying):
                if task is not None:
                    task.cancel()
            self._evict(entry.key)
        for thread in (self._changing, self._merging, self._ranking):
            thread.shutdown()
        for entry in entries if self._files.are_kept else ():
            if entry.work is None:  # else it was interrupted, and the next start reads the rest from the rows
                with suppress(OSError):
                    self._finish(entry)

    def _entry(self, key: Key) -> _Entry:
        """Return the entry of a collection, and mark it as the most recently used."""
        entry = self._entries.setdefault(key, _Entry(key))
        self._entries.move_to_end(key)
        return entry

    def _limit_memory(self) -> None:
        """Drop the least recently used indexes, but never the last one used."""
        used = sum(entry.bytes for entry in self._entries.values())
        while used > LOADED_BYTES_MAX and len(self._entries) > 1:
            oldest = next(iter(self._entries.values()))
            used -= oldest.bytes
            self._evict(oldest.key)

    # --- updating an entry

    async def _up_to_date(self, entry: _Entry) -> LiveIndex:
        """Return the index with all changes up to now."""
        wanted = entry.changes
        while entry.index is None or entry.changes_held < wanted:
            if entry.work is None:
                entry.work = asyncio.create_task(self._working(entry, self._catch_up))
            await asyncio.shield(entry.work)
        return entry.index

    async def _working(self, entry: _Entry, work: Work) -> None:
        """Run work on an entry. If it fails, the next search starts from the rows."""
        try:
            await work(entry)
        except BaseException:
            if self._entries.get(entry.key) is entry:
                self._evict(entry.key)
            raise
        finally:
            entry.work = None
        self._limit_memory()

    async def _catch_up(self, entry: _Entry) -> None:
        """Update the index to the current documents."""
        changes, changed_files, entry.changed_files = entry.changes, entry.changed_files, set()
        last = self._chunks.last_version()
        index = await self._opened(entry)
        compare = self._changed(entry, changed_files, last) if entry.is_complete else self._compared(entry, last)
        stale, new = await compare
        slots = {version.file_id: await self._read(entry, version) for version in new}
        await self._flush(entry, is_waited_for=True)
        gone, entry.gone = [*entry.gone, *(entry.versions.pop(file_id) for file_id in stale)], []
        numbers = {slots[version.file_id]: version.number for version in new}
        await _run(self._changing, partial(index.set_versions, numbers, gone))
        entry.versions.update(slots)
        entry.is_complete, entry.changes_held, entry.bytes = True, changes, index.bytes

    async def _flush(self, entry: _Entry, *, is_waited_for: bool = False) -> None:
        """Index the buffered chunks; if a search waits too, leave most merges to a later call."""
        index = await self._opened(entry)
        files, entry.new_files = entry.new_files, []
        rows, entry.buffer = entry.buffer, []
        await _run(self._changing, partial(_add, index, files, rows, is_waited_for=is_waited_for))

    async def _opened(self, entry: _Entry) -> LiveIndex:
        if entry.index is None:
            names = self._files.names(*entry.key)
            index, entry.versions = await _run(self._changing, partial(_read_index, self._files, names))
            entry.index, entry.slots = index, entry.slots + index.slots  # with files, none were assigned before
            self._plan(entry)  # there may be many segments
        return entry.index

    async def _open(self, entry: _Entry) -> None:
        await self._opened(entry)

    async def _compared(self, entry: _Entry, last: int) -> tuple[list[str], list[DocumentVersion]]:
        """Compare all documents; return the files whose versions are stale, and the new versions in order."""
        found: dict[str, DocumentVersion] = {}
        after = 0
        slices = TimeSlices()
        while versions := self._chunks.versions(*entry.key, after, last, SLICE):
            found.update((version.file_id, version) for version in versions)
            after = versions[-1].number
            await slices.pause()
        held = self._held(entry)
        stale = [file_id for file_id, number in held.items() if file_id not in found or found[file_id].number != number]
        return stale, [version for file_id, version in found.items() if held.get(file_id) != version.number]

    async def _changed(
        self, entry: _Entry, changed_files: Iterable[str], last: int
    ) -> tuple[list[str], list[DocumentVersion]]:
        """Compare the changed documents, and return the same as `_compared`."""
        stale: list[str] = []
        new: list[DocumentVersion] = []
        slices = TimeSlices()
        for file_id in changed_files:
            current = self._chunks.version(*entry.key, file_id)
            if current is None or current.number <= last:
                slot = entry.versions.get(file_id)
                held = None if slot is None or entry.index is None else int(entry.index.view.numbers[slot])
                if held is not None and (current is None or current.number != held):
                    stale.append(file_id)
                if current is not None and current.number != held:
                    new.append(current)
            await slices.pause()
        return stale, sorted(new, key=lambda version: version.number)

    def _held(self, entry: _Entry) -> dict[str, int]:
        """Return the numbers of the versions in the index, by file id."""
        if entry.index is None or not entry.versions:
            return {}
        numbers = entry.index.view.numbers.tolist()
        return {file_id: numbers[slot] for file_id, slot in entry.versions.items()}

    async def _read(self, entry: _Entry, version: DocumentVersion) -> int:
        """Read the chunks of a version that were not staged, and return its slot."""
        staged = entry.staged.pop(version.file_id, None) or _Staged(entry.new_slot(version.file_id))
        while rows := self._chunks.rows(*entry.key, version, staged.next - 1, SLICE):
            entry.buffer += [(staged.slot, row) for row in rows]
            staged.next = rows[-1].ordinal + 1
            if len(entry.buffer) >= BUFFERED_MAX:
                await self._flush(entry)
        return staged.slot

    # --- pauses

    def _plan(self, entry: _Entry) -> None:
        """Schedule tidying an index after a pause in its changes."""
        if entry.timer is None:
            with suppress(RuntimeError):  # no loop is running
                loop = asyncio.get_running_loop()
                entry.timer = loop.call_later(PAUSE_SECONDS, self._pause, entry, entry.changes + entry.slots)

    def _pause(self, entry: _Entry, changes: int) -> None:
        entry.timer = None
        if entry.work is not None or entry.tidying is not None or entry.changes + entry.slots != changes:
            self._plan(entry)
        elif entry.index is not None:  # without an index there is nothing to tidy
            entry.tidying = asyncio.create_task(self._tidy(entry, entry.index))

    async def _tidy(self, entry: _Entry, index: LiveIndex) -> None:
        """Update an index and merge it into few segments. It is searched and changed meanwhile."""
        try:
            await self._up_to_date(entry)
            for parts in await _run(self._changing, index.plan):
                merged = await _run(self._merging, partial(index.merge, parts))
                await _run(self._changing, partial(index.replace, parts, merged))
            entry.bytes = index.bytes
            if self._files.are_kept:
                await self._save(entry, index)
            memory.freed(_FREED_SHARE * entry.bytes)
        finally:
            entry.tidying = None

    async def _save(self, entry: _Entry, index: LiveIndex) -> None:
        """Write the segments that have no file. A full disk only makes the next start slower."""
        found = await _run(self._changing, index.unsaved)
        names: dict[int, str] = {}
        with suppress(OSError):
            for each in found:
                names[id(each.segment)] = await _run(self._merging, partial(each.write, self._files))
        kept = await _run(self._changing, partial(index.set_names, names))
        gone = set(names.values()) - kept  # merged meanwhile
        if self._entries.get(entry.key) is entry:
            gone |= self._files.set_names(*entry.key, kept)
        else:
            gone |= set(names.values())
        await _run(self._merging, partial(self._files.remove, gone))

    def _finish(self, entry: _Entry) -> None:
        """Save at the end, without a loop or a thread."""
        index = entry.index
        if index is None:
            return  # the few chunks will be read from the rows
        _add(index, entry.new_files, entry.buffer)
        numbers, gone = dict[int, int](), list(entry.gone)
        for file_id in entry.changed_files:
            version, staged = self._chunks.version(*entry.key, file_id), entry.staged.get(file_id)
            slot = entry.versions.get(file_id)
            if slot is not None and (version is None or version.number != index.view.numbers[slot]):
                gone.append(slot)
            if version and staged and not self._chunks.rows(*entry.key, version, staged.next - 1, 1):
                numbers[staged.slot] = version.number
        index.set_versions(numbers, gone)
        names = {id(each.segment): each.write(self._files) for each in index.unsaved()}
        self._files.remove(self._files.set_names(*entry.key, index.set_names(names)))


def _read_index(files: SegmentFiles, names: Sequence[str]) -> tuple[LiveIndex, dict[str, int]]:
    from emulator.store.index.live_index import LiveIndex  # and with it numpy, in this thread

    return LiveIndex.read(files, names)


def _add(
    index: LiveIndex, files: Sequence[str], rows: Sequence[tuple[int, IndexRow]], *, is_waited_for: bool = False
) -> None:
    from emulator.store.index.live_index import LEVELS_OF_SEARCH

    index.add_slots(files)
    if is_waited_for:
        index.add(rows, LEVELS_OF_SEARCH)
    else:
        index.add(rows)


async def _run(thread: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(thread, work)
