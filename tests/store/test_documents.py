"""Rows of documents: large collections are read through their indexes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from emulator.domain.collections import CollectionsSortBy
from emulator.domain.documents import DocumentsSortBy
from emulator.domain.paging import Cursor
from emulator.store import Store


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store(None)
    yield store
    store.close()


def plans(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the store explain its queries from now on; what it said of each is collected here."""
    said: list[str] = []
    rows = store.database.rows

    def explain(sql: str, parameters: object = ()) -> list[tuple[object, ...]]:
        said.extend(str(row[3]) for row in rows(f"EXPLAIN QUERY PLAN {sql}", parameters))  # type: ignore[arg-type]
        return []

    monkeypatch.setattr(store.database, "rows", explain)
    return said


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("after", [None, Cursor("x", 1)])
def test_pages_come_from_an_index(
    store: Store, monkeypatch: pytest.MonkeyPatch, descending: bool, after: Cursor | None
) -> None:
    """No order of documents or collections sorts or scans a table."""
    said = plans(store, monkeypatch)
    order = {"descending": descending, "after": after, "limit": 10}
    for documents in DocumentsSortBy:
        store.documents.page("team", "collection", 1, sort_by=documents, **order)  # type: ignore[arg-type]
    for collections in CollectionsSortBy:
        store.collections.page("team", 1, sort_by=collections, **order)  # type: ignore[arg-type]
    store.documents.collections_of("team", "file")
    store.documents.expired("team", "collection", 1)
    searches = [line for line in said if not line.startswith("CORRELATED")]
    assert len(searches) >= len(DocumentsSortBy) + len(CollectionsSortBy)
    assert [line for line in searches if not line.startswith("SEARCH")] == []
