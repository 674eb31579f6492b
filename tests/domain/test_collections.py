"""Field definitions: how updates change them, and what they demand of a document."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.domain.collections import (
    FieldDefinition,
    FieldDefinitionOperation,
    FieldDefinitionUpdate,
    check_definitions,
    check_required,
    injected_values,
    undefined_keys,
    unique_values,
    updated_definitions,
)
from emulator.errors import ApiError

keys = st.sampled_from(["author", "year", "title", "isbn"])
definitions = st.builds(FieldDefinition, keys, st.booleans(), st.booleans(), st.booleans(), st.none() | st.text())
present = st.lists(definitions, unique_by=lambda each: each.key)
updates = st.lists(st.builds(FieldDefinitionUpdate, definitions, st.sampled_from(FieldDefinitionOperation)))
fields = st.dictionaries(keys, st.text())


@given(present, updates)
@settings(max_examples=60)
def test_updates_leave_what_could_have_been_created(present: list[FieldDefinition], updates: list[object]) -> None:
    """Whatever updates are accepted, the keys stay unique and no field that is new is required."""
    try:
        after = updated_definitions(present, updates)  # type: ignore[arg-type]
    except ApiError:
        return
    check_definitions(after)
    known = {definition.key for definition in present}
    assert all(definition.key in known for definition in after if definition.required)


@given(present, definitions)
def test_an_added_definition_replaces_the_one_of_its_key(present: list[FieldDefinition], new: FieldDefinition) -> None:
    """Adding keeps the place of an overwritten field, touches no other one, and deleting it then leaves the others."""
    if new.key not in {each.key for each in present}:
        new = FieldDefinition(new.key, False, new.inject_into_chunk, new.unique, new.description)
        expected = [*present, new]
    else:
        expected = [new if each.key == new.key else each for each in present]
    after = updated_definitions(present, [FieldDefinitionUpdate(new)])
    assert list(after) == expected
    delete = FieldDefinitionUpdate(FieldDefinition(new.key), FieldDefinitionOperation.DELETE)
    assert list(updated_definitions(after, [delete])) == [each for each in present if each.key != new.key]


@pytest.mark.parametrize(
    ("update", "words"),
    [
        (FieldDefinitionUpdate(FieldDefinition("new", required=True)), "must not be required"),
        (FieldDefinitionUpdate(FieldDefinition("")), "must not be empty"),
        (FieldDefinitionUpdate(FieldDefinition("x"), FieldDefinitionOperation.DELETE), "no field 'x'"),
    ],
)
def test_updates_that_are_refused(update: FieldDefinitionUpdate, words: str) -> None:
    """A new required field, a field without a key and the deletion of an unknown field are refused."""
    with pytest.raises(ApiError, match=words):
        updated_definitions([FieldDefinition("old", required=True)], [update])


def test_a_key_is_defined_once() -> None:
    """Two definitions of one key are refused."""
    with pytest.raises(ApiError, match="defined twice"):
        check_definitions([FieldDefinition("a"), FieldDefinition("b"), FieldDefinition("a", unique=True)])


@given(present, fields)
def test_fields_are_held_against_their_definitions(present: list[FieldDefinition], fields: dict[str, str]) -> None:
    """Each value is unique or injected exactly if its definition says so, and the rest is told as undefined."""
    by_key = {definition.key: definition for definition in present}
    assert unique_values(present, fields) == {k: v for k, v in fields.items() if k in by_key and by_key[k].unique}
    assert injected_values(present, fields) == {
        k: v for k, v in fields.items() if k in by_key and by_key[k].inject_into_chunk
    }
    assert list(injected_values(present, fields)) == [k for k in by_key if k in injected_values(present, fields)]
    assert set(undefined_keys(present, fields)) == fields.keys() - by_key.keys()
    missing = [key for key, definition in by_key.items() if definition.required and key not in fields]
    if missing:
        with pytest.raises(ApiError, match=rf"^fields\.{missing[0]}: .* \[WKE=form-invalid:required:"):
            check_required(present, fields)
    else:
        check_required(present, fields)
