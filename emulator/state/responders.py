"""The responders in use: one for each name or function that settings give."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from emulator.state.protocols import Responder

if TYPE_CHECKING:
    from emulator.state.teams import Team


class Responders:
    """Makes each responder once."""

    def __init__(self, make: Callable[[str | Callable[..., Any]], Responder]) -> None:
        """`make` raises ValueError with one clear sentence."""
        self._make = make
        self._made: dict[str | Callable[..., Any], Responder] = {}

    def named(self, wanted: str | Callable[..., Any]) -> Responder:
        """Return the responder of a setting. Raises ValueError where there is no such thing."""
        if wanted not in self._made:
            self._made[wanted] = self._make(wanted)
        return self._made[wanted]

    def of(self, team: Team) -> Responder:
        """Return what answers the model requests of a team. Raises ValueError where there is no such thing any more."""
        return self.named(team.function or team.responder)

    def forget(self) -> None:
        """Make each anew when it is next asked for."""
        self._made.clear()
