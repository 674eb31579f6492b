"""An answer as chat completions JSON: whole, and as the chunks of a stream. Key order as recorded."""

from __future__ import annotations

from collections.abc import Iterator

from emulator.domain.chat.answers import Answer, Choice, FunctionCall, Usage
from emulator.domain.chat.bodies import Json
from emulator.domain.chat.deltas import CallDelta, Delta, End, ReasoningDelta, TextDelta


def completion_json(answer: Answer) -> Json:
    """Render a whole completion."""
    completion: Json = {
        "id": answer.id,
        "object": "chat.completion",
        "created": answer.created,
        "model": answer.model,
        "choices": [_choice(index, choice) for index, choice in enumerate(answer.choices)],
        "usage": usage_json(answer.usage),
    }
    if answer.citations:
        completion["citations"] = list(answer.citations)
    completion |= {"system_fingerprint": answer.system_fingerprint, "service_tier": answer.service_tier}
    return {**completion, **answer.extra}


def _choice(index: int, choice: Choice) -> Json:
    message: Json = {"role": "assistant", "content": choice.text}
    if choice.reasoning:
        message["reasoning_content"] = choice.reasoning
    if choice.calls:
        message["tool_calls"] = [_call(call) for call in choice.calls]
    message |= {**choice.message_extra, "refusal": choice.refusal}
    return {"index": index, "message": message, "finish_reason": choice.finish_reason, **choice.extra}


def _call(call: FunctionCall) -> Json:
    return {"id": call.id, "function": {"name": call.name, "arguments": call.arguments}, "type": call.type}


def usage_json(usage: Usage) -> Json:
    """Render the usage. Reasoning tokens are not part of completion_tokens (recorded, 2026-08)."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {
            "text_tokens": max(0, usage.prompt_tokens - usage.image_tokens),
            "audio_tokens": 0,
            "image_tokens": usage.image_tokens,
            "cached_tokens": usage.cached_tokens,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
        "num_sources_used": usage.num_sources_used,
        "cost_in_usd_ticks": usage.cost_in_usd_ticks,
        **usage.extra,
    }


class ChunkWriter:
    """Renders the deltas of an answer as chunks; the first delta of each choice has the role (recorded)."""

    def __init__(self, answer: Answer, *, include_usage: bool) -> None:
        self._answer, self._include_usage = answer, include_usage
        self._begun: set[int] = set()
        self._ends = 0

    def write(self, delta: Delta) -> Iterator[Json]:
        """Render the chunks of a delta; searches have no chunk."""
        match delta:
            case ReasoningDelta():
                yield self._chunk(delta.choice, {"reasoning_content": delta.text})
            case TextDelta():
                yield self._chunk(delta.choice, {"content": delta.text})
            case CallDelta():
                call = _call(delta.call)
                whole = {"id": call["id"], "function": call["function"], "index": delta.index, "type": call["type"]}
                yield self._chunk(delta.choice, {"tool_calls": [whole]})
            case End():
                yield from self._end(delta)

    def _end(self, end: End) -> Iterator[Json]:
        if end.choice not in self._begun:  # an empty answer has a role nevertheless
            yield self._chunk(end.choice, {"content": ""})
        closing = self._chunk(end.choice, {}, end.finish_reason)
        self._ends += 1
        if self._ends < len(self._answer.choices):
            yield closing
            return
        if self._answer.citations and not self._include_usage:
            closing["citations"] = list(self._answer.citations)
        yield closing
        if self._include_usage:
            last = self._frame([])
            last["usage"] = usage_json(self._answer.usage)
            if self._answer.citations:
                last["citations"] = list(self._answer.citations)
            last["system_fingerprint"] = last.pop("system_fingerprint")
            yield last

    def _chunk(self, index: int, delta: Json, finish_reason: str | None = None) -> Json:
        if delta and index not in self._begun:
            self._begun.add(index)
            delta["role"] = "assistant"
        choice: Json = {"index": index, "delta": delta}
        if finish_reason is not None:
            choice["finish_reason"] = finish_reason
        return self._frame([choice])

    def _frame(self, choices: list[Json]) -> Json:
        answer = self._answer
        return {
            "id": answer.id,
            "object": "chat.completion.chunk",
            "created": answer.created,
            "model": answer.model,
            "choices": choices,
            "system_fingerprint": answer.system_fingerprint,
        }
