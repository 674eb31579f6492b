"""Convert messages to JSON bodies and back, by tables: the name of a field on both sides, and the format of its values.

A message gives every field that is set. A body may contain anything, because it may have arrived over REST. Members
without a field in the message are omitted.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial
from typing import Any, Protocol

import msgspec

from emulator.core.clock import from_datetime, rfc3339
from emulator.core.errors import invalid
from emulator.domain.json_depth import is_deeper
from emulator.rpc.messages import load, timestamp, to_datetime
from emulator.rpc.request_metadata import is_repeated
from emulator.rpc.requests import Message

Json = dict[str, Any]
DEPTH_MAX = 64  # of JSON that is stored as such: a body that contains it stays within json_depth_max


class Codec(Protocol):
    """Two formats of one value. `to_message` raises ValueError, TypeError or KeyError for a value that does not fit."""

    def to_json(self, value: Any) -> Any: ...

    def to_message(self, value: Any) -> Any: ...


class ScalarCodec(msgspec.Struct, frozen=True):
    """The same on both sides: strings, integers, booleans."""

    type: type

    def to_json(self, value: Any) -> Any:
        return value

    def to_message(self, value: Any) -> Any:
        if not isinstance(value, self.type) or isinstance(value, bool) is not (self.type is bool):
            raise TypeError(value)
        return value


TEXT, WHOLE, FLAG = ScalarCodec(str), ScalarCodec(int), ScalarCodec(bool)


class Number:
    """A float32, with the fewest digits that identify it: 0.7, not 0.699999988079071."""

    def to_json(self, value: float) -> float | None:
        if not math.isfinite(value):
            return None
        shortest = (float(f"{value:.{digits}g}") for digits in range(6, 10))
        return next(number for number in shortest if struct.pack("f", number) == struct.pack("f", value))

    def to_message(self, value: Any) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise TypeError(value)
        return float(value)


@dataclass(frozen=True)
class EnumCodec:
    """A member of an enum: its name without the prefix, in lower case, or the name in `words`."""

    enum: str
    prefix: str
    words: Callable[[str], str] = str.lower

    @cached_property
    def _by_number(self) -> dict[int, str]:
        numbers = load().enum(self.enum).values_by_number
        return {number: self.words(value.name.removeprefix(self.prefix)) for number, value in numbers.items()}

    @cached_property
    def _by_word(self) -> dict[str, int]:
        return {word: number for number, word in self._by_number.items()}

    def to_json(self, value: int) -> str:
        if value not in self._by_number:
            enum = self.enum.rpartition(".")[2]
            raise invalid(f"Invalid {enum}: {value} is not one of the known values.", rule="protobuf")
        return self._by_number[value]

    def to_message(self, value: Any) -> int:
        return self._by_word[value]


class Base64:
    """Bytes."""

    def to_json(self, value: bytes) -> str:
        return base64.b64encode(value).decode()

    def to_message(self, value: Any) -> bytes:
        return base64.b64decode(value, validate=True)


class JsonText:
    """A JSON object that a message contains as text; text that is no object, or nested too deeply, is not converted."""

    def to_json(self, value: str) -> Any:
        if is_deeper(value.encode(), DEPTH_MAX):
            return value
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return value
        return found if isinstance(found, dict) else value

    def to_message(self, value: Any) -> str:
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


class TimestampCodec:
    """A Timestamp: a date if it is midnight, else RFC 3339."""

    def to_json(self, value: Message) -> str:
        try:
            moment = to_datetime(value)
        except (OverflowError, ValueError):
            raise invalid("A timestamp lies outside the years 1 to 9999.", rule="timestamp") from None
        text = rfc3339(from_datetime(moment))
        return text.removesuffix("T00:00:00.000000Z")

    def to_message(self, value: Any) -> Message:
        return timestamp(from_datetime(datetime.fromisoformat(value if "T" in value else f"{value}T00:00:00Z")))


class FunctionCodec(msgspec.Struct, frozen=True):
    """Converts a field with two functions."""

    to_json: Callable[[Any], Any]
    to_message: Callable[[Any], Any]


class Field(msgspec.Struct, frozen=True):
    """One field: its name in the message, and its names in the body. Aliases are read, never written."""

    name: str
    codec: Codec
    key: str = ""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shape:
    """A message as a JSON object, by a table of its fields."""

    message: str
    fields: tuple[Field, ...] = field(hash=False)

    def to_json(self, value: Message) -> Json:
        """Return the members for the fields that are set."""
        set_fields = {descriptor.name: content for descriptor, content in value.ListFields()}
        found: Json = {}
        for each in self.fields:
            if each.name in set_fields:
                content, codec = set_fields[each.name], each.codec
                many = hasattr(content, "append")
                found[each.key or each.name] = list(map(codec.to_json, content)) if many else codec.to_json(content)
        return found

    def to_message(self, value: Any) -> Message:
        """Return the message of a body; members that do not fit are omitted."""
        if not isinstance(value, dict):
            raise TypeError(value)
        fitting: dict[str, Any] = {}
        for key, content in value.items():
            member = self._members.get(key)
            if member is None or content is None or (member.preferred and _has_any(value, member.preferred)):
                continue
            try:
                fitting[member.name] = member.read(content)
            except _UNFIT:  # not `suppress`, which is slow: a page has twenty for each result
                continue
        try:
            return self._make(**fitting)
        except _UNFIT:  # the codec accepts the value, but not the field: a number that is too large
            return self._piecewise(fitting)

    def _piecewise(self, values: Json) -> Message:
        message = self._make()
        for name, value in values.items():
            for piece in [[item] for item in value] if isinstance(value, list) else [value]:
                with suppress(*_UNFIT):
                    message.MergeFrom(self._make(**{name: piece}))
        return message

    @cached_property
    def _make(self) -> Callable[..., Message]:
        return load().message(self.message)

    @cached_property
    def _members(self) -> dict[str, _Member]:
        """Return the types of a body's members, by name."""
        declared = load().message(self.message).DESCRIPTOR.fields_by_name
        found: dict[str, _Member] = {}
        for each in self.fields:
            keys, read = (each.key or each.name, *each.aliases), each.codec.to_message
            descriptor = declared[each.name]
            is_map = descriptor.message_type is not None and descriptor.message_type.GetOptions().map_entry
            if is_repeated(descriptor) and not is_map:
                read = partial(_all, read)
            found |= {key: _Member(each.name, read, keys[:place]) for place, key in enumerate(keys)}
        return found


class _Member(msgspec.Struct, frozen=True):
    """A member of a body: its field, its codec, and the members that have priority over it."""

    name: str
    read: Callable[[Any], Any]
    preferred: tuple[str, ...]


def _has_any(value: Json, keys: tuple[str, ...]) -> bool:
    return any(value.get(key) is not None for key in keys)


def _all(read: Callable[[Any], Any], content: Any) -> list[Any]:
    found: list[Any] = []
    for item in content if isinstance(content, list) else [content]:
        with suppress(*_UNFIT):
            found.append(read(item))
    return found


_UNFIT = (TypeError, ValueError, KeyError, AttributeError)


@dataclass(frozen=True)
class OneOf:
    """A message with one field set, as an object with a `type`. Raises ValueError if none fits."""

    message: str
    oneof: str
    shapes: Mapping[str, tuple[str, Codec]] = field(hash=False)  # by type: the field and its members

    def to_json(self, value: Message) -> Json:
        """Return the object; an unknown field gives an empty one."""
        name = value.WhichOneof(self.oneof)
        for type, (each, codec) in self.shapes.items():
            if each == name:
                return {"type": type, **codec.to_json(getattr(value, name))}
        return {}

    def to_message(self, value: Any) -> Message:
        """Return the message of an object of a known type."""
        name, codec = self.shapes[value["type"]]
        message = load().message(self.message)()
        fitting = codec.to_message(value)
        getattr(message, name).CopyFrom(fitting)
        return message
