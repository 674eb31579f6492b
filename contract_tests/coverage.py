"""Sees in an emulator's journal that a case has driven the operations it claims to."""

from __future__ import annotations

from .case import Case
from .target import FOREIGN_TEAM_SUFFIX, Target

_CALLS_MAX = 2_000  # that an emulator shows at once
_KEYLESS = "default"  # the team of calls whose key names none


class OperationCoverage:
    """The operations that were called since this was made. Of other servers than an emulator nothing is known."""

    def __init__(self, target: Target) -> None:
        self._target = target
        teams = [] if target.team is None else [target.team, f"{target.team}{FOREIGN_TEAM_SUFFIX}", _KEYLESS]
        self._last = {team: target.control("GET", "/requests", team=team, limit=1)["last"] for team in teams}

    def check(self, case: Case) -> None:
        """Fail where an operation of the case was not called."""
        missing = set(case.operations)
        for team, last in self._last.items():
            if missing:
                journal = self._target.control("GET", "/requests", team=team, after=last, limit=_CALLS_MAX)
                missing -= {entry["operation"] for entry in journal["requests"]}
        assert not (missing and self._last), f"the case did not call {', '.join(sorted(missing))}"
