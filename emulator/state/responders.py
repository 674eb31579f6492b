"""The responders in use: one for each name or function in the settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from emulator.state.protocols import PlannedAnswers, Responder

if TYPE_CHECKING:
    from emulator.state.teams import Team


class Responders:
    """Creates each responder once. Planned answers of a team take precedence over it."""

    def __init__(self, make: Callable[[str | Callable[..., Any]], Responder], planned: PlannedAnswers) -> None:
        """`make` raises ValueError with one clear sentence."""
        self._make, self._planned = make, planned
        self._made: dict[str | Callable[..., Any], Responder] = {}

    def named(self, wanted: str | Callable[..., Any]) -> Responder:
        """Return the responder of a setting. Raises ValueError if there is none."""
        if wanted not in self._made:
            self._made[wanted] = self._make(wanted)
        return self._made[wanted]

    def of(self, team: Team) -> Responder:
        """Return the responder for the model requests of a team. Raises ValueError if it does not exist any more."""
        return self._planned.before(team.name, self.configured(team))

    def configured(self, team: Team) -> Responder:
        """Return the responder for requests without a planned answer. Raises ValueError."""
        return self.named(team.function or team.responder)

    def clear(self, team: str) -> int:
        """Remove the planned answers of a team and the counts of its responders; return the number of answers."""
        for responder in self._made.values():
            forget = getattr(responder, "forget", None)
            if forget is not None:
                forget(team)
        return self._planned.clear(team)

    def reload(self) -> None:
        """Create each responder again at its next use."""
        self._made.clear()
