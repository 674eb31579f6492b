"""The responders in use: one for each name or function that settings give."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from emulator.state.protocols import PlannedAnswers, Responder

if TYPE_CHECKING:
    from emulator.state.teams import Team


class Responders:
    """Makes each responder once. Planned answers of a team go before it."""

    def __init__(self, make: Callable[[str | Callable[..., Any]], Responder], planned: PlannedAnswers) -> None:
        """`make` raises ValueError with one clear sentence."""
        self._make, self._planned = make, planned
        self._made: dict[str | Callable[..., Any], Responder] = {}

    def named(self, wanted: str | Callable[..., Any]) -> Responder:
        """Return the responder of a setting. Raises ValueError where there is no such thing."""
        if wanted not in self._made:
            self._made[wanted] = self._make(wanted)
        return self._made[wanted]

    def of(self, team: Team) -> Responder:
        """Return what answers the model requests of a team. Raises ValueError where there is no such thing any more."""
        return self._planned.before(team.name, self.configured(team))

    def configured(self, team: Team) -> Responder:
        """Return what answers the requests for which no answer is planned. Raises ValueError."""
        return self.named(team.function or team.responder)

    def clear(self, team: str) -> int:
        """Remove the planned answers of a team, and what responders have counted for it; return how many answers."""
        for responder in self._made.values():
            forget = getattr(responder, "forget", None)
            if forget is not None:
                forget(team)
        return self._planned.clear(team)

    def reload(self) -> None:
        """Make each responder again when it is next used."""
        self._made.clear()
