"""The filters of lists: which fields each list can be filtered by, and what they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from emulator.clock import Instant, to_datetime
from emulator.domain.collections import Collection
from emulator.domain.documents import Document, DocumentStatus
from emulator.domain.files import FileView
from emulator.errors import ApiError, invalid
from emulator.limits import Limits
from filter_grammar import Field, Fields, FilterError, Matching, Type, Value, check, parse, predicate
from filter_grammar import Limits as FilterLimits

T = TypeVar("T")


class Columns(Generic[T]):
    """The fields of one list, each with where an item has its value."""

    def __init__(
        self, columns: Mapping[Field, Callable[[T], Value]], free: tuple[str, Callable[[T], Value]] | None = None
    ) -> None:
        self.fields = Fields(*columns, free=None if free is None else free[0])
        self._values = {field.name: value for field, value in columns.items()}
        if free is not None:
            self._values[free[0]] = free[1]

    def accepts(self, text: str | None, limits: Limits) -> Callable[[T], bool] | None:
        """The test of a filter, or None where there is nothing to test. Refuses a bad filter, and shows where it is."""
        if not text or not text.strip():
            return None
        try:
            matches = check(parse(text, _filter_limits(limits)), self.fields).matches
        except FilterError as error:
            raise refusal(error) from None
        values = self._values
        return lambda item: matches(_Row(item, values))


def metadata(text: str | None, limits: Limits) -> Callable[[Mapping[str, str]], bool] | None:
    """The test of a search filter, whose names are keys of documents' fields: one that no document has matches none."""
    if not text or not text.strip():
        return None
    try:
        return predicate(parse(text, _filter_limits(limits)))
    except FilterError as error:
        raise refusal(error) from None


def refusal(error: FilterError) -> ApiError:
    """The refusal of a filter: what is wrong with it, a caret under the spot, and a hint."""
    rule = "filter" if error.limit is None else f"filter_{error.limit}"
    return invalid(f"Invalid filter: {error}", rule=rule, param="filter")


def _filter_limits(limits: Limits) -> FilterLimits:
    return FilterLimits(limits.filter_chars_max, limits.filter_depth_max, limits.filter_terms_max)


@dataclass(frozen=True, slots=True, eq=False)
class _Row(Mapping[str, Value]):
    """An item as the values of its fields, each made when it is asked for."""

    item: Any
    columns: Mapping[str, Callable[[Any], Value]]

    def __getitem__(self, name: str) -> Value:
        return self.columns[name](self.item)

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)


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

# Collections reference: GET /v1/collections/{collection_id}/documents, filter. How a name matches is not said: as in
# the list of files.
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
