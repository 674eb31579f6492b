"""JSON as the management plane reads it: the JSON form of protobuf messages, behind a grpc-gateway.

Keys are in snake_case or camelCase, unknown ones are ignored, null is the same as a missing field, a number may be a
string and an enum a number. A value that does not fit is refused with 400 and code 3. The content type is ignored,
because a gateway has one decoder for all. (protobuf.dev: "ProtoJSON Format"; the messages are those of Go's protojson.)
"""

from __future__ import annotations

import enum
import functools
import math
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from emulator.core.errors import ApiError, Kind, invalid
from emulator.core.limits import Limits
from emulator.http.requests import Request, query_pairs
from emulator.operations.base import Call
from emulator.rest import serde_errors
from emulator.rest.requests import FromJson, FromQuery, read_json_body

T = TypeVar("T")

_INT32 = range(-(2**31), 2**31)  # every integer of the requests is an int32


class FromProtoJson(FromJson, frozen=True):
    """Path parameters and a JSON body. A missing body is an empty message."""

    async def __call__(self, request: Request, call: Call) -> Any:
        body = await read_json_body(request, call.team.limits)
        call.envelope.body = body
        return self.make(request.path_params, decode(body, self.shape, call.team.limits))


class FromProtoQuery(FromQuery, frozen=True):
    """Path parameters and a message in the query, as a gateway reads it: unknown names are ignored."""

    async def __call__(self, request: Request, call: Call) -> Any:
        return self.make(request.path_params, query(request.scope["query_string"], self.shape, call.team.limits))


def decode(body: bytes, shape: type[T], limits: Limits) -> T:
    """Return the body as a message of a type. Raises the refusal."""
    if not body.strip():
        return shape()
    return convert(parse(body, limits), shape)


def parse(body: bytes, limits: Limits) -> Any:
    """Return the body as plain JSON values."""
    try:
        return serde_errors.parse(body, limits)
    except ApiError as error:
        if error.kind is not Kind.MALFORMED_BODY:
            raise
        where = error.message.rpartition(" at ")[2]
        raise invalid(f"proto: syntax error ({where})", rule=error.rule) from None


def convert(value: Any, shape: type[T]) -> T:
    """Convert JSON values to a message of a type."""
    message: T = _reader(shape)(value, "message")  # type: ignore[arg-type]  # a class is hashable
    return message


def query(raw: bytes, shape: type[T], limits: Limits) -> T:
    """Return the query as a message of a type: a repeated field occurs once for each of its items."""
    most = limits.query_string_bytes_max
    if most is not None and len(raw) > most:
        raise invalid(f"The query string has more than {most} bytes.", rule="query_string_bytes_max")
    fields = _fields(shape)  # type: ignore[arg-type]  # a class is hashable
    values: dict[str, Any] = {}
    try:
        pairs = list(query_pairs(raw.decode("latin-1")))
    except UnicodeDecodeError:
        raise invalid("The query string is not valid UTF-8.", rule="query") from None
    for name, text in pairs:
        field = fields.get(name)
        if field is None:
            continue
        if field.repeated:
            values.setdefault(field.name, []).append(text)
        else:
            values[field.name] = _from_query(field, text)
    return convert(values, shape)


def _from_query(field: _Field, text: str) -> Any:
    """Convert a scalar of the query: the number of an enum has no quotes there, and an empty number is invalid."""
    if field.kind is bool:
        return {"true": True, "1": True, "false": False, "0": False}.get(text, text)
    if field.kind is int and not text:
        return None
    if isinstance(field.kind, type) and issubclass(field.kind, enum.Enum) and text.isascii() and text.isdigit():
        return int(text[:10])
    return text


# --- one reader for each type of field; readers are made once


Reader = Callable[[Any, str], Any]


class _Field(typing.NamedTuple):
    name: str
    json_name: str
    kind: Any
    repeated: bool
    read: Reader


@functools.cache
def _fields(shape: type) -> dict[str, _Field]:
    """Return the fields of a type by each of their names; in a query, the name of a nested member is its path."""
    found: dict[str, _Field] = {}
    hints = typing.get_type_hints(shape)
    for declared in msgspec.structs.fields(shape):
        kind = _without_none(hints[declared.name])
        repeated = typing.get_origin(kind) is list
        field = _Field(declared.name, camel_case(declared.name), kind, repeated, _reader(kind))
        found[field.name] = found[field.json_name] = found[declared.encode_name] = field
    return found


def camel_case(name: str) -> str:
    """Return the JSON name of a field: `pagination_token` is `paginationToken`."""
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def _without_none(hint: Any) -> Any:
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return next(part for part in typing.get_args(hint) if part is not type(None))
    return hint


@functools.cache
def _reader(kind: Any) -> Reader:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is list:
        return functools.partial(_read_list, _reader(arguments[0]))
    if origin is dict:
        return functools.partial(_read_map, _reader(arguments[1]))
    if issubclass(kind, msgspec.Struct):
        return functools.partial(_read_message, kind)
    if issubclass(kind, enum.Enum):
        return functools.partial(_read_enum, kind)
    return {str: _read_string, bool: _read_bool, int: _read_int}[kind]


def _read_message(shape: type, value: Any, name: str) -> Any:
    if not isinstance(value, Mapping):
        raise _misfit("message", name, value)
    fields, found = _fields(shape), dict[str, Any]()
    for key, item in value.items():
        field = fields.get(key)
        if field is None or item is None:
            continue
        if field.name in found:
            raise invalid(f'proto: duplicate field "{key}"', rule="json", param=field.name)
        found[field.name] = field.read(item, field.json_name)
    return shape(**found)


def _read_list(read: Reader, value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise _misfit("repeated", name, value)
    return [read(item, name) for item in value]


def _read_map(read: Reader, value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _misfit("map", name, value)
    return {key: read(item, f"{name}.{key[:100]}") for key, item in value.items()}


def _read_string(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise _misfit("string", name, value)
    return value


def _read_bool(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise _misfit("bool", name, value)
    return value


def _read_int(value: Any, name: str) -> int:
    """Read an integer, which may be a string or have a fraction of zero."""
    number = value
    if isinstance(value, str) and value == value.strip() and len(value) < 40:
        try:
            number = msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeEncodeError):
            number = None
    if isinstance(number, float) and math.isfinite(number) and number == int(number):
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, int) or number not in _INT32:
        raise _misfit("int32", name, value)
    return number


def _read_enum(kind: type[enum.Enum], value: Any, name: str) -> enum.Enum:
    """Read a member by its name, or by its number: members are declared in the order of their numbers."""
    members = list(kind)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(members):
        return members[value]
    for member in members:
        if member.value == value:
            return member
    raise _misfit("enum", name, value)


def _misfit(kind: str, name: str, value: Any) -> ApiError:
    shown = msgspec.json.encode(value).decode()
    shown = shown if len(shown) <= 100 else f"{shown[:100]}…"
    return ApiError(
        Kind.INVALID_ARGUMENT, f"proto: invalid value for {kind} field {name}: {shown}", rule="json", param=name
    )
