"""Derive the columns of a table from the fields of a struct: a new field is declared in the struct and in schema.sql.

A field is stored in the column of its name, an enum by its value and a bool as 0 or 1. A struct is stored in the
columns `field_subfield`, which are NULL if it is None; its first field is never None. Other types need an `Encoding`.
"""

from __future__ import annotations

import enum
import inspect
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, Generic, NamedTuple, TypeVar, get_args

import msgspec

T = TypeVar("T", bound=msgspec.Struct)


class Encoding(NamedTuple):
    """Converts the values of a field to column values and back; `decode` of None uses the column value as it is."""

    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any] | None


def json_text(shape: Any) -> Encoding:
    """Return an encoding as JSON text."""
    return Encoding(lambda value: msgspec.json.encode(value).decode(), json_decoder(shape))


def json_decoder(shape: Any) -> Callable[[str | bytes], Any]:
    """Return a function that decodes JSON. It makes its decoder, which is slow for a union, at the first use."""
    decoder = cache(lambda: msgspec.json.Decoder(shape))
    return lambda text: decoder().decode(text)


class _Field(NamedTuple):
    columns: list[str]
    encode: Callable[[Any], Iterable[Any]]
    decode: Callable[..., Any] | None  # takes all columns; not called for a struct that is None


class Columns(Generic[T]):
    """Converts between the structs of a type and the rows of a table.

    `computed` are fields that the database computes, with the SQL that selects each, or None if the column has its
    name. They are selected, not inserted. `joined` are fields whose structs are rows of other tables: the caller joins
    them in `select`, and inserts them separately.
    """

    def __init__(
        self,
        struct: type[T],
        table: str,
        *,
        computed: Mapping[str, str | None] = types.MappingProxyType({}),
        encodings: Mapping[str, Encoding] = types.MappingProxyType({}),
        joined: Mapping[str, Columns[Any]] = types.MappingProxyType({}),
    ) -> None:
        hints = _hints(struct)
        own = {name: _field(name, hints[name], encodings.get(name)) for name in hints if name not in joined}
        self._fields = own
        self.selected: list[str] = []
        for name in hints:
            columns = [] if name in joined else own[name].columns
            self.selected += [computed.get(name) or f"{table}.{column}" for column in columns]
            self.selected += joined[name].selected if name in joined else ()
        self.select = f"SELECT {', '.join(self.selected)} FROM {table}"
        self._inserted = [name for name in own if name not in computed]
        inserted = ["team", *(column for name in self._inserted for column in own[name].columns)]
        self.insert = f"INSERT INTO {table} ({', '.join(inserted)}) VALUES ({', '.join('?' * len(inserted))})"
        self.read = self._reader(struct, joined)

    def _reader(self, struct: type[T], joined: Mapping[str, Columns[Any]]) -> Callable[[tuple[Any, ...]], T]:
        """Return a function that makes a struct from a row that was selected with `selected`.

        It is compiled from one expression, as dataclasses do, because a page of a list reads a hundred rows.
        """
        arguments: list[str] = []
        known: dict[str, Any] = {"struct": struct}
        place = 0
        for name in struct.__struct_fields__:
            width = len(joined[name].selected if name in joined else self._fields[name].columns)
            cells = ", ".join(f"row[{number}]" for number in range(place, place + width))
            if name in joined:
                known[name] = joined[name].read
                arguments.append(f"{name}(({cells},))")
            elif (decode := self._fields[name].decode) is None:
                arguments.append(cells)
            else:
                known[name] = decode
                arguments.append(f"None if row[{place}] is None else {name}({cells})")
            place += width
        read: Callable[[tuple[Any, ...]], T] = eval(f"lambda row: struct({', '.join(arguments)})", known)
        return read

    def row(self, team: str, value: T) -> tuple[Any, ...]:
        """Return the parameters of `insert`."""
        return team, *self.values(value, self._inserted)

    def values(self, value: T, fields: Iterable[str]) -> list[Any]:
        """Return the column values of some fields, in the order of their columns."""
        return [each for name in fields for each in self._fields[name].encode(getattr(value, name))]

    def assigned(self, fields: Iterable[str]) -> str:
        """Return the SET clause for the `values` of the same fields."""
        return ", ".join(f"{column} = ?" for name in fields for column in self._fields[name].columns)


def _hints(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the types of the fields, like `typing.get_type_hints`, which would compile each of them separately."""
    hints: dict[str, Any] = {}
    for each in reversed(struct.__mro__):
        source = ", ".join(f"{name!r}: {hint}" for name, hint in inspect.get_annotations(each).items())
        hints |= eval(f"{{{source}}}", vars(sys.modules[each.__module__]))
    return hints


def _field(name: str, hint: Any, encoding: Encoding | None) -> _Field:
    others = [each for each in get_args(hint) if each is not types.NoneType]
    kind = others[0] if len(others) == 1 and types.NoneType in get_args(hint) else hint
    if encoding is not None:
        encode, decode = encoding
        return _Field([name], lambda value: (encode(value),), decode)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        columns = [f"{name}_{each}" for each in kind.__struct_fields__]
        absent = (None,) * len(columns)
        return _Field(columns, lambda value: absent if value is None else msgspec.structs.astuple(value), kind)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        members = {member.value: member for member in kind}  # much faster than a look-up in the enum
        return _Field([name], lambda value: (None if value is None else value.value,), members.__getitem__)
    return _Field([name], lambda value: (value,), bool if kind is bool else None)
