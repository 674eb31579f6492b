"""Where a JSON body is refused: the line and column, found a second time by another way."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from emulator.core.errors import ApiError, Kind
from emulator.core.limits import DOCUMENTED, override
from emulator.domain.json_depth import has_more_items
from emulator.rest import serde_errors
from tests.examples import examples


class Inner(Struct):
    """A body's inner object."""

    text: str
    numbers: list[int]
    flag: bool = False


class Body(Struct):
    """A body."""

    name: str
    inner: Inner
    many: list[Inner]
    size: int | None = None
    ratio: float = 0.0


SPACE = st.text(st.sampled_from(" \t\r\n"), max_size=3)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
INNER = st.fixed_dictionaries(
    {"text": TEXT, "numbers": st.lists(st.integers(-9, 9), max_size=3)}, optional={"flag": st.booleans()}
)
BODY = st.fixed_dictionaries(
    {"name": TEXT, "inner": INNER, "many": st.lists(INNER, max_size=3)},
    optional={"size": st.none() | st.integers(-9, 9), "ratio": st.floats(-9, 9), "unknown": st.lists(TEXT, max_size=2)},
)
Path = tuple[str | int, ...]


@dataclass
class Written:
    """A document and where each of its values ends, in bytes."""

    text: str = ""
    ends: dict[Path, int] = field(default_factory=dict)

    def write(self, value: Any, draw: st.DrawFn, path: Path = ()) -> None:
        """Append a value, with white space wherever some may stand, and some characters escaped."""
        if isinstance(value, dict | list):
            items = list(value.items() if isinstance(value, dict) else enumerate(value))
            self.text += "{" if isinstance(value, dict) else "["
            for number, (key, item) in enumerate(items):
                self.text += "," * (number > 0) + draw(SPACE)
                if isinstance(value, dict):
                    self.text += self.string(key, draw) + draw(SPACE) + ":" + draw(SPACE)
                self.write(item, draw, (*path, key))
                self.text += draw(SPACE)
            self.text += "}" if isinstance(value, dict) else "]"
        else:
            self.text += self.string(value, draw) if isinstance(value, str) else json.dumps(value)
        self.ends[path] = len(self.text.encode())

    @staticmethod
    def string(text: str, draw: st.DrawFn) -> str:
        """A string, in one of the two ways of writing it."""
        return json.dumps(text, ensure_ascii=draw(st.booleans()))


def places(value: Any, path: Path = ()) -> dict[Path, Any]:
    """Every value below a value that some field of the shapes reads."""
    found = {path: value} if path else {}
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if key != "unknown":
                found |= places(item, (*path, key))
    return found


def replaced(value: Any, path: Path, new: Any) -> Any:
    """The same value with another one at a path; without the member where that is `...`."""
    if not path:
        return new
    if isinstance(value, dict):
        items = {key: replaced(item, path[1:], new) if key == path[0] else item for key, item in value.items()}
        return {key: item for key, item in items.items() if item is not ...}
    return [replaced(item, path[1:], new) if n == path[0] else item for n, item in enumerate(value)]


@st.composite
def broken(draw: st.DrawFn) -> tuple[str, str, int]:
    """A document with one fault, what the refusal says first, and the byte at which it is noticed."""
    body = draw(BODY)
    found = places(body)
    path = draw(st.sampled_from(sorted(found, key=repr)))
    optional = path[-1] in ("size", "ratio", "flag") or isinstance(path[-1], int)
    missing = not optional and draw(st.booleans())
    wrong = {} if isinstance(found[path], list) else []
    written = Written()
    written.write(replaced(body, path, ... if missing else wrong), draw)
    where = path[:-1] if missing else path
    dotted = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in where).lstrip(".")
    words = f"missing field `{path[-1]}`" if missing else f"invalid type: {'map' if wrong == {} else 'sequence'}"
    return written.text, f"{dotted}: {words}" if dotted else words, written.ends[where]


def refusal(body: bytes) -> ApiError:
    """How a body is refused."""
    with pytest.raises(ApiError) as error:
        serde_errors.decode(body, Body, DOCUMENTED)
    return error.value


@settings(max_examples=examples(200))
@given(broken())
def test_error_position_is_that_of_serde(case: tuple[str, str, int]) -> None:
    """A missing field after its object's brace, a wrong type after its value; columns are bytes, as serde counts."""
    text, words, end = case
    before = text.encode()[:end]
    line, column = before.count(b"\n") + 1, len(before) - (before.rfind(b"\n") + 1)
    error = refusal(text.encode())
    assert error.kind is Kind.MISSHAPEN_BODY
    assert error.message.startswith(f"Failed to deserialize the JSON body into the target type: {words}")
    assert error.message.endswith(f" at line {line} column {column}")


@given(BODY, st.data())
def test_body_of_right_shape_is_accepted(body: dict[str, Any], data: st.DataObject) -> None:
    """However it is written; unknown members are ignored."""
    written = Written()
    data.draw(st.composite(lambda draw: written.write(body, draw))())
    assert serde_errors.decode(written.text.encode(), Body, DOCUMENTED).name == body["name"]


@given(BODY, st.data())
def test_truncated_body_is_refused_at_last_byte(body: dict[str, Any], data: st.DataObject) -> None:
    """At its last byte, wherever it was cut."""
    whole = json.dumps(body).encode()
    half = whole[: data.draw(st.integers(0, len(whole) - 1))]
    error = refusal(half)
    assert error.kind is Kind.MALFORMED_BODY
    assert re.search(r"(EOF while parsing a value|expected value) at line 1 column \d+$", error.message)


@settings(max_examples=examples(200))
@given(st.binary(max_size=60) | st.text(st.sampled_from('{}[]",:\\ \n01ae.-"'), max_size=60).map(str.encode))
def test_any_bytes_are_refused_with_message(body: bytes) -> None:
    """None of them is a whole body, and none is more than a refusal."""
    assert refusal(body).kind in (Kind.MALFORMED_BODY, Kind.MISSHAPEN_BODY)


@pytest.mark.parametrize(
    ("depth", "kind"), [(127, Kind.MISSHAPEN_BODY), (128, Kind.MISSHAPEN_BODY), (129, Kind.MALFORMED_BODY)]
)
def test_json_nested_too_deeply_is_refused(depth: int, kind: Kind) -> None:
    """As deep as serde_json goes, brackets in strings not counted."""
    brackets = "[" * depth + '"[[[[\\"{{{{"' + "]" * depth
    assert refusal(brackets.encode()).kind is kind


ITEMS = {
    "numbers": lambda count: [0] * count,
    "objects": lambda count: [{}] * (count // 2),
    "members": lambda count: {f"{number}": 0 for number in range(count)},
    "nested": lambda count: [[0] * (count // 2 - 1), [0] * (count // 2 - 2)],
}


@pytest.mark.parametrize("make", ITEMS.values(), ids=ITEMS)
@pytest.mark.parametrize(("off", "refused"), [(-1, False), (0, False), (1, True)])
def test_json_with_too_many_items_is_refused_before_it_is_decoded(
    make: Callable[[int], Any], off: int, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Items and members count, and each container once; commas and brackets in strings do not."""
    text = json.dumps([make(10), '"[{,,\\\\,', "x,y\\"], separators=(",", ":"))
    held = len(re.findall(r"[,\[{]", json.dumps([make(10), "", ""])))
    if refused:
        monkeypatch.setattr(serde_errors.msgspec.json, "decode", None)
        with pytest.raises(ApiError) as raised:
            serde_errors.parse(text.encode(), override(DOCUMENTED, {"json_items_max": held - off}))
        assert (raised.value.kind, raised.value.rule) == (Kind.PAYLOAD_TOO_LARGE, "json_items_max")
    else:
        assert serde_errors.parse(text.encode(), override(DOCUMENTED, {"json_items_max": held - off})) == json.loads(
            text
        )


@given(
    st.recursive(st.integers() | st.text('ab",[{\\'), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)
def test_json_items_are_counted_like_a_parser(value: Any) -> None:
    """Whatever stands in strings, and however it is written."""

    def count(value: Any) -> int:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return (max(1, len(value)) if isinstance(value, dict | list) else 0) + sum(map(count, inner))

    for ascii_only in (False, True):
        raw = json.dumps(value, ensure_ascii=ascii_only).encode()
        assert not has_more_items(raw, count(value))
        assert count(value) == 0 or has_more_items(raw, count(value) - 1)
