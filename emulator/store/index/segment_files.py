"""Segments in files below the data directory, so that an index can be loaded after a restart.

    index/xai-index-HEX        a segment: never written again, removed when another replaces it
    index/xai-index-HEX.part   one that is being written

The table `index_segments` assigns files to collections. It changes in the transaction that changes the collection, so a
process that dies can only leave files that the table does not name; the next start removes them. A file contains the
versions of its documents and the number of chunks of each. If these differ from the rows, if a checksum is wrong, or if
another version of the emulator made the terms, documents are indexed from their rows. So no file is ever needed, and
none can make a search wrong.
"""

from __future__ import annotations

import math
import mmap
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from emulator.core import ids
from emulator.core.lazy_pattern import lazy_pattern
from emulator.core.locks import PRIVATE_DIRECTORY, PRIVATE_FILE
from emulator.store.database import Database

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emulator.store.index.segments import Segment

    Array = NDArray[Any]

INDEX = "index"  # name of the directory
FORMAT_VERSION = 1
_NAME = lazy_pattern(r"xai-index-[0-9a-f]{32}(\.part)?")
_MAGIC = b"xai-index\n"
_HEAD = struct.Struct("<10sIII")  # magic, format version, bytes of the header, its checksum
_ALIGNED = 64  # arrays begin at multiples of this many bytes


class SavedDocument(msgspec.Struct, frozen=True, array_like=True):
    """A document of a segment: its version, and the number of its chunks in all segments."""

    number: int
    file_id: str
    chunks: int


class _SavedArray(msgspec.Struct, frozen=True, array_like=True):
    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int  # from the end of the header
    checksum: int


class _Header(msgspec.Struct, frozen=True):
    analysis: int
    documents: list[SavedDocument]
    arrays: list[_SavedArray]


class SegmentFiles:
    """The files of all collections. Without a directory no segment is saved."""

    def __init__(self, database: Database, directory: Path | None) -> None:
        """Open the directory, and remove the files that a process that died has left in it."""
        self._db = database
        self._directory = None if directory is None else directory / INDEX
        if self._directory is not None:
            known = {row[0] for row in database.rows("SELECT name FROM index_segments")}
            self.remove({path.name for path in _made(self._directory)} - known)

    @property
    def are_kept(self) -> bool:
        """Return whether segments are saved."""
        return self._directory is not None

    def names(self, owner: str, collection_id: str) -> list[str]:
        """Return the files of a collection of a team."""
        rows = self._db.rows(
            "SELECT name FROM index_segments WHERE owner = ? AND collection_id = ? ORDER BY name",
            (owner, collection_id),
        )
        return [row[0] for row in rows]

    def set_names(self, owner: str, collection_id: str, names: Iterable[str]) -> set[str]:
        """Replace the files of a collection; return those that it does not have any more."""
        before, after = set(self.names(owner, collection_id)), set(names)
        with self._db.transaction():
            self._db.write_many("DELETE FROM index_segments WHERE name = ?", ((name,) for name in before - after))
            self._db.write_many(
                "INSERT INTO index_segments (name, owner, collection_id) VALUES (?, ?, ?)",
                ((name, owner, collection_id) for name in after - before),
            )
        return before - after

    def forget(self, owner: str, collection_id: str) -> list[str]:
        """Remove the files of a collection from the table; return them, for removal after the transaction."""
        names = self.names(owner, collection_id)
        if names:
            self._db.write("DELETE FROM index_segments WHERE owner = ? AND collection_id = ?", (owner, collection_id))
        return names

    def collections(self, owner: str) -> list[str]:
        """Return the ids of a team's collections that have files."""
        rows = self._db.rows("SELECT DISTINCT collection_id FROM index_segments WHERE owner = ?", (owner,))
        return [row[0] for row in rows]

    def remove_unknown(self, names: Iterable[str]) -> None:
        """Remove those files that the table does not name: a rolled back transaction keeps its own."""
        self.remove(
            name for name in names if self._db.row("SELECT 1 FROM index_segments WHERE name = ?", (name,)) is None
        )

    def remove(self, names: Iterable[str]) -> None:
        """Remove files, in any thread. The next start removes those that cannot be removed now."""
        for name in names if self._directory is not None else ():
            with suppress(OSError):
                (self._path(name)).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        assert self._directory is not None
        return self._directory / name

    def write(self, segment: Segment, documents: list[SavedDocument], analysis: int) -> str:
        """Write a segment, whose slots are indices into `documents`, and return its name. Raises OSError."""
        assert self._directory is not None
        self._directory.mkdir(PRIVATE_DIRECTORY, exist_ok=True)
        name = f"xai-index-{ids.fresh_name()}"
        part = self._path(f"{name}.part")
        arrays, saved, at = {key: _contiguous(each) for key, each in segment.arrays.items()}, list[_SavedArray](), 0
        for key, array in arrays.items():
            saved.append(_SavedArray(key, array.dtype.str, array.shape, at, zlib.crc32(array.data)))
            at = _aligned(at + array.nbytes)
        header = msgspec.json.encode(_Header(analysis, documents, saved))
        try:
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE), "wb") as file:
                file.write(_HEAD.pack(_MAGIC, FORMAT_VERSION, len(header), zlib.crc32(header)))
                file.write(header)
                begin = _aligned(_HEAD.size + len(header))
                for each in saved:
                    file.seek(begin + each.offset)
                    file.write(arrays[each.name].data)
            os.replace(part, self._path(name))
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return name

    def read(self, name: str, analysis: int) -> tuple[Segment, list[SavedDocument]] | None:
        """Map a segment into memory; None if it is missing, damaged, or made with another version of the analysis."""
        try:
            with open(self._path(name), "rb") as file:
                content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            magic, version, size, checksum = _HEAD.unpack_from(content)
            raw = content[_HEAD.size : _HEAD.size + size]
            if (magic, version) != (_MAGIC, FORMAT_VERSION) or zlib.crc32(raw) != checksum:
                return None
            header = msgspec.json.decode(raw, type=_Header)
            if header.analysis != analysis:
                return None
            return _segment(name, dict(_arrays(content, _aligned(_HEAD.size + size), header))), header.documents
        except (OSError, ValueError, KeyError, TypeError, struct.error, msgspec.DecodeError):
            return None


def _contiguous(array: Array) -> Array:
    import numpy

    return numpy.ascontiguousarray(array)


def _arrays(content: mmap.mmap, begin: int, header: _Header) -> Iterator[tuple[str, Array]]:
    """Yield every array of a file with its name. Raises ValueError if one is damaged."""
    import numpy

    for each in header.arrays:
        dtype = numpy.dtype(each.dtype)
        count = math.prod(each.shape)
        if not count:
            yield each.name, numpy.zeros(each.shape, dtype)
            continue
        array = numpy.frombuffer(content, dtype, count, begin + each.offset)
        if zlib.crc32(memoryview(content)[begin + each.offset :][: array.nbytes]) != each.checksum:
            raise ValueError(f"{each.name} is damaged")
        yield each.name, array.reshape(each.shape)


def _segment(name: str, arrays: dict[str, Array]) -> Segment:
    from emulator.store.index.segments import Segment

    return Segment.of_arrays(arrays, name)


def _aligned(offset: int) -> int:
    return -(-offset // _ALIGNED) * _ALIGNED


def _made(directory: Path) -> Iterator[Path]:
    """Yield the files that match the names of segments; the directory may be missing."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(directory) as entries:
        for entry in entries:
            if _NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                yield Path(entry.path)
