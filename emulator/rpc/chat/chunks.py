"""Streamed answers as messages, one for each delta; order and members as recorded, 2026-01 to 2026-08.

Every chunk has the role and the usage so far, the last one the whole usage: clients overwrite both.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import Any

from emulator.domain.chat.answers import Answer
from emulator.domain.chat.deltas import (
    CallDelta,
    Delta,
    End,
    ReasoningDelta,
    SearchDone,
    SearchStarted,
    TextDelta,
)
from emulator.domain.chat.progress import Progress
from emulator.operations.base import Stream
from emulator.rpc.chat.messages import CHAT_RESPONSE, FINISH_REASON, ROLE
from emulator.rpc.chat.parts import (
    OUTPUTS_PER_SEARCH,
    found_citations,
    function_call,
    inline_citations,
    is_included,
    search_call,
    usage_message,
)
from emulator.rpc.messages import load
from emulator.rpc.requests import Message

_message = load().message


async def chunks_of(stream: Stream) -> AsyncIterator[Message]:
    """Render the deltas of a stream as they come."""
    writer = _ChunkWriter(stream.answer)
    async with aclosing(stream.read()) as deltas:  # type: ignore[type-var]
        async for delta in deltas:
            yield writer.write(delta)


class _ChunkWriter:
    def __init__(self, answer: Answer) -> None:
        self._answer, self._progress = answer, Progress(answer)
        self._ends_left, self._written = len(answer.choices), 0  # characters of the first choice
        self._citations = list(inline_citations(answer))
        head = {"id": answer.id, "model": answer.model, "service_tier": answer.service_tier, "created": answer.created}
        described = CHAT_RESPONSE.to_message(head)
        self._head: dict[str, Any] = {
            "id": answer.id,
            "model": answer.model,
            "created": described.created,
            "system_fingerprint": answer.system_fingerprint,
        }
        self._tail = {"service_tier": described.service_tier, "citations": answer.citations}

    def write(self, delta: Delta) -> Message:
        """Render the chunk of a delta."""
        usage, tail = usage_message(self._progress.add(delta)), {}
        usage.ClearField("total_tokens")
        if isinstance(delta, End):
            self._ends_left -= 1
            if not self._ends_left:
                usage, tail = usage_message(self._answer.usage), self._tail
        output = self._output(delta)
        return _message("xai_api.GetChatCompletionChunk")(**self._head, **tail, outputs=[output], usage=usage)

    def _output(self, delta: Delta) -> Message:
        answer, reason = self._answer, 0
        if isinstance(delta, SearchStarted | SearchDone):
            index = OUTPUTS_PER_SEARCH * delta.number
        else:
            index = OUTPUTS_PER_SEARCH * len(answer.searches) + delta.choice
        members: dict[str, Any] = {"role": ROLE.to_message("assistant")}
        match delta:
            case SearchStarted():
                members["tool_calls"] = [search_call(answer, delta.number, delta.search, "in_progress")]
            case SearchDone():
                index += 1
                members = self._returned(delta)
            case ReasoningDelta():
                members["reasoning_content"] = delta.text
            case TextDelta():
                members |= {"content": delta.text, "citations": self._citations_in(delta)}
            case CallDelta():
                members["tool_calls"] = [function_call(delta.call)]
            case End():
                with suppress(KeyError):  # a responder may end an answer with another reason
                    reason = FINISH_REASON.to_message(delta.finish_reason)
        content = _message("xai_api.Delta")(**members)
        return _message("xai_api.CompletionOutputChunk")(delta=content, index=index, finish_reason=reason)

    def _returned(self, delta: SearchDone) -> dict[str, Any]:
        call = search_call(self._answer, delta.number, delta.search, "completed")
        members = {"role": ROLE.to_message("tool"), "tool_calls": [call]}
        if is_included(self._answer, delta.search):
            members |= {"content": delta.search.output, "citations": found_citations(delta.search)}
        return members

    def _citations_in(self, delta: TextDelta) -> list[Message]:
        """Return the citations whose markers are complete with this delta."""
        if delta.choice:
            return []
        self._written += len(delta.text)
        whole = [each for each in self._citations if each.end_index <= self._written]
        del self._citations[: len(whole)]
        return whole
