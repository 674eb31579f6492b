"""Planned answers: rules that a test adds to a team, which take precedence over its responder.

A planned answer is a canned rule. Like a planned fault it belongs to one team and is held in memory only.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from emulator.domain.chat.requests import ModelRequest
from emulator.state.protocols import Responder

if TYPE_CHECKING:
    from emulator.responders.rule_sets import CountedRule, RuleSet
    from emulator.responders.rules import CannedRule

ANSWERS_MAX = 1000  # of a team


class PlannedAnswers:
    """The planned answers of every team. Modules for rules are imported with the first planned answer."""

    def __init__(self) -> None:
        self._of_teams: dict[str, tuple[RuleSet, Iterator[int]]] = {}

    def add(self, team: str, rule: CannedRule) -> CountedRule:
        """Plan an answer. Raises BadRule."""
        from emulator.responders.rule_sets import RuleSet
        from emulator.responders.rules import BadRule, check

        check(rule)
        rules, numbers = self._of_teams.get(team) or (RuleSet(), itertools.count(1))
        if len(rules.rules) >= ANSWERS_MAX:
            raise BadRule(f"the team has {ANSWERS_MAX} planned answers already: remove some")
        self._of_teams[team] = rules, numbers
        return rules.add(f"answer-{next(numbers)}", rule)

    def of(self, team: str) -> list[CountedRule]:
        """Return the planned answers of a team, in the order in which they were planned."""
        return [] if team not in self._of_teams else list(self._of_teams[team][0].rules.values())

    def remove(self, team: str, id: str) -> bool:
        """Remove an answer; return whether there was one."""
        return team in self._of_teams and self._of_teams[team][0].remove(id)

    def clear(self, team: str) -> int:
        """Remove all answers of a team; return how many there were."""
        planned = self._of_teams.pop(team, None)
        return 0 if planned is None else len(planned[0].rules)

    def before(self, team: str, responder: Responder) -> Responder:
        """Return a responder that tries the planned answers of a team first."""
        planned = self._of_teams.get(team)
        return responder if planned is None or not planned[0].rules else PlannedFirst(planned[0], responder)


class PlannedFirst:
    """Returns planned answers, and passes other requests to another responder."""

    def __init__(self, rules: RuleSet, responder: Responder) -> None:
        self.requests_max = responder.requests_max
        self._rules, self._responder = rules, responder

    def search_of(self, request: ModelRequest) -> str | Literal[False] | None:
        """Return the search query of the rule that will answer."""
        from emulator.responders.rule_sets import NotAnswered

        said = self._rules.search_of(request)
        return search_of(self._responder, request) if isinstance(said, NotAnswered) else said

    async def answer(self, requests: Sequence[ModelRequest]) -> list[Any]:
        """Answer each request, in order."""
        from emulator.responders.rule_sets import NOT_ANSWERED

        answers = await self._rules.answer_all(list(requests))
        left = [number for number, said in enumerate(answers) if said is NOT_ANSWERED]
        if left:
            others = await self._responder.answer([requests[number] for number in left])
            for number, said in zip(left, others, strict=True):
                answers[number] = said
        return answers


def search_of(responder: Any, request: ModelRequest) -> str | Literal[False] | None:
    """Return a responder's query for the search; False for no search, None for the user's query."""
    choose = getattr(responder, "search_of", None)
    said = None if choose is None else choose(request)
    return said if isinstance(said, str) or said is False else None
