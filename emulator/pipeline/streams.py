"""Uploads and downloads that a planned fault slows down or cuts, for both transports.

The pauses are real time, because the clock of a team does not affect sockets; each stream has a bound.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, NoReturn

import msgspec

from emulator.operations.base import Content, Reader, Stream
from emulator.pipeline.faults.effects import Effect, uploads

DRIP_SECONDS_MAX = 60
STALL_SECONDS = 60
DRIPS_PER_SECOND = 10

End = Callable[[], NoReturn]  # raises the exception that ends the call


def wrap_request(request: Any, effect: Effect, end: End) -> Any:
    """Return the request with its uploads slowed down or cut."""
    changes = {
        name: _wrap_upload(stream, effect, end)
        for name in uploads(type(request))  # type: ignore[arg-type]  # a class is hashable
        if (stream := getattr(request, name)) is not None
    }
    return msgspec.structs.replace(request, **changes) if changes else request


async def _wrap_upload(stream: AsyncIterator[Any], effect: Effect, end: End) -> AsyncIterator[Any]:
    """Yield the pieces of an upload up to the cut, without the piece that would exceed it."""
    left, drip = effect.cut_upload_after_bytes, Drip(effect.drip_bytes_per_second)
    async with aclosing(stream) as pieces:  # type: ignore[type-var]
        async for piece in pieces:
            size = _size(piece)
            await drip.pause(size)
            if left is not None:
                left -= size
                if left < 0:
                    end()
            yield piece
    if left is not None:
        end()  # an upload shorter than the cut is cut at its end, so that a planned fault always applies


def _size(piece: Any) -> int:
    return len(piece) if isinstance(piece, bytes | memoryview) else len(piece.data)


def wrap_content(content: Content, effect: Effect, end: End) -> Content:
    """Return the content, slowed down or cut when it is read."""
    return msgspec.structs.replace(content, read=_wrap_reader(content.read, effect, end))


def _wrap_reader(read: Reader, effect: Effect, end: End) -> Reader:
    async def wrapped(start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        left, rate = effect.cut_download_after_bytes, effect.drip_bytes_per_second
        drip = Drip(rate)
        async with aclosing(read(start, stop)) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                for part in _parts(piece, rate):
                    if left is not None and len(part) >= left:
                        if left:
                            yield part[:left]
                        end()
                    await drip.pause(len(part))
                    yield part
                    left = None if left is None else left - len(part)
        if left is not None:
            end()

    return wrapped


def wrap_stream(stream: Stream, effect: Effect, end: End) -> Stream:
    """Return the stream, stalled or cut when it is read."""
    cut, stall = effect.cut_stream_after_deltas, effect.stall_stream_after_deltas

    async def wrapped() -> AsyncIterator[Any]:
        count = 0
        async with aclosing(stream.read()) as deltas:  # type: ignore[type-var]
            async for delta in deltas:
                if count == cut:
                    end()
                if count == stall:
                    await asyncio.sleep(STALL_SECONDS)
                yield delta
                count += 1
        if cut is not None:
            end()  # a stream shorter than the cut is cut at its end, so that a planned fault always applies

    return msgspec.structs.replace(stream, read=wrapped)


def _parts(piece: bytes, rate: int | None) -> list[bytes]:
    if rate is None:
        return [piece]
    size = max(1, rate // DRIPS_PER_SECOND)
    return [piece[start : start + size] for start in range(0, len(piece), size)]


class Drip:
    """Limits a stream to a rate, until the pauses add up to DRIP_SECONDS_MAX."""

    def __init__(self, bytes_per_second: int | None) -> None:
        self._rate = bytes_per_second
        self._left = float(DRIP_SECONDS_MAX)

    async def pause(self, size: int) -> None:
        """Wait as long as this many bytes take at the rate."""
        if self._rate is not None and self._left > 0:
            seconds = min(size / self._rate, self._left)
            self._left -= seconds
            await asyncio.sleep(seconds)
