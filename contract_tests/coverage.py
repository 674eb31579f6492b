"""Sees in an emulator's journal that a case has driven the operations it claims to."""

from __future__ import annotations

from .case import Case
from .target import FOREIGN_TEAM_SUFFIX, Target

_NUMBER_MAX = 2**31  # of a call: after it there is none to show
_KEYLESS = "default"  # the team of calls whose key names none


class OperationCoverage:
    """The operations that were called since this was made. Of other servers than an emulator nothing is known."""

    def __init__(self, target: Target) -> None:
        self._target = target
        teams = [] if target.team is None else [target.team, f"{target.team}{FOREIGN_TEAM_SUFFIX}", _KEYLESS]
        self._last = {team: target.control("GET", "/requests", team=team, after=_NUMBER_MAX)["last"] for team in teams}

    def check(self, case: Case) -> None:
        """Fail where an operation of the case was not called."""
        missing = sorted(name for name in set(case.operations) if not self._was_called(name))
        assert not (missing and self._last), f"the case did not call {', '.join(missing)}"

    def _was_called(self, operation: str) -> bool:
        return any(
            self._target.control("GET", "/requests", team=team, after=last, operation=operation, limit=1)["requests"]
            for team, last in self._last.items()
        )
