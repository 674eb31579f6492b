"""Answers of the model endpoints: planned ones, the rules of a canned file, and how often each is used."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from emulator.control.route import Answer, ControlError, ControlRequest, ControlRoute
from emulator.control.server import Cleared
from emulator.responders.canned import Canned
from emulator.responders.rule_sets import CountedRule
from emulator.responders.rules import BadRule, CannedRule


class AnswerShown(Struct):
    """A rule, how many requests it has answered, and whether it is used up.

    `left` says what was not used: null once the rule has answered as often as intended.
    """

    id: str
    rule: Any
    hits: int
    exhausted: bool
    left: str | None


class CannedShown(Struct):
    """The canned file, used when no planned answer matches, and how many requests matched none of its rules."""

    file: str
    strict: bool
    rules: list[AnswerShown]
    unmatched: int


class AnswersShown(Answer):
    """The planned answers of a team in the order in which they are tried, then the rules of its canned file, if any."""

    answers: list[AnswerShown]
    canned: CannedShown | None


class OneAnswer(Answer):
    """One planned answer."""

    answer: AnswerShown


def _shown(counted: CountedRule) -> AnswerShown:
    return AnswerShown(counted.id, counted.rule, counted.hits, counted.exhausted, counted.left)


async def list_all(request: ControlRequest) -> AnswersShown:
    """List the planned answers of a team and the rules of its canned file, with how often each was used."""
    team = request.team
    try:
        responder = request.services.responders.configured(team)
    except ValueError:  # a file that was deleted since the last start; requests are refused with that
        responder = None
    canned = None
    if isinstance(responder, Canned):
        rules = responder.rules_of(team.name)
        lines = [_shown(each) for each in rules.rules.values()]
        canned = CannedShown(responder.name, responder.is_strict, lines, rules.unmatched)
    return AnswersShown(answers=[_shown(each) for each in request.services.answers.of(team.name)], canned=canned)


async def add(request: ControlRequest) -> OneAnswer:
    """Plan an answer: a rule as in a canned file, which takes precedence over the responder.

    422 for a rule that contradicts itself, or an invalid regular expression.
    """
    try:
        return OneAnswer(answer=_shown(request.services.answers.add(request.team.name, request.body)))
    except BadRule as error:
        raise ControlError(422, str(error)) from None


async def get(request: ControlRequest) -> OneAnswer:
    """Show a planned answer and how often it was used."""
    id = request.path["id"]
    found = next((each for each in request.services.answers.of(request.team.name) if each.id == id), None)
    if found is None:
        raise _unknown(id)
    return OneAnswer(answer=_shown(found))


async def remove(request: ControlRequest) -> Cleared:
    """Remove a planned answer."""
    if not request.services.answers.remove(request.team.name, request.path["id"]):
        raise _unknown(request.path["id"])
    return Cleared(cleared={"answers": 1})


async def clear(request: ControlRequest) -> Cleared:
    """Remove every planned answer of a team."""
    return Cleared(cleared={"answers": request.services.answers.clear(request.team.name)})


def _unknown(id: str) -> ControlError:
    return ControlError(404, f"the team has no answer {id[:200]!r}")


ROUTES = (
    ControlRoute("GET", "/answers", list_all, AnswersShown),
    ControlRoute("POST", "/answers", add, OneAnswer, CannedRule, refusals=(422,)),
    ControlRoute("DELETE", "/answers", clear, Cleared),
    ControlRoute("GET", "/answers/{id}", get, OneAnswer, refusals=(404,)),
    ControlRoute("DELETE", "/answers/{id}", remove, Cleared, refusals=(404,)),
)
