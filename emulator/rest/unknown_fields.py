"""Find the fields of a JSON body or a query that its type does not declare, and that the server therefore ignores."""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Collection, Hashable, Iterable, Mapping
from typing import Any

import msgspec

from emulator.rest import protojson

BODY_BYTES_MAX = 256 * 1024  # a larger body is not read twice
NAME_CHARS_MAX = 100  # of an ignored field; longer names are truncated


# The paths of the ignored fields, each with the declared names beside it.
Ignored = dict[str, Collection[str]]
_CONTAINERS = frozenset({dict, list})


def unread_fields(body: bytes, shape: type, *, camel_case: bool) -> Ignored:
    """Return the ignored fields of a body; none if it is not JSON."""
    if len(body) > BODY_BYTES_MAX:
        return {}
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    found: Ignored = {}
    _add_unread(found, value, shape, "", camel_case)
    return found


def unread_parameters(names: Iterable[str], shape: type, *, camel_case: bool) -> Ignored:
    """Return the ignored parameters of a query, by their decoded names."""
    known = _fields(shape, camel_case)
    return {name[:NAME_CHARS_MAX]: known for name in names if name not in known}


def _add_unread(found: Ignored, value: Any, shape: Any, prefix: str, camel_case: bool) -> None:
    struct, item = _declared(shape)
    if struct is not None and isinstance(value, dict):
        known = _fields(struct, camel_case)
        for name, member in value.items():
            if name not in known:
                found[f"{prefix}{name[:NAME_CHARS_MAX]}"] = known
            elif type(member) in _CONTAINERS:
                _add_unread(found, member, known[name], f"{prefix}{name}.", camel_case)
    elif item is not None and isinstance(value, list):
        for member in value:
            if type(member) in _CONTAINERS:
                _add_unread(found, member, item, prefix, camel_case)


@functools.cache
def _fields(struct: Hashable, camel_case: bool) -> Mapping[str, Any]:
    """Return the names under which a struct is read, and the types of their values."""
    hints = typing.get_type_hints(struct)
    known: dict[str, Any] = {}
    if (tag := struct.__struct_config__.tag_field) is not None:  # type: ignore[attr-defined]  # it is the type of a struct
        known[tag] = str
    for each in msgspec.structs.fields(struct):  # type: ignore[arg-type]  # it is the type of a struct
        known[each.encode_name] = hints[each.name]
        if camel_case:
            known[each.name] = known[protojson.camel_case(each.encode_name)] = hints[each.name]
    return known


@functools.cache
def _declared(shape: Hashable) -> tuple[type[msgspec.Struct] | None, Any]:
    """Return the struct, or the type of items, that a declared type allows, if it is the only one."""
    parts = typing.get_args(shape) if typing.get_origin(shape) in (typing.Union, types.UnionType) else (shape,)
    structs = [part for part in parts if isinstance(part, type) and issubclass(part, msgspec.Struct)]
    items = [typing.get_args(part)[0] for part in parts if typing.get_origin(part) is list]
    if len(structs) + len(items) != 1:
        return None, None
    return (structs[0], None) if structs else (None, items[0])
