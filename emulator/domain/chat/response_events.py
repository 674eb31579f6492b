"""The events of a streamed response: names, members and order as recorded; `sequence_number` counts them from 0.

The deltas of an answer are sequential, so at most one item is open: the first delta of another one closes it.
"""

from __future__ import annotations

from collections.abc import Iterator

from emulator.domain.chat import response_items as items
from emulator.domain.chat.answers import Answer
from emulator.domain.chat.bodies import Json
from emulator.domain.chat.deltas import CallDelta, Delta, End, ReasoningDelta, SearchDone, SearchStarted, TextDelta
from emulator.domain.chat.responses import begun_response_json, response_json

_REASONING, _MESSAGE = "reasoning", "message"


class EventWriter:
    """Renders the deltas of an answer as events."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._sequence = 0
        self._output_index = 0  # of the open item, or of the next one
        self._open: tuple[str, int] | None = None  # the kind of the open item, and its choice
        self._place: Json = {}  # of the last item that was opened: its id and its index
        self._ends = 0

    def begin(self) -> Iterator[Json]:
        """Render the two events before any delta."""
        for type in ("response.created", "response.in_progress"):
            yield self._event(type, response=begun_response_json(self._answer))

    def write(self, delta: Delta) -> Iterator[Json]:
        """Render the events of a delta."""
        match delta:
            case SearchStarted() | SearchDone():
                if items.shows(delta.search):
                    yield from self._close()
                    yield from self._search(delta)
            case ReasoningDelta():
                yield from self._begin_item(_REASONING, delta.choice)
                more = {"delta": delta.text, **self._place, "summary_index": 0}
                yield self._event("response.reasoning_summary_text.delta", **more)
            case TextDelta():
                yield from self._begin_item(_MESSAGE, delta.choice)
                more = {"content_index": 0, "delta": delta.text, **self._place, "logprobs": []}
                yield self._event("response.output_text.delta", **more)
            case CallDelta():
                yield from self._close()
                yield from self._call(delta)
            case End():
                yield from self._end(delta)

    # --- the content of the stream

    def _event(self, type: str, **members: object) -> Json:
        event: Json = {"sequence_number": self._sequence, "type": type, **members}
        self._sequence += 1
        return event

    # --- items

    def _add(self, item: Json) -> Json:
        """Begin an item."""
        self._place = {"item_id": item["id"], "output_index": self._output_index}
        return self._event("response.output_item.added", item=item, output_index=self._output_index)

    def _done(self, item: Json) -> Json:
        """End an item."""
        event = self._event("response.output_item.done", item=item, output_index=self._output_index)
        self._output_index += 1
        return event

    def _begin_item(self, kind: str, index: int) -> Iterator[Json]:
        """Open an item unless it is open."""
        if self._open == (kind, index):
            return
        yield from self._close()
        self._open = kind, index
        choice = self._answer.choices[index]
        if kind == _REASONING:
            yield self._add(items.reasoning_item(self._answer, index, choice, "in_progress"))
            begun = {**self._place, "part": {"text": "", "type": "summary_text"}, "summary_index": 0}
            yield self._event("response.reasoning_summary_part.added", **begun)
        else:
            yield self._add(items.message_item(self._answer, index, [], "in_progress"))
            if choice.text or choice.refusal is None:
                part = items.text_part("", [])
                yield self._event("response.content_part.added", content_index=0, **self._place, part=part)

    def _close(self) -> Iterator[Json]:
        """Close the open item, if there is one."""
        if self._open is None:
            return
        (kind, index), self._open = self._open, None
        yield from self._close_reasoning(index) if kind == _REASONING else self._close_message(index)

    def _close_reasoning(self, index: int) -> Iterator[Json]:
        choice = self._answer.choices[index]
        place = {**self._place, "summary_index": 0}
        yield self._event("response.reasoning_summary_text.done", **place, text=choice.reasoning)
        part = {"text": choice.reasoning, "type": "summary_text"}
        yield self._event("response.reasoning_summary_part.done", **place, part=part)
        yield self._done(items.reasoning_item(self._answer, index, choice, "completed"))

    def _close_message(self, index: int) -> Iterator[Json]:
        parts = items.content_parts(self._answer, index, self._answer.choices[index])
        for content_index, part in enumerate(parts):
            at = {"content_index": content_index, **self._place}
            yield from self._refusal_events(part, at) if part["type"] == "refusal" else self._text_end(part, at)
            yield self._event("response.content_part.done", **at, part=part)
        yield self._done(items.message_item(self._answer, index, parts, "completed"))

    def _text_end(self, part: Json, at: Json) -> Iterator[Json]:
        for number, annotation in enumerate(part["annotations"]):
            cited = {"annotation": annotation, "annotation_index": number}
            yield self._event("response.output_text.annotation.added", **cited, **at)
        yield self._event("response.output_text.done", **at, text=part["text"], logprobs=[])

    def _refusal_events(self, part: Json, at: Json) -> Iterator[Json]:
        """Render a refusal in one piece; only a custom responder returns one."""
        yield self._event("response.content_part.added", **at, part=items.refusal_part(""))
        yield self._event("response.refusal.delta", **at, delta=part["refusal"])
        yield self._event("response.refusal.done", **at, refusal=part["refusal"])

    def _search(self, delta: SearchStarted | SearchDone) -> Iterator[Json]:
        """Render a search: half of its events when it begins, the others when it ends."""
        is_done = isinstance(delta, SearchDone)
        status = "completed" if is_done else "in_progress"
        item = items.search_item(self._answer, delta.number, delta.search, status)
        if is_done:
            yield self._event("response.file_search_call.completed", **self._place)
            yield self._done(item)
        else:
            yield self._add(item)
            yield self._event("response.file_search_call.in_progress", **self._place)
            yield self._event("response.file_search_call.searching", **self._place)

    def _call(self, delta: CallDelta) -> Iterator[Json]:
        """Render the call of a function: its arguments come in one piece (streaming guide)."""
        begun, item = (
            items.call_item(self._answer, delta.choice, delta.index, delta.call, status)
            for status in ("in_progress", "completed")
        )
        yield self._add(begun)
        yield self._event("response.function_call_arguments.delta", delta=delta.call.arguments, **self._place)
        yield self._event("response.function_call_arguments.done", arguments=delta.call.arguments, **self._place)
        yield self._done(item)

    def _end(self, end: End) -> Iterator[Json]:
        choice = self._answer.choices[end.choice]
        if items.has_message(choice) and not choice.text:  # such as an empty text, which has no delta
            yield from self._begin_item(_MESSAGE, end.choice)
        yield from self._close()
        self._ends += 1
        if self._ends == len(self._answer.choices):
            response = response_json(self._answer)
            yield self._event(f"response.{response['status']}", response=response)
