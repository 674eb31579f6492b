"""The management plane's reading of JSON and of queries: what it takes for what, and what it refuses."""

from __future__ import annotations

import enum
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from emulator.core.errors import ApiError, Kind
from emulator.core.limits import DOCUMENTED
from emulator.rest import protojson


class Colour(enum.Enum):
    """Three members, numbered from 0."""

    UNKNOWN = "COLOUR_UNKNOWN"
    RED = "COLOUR_RED"
    BLUE = "COLOUR_BLUE"


class Part(Struct):
    """A message inside of a message."""

    part_name: str = ""
    part_size: int | None = None


class Whole(Struct):
    """One field of every kind."""

    some_text: str | None = None
    some_number: int | None = None
    some_flag: bool = False
    some_colour: Colour = Colour.UNKNOWN
    one_part: Part | None = None
    many_parts: list[Part] = []
    many_texts: list[str] = []
    text_map: dict[str, str] = {}


texts = st.text(st.characters(codec="utf-8"), max_size=8)
numbers = st.integers(-(2**31), 2**31 - 1)
parts = st.builds(Part, texts, st.none() | numbers)
wholes = st.builds(
    *(Whole, st.none() | texts, st.none() | numbers, st.booleans(), st.sampled_from(Colour), st.none() | parts),
    *(st.lists(parts, max_size=3), st.lists(texts, max_size=3), st.dictionaries(texts, texts, max_size=3)),
)


def spelled(value: Any, draw: Any) -> Any:
    """A value in one of the spellings that protobuf's JSON allows for it."""
    if isinstance(value, Struct):
        members = {}
        for name in value.__struct_fields__:
            member = getattr(value, name)
            if member is None and draw(st.booleans()):
                continue
            members[protojson.camel_case(name) if draw(st.booleans()) else name] = spelled(member, draw)
        if draw(st.booleans()):
            members["unknownField"] = draw(st.sampled_from([1, "x", [None], {"a": 1}]))
        return members
    if isinstance(value, list):
        return [spelled(item, draw) for item in value]
    if isinstance(value, enum.Enum):
        return draw(st.sampled_from([value.value, list(type(value)).index(value)]))
    if isinstance(value, int) and not isinstance(value, bool):
        return draw(st.sampled_from([value, str(value), float(value)]))
    return value


@given(wholes, st.data())
def test_protojson_spellings_give_the_same_message(message: Whole, data: st.DataObject) -> None:
    """Either case of a key, null for nothing, a number as text, an enum as number: the message read is the one sent."""
    body = json.dumps(spelled(message, data.draw)).encode()
    assert protojson.decode(body, Whole, DOCUMENTED) == message


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | texts, st.lists, max_leaves=9))
def test_any_protojson_is_read_or_refused(value: Any) -> None:
    """No JSON value breaks the reader, wherever it stands: it is read, or refused as an invalid argument."""
    names = (*Whole.__struct_fields__, "unknown")
    for body in (value, *({name: value} for name in names), {"one_part": {"part_size": value}}):
        try:
            assert isinstance(protojson.convert(body, Whole), Whole)
        except ApiError as error:
            assert error.kind is Kind.INVALID_ARGUMENT  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"some_text": 5}, "proto: invalid value for string field someText: 5"),
        ({"someNumber": "five"}, 'proto: invalid value for int32 field someNumber: "five"'),
        ({"some_number": 1.5}, "proto: invalid value for int32 field someNumber: 1.5"),
        ({"some_number": 2**31}, "proto: invalid value for int32 field someNumber: 2147483648"),
        ({"some_number": " 5"}, 'proto: invalid value for int32 field someNumber: " 5"'),
        ({"some_flag": "true"}, 'proto: invalid value for bool field someFlag: "true"'),
        ({"some_colour": "GREEN"}, 'proto: invalid value for enum field someColour: "GREEN"'),
        ({"some_colour": 3}, "proto: invalid value for enum field someColour: 3"),
        ({"many_parts": {}}, "proto: invalid value for repeated field manyParts: {}"),
        ({"many_texts": [None]}, "proto: invalid value for string field manyTexts: null"),
        ({"text_map": {"year": 2024}}, "proto: invalid value for string field textMap.year: 2024"),
        ({"one_part": {"partName": []}}, "proto: invalid value for string field partName: []"),
        ({"some_text": "a", "someText": "b"}, 'proto: duplicate field "someText"'),
        ([], "proto: invalid value for message field message: []"),
    ],
)
def test_protojson_value_of_wrong_type_is_refused_by_name(body: Any, words: str) -> None:
    """A value of another type, beyond an int32 or given in both spellings is refused, and the field is named."""
    with pytest.raises(ApiError) as caught:
        protojson.decode(json.dumps(body).encode(), Whole, DOCUMENTED)
    assert (caught.value.kind, caught.value.message) == (Kind.INVALID_ARGUMENT, words)


@pytest.mark.parametrize("body", [b"{", b"{'a': 1}", b'{"a": 1}}', b'{"some_text": "\\ud800"}', b'"\xff"'])
def test_broken_json_is_an_invalid_argument(body: bytes) -> None:
    """A body that is no JSON is a 400 with code 3 on this plane too, with the place where reading ended."""
    with pytest.raises(ApiError, match=r"^proto: syntax error \(line 1 column \d+\)$") as caught:
        protojson.decode(body, Whole, DOCUMENTED)
    assert caught.value.kind is Kind.INVALID_ARGUMENT


@pytest.mark.parametrize("body", [b"", b"  ", b"{}", b'{"unknown": 1}'])
def test_empty_body_is_an_empty_message(body: bytes) -> None:
    """No body, an empty object and one of unknown keys are the same."""
    assert protojson.decode(body, Whole, DOCUMENTED) == Whole()


@given(st.none() | texts, st.none() | numbers, st.sampled_from(Colour), st.lists(texts, max_size=3), st.data())
def test_query_parameters_are_read_as_message(
    text: str | None, number: int | None, colour: Colour, many: list[str], data: st.DataObject
) -> None:
    """Query parameters in either case, repeated ones once for each item, are the message that they spell."""
    pairs: list[tuple[str, Any]] = [("many_texts", item) for item in many]
    pairs += [("some_text", text)] if text is not None else []
    pairs += [("some_number", number)] if number is not None else []
    pairs.append(("some_colour", data.draw(st.sampled_from([colour.value, list(Colour).index(colour)]))))
    pairs.append(("unknown", "1"))
    camel = data.draw(st.booleans())
    raw = urlencode([(protojson.camel_case(name) if camel else name, value) for name, value in pairs]).encode()
    expected = Whole(some_text=text, some_number=number, some_colour=colour, many_texts=many)
    assert protojson.query(raw, Whole, DOCUMENTED) == expected


@pytest.mark.parametrize(
    ("raw", "field"),
    [(b"some_number=x", "someNumber"), (b"someColour=9", "someColour"), (b"some_flag=yes", "someFlag")],
)
def test_query_parameter_of_wrong_type_is_refused_by_name(raw: bytes, field: str) -> None:
    """A query parameter of another type is refused by name."""
    with pytest.raises(ApiError, match=f"field {field}: "):
        protojson.query(raw, Whole, DOCUMENTED)


def test_query_too_long_or_not_utf8_is_refused() -> None:
    """A query that is too long or not UTF-8 is refused."""
    with pytest.raises(ApiError, match="more than 65536 bytes"):
        protojson.query(b"a=" + b"b" * 65536, Whole, DOCUMENTED)
    with pytest.raises(ApiError, match="not valid UTF-8"):
        protojson.query(b"some_text=%ff", Whole, DOCUMENTED)


def test_empty_number_in_query_is_unset() -> None:
    """`limit=` asks for nothing."""
    assert protojson.query(b"some_number=&some_flag=true", Whole, DOCUMENTED) == Whole(some_flag=True)
