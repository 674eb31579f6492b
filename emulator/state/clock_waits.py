"""Waits by the clock of a team, which end when the time has passed or the clock is moved.

A wait ends early when the clock is set back, as a reset does, or when the team is deleted.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress

from emulator.core.clock import MICROSECONDS, Instant, later
from emulator.state.teams import Team, Teams


class ClockWaits:
    """The waits of one emulator."""

    def __init__(self, teams: Teams) -> None:
        self._changes: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)
        teams.subscribe(self._on_change)

    async def after(self, team: Team, begun: Instant, microseconds: int) -> None:
        """Wait until `microseconds` after `begun` by a team's clock. A frozen clock has to be moved to end the wait."""
        end, latest = later(begun, microseconds), begun
        while not team.gone and latest <= (now := team.clock.now()) < end:
            latest = now
            await self._change(team.name, None if team.clock.frozen else (end - now) / MICROSECONDS)

    async def _change(self, name: str, seconds: float | None) -> None:
        """Wait until a team's clock is changed, for at most `seconds` of real time."""
        changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._changes[name].add(changed)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await changed
        finally:
            self._changes[name].discard(changed)
            if not self._changes[name]:
                del self._changes[name]

    def _on_change(self, name: str) -> None:
        for changed in self._changes.get(name, ()):
            if not changed.done():
                changed.set_result(None)
