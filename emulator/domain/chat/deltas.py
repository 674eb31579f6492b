"""The deltas of a streamed answer, the same for every transport: searches, reasoning, text, calls, ends."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import msgspec

from emulator.core.lazy_pattern import lazy_pattern
from emulator.domain.chat.answers import Answer, FunctionCall
from emulator.domain.chat.evidence import Search

_PIECE = lazy_pattern(r"\s*\S+|\s+")  # a word and the white space before it, or the rest at the end


class SearchStarted(msgspec.Struct, frozen=True):
    """A search tool is called; `number` counts the searches of the answer."""

    number: int
    search: Search


class SearchDone(msgspec.Struct, frozen=True):
    """A search tool has returned its results."""

    number: int
    search: Search


class ReasoningDelta(msgspec.Struct, frozen=True):
    """More of the reasoning of a choice."""

    choice: int
    text: str


class TextDelta(msgspec.Struct, frozen=True):
    """More of the text of a choice."""

    choice: int
    text: str


class CallDelta(msgspec.Struct, frozen=True):
    """A call of a function of the client (recorded: always in one piece)."""

    choice: int
    index: int
    call: FunctionCall


class End(msgspec.Struct, frozen=True):
    """The end of a choice."""

    choice: int
    finish_reason: str


Delta = SearchStarted | SearchDone | ReasoningDelta | TextDelta | CallDelta | End


def deltas_of(answer: Answer) -> Iterator[Delta]:
    """Generate the deltas of an answer, whose texts add up to those of the answer.

    The reasoning of the first choice comes before the searches (recorded), then each choice.
    """
    words = 1 if answer.pace is None else answer.pace.chunk
    for index, choice in enumerate(answer.choices):
        for piece in pieces(choice.reasoning, words):
            yield ReasoningDelta(index, piece)
        if index == 0:
            yield from _searches(answer)
        for piece in pieces(choice.text, words):
            yield TextDelta(index, piece)
        for number, call in enumerate(choice.calls):
            yield CallDelta(index, number, call)
        yield End(index, choice.finish_reason)


def _searches(answer: Answer) -> Iterator[Delta]:
    for number, search in enumerate(answer.searches):
        yield SearchStarted(number, search)
        yield SearchDone(number, search)


def pieces(text: str, words: int = 1) -> Iterator[str]:
    """Split a text into pieces of `words` words, each with the white space before it."""
    found = (piece.group() for piece in _PIECE.finditer(text))
    return found if words == 1 else iter(lambda: "".join(islice(found, words)), "")
