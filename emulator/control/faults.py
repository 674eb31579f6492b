"""Planned faults: rules and scripts, their remaining effects, and the calls they matched."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from emulator.control.route import Answer, ControlError, ControlRequest, ControlRoute
from emulator.control.server import Cleared
from emulator.core.clock import rfc3339
from emulator.core.errors import WIRE
from emulator.operations import OPERATIONS
from emulator.operations.base import Operation
from emulator.pipeline.error_catalog import KINDS, RECORDED, STATUSES
from emulator.pipeline.faults.effects import BadFault, downloads, uploads
from emulator.pipeline.faults.plan import Attempt, PlannedRule, PlannedScript, Rule, Script


class RuleShown(Struct):
    """A rule and its state: the calls it counted, the calls it affected, and whether it is used up."""

    id: str
    rule: Rule
    operations: list[str]
    calls: int
    hits: int
    exhausted: bool


class AttemptShown(Struct):
    """One call that a script matched.

    `gap_seconds` is the real time since the previous call ended: the client's back-off. `deadline_seconds` is the
    timeout and `retry` the attempt that the client states; `step` is null for a call after the last step.
    """

    at: str
    gap_seconds: float | None
    transport: Literal["rest", "grpc"]
    operation: str
    step: int | None
    deadline_seconds: float | None
    retry: int | None
    outcome: str | None


class ScriptShown(Struct):
    """A script, how many of its steps were consumed, and the last calls it matched."""

    id: str
    script: Script
    operations: list[str]
    consumed: int
    completed: bool
    calls: int
    attempts: list[AttemptShown]


class Planned(Answer):
    """All planned faults of a team, in the order in which they were planned."""

    rules: list[RuleShown]
    scripts: list[ScriptShown]


class OneRule(Answer):
    """One rule."""

    rule: RuleShown


class OneScript(Answer):
    """One script."""

    script: ScriptShown


class ErrorShown(Struct):
    """A refusal that a fault can name, and its form on the inference plane and over gRPC."""

    name: str
    status: int
    grpc: str
    sentence: str
    recorded: bool
    source: str | None


class StreamsShown(Struct):
    """An operation that a fault can name, and whether its bytes can be cut."""

    name: str
    uploads: bool
    downloads: bool


class Vocabulary(Answer):
    """The names that rules and scripts can use."""

    operations: list[StreamsShown]
    errors: list[ErrorShown]
    statuses: list[int]


def _rule(planned: PlannedRule) -> RuleShown:
    times = planned.rule.times
    return RuleShown(
        id=planned.id,
        rule=planned.rule,
        operations=sorted(planned.operations),
        calls=planned.calls,
        hits=planned.hits,
        exhausted=times is not None and planned.hits >= times,
    )


def _script(planned: PlannedScript) -> ScriptShown:
    return ScriptShown(
        id=planned.id,
        script=planned.script,
        operations=sorted(planned.operations),
        consumed=planned.position,
        completed=planned.completed,
        calls=planned.seen,
        attempts=[_attempt(attempt) for attempt in planned.attempts],
    )


def _attempt(attempt: Attempt) -> AttemptShown:
    return AttemptShown(
        at=rfc3339(attempt.at),
        gap_seconds=attempt.gap_seconds,
        transport=attempt.transport,
        operation=attempt.operation,
        step=attempt.step,
        deadline_seconds=attempt.deadline_seconds,
        retry=attempt.retry,
        outcome=attempt.outcome,
    )


async def list_all(request: ControlRequest) -> Planned:
    """List the rules and scripts of a team, and the calls that they affected."""
    plans = request.parts.faults.plans(request.team.name)
    return Planned(
        rules=[_rule(rule) for rule in plans.rules.values()],
        scripts=[_script(script) for script in plans.scripts.values()],
    )


async def add_rule(request: ControlRequest) -> OneRule:
    """Plan an effect on some calls of the operations whose name matches a pattern.

    422 for a pattern that matches no operation, an unknown error, effects that exclude each other, or one that cannot
    apply to any of these operations, such as a cut download of an operation without a download.
    """
    try:
        return OneRule(rule=_rule(request.parts.faults.add_rule(request.team.name, request.body)))
    except BadFault as error:
        raise ControlError(422, str(error)) from None


async def add_script(request: ControlRequest) -> OneScript:
    """Plan the outcome of the next calls, one step each: an effect, or "ok" for an unaffected call."""
    try:
        return OneScript(script=_script(request.parts.faults.add_script(request.team.name, request.body)))
    except BadFault as error:
        raise ControlError(422, str(error)) from None


async def get_script(request: ControlRequest) -> OneScript:
    """Report on a script: its attempts, the gaps between them, and whether every step was consumed."""
    planned = request.parts.faults.plans(request.team.name).scripts.get(request.path["id"])
    if planned is None:
        raise ControlError(404, f"the team has no script {request.path['id'][:200]!r}")
    return OneScript(script=_script(planned))


async def get_rule(request: ControlRequest) -> OneRule:
    """Show a rule and how often it took effect."""
    planned = request.parts.faults.plans(request.team.name).rules.get(request.path["id"])
    if planned is None:
        raise ControlError(404, f"the team has no rule {request.path['id'][:200]!r}")
    return OneRule(rule=_rule(planned))


async def remove(request: ControlRequest) -> Cleared:
    """Remove a rule or a script."""
    if not request.parts.faults.remove(request.team.name, request.path["id"]):
        raise ControlError(404, f"the team has no rule or script {request.path['id'][:200]!r}")
    return Cleared(cleared={"faults": 1})


async def clear(request: ControlRequest) -> Cleared:
    """Remove every rule and script of a team."""
    return Cleared(cleared={"faults": request.parts.faults.clear(request.team.name)})


async def vocabulary(request: ControlRequest) -> Vocabulary:
    """List the operations and the refusals that faults can name."""
    errors = [
        ErrorShown(name, WIRE[each.kind].http, WIRE[each.kind].grpc, each.sentence, True, each.source)
        for name, each in RECORDED.items()
    ]
    errors += [
        ErrorShown(name, WIRE[kind].http, WIRE[kind].grpc, kind.value, False, None) for name, kind in KINDS.items()
    ]
    return Vocabulary(
        operations=[_streams(operation) for operation in OPERATIONS.values()], errors=errors, statuses=sorted(STATUSES)
    )


def _streams(operation: Operation) -> StreamsShown:
    request: Any = operation.request
    return StreamsShown(operation.name, bool(uploads(request)), downloads(operation.run))


ROUTES = (
    ControlRoute("GET", "/faults", list_all, Planned),
    ControlRoute("POST", "/faults", add_rule, OneRule, Rule, refusals=(422,)),
    ControlRoute("DELETE", "/faults", clear, Cleared),
    ControlRoute("GET", "/faults/vocabulary", vocabulary, Vocabulary),
    ControlRoute("GET", "/faults/{id}", get_rule, OneRule, refusals=(404,)),
    ControlRoute("DELETE", "/faults/{id}", remove, Cleared, refusals=(404,)),
    ControlRoute("POST", "/scripts", add_script, OneScript, Script, refusals=(422,)),
    ControlRoute("GET", "/scripts/{id}", get_script, OneScript, refusals=(404,)),
    ControlRoute("DELETE", "/scripts/{id}", remove, Cleared, refusals=(404,)),
)
