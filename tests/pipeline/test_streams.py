"""Uploads and downloads that are cut or slowed down."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.operations.base import Content
from emulator.operations.files.chunked_upload import Chunk, UploadChunks
from emulator.operations.files.upload import UploadFile
from emulator.pipeline import streams
from emulator.pipeline.faults.effects import Effect

PIECES = st.lists(st.binary(min_size=1, max_size=9), max_size=6)


class Ended(Exception):
    """What ends a call in these tests."""


def end() -> NoReturn:
    raise Ended


async def read_to_the_end(stream: AsyncIterator[Any], received: list[Any]) -> None:
    """Everything that arrives before the end."""
    async for piece in stream:
        received.append(piece)


async def each(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@given(pieces=PIECES, after=st.integers(0, 60))
async def test_cut_upload_delivers_whole_pieces_up_to_the_cut(pieces: list[bytes], after: int) -> None:
    """Whole pieces only; one that is shorter than the cut is cut at its end, so that a planned fault happens."""
    request = streams.wrap_request(UploadFile("a", each(pieces)), Effect(cut_upload_after_bytes=after), end)
    received: list[bytes] = []
    with pytest.raises(Ended):
        await read_to_the_end(request.content, received)
    assert received == pieces[: len(received)]
    size = sum(map(len, received))
    assert size <= after
    if len(received) < len(pieces):
        assert size + len(pieces[len(received)]) > after


@given(pieces=PIECES, after=st.integers(0, 60))
async def test_cut_download_delivers_exactly_the_cut(pieces: list[bytes], after: int) -> None:
    """Byte for byte up to the cut, whatever the pieces are."""
    content = Content(sum(map(len, pieces)), "text/plain", lambda start=0, stop=None: each(pieces))
    cut = streams.wrap_content(content, Effect(cut_download_after_bytes=after), end)
    received: list[bytes] = []
    with pytest.raises(Ended):
        await read_to_the_end(cut.read(), received)
    assert b"".join(received) == b"".join(pieces)[:after]


@given(pieces=PIECES, rate=st.integers(1, 100))
async def test_drip_delivers_all_bytes_at_its_rate(pieces: list[bytes], rate: int) -> None:
    """So many bytes per second, at most a minute long, and every byte arrives."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams.asyncio, "sleep", sleep)
        content = Content(0, "text/plain", lambda start=0, stop=None: each(pieces))
        dripping = streams.wrap_content(content, Effect(drip_bytes_per_second=rate), end)
        assert b"".join([piece async for piece in dripping.read()]) == b"".join(pieces)
    wanted = sum(map(len, pieces)) / rate
    assert sum(slept) == pytest.approx(min(wanted, streams.DRIP_SECONDS_MAX))


async def test_chunks_are_counted_by_their_bytes() -> None:
    """A stream of pieces that hold bytes is cut like one of bytes."""

    async def chunks() -> AsyncIterator[Chunk]:
        for data in (b"aa", b"bb", b"cc"):
            yield Chunk("file_1", data)

    request = streams.wrap_request(UploadChunks(chunks()), Effect(cut_upload_after_bytes=4), end)
    received: list[Chunk] = []
    with pytest.raises(Ended):
        await read_to_the_end(request.chunks, received)
    assert [chunk.data for chunk in received] == [b"aa", b"bb"]
