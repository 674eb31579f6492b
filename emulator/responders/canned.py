"""`canned:FILE`: answers from a JSONL file, selected by the content of the request and its search results.

    {"contains": "ferns", "found": true, "response": "{quote} {citation}"}
    {"regex": "(?i)weather", "tool": "weather", "turn": 1, "response": {"tool_calls": [{"name": "weather"}]}}
    {"tool_result": "rain", "response": "Take an umbrella: {tool_result}."}
    {"contains": "status", "responses": ["queued", "done"]}
    {"contains": "slow", "response": "One word after the other.", "delay": 2, "tokens_per_second": 20}
    {"kind": "image_generation", "error": "the prompt was refused"}
    {"strict": true}

A line matches if all its conditions are true (`rules.CannedRule`). The first matching line answers, with `response`,
with the next of `responses`, or with `error`. If none matches, the request is echoed, or refused if a line says that
the file is strict. Each team has its own counters.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from emulator.core.errors import ApiError, Kind
from emulator.core.threads import map_in_threads
from emulator.domain.chat.requests import ModelRequest
from emulator.responders.echo import echo
from emulator.responders.rule_sets import NOT_ANSWERED, NotAnswered, RuleSet
from emulator.responders.rules import BadRule, CannedRule, rule_of

NO_RULE_CODE = "emulator:no-rule"
_PROMPT_CHARS_SHOWN = 80


class Canned:
    """Answers in a thread: the file may have many lines, and an echo may take long."""

    requests_max = 40

    def __init__(self, rules: Sequence[tuple[str, CannedRule]], name: str, *, is_strict: bool = False) -> None:
        self.name, self.is_strict = name, is_strict
        self._rules = rules
        self._of_teams: dict[str, RuleSet] = {}
        self._lock = threading.Lock()

    @classmethod
    def from_file(cls, path: str) -> Canned:
        """Load the rules of a file. Raises ValueError with the number of an invalid line."""
        try:
            texts = Path(path).read_bytes().splitlines()
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}") from None
        lines = [
            (number, _line(f"{path}, line {number}", text)) for number, text in enumerate(texts, 1) if text.strip()
        ]
        rules = [(f"line {number}", each) for number, each in lines if isinstance(each, CannedRule)]
        return cls(rules, Path(path).name, is_strict=any(each is True for _, each in lines))

    def rules_of(self, team: str) -> RuleSet:
        """Return the rules with the counters of a team."""
        with self._lock:
            return self._of_teams.setdefault(team, RuleSet(self._rules))

    def forget(self, team: str) -> None:
        """Reset the counters of a team."""
        with self._lock:
            self._of_teams.pop(team, None)

    def search_of(self, request: ModelRequest) -> str | Literal[False] | NotAnswered | None:
        """Return the search query of the rule that will answer."""
        return self.rules_of(request.team).search_of(request)

    async def answer(self, requests: Sequence[ModelRequest]) -> list[Any]:
        """Return the answer of the first matching rule, or an echo, for each request."""
        return await map_in_threads(self._answer, requests, threads=1)

    def _answer(self, request: ModelRequest) -> Any:
        said = self.rules_of(request.team).answer(request)
        if said is not NOT_ANSWERED:
            return said
        if not self.is_strict:
            return echo(request)
        # Not a 5xx, which clients would retry.
        shown = request.prompt[:_PROMPT_CHARS_SHOWN]
        sentence = f'No rule of {self.name} matches: "{shown}"'
        return ApiError(Kind.FAILED_PRECONDITION, sentence, rule="no_rule", status=400, code=NO_RULE_CODE)


def _line(place: str, text: bytes) -> CannedRule | bool:
    """Return the rule of a line, or whether the file is strict. Raises ValueError."""
    try:
        members = msgspec.json.decode(text)
        if isinstance(members, dict) and "strict" in members:
            return _strict(members)
        return rule_of(members)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, BadRule) as error:
        raise ValueError(f"{place}: {error}") from None


def _strict(members: dict[str, Any]) -> bool:
    if len(members) > 1:
        raise BadRule("strict needs a line of its own")
    if not isinstance(members["strict"], bool):
        raise BadRule("strict is true or false")
    return members["strict"]
