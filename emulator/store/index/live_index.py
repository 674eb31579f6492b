"""The index of one collection: segments that grow, and the view of them that searches rank.

All methods run in the thread that changes indexes, except `view` and `answer`, which may run in another one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy

from emulator.core import memory
from emulator.domain.collections import MetricSpace
from emulator.domain.search import KeywordQuery
from emulator.store.chunks import DocumentVersion, IndexRow
from emulator.store.index import scoring, segments
from emulator.store.index.analysis import ANALYSIS_VERSION, terms_of
from emulator.store.index.collection_index import Accepts, Hit, IndexQuery, IndexResult
from emulator.store.index.postings import CHUNKS_MAX
from emulator.store.index.scoring import Scores
from emulator.store.index.segment_files import SavedDocument, SegmentFiles
from emulator.store.index.segments import Segment
from emulator.store.index.selection import best
from emulator.store.index.view import View

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

BUILT_AT_ONCE = 256  # chunks
_FAN = 8  # this many segments of about one size are merged
_LEVEL_BITS = 3  # of a level of size: each is 8 times the one below
_LEVELS = 5  # levels whose segments are merged at once; larger ones are merged after a pause
LEVELS_OF_SEARCH = 2  # while a search waits
_GONE_MAX = 0.25  # the largest share of removed chunks in a segment that is not merged
_UNDECIDED, _GONE = 0, -1  # instead of the number of a version: written but not published, or removed


class LiveIndex:
    """Segments, and the documents that can be found in them."""

    def __init__(self, found: Sequence[Segment] = (), file_ids: Sequence[str] = ()) -> None:
        """Make an index of segments that were read. Their slots belong to `file_ids`; no document can be found yet."""
        self._segments = list(found)
        self._file_ids = list(file_ids)
        self._numbers = numpy.full(max(len(file_ids), 64), _UNDECIDED, numpy.int64)
        self.view = View((), self._numbers, self._file_ids)

    @property
    def bytes(self) -> int:
        """Return the memory that the segments take."""
        return _bytes_of(self._segments)

    def add_slots(self, file_ids: Sequence[str]) -> None:
        """Assign the next slots to documents. They can be found once they have a version."""
        self._file_ids += file_ids
        if len(self._file_ids) > len(self._numbers):
            grown = numpy.full(len(self._file_ids) * 3 // 2, _UNDECIDED, numpy.int64)
            grown[: len(self._numbers)] = self._numbers
            self._numbers = grown

    def add(self, rows: Sequence[tuple[int, IndexRow]], levels: int = _LEVELS) -> None:
        """Append chunks, each with the slot of its document. Merge segments of the lowest `levels` levels at once."""
        for start in range(0, len(rows), BUILT_AT_ONCE):
            self._segments.append(segments.built(rows[start : start + BUILT_AT_ONCE]))
            self._merge_equals(levels)

    def set_versions(self, numbers: Mapping[int, int], gone: Iterable[int]) -> None:
        """Set the versions of documents by slot, and remove others. Searches see the whole change at once."""
        for slot in gone:
            self._numbers[slot], self._file_ids[slot] = _GONE, ""
        for slot, number in numbers.items():
            self._numbers[slot] = number
        self._show()

    def _show(self) -> None:
        count = len(self._file_ids)
        self.view = View(tuple(self._segments), self._numbers[:count].copy(), self._file_ids)

    def _merge_equals(self, levels: int) -> None:
        """Merge the smallest segments while enough of them are of about one size, or smaller."""
        self._segments.sort(key=len, reverse=True)
        for level in range(levels):
            small = [each for each in self._segments if _level(len(each)) <= level]
            if len(small) >= _FAN:
                self._segments[-len(small) :] = self.merge(small)
                memory.freed(_bytes_of(small))

    def plan(self) -> list[list[Segment]]:
        """Return the segments to merge, so that few remain, and none with a large share of removed chunks."""
        groups: list[list[Segment]] = [[]]
        for segment in sorted(self._segments, key=len, reverse=True):
            if sum(map(len, groups[-1])) + len(segment) > CHUNKS_MAX:
                groups.append([])
            groups[-1].append(segment)
        return [each for each in groups if len(each) > 1 or any(self._gone_share(part) > _GONE_MAX for part in each)]

    def replace(self, parts: Sequence[Segment], merged: Sequence[Segment]) -> None:
        """Replace segments by the one they were merged into, if all of them are still there."""
        gone = {id(part) for part in parts}
        kept = [each for each in self._segments if id(each) not in gone]
        if len(kept) + len(gone) == len(self._segments):
            self._segments = [*kept, *merged]
            self._show()

    def _gone_share(self, segment: Segment) -> float:
        return float((self._numbers[segment.slots] == _GONE).mean())

    def merge(self, parts: Sequence[Segment]) -> list[Segment]:
        """Merge segments into one, or none, without removed chunks; in any thread. `replace` installs the result."""
        masks = [self._numbers[part.slots] != _GONE for part in parts]
        kept = [
            part if mask.all() else part.without(mask) for part, mask in zip(parts, masks, strict=True) if mask.any()
        ]
        return [segments.merged(kept)] if len(kept) > 1 else kept

    # --- files

    @property
    def slots(self) -> int:
        """Return how many slots were assigned."""
        return len(self._file_ids)

    @classmethod
    def read(cls, files: SegmentFiles, names: Iterable[str]) -> tuple[LiveIndex, dict[str, int]]:
        """Return an index of files, and the slots of the documents that are complete in it, in some version."""
        slots: dict[SavedDocument, int] = {}
        chunks: Counter[int] = Counter()
        found: list[Segment] = []
        for name in names:
            read = files.read(name, ANALYSIS_VERSION)
            if read is not None:
                segment, documents = read
                mine = numpy.array([slots.setdefault(each, len(slots)) for each in documents], numpy.uint32)
                segment = msgspec.structs.replace(segment, slots=mine[segment.slots])
                chunks.update(dict(enumerate(numpy.bincount(segment.slots).tolist())))
                found.append(segment)
        index = cls(found, [each.file_id for each in slots])
        whole: dict[str, int] = {}
        for document, slot in sorted(slots.items(), key=lambda item: item[0].number):
            if chunks[slot] == document.chunks:  # a file with others of its chunks may be missing
                whole[document.file_id] = slot
        numbers = {slot: document.number for document, slot in slots.items() if whole.get(document.file_id) == slot}
        index.set_versions(numbers, [slot for slot in range(len(slots)) if slot not in numbers])
        return index, whole

    def unsaved(self) -> list[Unsaved]:
        """Return the segments without a file, ready to be written; none with an unpublished document."""
        counts = numpy.zeros(len(self._file_ids), numpy.int64)
        for segment in self._segments:
            counts += numpy.bincount(segment.slots, minlength=len(counts))
        found = []
        for segment in self._segments:
            slots, local = numpy.unique(segment.slots, return_inverse=True)
            numbers = self._numbers[slots]
            if segment.name is None and (numbers != _UNDECIDED).all():
                documents = [
                    SavedDocument(int(self._numbers[slot]), self._file_ids[slot], int(counts[slot]))
                    for slot in slots.tolist()
                ]
                saved = msgspec.structs.replace(segment, slots=local.astype(numpy.uint32))
                found.append(Unsaved(segment, saved, documents))
        return found

    def set_names(self, names: Mapping[int, str]) -> set[str]:
        """Store the names of the files of segments by their identity; return the files of all current segments."""
        self._segments = [
            msgspec.structs.replace(each, name=names[id(each)]) if id(each) in names else each
            for each in self._segments
        ]
        return {each.name for each in self._segments if each.name is not None}


class Unsaved(msgspec.Struct, frozen=True):
    """A segment without a file, and a copy to write, whose slots are indices into `documents`."""

    segment: Segment
    saved: Segment
    documents: list[SavedDocument]

    def write(self, files: SegmentFiles) -> str:
        """Write the segment, in any thread, and return the name of its file. Raises OSError."""
        return files.write(self.saved, self.documents, ANALYSIS_VERSION)


def _bytes_of(parts: Iterable[Segment]) -> int:
    return sum(part.bytes for part in parts)


def _level(chunks: int) -> int:
    """Return the level of a segment; segments of a level have about the same size."""
    return (chunks - 1).bit_length() // _LEVEL_BITS


def rank_texts(texts: Sequence[str], query: KeywordQuery, depth: int) -> list[tuple[int, float]]:
    """Return the indices and scores of the texts that match a query, best first, as an index of these texts does."""
    rows = [(0, IndexRow(place, text, b"")) for place, text in enumerate(texts)]
    index = LiveIndex((), [""])
    index.add(rows)
    index.set_versions({0: 1}, ())
    hits = answer(index.view, IndexQuery(query, None, MetricSpace.COSINE, depth)).keyword
    return [(hit.ordinal, hit.score) for hit in hits]


def answer(view: View, query: IndexQuery) -> IndexResult:
    """Rank the chunks of a view."""
    accepted = None if query.accepts is None else _accepted(view, query.accepts)
    keyword: list[Hit] = []
    vector: list[Hit] = []
    depth = query.depth if accepted is None else None  # else the rank among all chunks is needed
    if query.keywords is not None:
        keyword = _hits(view, scoring.by_terms(view, terms_of(query.keywords), depth), 0, query.depth, accepted)
    if query.vector is not None or query.spelling is not None:
        if query.vector is not None:
            scores = Scores(scoring.by_vector(view, query.vector, query.metric))
        else:
            scores = scoring.by_spelling(view, query.spelling or "", query.metric, depth)
        vector = _hits(view, scores, -numpy.inf, query.depth, accepted)
    return IndexResult(keyword, vector)


def _accepted(view: View, accepts: Accepts) -> Array:
    """Return a mask of the chunks of the documents that a filter accepts."""
    numbers = view.numbers.tolist()
    documents = [number > 0 and accepts(view.file_ids[slot]) for slot, number in enumerate(numbers)]
    mask: Array = numpy.array(documents, numpy.bool_)[view.slots]
    return mask


def _hits(view: View, scores: Scores, above: float, depth: int | None, accepted: Array | None) -> list[Hit]:
    values, chunks = scores
    order = view.order if chunks is None else view.order[chunks]
    places, ranks = best(values, order, above, depth, accepted)
    chosen = places if chunks is None else chunks[places]
    slots = view.slots[chosen].tolist()
    versions = {slot: DocumentVersion(int(view.numbers[slot]), view.file_ids[slot]) for slot in set(slots)}
    ordinals = (view.order[chosen] & 0x7FFF_FFFF).tolist()
    columns = zip(slots, ordinals, ranks.tolist(), values[places].tolist(), strict=True)
    return [Hit(versions[slot], ordinal, rank, score) for slot, ordinal, rank, score in columns]
