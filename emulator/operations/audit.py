"""The audit log of a team."""

from __future__ import annotations

from typing import Annotated

import msgspec

from emulator.core.clock import LATEST, Instant
from emulator.core.limits import PageSize
from emulator.domain.audit import AuditEvent
from emulator.domain.keys import Plane
from emulator.domain.paging import Page
from emulator.operations.base import Call, Operation
from emulator.operations.collections import check_team_id
from emulator.operations.pagination import page
from emulator.state.services import Services


class ListEvents(msgspec.Struct, frozen=True):
    """A page of audit events in [start, stop), optionally of one user and with words in their descriptions."""

    team_id: str
    limit: Annotated[int, PageSize()]
    page_token: str | None = None
    user_id: str | None = None
    query: str | None = None
    start: Instant = 0
    stop: Instant = LATEST + 1


class EventView(msgspec.Struct, frozen=True):
    """An event with its id and its team's id."""

    id: str
    team_id: str
    event: AuditEvent


async def list_events(services: Services, call: Call, request: ListEvents) -> Page[EventView]:
    """Return a page of the changes by calls, newest first."""
    check_team_id(services, call, request.team_id)
    store, team = services.store.audit, call.team.name
    user, words = request.user_id, request.query or ""
    found = await page(
        lambda after, limit: store.page(team, request.start, request.stop, after, limit),
        store.cursor,
        query=("events", team, user or "", words, request.start, request.stop),
        token=request.page_token,
        limit=request.limit,
        accepts=lambda event: (not user or event.user_id == user) and event.matches(words),
    )
    team_id = services.ids.of_team(call.team)
    views = [EventView(services.ids.of_event(call.team, event.seq), team_id, event) for event in found.items]
    return Page(views, found.next_token, found.more)


OPERATIONS = (
    Operation(
        *("audit.list_events", Plane.MANAGEMENT, ListEvents, list_events),
        "Management API guide; members of an event assumed",
    ),
)
