"""Filters on columns accept what the plain evaluation accepts, whatever happened to the documents before."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.core.errors import ApiError
from emulator.core.limits import Limits
from emulator.operations.field_filters import mask_of
from emulator.operations.filters import MetadataFilter
from emulator.store import Store
from emulator.store.field_columns import Columns
from filter_grammar import numeral, parse, predicate
from tests.examples import examples

NUMBERS = ["1", "1.0", "-2", "1e1", "10", "9", "0.1", "1e999999999", "01"]
VALUES = [*NUMBERS, "", "b", "B", "ab", "z", "é", "nan", "*", "null"]
KEYS = ["a", "b", "c.d"]
OPERATORS = ["=", "!=", "<", "<=", ">", ">="]
documents = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES))
arguments = st.sampled_from([*(f'"{value}"' for value in VALUES), "1", "10", "-2", "0.1", "1e1", "9.5", "null", "b"])
comparisons = st.one_of(
    st.builds("{} {} {}".format, st.sampled_from(KEYS), st.sampled_from(OPERATORS), arguments),
    st.builds("{}:{}".format, st.sampled_from([*KEYS, "none"]), st.one_of(arguments, st.just("*"))),
)
filters = st.recursive(
    comparisons,
    lambda part: st.one_of(
        st.builds("NOT ({})".format, part),
        st.builds("({}) AND ({})".format, part, part),
        st.builds("({}) OR ({}) OR {}".format, part, part, comparisons),
    ),
    max_leaves=6,
)
changes = st.lists(st.tuples(st.integers(0, 5).map(str), st.none() | documents), max_size=30)


@settings(max_examples=examples(150))
@given(changes, filters, changes)
def test_columns_accept_what_plain_evaluation_accepts(
    before: list[tuple[str, Mapping[str, str] | None]], text: str, after: list[tuple[str, Mapping[str, str] | None]]
) -> None:
    """Of the documents that are left after changes, before the columns were first used and after."""
    columns, left = Columns(numeral), dict[str, Mapping[str, str]]()
    expr = parse(text)
    for history in (before, after):
        for file_id, fields in history:
            columns.put(file_id, fields)
            left.pop(file_id, None)
            if fields is not None:
                left[file_id] = fields
        expected = {file_id for file_id, fields in left.items() if predicate(expr)(fields)}
        assert columns.chosen(mask_of(expr, columns)) == expected
        assert len(columns) == len(left)


def add(store: Store, number: int, value: str) -> None:
    """A row of a document, as far as a filter sees it."""
    store.database.write(
        "INSERT INTO files (team, id, filename, size, content_type, hash, blob, created_at, upload_status, "
        "open_for_chunks) VALUES ('t', ?, 'n', 0, '', '', 'x', 0, '', 0)",
        (str(number),),
    )
    store.database.write(
        "INSERT INTO documents (team, collection_id, file_id, name, size, created_at, fields, status, revision) "
        "VALUES ('t', 'c', ?, 'n', 0, 0, json_object('a', ?), '', 0)",
        (str(number), value),
    )


async def test_columns_follow_every_change_of_the_rows() -> None:
    """Whatever changes them: a trigger notes it, and a change that is rolled back is none."""
    store = Store(None)
    database, wanted = store.database, MetadataFilter("a >= 5", Limits())
    database.write(
        "INSERT INTO collections (team, id, name, created_at, model_name, metric_space, chunk_configuration, "
        "field_definitions) VALUES ('t', 'c', 'n', 0, '', '', '{}', '[]')"
    )
    database.write("INSERT INTO teams (name) VALUES ('t')")
    for number in range(10):
        add(store, number, str(number))
    assert await wanted.select(store.fields, "t", "c") == set("56789")
    database.write("UPDATE documents SET fields = '{}' WHERE file_id = '5'")
    database.write("UPDATE documents SET fields = json_object('a', '50') WHERE file_id = '1'")
    database.write("DELETE FROM files WHERE id = '6'")
    add(store, 11, "11")
    with suppress(ZeroDivisionError), store.transaction():
        database.write("DELETE FROM documents")
        raise ZeroDivisionError
    assert await wanted.select(store.fields, "t", "c") == {"1", "7", "8", "9", "11"}
    store.clear("t")
    assert await wanted.select(store.fields, "t", "c") == set()
    store.close()


async def test_too_many_comparisons_are_refused_on_columns_too() -> None:
    """So many documents times so many terms."""
    store = Store(None)
    store.database.write("PRAGMA foreign_keys=OFF")
    for number in range(10):
        add(store, number, "1")
    wanted = MetadataFilter("a = 1 OR a = 2", Limits(filter_comparisons_max=19))
    with pytest.raises(ApiError) as refused:
        await wanted.select(store.fields, "t", "c")
    assert refused.value.rule == "filter_comparisons_max"
    store.close()
