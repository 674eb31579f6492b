"""The indexes of collections in memory: they grow while documents are indexed, and are searched beside that.

An entry, which belongs to one collection, goes through these states, each entered on the event loop:

    no entry --stage or search--> behind --search or pause--> updating --> current --publish or remove--> behind
    any state --on_drop, or too much memory, or a failed update--> dropped

- `stage` is given the chunks of a document as they are written. They are in the index before the document is published,
  so to publish it only gives its version to its slot. What was not staged (after a restart, or when the entry had been
  dropped) is read from the rows instead.
- `changes` counts what the entry has heard of, `changes_held` how much of that the index holds. A search waits until
  the changes it found on arrival are held. It does not ask for later ones, so a busy collection is still searched.
- One task brings an entry up to date, for all searches that wait. It is shielded: a search whose client leaves does not
  take the work away from the others.
- Three threads: one changes indexes, one ranks, one merges large segments. Between them stand segments and the `View`,
  which never change.
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

LOADED_BYTES_MAX = 1 << 30  # the index that was not used for the longest time goes, and is built again when it is
SLICE = 64  # chunks, or documents, read between two chances for other calls
BUFFERED_MAX = 256  # chunks that wait to be indexed together
PAUSE_SECONDS = 1.0  # without a change, before an index is tidied
_FREED_SHARE = 8  # of the size of an index: about what it takes to build and merge it, in blocks of all sizes


class _Staged(msgspec.Struct):
    """A document whose chunks are in the index, as far as an ordinal, and which is not published yet."""

    slot: int
    next: int = 0


class _Entry(msgspec.Struct, eq=False):
    """A collection's index, the versions it holds, and the files whose documents have changed since."""

    key: Key
    index: LiveIndex | None = None
    is_complete: bool = False  # whether it has held all documents, so that `changed_files` is what it lacks
    versions: dict[str, int] = msgspec.field(default_factory=dict)  # slots by file id; the view has the numbers
    staged: dict[str, _Staged] = msgspec.field(default_factory=dict)  # by file id
    slots: int = 0  # given so far
    new_files: list[str] = msgspec.field(default_factory=list)  # of slots that the index has not heard of
    buffer: list[tuple[int, IndexRow]] = msgspec.field(default_factory=list)
    gone: list[int] = msgspec.field(default_factory=list)  # slots that the index has not heard of
    changed_files: set[str] = msgspec.field(default_factory=set)
    changes: int = 0  # heard of so far
    changes_held: int = -1  # of these, how many the index holds
    work: asyncio.Task[None] | None = None
    tidying: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle | None = None
    bytes: int = 0

    def new_slot(self, file_id: str) -> int:
        """A slot for a document."""
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
        """Rank the chunks of a collection as it is now. One without indexed documents needs no index, and no numpy."""
        if not self._chunks.versions(team, collection_id, 0, self._chunks.last_version(), 1):
            from emulator.store.index.collection_index import IndexResult

            return IndexResult([], [])
        entry = self._entry((team, collection_id))
        index = await self._up_to_date(entry)
        from emulator.store.index.live_index import answer

        return await _run(self._ranking, partial(answer, index.view, query))

    async def stage(self, team: str, collection_id: str, file_id: str, rows: Sequence[IndexRow]) -> None:
        """Take chunks of a document that were just written: all that it has, from the first one, in order."""
        entry = self._entry((team, collection_id))
        if entry.index is None and self._files.names(team, collection_id):
            await self._have(entry, self._open, lambda: entry.index is not None)  # its files take the first slots
        staged = entry.staged.get(file_id)
        if staged is None:
            if rows and rows[0].ordinal:
                return  # the entry is newer than the first chunks; all are read when the document is published
            staged = entry.staged[file_id] = _Staged(entry.new_slot(file_id))
        entry.buffer += [(staged.slot, row) for row in rows]
        staged.next += len(rows)
        self._plan(entry)
        await self._have(entry, self._flush, lambda: len(entry.buffer) < BUFFERED_MAX)

    async def _have(self, entry: _Entry, work: Work, is_done: Callable[[], bool]) -> None:
        """Do work on an entry until it is done. If it fails the entry goes, and the next search meets the error."""
        while not is_done() and self._entries.get(entry.key) is entry:
            if entry.work is None:
                entry.work = asyncio.create_task(self._working(entry, work))
            with suppress(Exception):
                await asyncio.shield(entry.work)

    def on_publish(self, team: str, collection_id: str, file_id: str) -> None:
        """Note that a document is to be found."""
        self._note(team, collection_id, file_id)

    def on_remove(self, team: str, collection_id: str, file_id: str) -> None:
        """Note that a document is not to be found any more, and that its chunks will be written again."""
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
        """Drop the indexes of a team: needed where its rows are changed by other means than `Chunks`."""
        loaded = [collection_id for owner, collection_id in self._entries if owner == team]
        for collection_id in {*loaded, *self._files.collections(team)}:
            self.on_drop(team, collection_id)

    def _evict(self, key: Key) -> None:
        """Keep an index no longer in memory. Who uses it keeps it until then."""
        entry = self._entries.pop(key, None)
        if entry is not None and entry.timer is not None:
            entry.timer.cancel()

    def loaded_bytes(self, team: str, collection_id: str) -> int:
        """The memory that the index of a collection takes now."""
        entry = self._entries.get((team, collection_id))
        return 0 if entry is None else entry.bytes

    def close(self) -> None:
        """End all work and the threads, and save what is not saved."""
        entries = list(self._entries.values())
        for entry in entries:
            for task in (entry.work, entry.tidying):
                if task is not None:
                    task.cancel()
            self._evict(entry.key)
        for thread in (self._changing, self._merging, self._ranking):
            thread.shutdown()
        for entry in entries if self._files.are_kept else ():
            if entry.work is None:  # else it was cut off, and the next start reads the rest from the rows
                with suppress(OSError):
                    self._finish(entry)

    def _entry(self, key: Key) -> _Entry:
        """The entry of a collection, which is the last to go from now on."""
        entry = self._entries.setdefault(key, _Entry(key))
        self._entries.move_to_end(key)
        return entry

    def _limit_memory(self) -> None:
        """Drop what was not used for the longest time, but never the last one used."""
        used = sum(entry.bytes for entry in self._entries.values())
        while used > LOADED_BYTES_MAX and len(self._entries) > 1:
            oldest = next(iter(self._entries.values()))
            used -= oldest.bytes
            self._evict(oldest.key)

    # --- bringing an entry up to date

    async def _up_to_date(self, entry: _Entry) -> LiveIndex:
        """Return the index with all changes up to now."""
        wanted = entry.changes
        while entry.index is None or entry.changes_held < wanted:
            if entry.work is None:
                entry.work = asyncio.create_task(self._working(entry, self._catch_up))
            await asyncio.shield(entry.work)
        return entry.index

    async def _working(self, entry: _Entry, work: Work) -> None:
        """Do a piece of work on an entry. If that fails, the next search starts from the rows."""
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
        """Let the index hold all documents as they are now."""
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
        """Index the chunks that wait for it; where a search waits too, leave most merges to a later call."""
        index = await self._opened(entry)
        files, entry.new_files = entry.new_files, []
        rows, entry.buffer = entry.buffer, []
        await _run(self._changing, partial(_add, index, files, rows, is_waited_for=is_waited_for))

    async def _opened(self, entry: _Entry) -> LiveIndex:
        if entry.index is None:
            names = self._files.names(*entry.key)
            index, entry.versions = await _run(self._changing, partial(_read_index, self._files, names))
            entry.index, entry.slots = index, entry.slots + index.slots  # none were given before if there are files
            self._plan(entry)  # they may be many
        return entry.index

    async def _open(self, entry: _Entry) -> None:
        await self._opened(entry)

    async def _compared(self, entry: _Entry, last: int) -> tuple[list[str], list[DocumentVersion]]:
        """Compare all documents: the files whose versions are stale, and the versions that are new, in order."""
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
        """Compare the documents that have changed: what `_compared` returns."""
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
        """The numbers of the versions that the index holds, by file id."""
        if entry.index is None or not entry.versions:
            return {}
        numbers = entry.index.view.numbers.tolist()
        return {file_id: numbers[slot] for file_id, slot in entry.versions.items()}

    async def _read(self, entry: _Entry, version: DocumentVersion) -> int:
        """Read what was not staged of a version, and return its slot."""
        staged = entry.staged.pop(version.file_id, None) or _Staged(entry.new_slot(version.file_id))
        while rows := self._chunks.rows(*entry.key, version, staged.next - 1, SLICE):
            entry.buffer += [(staged.slot, row) for row in rows]
            staged.next = rows[-1].ordinal + 1
            if len(entry.buffer) >= BUFFERED_MAX:
                await self._flush(entry)
        return staged.slot

    # --- pauses

    def _plan(self, entry: _Entry) -> None:
        """Tidy an index after a pause in its changes."""
        if entry.timer is None:
            with suppress(RuntimeError):  # no loop is running
                loop = asyncio.get_running_loop()
                entry.timer = loop.call_later(PAUSE_SECONDS, self._pause, entry, entry.changes + entry.slots)

    def _pause(self, entry: _Entry, changes: int) -> None:
        entry.timer = None
        if entry.work is not None or entry.tidying is not None or entry.changes + entry.slots != changes:
            self._plan(entry)
        elif entry.index is not None:  # a small one is not begun before it is needed
            entry.tidying = asyncio.create_task(self._tidy(entry, entry.index))

    async def _tidy(self, entry: _Entry, index: LiveIndex) -> None:
        """Bring an index up to date and leave it in few segments. It is searched and changed meanwhile."""
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
        """Write what has no file. A full disk costs the next start some time, and nothing else."""
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
            return  # what little there is will be read from the rows
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
