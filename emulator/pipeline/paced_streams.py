"""Streams of answers that are given at a pace, by the team's clock, or cut too early."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import msgspec

from emulator.core.errors import ApiError, Kind
from emulator.domain.chat.answers import tokens_of
from emulator.domain.chat.deltas import CallDelta, End, ReasoningDelta, TextDelta
from emulator.domain.chat.pace import Pace
from emulator.operations.base import Call, Stream
from emulator.state.services import Services

CUT = "The stream was cut, as the rule of its answer says."


def pace_stream(services: Services, call: Call, stream: Stream, pace: Pace) -> Stream:
    """Return the stream at a pace. Only what is written takes time: searches and ends do not."""

    async def paced() -> AsyncIterator[Any]:
        characters = written = 0
        async with aclosing(stream.read()) as deltas:  # type: ignore[type-var]
            async for delta in deltas:
                length = _length(delta)
                if pace.cut_after is not None and (isinstance(delta, End) or written == pace.cut_after):
                    _cut(call)  # before its end at the latest, so that a planned cut always happens
                if length is not None:
                    characters, written = characters + length, written + 1
                    elapsed = pace.delay_microseconds + pace.microseconds(tokens_of(characters))
                    await services.waits.after(call.team, call.at, elapsed)
                yield delta

    return msgspec.structs.replace(stream, read=paced)


def _length(delta: Any) -> int | None:
    """The characters that a delta writes; None for one that writes none."""
    if isinstance(delta, TextDelta | ReasoningDelta):
        return len(delta.text)
    return len(delta.call.arguments) if isinstance(delta, CallDelta) else None


def _cut(call: Call) -> None:
    """End the stream midway: over gRPC with a status, over REST with the end of the connection only."""
    call.entry.end("CUT")
    raise ApiError(Kind.UNAVAILABLE, CUT)
