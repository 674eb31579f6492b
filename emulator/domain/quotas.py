"""How many objects of a kind a team may have."""

from __future__ import annotations

from emulator.core.errors import ApiError, Kind
from emulator.core.limits import Limits


def check_team_quota(present: int, limits: Limits, rule: str, objects: str) -> None:
    """Refuse one more object than the limit `rule` allows a team. Raises ApiError, which names `objects` (a plural)."""
    most: int | None = getattr(limits, rule)
    if most is not None and present >= most:
        raise ApiError(Kind.RESOURCE_EXHAUSTED, f"The team already has {most} {objects}.", rule=rule)
