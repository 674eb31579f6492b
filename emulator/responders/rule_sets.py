"""The rules of one team, in order, and how many requests each has answered."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any, Literal

import msgspec
from msgspec import UnsetType

from emulator.core.threads import map_in_threads
from emulator.domain.chat.requests import ModelRequest
from emulator.responders.rules import CannedRule
from emulator.responders.templates import answer_of_rule


class NotAnswered:
    """A sentinel in place of an answer, if no rule matches."""


NOT_ANSWERED = NotAnswered()


class CountedRule(msgspec.Struct):
    """A rule and the number of requests that it has answered."""

    id: str
    rule: CannedRule
    hits: int = 0

    @property
    def exhausted(self) -> bool:
        """Return whether the rule is used up."""
        return self.rule.times is not None and self.hits >= self.rule.times

    @property
    def left(self) -> str | None:
        """Return a sentence on the answers that were not used, or not as often as intended."""
        rule = self.rule
        wanted = rule.times or (1 if isinstance(rule.responses, UnsetType) else len(rule.responses))
        if self.hits >= wanted:
            return None
        condition = rule.regex or rule.contains or "any request"
        return f"{self.id} ({condition}) answered {self.hits} requests, planned: {wanted}"


class RuleSet:
    """Rules that are used and counted from several threads."""

    def __init__(self, rules: Iterable[tuple[str, CannedRule]] = ()) -> None:
        self.rules = {id: CountedRule(id, rule) for id, rule in rules}
        self.unmatched = 0  # requests that no rule matched
        self._lock = threading.Lock()

    def add(self, id: str, rule: CannedRule) -> CountedRule:
        """Add a rule after the others."""
        with self._lock:
            # a new dictionary, because another thread may be reading the old one
            self.rules = {**self.rules, id: CountedRule(id, rule)}
            return self.rules[id]

    def remove(self, id: str) -> bool:
        """Remove a rule; return whether there was one."""
        with self._lock:
            left = {each: rule for each, rule in self.rules.items() if each != id}
            was_there, self.rules = len(left) < len(self.rules), left
            return was_there

    def answer(self, request: ModelRequest) -> Any:
        """Return the answer of the first matching rule, and count it; NOT_ANSWERED if none matches."""
        with self._lock:
            counted = next(
                (each for each in self.rules.values() if not each.exhausted and each.rule.fits(request)), None
            )
            if counted is None:
                self.unmatched += 1
                return NOT_ANSWERED
            counted.hits += 1
            number = counted.hits
        return answer_of_rule(counted.rule, number, request)

    async def answer_all(self, requests: list[ModelRequest]) -> list[Any]:
        """Answer each request, in a thread, because there may be many rules."""
        return await map_in_threads(self.answer, requests, threads=1)

    def search_of(self, request: ModelRequest) -> str | Literal[False] | NotAnswered | None:
        """Return the search query of the rule that will answer; NOT_ANSWERED if none matches so far."""
        for counted in self.rules.values():
            rule = counted.rule
            if not rule.depends_on_evidence and not counted.exhausted and rule.fits_before_search(request):
                return rule.search
        return NOT_ANSWERED
