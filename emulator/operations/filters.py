"""The filters of lists: the fields of each list, and their values."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from emulator.core.clock import Instant, to_datetime
from emulator.core.errors import ApiError, invalid
from emulator.core.limits import Limits
from emulator.domain.collections import Collection
from emulator.domain.documents import Document, DocumentStatus
from emulator.domain.files import FileView
from emulator.store.field_columns import FieldColumns
from filter_grammar import (
    Expr,
    Field,
    Fields,
    FilterError,
    Matching,
    Type,
    Value,
    check,
    check_all,
    comparisons,
    numeral,
    parse,
    parse_with_errors,
    predicate,
)
from filter_grammar import Limits as FilterLimits

T = TypeVar("T")


class Columns(Generic[T]):
    """The fields of one list, with accessors of their values."""

    def __init__(
        self, columns: Mapping[Field, Callable[[T], Value]], free: tuple[str, Callable[[T], Value]] | None = None
    ) -> None:
        self.fields = Fields(*columns, free=None if free is None else free[0])
        self._values = {field.name: value for field, value in columns.items()}
        if free is not None:
            self._values[free[0]] = free[1]

    def accepts(self, text: str, limits: Limits) -> Callable[[T], bool]:
        """Return the predicate of a filter. Raises ApiError for an invalid filter, with the position of the error."""
        try:
            checked = check(parse(text, _filter_limits(limits)), self.fields)
        except FilterError as error:
            raise refusal(error) from None
        named = {self._column(node.key) for node in comparisons(checked.expr)}
        values = [(name, self._values[name]) for name in named]
        matches = checked.matches
        return _counted(lambda item: matches({name: value(item) for name, value in values}), checked.expr, limits)

    def _column(self, key: str) -> str:
        """Return the column for a key of a filter."""
        field = self.fields.find(key)
        return field.name if field is not None else self.fields.free or key


class MetadataFilter:
    """A search filter on the fields of documents. A field that no document has matches none."""

    def __init__(self, text: str, limits: Limits) -> None:
        """Parse a filter. Raises ApiError."""
        try:
            self._expr = parse(text, _filter_limits(limits))
        except FilterError as error:
            raise refusal(error) from None
        self._limits = limits
        self._test = _counted(predicate(self._expr), self._expr, limits)

    def __call__(self, fields: Mapping[str, str]) -> bool:
        """Return whether a document with these fields matches."""
        return self._test(fields)

    async def select(self, columns: FieldColumns, team: str, collection_id: str) -> set[str]:
        """Return the file ids of the matching documents of a collection."""
        from emulator.operations.field_filters import mask_of

        terms, most = sum(1 for _ in comparisons(self._expr)), self._limits.filter_comparisons_max
        async with columns.of(team, collection_id, numeral) as found:
            if most is not None and terms * len(found) > most:
                raise _too_many(terms, most)
            return await asyncio.to_thread(lambda: found.chosen(mask_of(self._expr, found)))


def errors(text: str, limits: Limits, items: str | None) -> list[FilterError]:
    """Return every error of a filter of a list, or of a search, in the order of the text."""
    expr, found = parse_with_errors(text, _filter_limits(limits))
    if expr is None or items is None:
        return found
    return check_all(expr, LISTS[items].fields)


def _counted(test: Callable[[T], bool], expr: Expr, limits: Limits) -> Callable[[T], bool]:
    """Return the predicate, which raises ApiError after too many comparisons (items times terms) in a call."""
    terms, most = max(1, sum(1 for _ in comparisons(expr))), limits.filter_comparisons_max
    if most is None:
        return test
    left = most

    def counting(item: T) -> bool:
        nonlocal left
        left -= terms
        if left < 0:
            raise _too_many(terms, most)
        return test(item)

    return counting


def _too_many(terms: int, most: int) -> ApiError:
    return invalid(
        f"The filter needs more than {most} comparisons: {terms} for each item that it looks at. "
        "Use fewer terms, or keep fewer items in one list.",
        rule="filter_comparisons_max",
        param="filter",
    )


def refusal(error: FilterError) -> ApiError:
    """Return the refusal of a filter: the error, a caret under its position, and a hint."""
    rule = "filter" if error.limit is None else f"filter_{error.limit}"
    return invalid(f"Invalid filter: {error}", rule=rule, param="filter")


def _filter_limits(limits: Limits) -> FilterLimits:
    return FilterLimits(limits.filter_chars_max, limits.filter_depth_max, limits.filter_terms_max)


def _moment(instant: Instant | None) -> Value:
    return None if instant is None else to_datetime(instant)


def _text(name: str, matching: Matching = Matching.EXACT, *aliases: str) -> Field:
    return Field(name, matching=matching, aliases=aliases)


def _number(name: str) -> Field:
    return Field(name, Type.NUMBER, nullable=False)


def _time(name: str, *, nullable: bool = False) -> Field:
    return Field(name, Type.TIMESTAMP, nullable=nullable)


# OpenAPI: GET /v1/files, filter; the last two: Public URL guide. Nothing sets user_defined_id, so it is always null.
FILES: Columns[FileView] = Columns(
    {
        _text("name", Matching.FUZZY, "file_name"): lambda view: view.file.filename,
        _text("file_id"): lambda view: view.file.id,
        _number("size_bytes"): lambda view: view.file.size,
        _text("content_type", Matching.PARTIAL): lambda view: view.file.content_type,
        _time("created_at"): lambda view: _moment(view.file.created_at),
        _time("expires_at", nullable=True): lambda view: _moment(view.file.expires_at),
        _text("upload_status"): lambda view: view.file.upload_status.value,
        _text("user_defined_id"): lambda view: None,
        _text("public_url"): lambda view: view.public_url,
        _time("public_url_expires_at", nullable=True): lambda view: _moment(view.public_url_expires_at),
    }
)

# Collections reference: GET /v1/collections, filter. A name matches partially, even with `=`.
COLLECTIONS: Columns[Collection] = Columns(
    {
        _text("collection_id"): lambda collection: collection.id,
        _text("collection_name", Matching.PARTIAL): lambda collection: collection.name,
        _time("created_at"): lambda collection: _moment(collection.created_at),
        _number("documents_count"): lambda collection: collection.documents_count,
    }
)

# Collections reference: GET /v1/collections/{collection_id}/documents, filter. How a name matches is not documented: as
# in the list of files.
DOCUMENTS: Columns[Document] = Columns(
    {
        _text("name", Matching.FUZZY): lambda document: document.file.filename,
        _text("content_type", Matching.PARTIAL): lambda document: document.file.content_type,
        _number("size_bytes"): lambda document: document.file.size,
        _time("created_at"): lambda document: _moment(document.file.created_at),
        Field(
            "status", Type.ENUM, values=tuple(status.value for status in DocumentStatus), nullable=False
        ): lambda document: document.status.value,
    },
    free=("fields", lambda document: document.fields),
)

LISTS: dict[str, Columns[Any]] = {"files": FILES, "collections": COLLECTIONS, "documents": DOCUMENTS}
