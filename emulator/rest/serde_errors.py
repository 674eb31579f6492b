"""JSON bodies, refused with the messages of the real service's JSON extractor (serde_json behind axum; observed live).

msgspec decodes. Only if it fails, the body is scanned again, for the line and column that serde would report: serde
detects a missing field after the closing brace of its object, a wrong type at the end of the value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from emulator.core.errors import ApiError, Kind
from emulator.core.limits import Limits
from emulator.domain.json_depth import has_more_items, is_deeper

T = TypeVar("T")

_SYNTAX = "Failed to parse the request body as JSON: "
_SHAPE = "Failed to deserialize the JSON body into the target type: "
# An unclosed string extends to the end, so that no input is scanned twice.
# Compiled at the first refused body, and cached by `re`.
_TOKEN = rb'(?s)[ \t\r\n]*("(?:[^"\\]|\\.)*+(?:"|\Z)|[{}\[\]:,]|[^\s{}\[\]:,"]+)'
_BYTE = r" ?\(byte (\d+)\)"
_PATH = r" - at `\$(.*)`$"
DEPTH_SCAN_BYTES = 64 * 1024
_STEP = r"\.([^.\[\]]+)|\[(\d+)\]|\[\.\.\.\]"


def decode(body: bytes, shape: type[T], limits: Limits) -> T:
    """Decode a body as a type. Raises MALFORMED_BODY for invalid syntax, MISSHAPEN_BODY for another type."""
    return convert(body, parse(body, limits), shape)


def convert(body: bytes, value: Any, shape: type[T]) -> T:
    """Convert the plain values of a body to a type. Raises MISSHAPEN_BODY."""
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        raise ApiError(Kind.MISSHAPEN_BODY, _SHAPE + _describe(str(error), body, value, shape), rule="json") from None


def missing_field(body: bytes, steps: Sequence[str | int], name: str) -> ApiError:
    """Return the refusal of an object, at a path of the body, that lacks a field which its schema does not require."""
    path = list(steps)
    where = _position(body, _end_of(body, path))
    return ApiError(Kind.MISSHAPEN_BODY, f"{_SHAPE}{_prefix(path)}missing field `{name}` at {where}", rule="json")


def mismatch(body: bytes, steps: list[str | int], enum: str) -> ApiError:
    """Return the refusal of the value at a path that fits no variant of an untagged enum."""
    where = _position(body, _end_of(body, steps))
    sentence = f"{_prefix(steps)}data did not match any variant of untagged enum {enum} at {where}"
    return ApiError(Kind.MISSHAPEN_BODY, _SHAPE + sentence, rule="json")


def parse(body: bytes, limits: Limits) -> Any:
    """Return the body as plain JSON values. It is decoded in one step, which blocks the loop: hence the limits."""
    too_many = has_more_items(body, limits.json_items_max)
    # A parser exceeds the depth before it reaches the end; of a body that is too long only the beginning is checked.
    depth = _deeper_than(body[:DEPTH_SCAN_BYTES] if too_many else body, limits.json_depth_max)
    if depth is not None:
        raise ApiError(
            Kind.MALFORMED_BODY,
            f"{_SYNTAX}recursion limit exceeded at {_position(body, depth)}",
            rule="json_depth_max",
        )
    if too_many:
        raise too_many_items(limits)
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(Kind.MALFORMED_BODY, _SYNTAX + _syntax(str(error), body), rule="json") from None


def check_items(body: bytes, limits: Limits) -> None:
    """Refuse JSON with more items and members than are allowed."""
    if has_more_items(body, limits.json_items_max):
        raise too_many_items(limits)


def too_many_items(limits: Limits) -> ApiError:
    """Return the refusal of JSON with more items and members than are allowed."""
    return ApiError(
        Kind.PAYLOAD_TOO_LARGE,
        f"The body has more than {limits.json_items_max} items and members of JSON.",
        rule="json_items_max",
    )


def _deeper_than(body: bytes, most: int | None) -> int | None:
    """Return the position at which the nesting exceeds the limit, if it does."""
    if most is None or not is_deeper(body, most):
        return None
    depth = 0
    for token in re.finditer(_TOKEN, body):
        if token[1] in (b"{", b"["):
            depth += 1
            if depth > most:
                return token.end()
        elif token[1] in (b"}", b"]"):
            depth -= 1
    return None


def _syntax(message: str, body: bytes) -> str:
    found = re.search(_BYTE, message)
    at = int(found[1]) if found else len(body)
    if "truncated" in message or not body:
        return f"EOF while parsing a value at {_position(body, len(body))}"
    if "trailing" in message:
        return f"trailing characters at {_position(body, at)}"
    return f"expected value at {_position(body, at + 1)}"


def _position(body: bytes, end: int) -> str:
    line = body.count(b"\n", 0, end) + 1
    column = end - (body.rfind(b"\n", 0, end) + 1)
    return f"line {line} column {column}"


def _describe(message: str, body: bytes, value: Any, shape: Any) -> str:
    """Return serde's message for msgspec's."""
    found = re.search(_PATH, message)
    sentence = message[: found.start()] if found else message
    offender, steps = _resolve(value, _steps(found[1]) if found else [])
    where = _position(body, _end_of(body, steps))
    missing = re.fullmatch(r"Object missing required field `(.+)`", sentence)
    if missing:
        return f"{_prefix(steps)}missing field `{missing[1]}` at {where}"
    variant = re.fullmatch(r"Invalid enum value (.+)|Invalid value (.+)", sentence)
    if variant:
        return f"{_prefix(steps)}unknown variant `{offender}`{variants(shape, value, steps)} at {where}"
    what = "value" if re.match(r"Expected `\w+` [<>]", sentence) else "type"
    return (
        f"{_prefix(steps)}invalid {what}: {_unexpected(offender)}, expected {expected(shape, value, steps)} at {where}"
    )


def _steps(path: str) -> list[str | int | None]:
    return [m[1] if m[1] is not None else int(m[2]) if m[2] else None for m in re.finditer(_STEP, path)]


def _resolve(value: Any, steps: list[str | int | None]) -> tuple[Any, list[str | int]]:
    """Follow a path as far as possible."""
    walked: list[str | int] = []
    for each in steps:
        if each is None or not isinstance(value, dict | list):
            break
        try:
            value = value[each]  # type: ignore[index]  # the step fits the container it was made for
        except (KeyError, IndexError, TypeError):
            break
        walked.append(each)
    return value, walked


def _prefix(steps: list[str | int]) -> str:
    text = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in steps)
    return f"{text.removeprefix('.')}: " if text else ""


def _unexpected(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return f"boolean `{str(value).lower()}`"
        case int():
            return f"integer `{value}`"
        case float():
            return f"floating point `{value}`"
        case str():
            return f"string {msgspec.json.encode(value[:100]).decode()}"
        case list():
            return "sequence"
        case _:
            return "map"


def _end_of(body: bytes, steps: list[str | int]) -> int:
    """Return the offset just after the value at a path, in one pass over the tokens."""
    tokens = re.finditer(_TOKEN, body)
    try:
        token = next(tokens)
        for each in steps:
            token = _member(tokens, each)
        return _skip(tokens, token)
    except StopIteration:
        return len(body)


def _member(tokens: Iterator[re.Match[bytes]], target: str | int) -> re.Match[bytes]:
    """Return the first token of a container's member; `tokens` are positioned just after its opening bracket."""
    index = 0
    while True:
        token = next(tokens)
        if isinstance(target, str):
            found = msgspec.json.decode(token[1]) == target
            next(tokens)  # the colon
            token = next(tokens)
        else:
            found = index == target
        if found:
            return token
        _skip(tokens, token)
        next(tokens)  # the comma
        index += 1


def _skip(tokens: Iterator[re.Match[bytes]], token: re.Match[bytes]) -> int:
    """Return the end of the value that starts with `token`."""
    depth = 0
    while True:
        if token[1] in (b"{", b"["):
            depth += 1
        elif token[1] in (b"}", b"]"):
            depth -= 1
        if depth == 0:
            return token.end()
        token = next(tokens)


# The type that a schema expects at a path.

Step = str | int

_NAMES: dict[type[inspect.Type], str] = {
    inspect.StrType: "a string",
    inspect.FloatType: "f32",  # OpenAPI: every number except integers has the format `float`
    inspect.BoolType: "a boolean",
    inspect.ListType: "a sequence",
    inspect.DictType: "a map",
    inspect.EnumType: "a string",
}


class _TaggedEnum(msgspec.Struct, frozen=True):
    """Structs distinguished by a tag; the name is the title that the union is annotated with."""

    name: str
    tag_field: str
    structs: tuple[inspect.StructType, ...]


_Kind = inspect.Type | _TaggedEnum


def expected(shape: type, value: Any, steps: Sequence[Step]) -> str:
    """Return the expected type at a path of a value: `a string`, `i32`, `struct DocumentsSource`."""
    kinds = [kind for kind in _at(shape, value, steps) if not isinstance(kind, inspect.NoneType)]
    return _name(kinds[0]) if kinds else "another type"


def variants(shape: type, value: Any, steps: Sequence[Step]) -> str:
    """Return the valid words at a path of a value: `, expected one of …`, or an empty text if none are known."""
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
    """Yield the alternatives of a union one by one; those with tags together."""
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
    """Return the type of a container's member at a step."""
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
