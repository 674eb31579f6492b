"""msgspec's validation errors in plain words, whatever the shape and the value."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from emulator.core.validation_errors import explain


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    size: Annotated[int, Meta(ge=1, le=10)] = 1


class Shape(msgspec.Struct, forbid_unknown_fields=True):
    name: Annotated[str, Meta(max_length=3)]
    status: Annotated[int, Meta(ge=400)] | None = None
    items: Annotated[list[Inner], Meta(min_length=1)] | None = None
    word: Literal["a", "b"] = "a"
    at: datetime | None = None
    id: Annotated[str, Meta(pattern=r"^[a-z]+(?!\n)$")] = "x"


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({}, "name is missing"),
        ({"name": 1}, "name must be a string, not an integer"),
        ({"name": "long"}, "name must be a string of at most 3 characters"),
        ({"name": "a", "status": 200}, "status must be an integer of at least 400"),
        ({"name": "a", "items": []}, "items must be a list of at least 1 items"),
        ({"name": "a", "items": [{"size": 11}]}, "items[0].size must be an integer of at most 10"),
        ({"name": "a", "items": [{"bulk": 1}]}, "items[0]: there is no field 'bulk'"),
        ({"name": "a", "colour": 1}, "there is no field 'colour'"),
        ({"name": "a", "word": "c"}, "word: invalid enum value 'c'"),
        ({"name": "a", "at": "now"}, "at: invalid RFC3339 encoded datetime"),
        ({"name": "a", "id": "1"}, "id must be a string that matches ^[a-z]+$"),
        ([], "it must be an object, not a list"),
    ],
)
def test_validation_error_is_one_plain_sentence(value: Any, sentence: str) -> None:
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.convert(value, Shape)
    assert explain(error.value) == sentence


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from(Shape.__struct_fields__), _JSON) | _JSON)
def test_validation_errors_have_no_words_of_validator(value: Any) -> None:
    try:
        msgspec.convert(value, Shape)
    except msgspec.ValidationError as error:
        sentence = explain(error)
        assert "Expected `" not in sentence
        assert " - at `" not in sentence
