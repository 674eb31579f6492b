"""The fields of a collection's documents in columns, so that a filter tests each distinct value once.

A column has a code for each document, and the distinct values in two orders: as numbers and as texts. A comparison is
true for a contiguous range of one of these orders, whose ends are found by bisection with the test of the comparison
itself. So a filter accepts what the evaluation per document accepts, and a range takes a few dozen tests for any number
of documents.

The columns of a collection are built by its first filter, and kept for the collections that were filtered last. From
then on triggers of this connection record which documents change, whatever changes them; the rollback of a change
removes its record too.
"""

from __future__ import annotations

import asyncio
import heapq
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from emulator.core.time_slices import TimeSlices
from emulator.store.database import Database

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

Test = Callable[[str], bool]
_KEPT = 16  # collections
_SLICE = 200  # documents read at once
_SORTED_AT_ONCE = 10_000
_ABSENT = -1  # the code of a document without the field
_FIELDS = msgspec.json.Decoder(dict[str, str])
_ONE = "team = ? AND collection_id = ?"
_SCHEMA = """
CREATE TEMP TABLE IF NOT EXISTS watched (team TEXT, collection_id TEXT, UNIQUE (team, collection_id));
CREATE TEMP TABLE IF NOT EXISTS changed (team TEXT, collection_id TEXT, file_id TEXT);
"""
_TRIGGER = """
CREATE TEMP TRIGGER IF NOT EXISTS watched_{name} AFTER {event} ON main.documents
WHEN EXISTS (SELECT 1 FROM watched WHERE team = {row}.team AND collection_id = {row}.collection_id)
BEGIN INSERT INTO changed VALUES ({row}.team, {row}.collection_id, {row}.file_id); END
"""


class Column:
    """The values of one field in all documents."""

    def __init__(self, number_of: Callable[[str], Any]) -> None:
        import numpy

        self._number_of = number_of
        self.codes: Array = numpy.full(64, _ABSENT, numpy.int32)  # by row
        self._values: list[str] = []  # by code
        self._code_of: dict[str, int] = {}
        self._numbers: Array | None = None  # codes of the numbers, ascending; None until they are needed
        self._texts: Array | None = None  # all codes, in code point order of their values

    def put(self, row: int, value: str | None) -> None:
        """Set the value of a row."""
        import numpy

        if row >= len(self.codes):
            grown = numpy.full(row * 2, _ABSENT, numpy.int32)
            grown[: len(self.codes)] = self.codes
            self.codes = grown
        self.codes[row] = _ABSENT if value is None else self._code(value)

    def _code(self, value: str) -> int:
        code = self._code_of.get(value)
        if code is None:
            code = self._code_of[value] = len(self._values)
            self._values.append(value)
            self._numbers = self._texts = None
        return code

    def where(self, count: int, codes: Array | None, *, absent: bool = False) -> Array:
        """Return a mask of `count` rows: with one of `codes`, or any value if None; if `absent`, with no value."""
        import numpy

        table = numpy.full(len(self._values) + 1, codes is None)
        if codes is not None:
            table[codes] = True
        table[_ABSENT] = absent
        if count > len(self.codes):
            self.put(count - 1, None)
        mask: Array = table[self.codes[:count]]
        return mask

    def equal(self, value: str) -> Array:
        """Return the code of a value, if some document has it."""
        import numpy

        return numpy.array([self._code_of[value]] if value in self._code_of else [], numpy.int32)

    def run(self, order: Array, begins: Test | None, ends: Test | None) -> Array:
        """Return the codes of a range of an order, from the first value that `begins` accepts to before that of `ends`.

        Each is false up to some value, and true from there on; None stands for the first value, or the end.
        """
        begin = 0 if begins is None else bisect_left(order, True, key=lambda code: begins(self._values[code]))
        end = len(order) if ends is None else bisect_left(order, True, key=lambda code: ends(self._values[code]))
        return order[begin:end]

    @property
    def numbers(self) -> Array:
        """Return the codes of numeric values, in numeric order."""
        if self._numbers is None:
            numbers = ((self._number_of(value), code) for code, value in enumerate(self._values))
            self._numbers = _in_order([pair for pair in numbers if pair[0] is not None])
        return self._numbers

    @property
    def texts(self) -> Array:
        """Return the codes of all values, in code point order."""
        if self._texts is None:
            self._texts = _in_order([(value, code) for code, value in enumerate(self._values)])
        return self._texts


class Columns:
    """The documents of a collection by row, and a column for each field that some document has."""

    def __init__(self, number_of: Callable[[str], Any]) -> None:
        self._number_of = number_of
        self._rows: dict[str, int] = {}  # by file id
        self._file_ids: list[str | None] = []  # by row
        self._free: list[int] = []
        self._columns: dict[str, Column] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, file_id: str, fields: Mapping[str, str] | None) -> None:
        """Set the fields of a document, or remove it."""
        row = self._rows.get(file_id)
        if row is None:
            if fields is None:
                return
            row = self._free.pop() if self._free else len(self._file_ids)
            self._rows[file_id] = row
            self._file_ids[row : row + 1] = [file_id]
        else:
            for key, column in self._columns.items():
                if fields is None or key not in fields:
                    column.put(row, None)
        for key, value in (fields or {}).items():
            self.column(key).put(row, value)
        if fields is None:
            del self._rows[file_id]
            self._file_ids[row] = None
            self._free.append(row)

    def column(self, key: str) -> Column:
        """Return the column of a field."""
        column = self._columns.get(key)
        if column is None:
            column = self._columns[key] = Column(self._number_of)
        return column

    def peek(self, key: str) -> Column:
        """Return the column of a field; it is not stored if no document has the field."""
        return self._columns.get(key) or Column(self._number_of)

    @property
    def rows(self) -> int:
        """Return the number of rows of a mask."""
        return len(self._file_ids)

    def chosen(self, mask: Array) -> set[str]:
        """Return the file ids of the rows of a mask."""
        ids = self._file_ids
        return {ids[row] for row in mask.nonzero()[0].tolist()} - {None}  # type: ignore[return-value]


class FieldColumns:
    """The columns of the collections that were filtered last."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._kept: OrderedDict[tuple[str, str], Columns] = OrderedDict()
        self._used = asyncio.Lock()  # columns change when they are updated, and are read in threads

    @asynccontextmanager
    async def of(self, team: str, collection_id: str, number_of: Callable[[str], Any]) -> AsyncIterator[Columns]:
        """Yield the current columns of a collection, unchanged inside. `number_of` converts values to numbers."""
        async with self._used:
            yield await self._current(team, collection_id, number_of)

    async def _current(self, team: str, collection_id: str, number_of: Callable[[str], Any]) -> Columns:
        key = (team, collection_id)
        slices = TimeSlices()
        columns = self._kept.get(key)
        if columns is None:
            columns = Columns(number_of)
            self._watch(key)
            after = ""
            while rows := self._db.rows(
                f"SELECT file_id, fields FROM documents WHERE {_ONE} AND file_id > ? ORDER BY file_id LIMIT ?",
                (*key, after, _SLICE),
            ):
                for after, fields in rows:
                    columns.put(after, _FIELDS.decode(fields))
                    await slices.pause()
            self._kept[key] = columns
        self._kept.move_to_end(key)
        if len(self._kept) > _KEPT:
            self._forget(next(iter(self._kept)))
        while changed := self._changed(key):
            for file_id in changed:
                row = self._db.row(f"SELECT fields FROM documents WHERE {_ONE} AND file_id = ?", (*key, file_id))
                columns.put(file_id, None if row is None else _FIELDS.decode(row[0]))
                await slices.pause()
        return columns

    def _watch(self, key: tuple[str, str]) -> None:
        for statement in _SCHEMA.strip().splitlines():
            self._db.write(statement)
        for name, event, row in (
            ("inserted", "INSERT", "NEW"),
            ("updated", "UPDATE OF fields", "NEW"),
            ("deleted", "DELETE", "OLD"),
        ):
            self._db.write(_TRIGGER.format(name=name, event=event, row=row))
        self._db.write("INSERT OR IGNORE INTO temp.watched VALUES (?, ?)", key)

    def _forget(self, key: tuple[str, str]) -> None:
        del self._kept[key]
        self._db.write(f"DELETE FROM temp.watched WHERE {_ONE}", key)
        self._db.write(f"DELETE FROM temp.changed WHERE {_ONE}", key)

    def _changed(self, key: tuple[str, str]) -> Collection[str]:
        """Return the documents that were changed since the last call."""
        rows = self._db.rows(f"SELECT DISTINCT file_id FROM temp.changed WHERE {_ONE} ORDER BY file_id", key)
        if rows:
            self._db.write(f"DELETE FROM temp.changed WHERE {_ONE}", key)
        return [row[0] for row in rows]


def _in_order(pairs: list[tuple[Any, int]]) -> Array:
    """Return the codes of pairs of a value and a code, ordered by value. No step holds the GIL for long."""
    import numpy

    pieces = [sorted(pairs[start : start + _SORTED_AT_ONCE]) for start in range(0, len(pairs), _SORTED_AT_ONCE)]
    return numpy.fromiter((code for _, code in heapq.merge(*pieces)), numpy.int32, len(pairs))
