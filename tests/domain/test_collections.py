"""Field definitions: how updates change them, and what they demand of a document."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emulator.core.errors import ApiError
from emulator.domain.chunk_configurations import Strategy
from emulator.domain.collections import (
    FieldDefinition,
    FieldDefinitionOperation,
    FieldDefinitionUpdate,
    check_definitions,
    check_name,
    check_required,
    deleted_keys,
    injected_values,
    one_strategy,
    undefined_keys,
    unique_values,
    updated_definitions,
    value_taken,
)
from tests.examples import examples

keys = st.sampled_from(["author", "year", "title", "isbn"])
definitions = st.builds(FieldDefinition, keys, st.booleans(), st.booleans(), st.booleans(), st.none() | st.text())
present = st.lists(definitions, unique_by=lambda each: each.key)
updates = st.lists(st.builds(FieldDefinitionUpdate, definitions, st.sampled_from(FieldDefinitionOperation)))
fields = st.dictionaries(keys, st.text())


def as_documented(
    present: list[FieldDefinition], updates: list[FieldDefinitionUpdate], has_documents: bool
) -> list[FieldDefinition] | str:
    """What updates leave, one after the other; or the rule that refuses one of them."""
    after, old = {each.key: each for each in present}, {each.key for each in present}
    for update in updates:
        key = update.definition.key
        if update.operation is FieldDefinitionOperation.ADD:
            if has_documents and update.definition.required and key not in old:
                return "new-required-field"
            after[key] = update.definition
        elif key not in after:
            return "unknown-field"
        else:
            del after[key]
            old -= {key}  # its values are gone
    return list(after.values())


@given(present, updates, st.booleans())
@example(
    [FieldDefinition("a")],
    [
        FieldDefinitionUpdate(FieldDefinition("a"), FieldDefinitionOperation.DELETE),
        FieldDefinitionUpdate(FieldDefinition("a", required=True)),
    ],
    True,
)
@settings(max_examples=examples(60))
def test_updated_definitions_pass_checks_of_new_ones(
    present: list[FieldDefinition], updates: list[FieldDefinitionUpdate], has_documents: bool
) -> None:
    """Whatever updates are accepted, the keys stay unique; where documents exist, no field that is new is required."""
    expected = as_documented(present, updates, has_documents)
    if isinstance(expected, str):
        with pytest.raises(ApiError) as refused:
            updated_definitions(present, updates, has_documents=has_documents)
        assert (refused.value.rule, refused.value.param) == (expected, "field_definition_updates")
    else:
        after = updated_definitions(present, updates, has_documents=has_documents)
        assert list(after) == expected
        check_definitions(after)
    deleted = {each.definition.key for each in updates if each.operation is FieldDefinitionOperation.DELETE}
    assert deleted_keys(updates) == deleted


@pytest.mark.parametrize(
    ("refuse", "message"),
    [
        (
            lambda: check_name(""),
            "collection_name: Field is empty but must not be empty. [WKE=form-invalid:not-empty:collection_name]\n",
        ),
        (
            lambda: check_definitions([FieldDefinition("")]),
            "field_definitions.key: Field is empty but must not be empty."
            " [WKE=form-invalid:not-empty:field_definitions.key]\n",
        ),
        (
            lambda: check_definitions([FieldDefinition("a")] * 2),
            "field_definitions.key: 'a' is defined twice. [WKE=form-invalid:unique:field_definitions.key]\n",
        ),
        (
            lambda: check_required([FieldDefinition("a", required=True)], {}),
            "fields.a: Field is missing but required. [WKE=form-invalid:required:fields.a]\n",
        ),
    ],
)
def test_refused_value_has_recorded_message(refuse: Callable[[], None], message: str) -> None:
    """The field, the sentence, and both the rule and the field again (observed live); a warning names them too."""
    with pytest.raises(ApiError) as refused:
        refuse()
    assert refused.value.message == message
    assert message.endswith(f":{refused.value.rule}:{refused.value.param}]\n")


def test_strategy_refusal_lists_wire_names() -> None:
    """The refusal lists their names on the wire."""
    error = one_strategy([Strategy.CHARS, Strategy.BYTES])
    assert (error.rule, error.param) == ("one-of", "chunk_configuration")
    assert "must be given, of chars_configuration, bytes_configuration. [" in error.message


@pytest.mark.parametrize(("length", "shown"), [(100, 100), (101, 100)])
def test_long_duplicate_value_is_cut_in_message(length: int, shown: int) -> None:
    """A hundred characters of it."""
    error = value_taken("isbn", "x" * length)
    assert (error.rule, error.param) == ("unique", "fields.isbn")
    assert f"'{'x' * shown}{'…' if shown < length else ''}', which" in error.message


@given(present, definitions)
def test_added_definition_replaces_definition_of_same_key(present: list[FieldDefinition], new: FieldDefinition) -> None:
    """Adding keeps the place of an overwritten field, touches no other one, and deleting it then leaves the others."""
    if new.key not in {each.key for each in present}:
        new = FieldDefinition(new.key, False, new.inject_into_chunk, new.unique, new.description)
        expected = [*present, new]
    else:
        expected = [new if each.key == new.key else each for each in present]
    after = updated_definitions(present, [FieldDefinitionUpdate(new)], has_documents=True)
    assert list(after) == expected
    delete = FieldDefinitionUpdate(FieldDefinition(new.key), FieldDefinitionOperation.DELETE)
    assert list(updated_definitions(after, [delete], has_documents=True)) == [
        each for each in present if each.key != new.key
    ]


@pytest.mark.parametrize(
    ("update", "words"),
    [
        (FieldDefinitionUpdate(FieldDefinition("new", required=True)), "must not be required"),
        (FieldDefinitionUpdate(FieldDefinition("")), "must not be empty"),
        (FieldDefinitionUpdate(FieldDefinition("x"), FieldDefinitionOperation.DELETE), "no field 'x'"),
    ],
)
def test_invalid_definition_update_is_refused(update: FieldDefinitionUpdate, words: str) -> None:
    """A new required field, a field without a key and the deletion of an unknown field are refused."""
    with pytest.raises(ApiError, match=words):
        updated_definitions([FieldDefinition("old", required=True)], [update], has_documents=True)


def test_field_definition_has_no_constraints_by_default() -> None:
    """Neither a value, nor one of its own, nor a place in the chunks."""
    check_required([FieldDefinition("a")], {})
    assert (
        unique_values([FieldDefinition("a")], {"a": "x"}) == injected_values([FieldDefinition("a")], {"a": "x"}) == {}
    )


def test_key_defined_twice_is_refused() -> None:
    """Two definitions of one key are refused."""
    with pytest.raises(ApiError, match="defined twice"):
        check_definitions([FieldDefinition("a"), FieldDefinition("b"), FieldDefinition("a", unique=True)])


@given(present, fields)
def test_fields_are_checked_against_definitions(present: list[FieldDefinition], fields: dict[str, str]) -> None:
    """A value is unique or injected exactly if its definition says so; other keys are reported as undefined."""
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
