"""The usage of an answer so far, while it is streamed."""

from __future__ import annotations

import msgspec

from emulator.domain.chat.answers import Answer, Usage, cost, tokens, tokens_of
from emulator.domain.chat.deltas import CallDelta, Delta, ReasoningDelta, SearchDone, SearchStarted, TextDelta
from emulator.domain.chat.models import find_language


class Progress:
    """Counts the deltas of an answer; never exceeds the usage of the whole answer."""

    def __init__(self, answer: Answer) -> None:
        self._whole, self._model = answer.usage, find_language(answer.model)
        self._is_priority = answer.service_tier == "priority"
        # Results that searches have not returned yet.
        self._hidden = sum(tokens(search.output) for search in answer.searches)
        self._tools_used = 0
        self._characters: dict[tuple[type, int], int] = {}
        self._completion = self._reasoning = 0

    def add(self, delta: Delta) -> Usage:
        """Count a delta, and return the usage so far."""
        match delta:
            case SearchStarted():
                self._tools_used += 1
            case SearchDone():
                self._hidden -= tokens(delta.search.output)
            case TextDelta():
                self._completion += self._new_tokens(delta)
            case ReasoningDelta():
                self._reasoning += self._new_tokens(delta)
            case CallDelta():
                self._completion += tokens(delta.call.arguments)
        whole = self._whole
        used = msgspec.structs.replace(
            whole,
            prompt_tokens=max(0, whole.prompt_tokens - self._hidden),
            completion_tokens=min(whole.completion_tokens, self._completion),
            reasoning_tokens=min(whole.reasoning_tokens, self._reasoning),
            tools=whole.tools[: self._tools_used],
        )
        ticks = 0 if self._model is None else cost(used, self._model, priority=self._is_priority)
        return msgspec.structs.replace(used, cost_in_usd_ticks=ticks)

    def _new_tokens(self, delta: TextDelta | ReasoningDelta) -> int:
        """Return how many tokens a text has gained, counted over the whole text."""
        key = type(delta), delta.choice
        before = self._characters.get(key, 0)
        self._characters[key] = now = before + len(delta.text)
        return tokens_of(now) - tokens_of(before)
