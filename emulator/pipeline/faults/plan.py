"""Planned faults: the rules and scripts of each team, matching them with calls, and their counts."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from emulator.core.clock import Instant, monotonic_ms
from emulator.core.limits import whole
from emulator.operations import OPERATIONS
from emulator.operations.base import Call, Operation, Transport
from emulator.pipeline.faults.effects import BadFault, Effect, applicable

ATTEMPTS_MAX = 1000  # remembered by a script
PLANS_MAX = 1000  # rules and scripts of a team

Glob = Annotated[
    str, Meta(min_length=1, max_length=200, description="The name of an operation, or a pattern: `files.*`.")
]
Id = Annotated[  # sent in a header
    str, Meta(pattern=whole("[A-Za-z0-9._-]{1,64}"), description="Its id; generated when missing.")
]

OneTransport = Annotated[
    Literal["rest", "grpc"], Meta(description="Only calls over this transport; both when missing.")
]


class Rule(Effect, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """An effect on some calls of some operations: from the nth call on, a number of times."""

    operation: Glob
    id: Id | None = None
    transport: OneTransport | None = None
    nth: Annotated[int, Meta(ge=1, description="The first of the calls from now on that meets it.")] = 1
    times: Annotated[int, Meta(ge=1, description="How many calls meet it; null means every one.")] | None = 1


class Script(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """Effects on the next calls of an operation, one step per call. Calls after the last step are not affected."""

    operation: Glob
    steps: Annotated[
        list[Effect | Literal["ok"]],
        Meta(min_length=1, max_length=1000, description='An effect for each call, or "ok" for none.'),
    ]
    id: Id | None = None
    transport: OneTransport | None = None


class Attempt(msgspec.Struct):
    """One call that a script has matched."""

    at: Instant
    gap_seconds: float | None  # real time since the previous attempt ended
    transport: Transport
    operation: str
    step: int | None  # from 1 on; None when the script had none left
    deadline_seconds: float | None
    retry: int | None
    outcome: str | None = None  # None while it runs


class PlannedRule(msgspec.Struct):
    """A planned rule and its counts."""

    id: str
    rule: Rule
    operations: frozenset[str]
    calls: int = 0
    hits: int = 0

    def take(self, call: Call) -> FaultMatch | None:
        """Count a call that the rule matches; return a match if the effect applies to it."""
        if not _matches(self.operations, self.rule.transport, call):
            return None
        self.calls += 1
        if self.calls < self.rule.nth or (self.rule.times is not None and self.hits >= self.rule.times):
            return None
        return FaultMatch(self.rule, self.id, rule=self)


class PlannedScript(msgspec.Struct):
    """A planned script, its position and the calls it has matched."""

    id: str
    script: Script
    operations: frozenset[str]
    position: int = 0  # steps that were consumed
    seen: int = 0
    attempts: deque[Attempt] = msgspec.field(default_factory=lambda: deque(maxlen=ATTEMPTS_MAX))
    _last_end_ms: float | None = None

    @property
    def completed(self) -> bool:
        """Return whether every step is consumed."""
        return self.position == len(self.script.steps)

    def take(self, call: Call, *, decided: bool) -> FaultMatch | None:
        """Record a call that the script matches; it consumes a step unless none is left or another script decides."""
        if not _matches(self.operations, self.script.transport, call):
            return None
        step = None if self.completed or decided else self.script.steps[self.position]
        self.position += step is not None
        attempt = Attempt(
            at=call.at,
            gap_seconds=None if self._last_end_ms is None else (monotonic_ms() - self._last_end_ms) / 1000,
            transport=call.transport,
            operation=call.operation.name,
            step=None if step is None else self.position,
            deadline_seconds=call.envelope.deadline_seconds(),
            retry=call.envelope.retry(),
        )
        self.seen += 1
        self.attempts.append(attempt)
        effect = step if isinstance(step, Effect) else None
        return FaultMatch(effect, f"{self.id}:{self.position}", script=self, attempt=attempt)

    def end(self, attempt: Attempt, outcome: str) -> None:
        """Record the outcome of an attempt."""
        attempt.outcome = outcome
        self._last_end_ms = monotonic_ms()


class FaultMatch(msgspec.Struct):
    """A rule or script that matches a call, with the effect on it, if any."""

    effect: Effect | None
    label: str
    rule: PlannedRule | None = None
    script: PlannedScript | None = None
    attempt: Attempt | None = None

    def end(self, outcome: str) -> None:
        """Record the outcome of the call."""
        if self.script is not None and self.attempt is not None:
            self.script.end(self.attempt, outcome)


def _matches(operations: frozenset[str], transport: Transport | None, call: Call) -> bool:
    return call.operation.name in operations and (transport is None or transport == call.transport)


class FaultPlan(msgspec.Struct):
    """The rules and scripts of one team, each in the order in which they were planned."""

    rules: dict[str, PlannedRule] = msgspec.field(default_factory=dict)
    scripts: dict[str, PlannedScript] = msgspec.field(default_factory=dict)
    numbers: Iterator[int] = msgspec.field(default_factory=lambda: itertools.count(1))

    def take(self, call: Call) -> list[FaultMatch]:
        """Match a call. Every rule counts it, every script records it; the first effect is the one that applies."""
        matches, decided = [], False
        for script in self.scripts.values():
            match = script.take(call, decided=decided)
            if match is not None:
                matches.append(match)
                decided = decided or (match.attempt is not None and match.attempt.step is not None)
        for rule in self.rules.values():
            match = rule.take(call)
            if match is not None and not decided:
                rule.hits += 1
                matches.append(match)
                decided = True
        return matches

    def new_id(self, kind: str) -> str:
        """Return an id that no rule or script of the team has."""
        while self.has(id := f"{kind}-{next(self.numbers)}"):
            pass
        return id

    def has(self, id: str) -> bool:
        """Return whether a rule or a script has this id."""
        return id in self.rules or id in self.scripts


class Faults:
    """The planned faults of every team."""

    def __init__(self) -> None:
        self._plans: dict[str, FaultPlan] = {}

    def take(self, call: Call) -> list[FaultMatch]:
        """Return the matches of a call, usually none."""
        plans = self._plans.get(call.team.name)
        return [] if plans is None else plans.take(call)

    def plans(self, team: str) -> FaultPlan:
        """Return the rules and scripts of a team."""
        return self._plans.get(team) or FaultPlan()

    def add_rule(self, team: str, rule: Rule) -> PlannedRule:
        """Plan a rule. Raises BadFault."""
        operations = applicable(rule, _matching(rule.operation))
        plans = self._plan_with_capacity(team, rule.id)
        id = rule.id or plans.new_id("rule")
        plans.rules[id] = PlannedRule(id, rule, frozenset(operation.name for operation in operations))
        return plans.rules[id]

    def add_script(self, team: str, script: Script) -> PlannedScript:
        """Plan a script. Raises BadFault."""
        operations = _matching(script.operation)
        for step in script.steps:
            if isinstance(step, Effect):
                operations = applicable(step, operations)
        plans = self._plan_with_capacity(team, script.id)
        id = script.id or plans.new_id("script")
        plans.scripts[id] = PlannedScript(id, script, frozenset(operation.name for operation in operations))
        return plans.scripts[id]

    def _plan_with_capacity(self, team: str, id: str | None) -> FaultPlan:
        """Return the plan of a team. Raises BadFault if it is full or has the id already."""
        plans = self._plans.setdefault(team, FaultPlan())
        if len(plans.rules) + len(plans.scripts) >= PLANS_MAX:
            raise BadFault(f"the team has {PLANS_MAX} rules and scripts already: remove some")
        if id is not None and plans.has(id):
            raise BadFault(f"the team has a rule or script {id!r} already")
        return plans

    def remove(self, team: str, id: str) -> bool:
        """Remove a rule or a script; return whether there was one."""
        plans = self.plans(team)
        return plans.rules.pop(id, None) is not None or plans.scripts.pop(id, None) is not None

    def clear(self, team: str) -> int:
        """Remove all faults of a team; return how many there were."""
        plans = self._plans.pop(team, FaultPlan())
        return len(plans.rules) + len(plans.scripts)


def _matching(glob: str) -> list[Operation]:
    """Return the operations whose name matches a pattern. Raises BadFault if none does."""
    found = [operation for name, operation in OPERATIONS.items() if fnmatchcase(name, glob)]
    if not found:
        raise BadFault(f"no operation is called {glob!r}; known are {', '.join(sorted(OPERATIONS))}")
    return found
