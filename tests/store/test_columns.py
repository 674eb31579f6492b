"""Rows are derived from structs: columns, INSERT, and the way back."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from emulator.domain.files import File, PublicUrl, UploadStatus
from emulator.store.batches import BATCHES
from emulator.store.collections import COLLECTIONS
from emulator.store.columns import Columns, Encoding
from emulator.store.database import Database
from emulator.store.deferred import DEFERRED
from emulator.store.documents import DOCUMENTS
from emulator.store.files import FILES, Files
from emulator.store.responses import RESPONSES

# Columns that are not those of the struct: copies for the indexes of lists, and counts that triggers keep.
OTHERS = {
    "files": {"seq"},
    "batches": {"seq"},
    "deferred_completions": set[str](),
    "stored_responses": {"seq"},
    "collections": {"seq", "documents_count", "documents_bytes"},
    "documents": {"seq", "file_id", "name", "size", "created_at", "expires_at"},
}


@pytest.fixture
def database() -> Iterator[Database]:
    """A new database in memory."""
    database = Database(None)
    yield database
    database.close()


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("files", FILES),
        ("batches", BATCHES),
        ("collections", COLLECTIONS),
        ("documents", DOCUMENTS),
        ("deferred_completions", DEFERRED),
        ("stored_responses", RESPONSES),
    ],
)
def test_table_has_the_columns_of_its_struct(database: Database, table: str, columns: Columns[Any]) -> None:
    """A field without a column, or a column without a field, is noticed here."""
    stored = {row[1] for row in database.rows(f"PRAGMA table_info({table})")}
    inserted = columns.insert.partition("(")[2].partition(")")[0].split(", ")
    assert stored == {*inserted} | OTHERS[table]


@pytest.mark.parametrize("public_url", [None, PublicUrl("token", None), PublicUrl("token", 7)])
@pytest.mark.parametrize("status", UploadStatus)
def test_file_is_read_as_it_was_inserted(
    database: Database, public_url: PublicUrl | None, status: UploadStatus
) -> None:
    """Every field, by each statement that reads files."""
    files = Files(database)
    new = File("id", "name", 1, "type", "hash", "blob", 2, 3, status, status is not UploadStatus.COMPLETE, public_url)
    file = files.insert("team", new)
    assert file == msgspec.structs.replace(new, seq=file.seq)
    assert file.seq > 0
    assert files.get("team", "id", 0) == file
    assert public_url is None or files.by_public_url("token") == ("team", file)


class Colour(enum.Enum):
    """Something with values."""

    RED = "red"


class Inner(msgspec.Struct, frozen=True):
    """A struct within."""

    a: int
    b: str | None


class Outer(msgspec.Struct, frozen=True):
    """One field of each kind."""

    name: str
    colour: Colour
    is_new: bool
    inner: Inner | None
    words: tuple[str, ...]
    seq: int = 0


OUTER = Columns(
    Outer, "things", computed={"seq": None}, encodings={"words": Encoding(" ".join, lambda text: tuple(text.split()))}
)


@pytest.mark.parametrize("inner", [None, Inner(1, None), Inner(1, "b")])
def test_row_and_struct_are_inverse(inner: Inner | None) -> None:
    """Enums, bools, structs within and types with an encoding of their own."""
    value = Outer("n", Colour.RED, True, inner, ("x", "y"))
    team, *values = OUTER.row("t", value)
    nested = [None, None] if inner is None else [inner.a, inner.b]
    assert (team, values) == ("t", ["n", "red", True, *nested, "x y"])
    assert OUTER.read([*values, 0]) == value


def test_statements_name_every_column_once() -> None:
    """What the database counts is selected, and not inserted."""
    assert OUTER.insert == (
        "INSERT INTO things (team, name, colour, is_new, inner_a, inner_b, words) VALUES (?, ?, ?, ?, ?, ?, ?)"
    )
    assert OUTER.select == (
        "SELECT things.name, things.colour, things.is_new, things.inner_a, things.inner_b, things.words, things.seq "
        "FROM things"
    )
    assert OUTER.assigned(("inner", "name")) == "inner_a = ?, inner_b = ?, name = ?"
