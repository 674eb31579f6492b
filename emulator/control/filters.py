"""Check a filter, for the console and editors."""

from __future__ import annotations

from msgspec import Struct

from emulator.control.route import Answer, ControlRequest, ControlRoute
from emulator.operations.list_filters import ListName, filter_mistakes


class FilterText(Struct, forbid_unknown_fields=True):
    """A filter. `list` says what it filters; without `list` it is a search filter."""

    filter: str
    list: ListName | None = None


class FilterErrorShown(Struct):
    """An error of a filter, with advice. The position counts characters from 0."""

    position: int
    message: str
    hint: str


class FilterErrors(Answer):
    """All errors of a filter in the order of its text; none if it is valid."""

    errors: list[FilterErrorShown]


async def check(request: ControlRequest) -> FilterErrors:
    """Return all errors of a filter, with their positions, without running it."""
    body: FilterText = request.body
    mistakes = filter_mistakes(body.list, body.filter, request.team.limits)
    return FilterErrors(errors=[FilterErrorShown(*mistake) for mistake in mistakes])


ROUTES = (ControlRoute("POST", "/filters/check", check, FilterErrors, body=FilterText, reads=True),)
