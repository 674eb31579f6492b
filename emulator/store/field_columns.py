"""The fields of a collection's documents in columns, so that a filter looks at each value once, not at each document.

A column has a code for each document, and the distinct values in two orders: as numbers and as texts. A comparison is
true for a run of one of these orders, whose ends are found by bisection with the plain test of the comparison itself.
So a filter accepts what the plain evaluation accepts, and a range over any number of documents takes a few dozen tests.

Columns are made when a collection is first filtered, for those that were filtered last. From then on triggers of this
connection note which documents change, whatever changes them; a change that is rolled back takes its note with it.
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
    """One field of all documents."""

    def __init__(self, number_of: Callable[[str], Any]) -> None:
        import numpy

        self._number_of = number_of
        self.codes: Array = numpy.full(64, _ABSENT, numpy.int32)  # of each row
        self._values: list[str] = []  # by code
        self._code_of: dict[str, int] = {}
        self._numbers: Array | None = None  # codes of those that are numbers, ascending; None before they are needed
        self._texts: Array | None = None  # codes of all, in code point order

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
        """Which of `count` rows have one of the codes, or any where they are None; `absent`: which have no value."""
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
        """The code of a value, if some document has it."""
        import numpy

        return numpy.array([self._code_of[value]] if value in self._code_of else [], numpy.int32)

    def run(self, order: Array, begins: Test | None, ends: Test | None) -> Array:
        """The codes from the first value in an order for which `begins` is true to before that of `ends`.

        Both are false for the values up to some place, and true from there on; None is the begin, or the end.
        """
        begin = 0 if begins is None else bisect_left(order, True, key=lambda code: begins(self._values[code]))
        end = len(order) if ends is None else bisect_left(order, True, key=lambda code: ends(self._values[code]))
        return order[begin:end]

    @property
    def numbers(self) -> Array:
        """The codes of values that are numbers, in their order."""
        if self._numbers is None:
            numbers = ((self._number_of(value), code) for code, value in enumerate(self._values))
            self._numbers = _in_order([pair for pair in numbers if pair[0] is not None])
        return self._numbers

    @property
    def texts(self) -> Array:
        """The codes of all values, in code point order."""
        if self._texts is None:
            self._texts = _in_order([(value, code) for code, value in enumerate(self._values)])
        return self._texts


class Columns:
    """The documents of a collection by row, and a column for each field that some of them has."""

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
        """The column of a field."""
        column = self._columns.get(key)
        if column is None:
            column = self._columns[key] = Column(self._number_of)
        return column

    def peek(self, key: str) -> Column:
        """The column of a field, which is not kept where no document has the field."""
        return self._columns.get(key) or Column(self._number_of)

    @property
    def rows(self) -> int:
        """How many rows a mask has."""
        return len(self._file_ids)

    def chosen(self, mask: Array) -> set[str]:
        """The file ids of the rows of a mask."""
        ids = self._file_ids
        return {ids[row] for row in mask.nonzero()[0].tolist()} - {None}  # type: ignore[return-value]


class FieldColumns:
    """The columns of the collections that were filtered last."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._kept: OrderedDict[tuple[str, str], Columns] = OrderedDict()
        self._used = asyncio.Lock()  # columns change as they are brought up to date, and are looked at in threads

    @asynccontextmanager
    async def of(self, team: str, collection_id: str, number_of: Callable[[str], Any]) -> AsyncIterator[Columns]:
        """The columns of a collection as it is now, which do not change inside. `number_of` orders them as numbers."""
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
        """Documents that were changed since the last call."""
        rows = self._db.rows(f"SELECT DISTINCT file_id FROM temp.changed WHERE {_ONE} ORDER BY file_id", key)
        if rows:
            self._db.write(f"DELETE FROM temp.changed WHERE {_ONE}", key)
        return [row[0] for row in rows]


def _in_order(pairs: list[tuple[Any, int]]) -> Array:
    """The codes of pairs of a value and a code, by value. No step of it keeps the interpreter for long."""
    import numpy

    pieces = [sorted(pairs[start : start + _SORTED_AT_ONCE]) for start in range(0, len(pairs), _SORTED_AT_ONCE)]
    return numpy.fromiter((code for _, code in heapq.merge(*pieces)), numpy.int32, len(pairs))
