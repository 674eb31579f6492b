"""What a shape expects at a path, in serde's words. Only asked when a body was refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import inspect

Step = str | int

_NAMES: dict[type[inspect.Type], str] = {
    inspect.StrType: "a string",
    inspect.FloatType: "f32",  # OpenAPI: every number that is no integer has the format `float`
    inspect.BoolType: "a boolean",
    inspect.ListType: "a sequence",
    inspect.DictType: "a map",
    inspect.EnumType: "a string",
}


class _TaggedEnum(msgspec.Struct, frozen=True):
    """Structs told apart by a tag; the name is the title that the union is annotated with."""

    name: str
    tag_field: str
    structs: tuple[inspect.StructType, ...]


_Kind = inspect.Type | _TaggedEnum


def expected(shape: type, value: Any, steps: Sequence[Step]) -> str:
    """What should stand at a path of a value: `a string`, `i32`, `struct DocumentsSource`."""
    kinds = [kind for kind in _at(shape, value, steps) if not isinstance(kind, inspect.NoneType)]
    return _name(kinds[0]) if kinds else "another type"


def variants(shape: type, value: Any, steps: Sequence[Step]) -> str:
    """Which words may stand at a path of a value: `, expected one of …`, or nothing where no word is known."""
    words = [f"`{word}`" for kind in _at(shape, value, steps) for word in _words(kind)]
    if len(words) > 2:
        return f", expected one of {', '.join(words)}"
    return f", expected {' or '.join(words)}" if words else ""


def _name(kind: _Kind) -> str:
    match kind:
        case _TaggedEnum():
            return f"internally tagged enum {kind.name}"
        case inspect.StructType():
            return f"struct {kind.cls.__name__}"
        case inspect.IntType():
            return "i32" if kind.le == 2**31 - 1 else "i64"
        case _:
            return _NAMES.get(type(kind), "another type")


def _words(kind: _Kind) -> list[str]:
    match kind:
        case _TaggedEnum():
            return [str(struct.tag) for struct in kind.structs]
        case inspect.EnumType():
            return [str(member.value) for member in kind.cls]
        case inspect.LiteralType():
            return [str(value) for value in kind.values]
        case _:
            return []


def _at(shape: type, value: Any, steps: Sequence[Step]) -> list[_Kind]:
    kinds = list(_flat(inspect.type_info(shape)))
    for step in steps:
        kinds = [inner for kind in kinds for inner in _inside(kind, value, step)]
        value = value[step]
    return kinds


def _flat(kind: inspect.Type) -> Iterator[_Kind]:
    """The alternatives of a union, one by one; those with tags together."""
    title = ""
    if isinstance(kind, inspect.Metadata):
        title, kind = (kind.extra_json_schema or {}).get("title", ""), kind.type
    if not isinstance(kind, inspect.UnionType):
        yield kind
        return
    tagged = tuple(each for each in kind.types if isinstance(each, inspect.StructType) and each.tag_field)
    if tagged:
        yield _TaggedEnum(title, str(tagged[0].tag_field), tagged)
    for each in kind.types:
        if each not in tagged:
            yield from _flat(each)


def _inside(kind: _Kind, value: Any, step: Step) -> Iterator[_Kind]:
    """What a container may hold at a step."""
    match kind:
        case _TaggedEnum() if step == kind.tag_field:
            yield kind
        case _TaggedEnum():
            for struct in kind.structs:
                if struct.tag == value.get(kind.tag_field):
                    yield from _inside(struct, value, step)
        case inspect.StructType():
            for field in kind.fields:
                if field.encode_name == step:
                    yield from _flat(field.type)
        case inspect.ListType():
            yield from _flat(kind.item_type)
        case inspect.DictType():
            yield from _flat(kind.value_type)
