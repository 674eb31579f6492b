"""How often a team may call an operation on batches."""

from __future__ import annotations

import msgspec

from emulator.core.clock import MICROSECONDS
from emulator.core.errors import ApiError, Kind
from emulator.operations.base import Call
from emulator.state.services import Services


class Rate(msgspec.Struct, frozen=True):
    """How often an operation may be called: the row of the limits, its window, and its name in the refusal."""

    row: str
    seconds: int
    label: str


RATES: dict[str, Rate] = {
    "batches.create": Rate("batch_creates_per_second", 1, "Batch Creations per Second"),
    "batches.add_requests": Rate("add_calls_per_30s", 30, "Add Batch Requests Calls per 30 Seconds"),
}


def check_rate(services: Services, call: Call) -> None:
    """Refuse a call beyond its rate, where the profile counts. The window rolls with the team's clock."""
    rate = RATES[call.operation.name]
    most: int | None = getattr(call.team.limits, rate.row)
    if not call.team.profile.batch_rate_limits or most is None:
        return
    name, since = call.operation.name, call.at - rate.seconds * MICROSECONDS
    calls = services.store.batches.calls_since(call.team.name, name, since)
    if calls >= most:
        raise ApiError(
            Kind.RESOURCE_EXHAUSTED,
            f"Too many requests for team {services.ids.of_team(call.team)}. "
            f"Your team's rate limit is - {rate.label} (actual/limit): {calls}/{most}.",
            rule=rate.row,
        )
    services.teams.keep(call.team)
    services.store.batches.note_call(call.team.name, name, call.at)
