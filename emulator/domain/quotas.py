"""Limits of the number of a team's objects."""

from __future__ import annotations

from emulator.core.errors import ApiError, Kind
from emulator.core.limits import Limits


def check_team_quota(present: int, limits: Limits, rule: str, objects: str) -> None:
    """Raise ApiError, which names `objects` (a plural), if one more object would exceed the limit `rule` of a team."""
    most: int | None = getattr(limits, rule)
    if most is not None and present >= most:
        raise ApiError(Kind.RESOURCE_EXHAUSTED, f"The team already has {most} {objects}.", rule=rule)
