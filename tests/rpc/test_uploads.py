"""How the messages of an upload are read: in slices, without copies, whatever way a client encodes them."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.core.errors import ApiError
from emulator.rpc.files import SLICE_BYTES, read_upload
from tests.rpc.client import data, init


class Tracked(bytearray):
    """Bytes of which a test can see when they are freed."""


async def pieces(*messages: bytes) -> list[memoryview]:
    """The content of an upload, as its operation gets it."""

    async def sent() -> AsyncIterator[bytes]:
        yield init().SerializeToString()
        for each in messages:
            yield each

    request = await read_upload(sent())
    return [memoryview(piece) async for piece in request.content]


async def test_large_message_is_written_in_slices_without_copies() -> None:
    """Each is a view of the message as it came."""
    raw = data(bytes(range(256)) * 4096 + b"rest").SerializeToString()
    found = await pieces(raw)
    assert [len(piece) for piece in found] == [SLICE_BYTES] * 4 + [4]
    assert all(piece.obj is raw for piece in found)


async def test_message_is_freed_before_waiting_for_next() -> None:
    """What a stalled client sent before takes no memory."""
    weak: list[weakref.ref[Tracked]] = []

    async def sent() -> AsyncIterator[Any]:
        yield init().SerializeToString()
        for _ in range(3):
            assert [each() for each in weak] == [None] * len(weak)
            raw = Tracked(data(bytes(2 * SLICE_BYTES)).SerializeToString())
            weak.append(weakref.ref(raw))
            yield raw
            del raw

    async for piece in (await read_upload(sent())).content:
        del piece
    assert len(weak) == 3


async def test_others_get_a_turn_after_every_slice() -> None:
    """The loop runs what else is ready between two slices of one message."""
    turns: list[str] = []

    async def other() -> None:
        while True:
            turns.append("other")
            await asyncio.sleep(0)

    async def sent() -> AsyncIterator[bytes]:
        yield init().SerializeToString()
        yield data(bytes(5 * SLICE_BYTES)).SerializeToString()

    beside = asyncio.create_task(other())
    async for _ in (await read_upload(sent())).content:
        turns.append("slice")
    beside.cancel()
    assert turns.count("slice") == 5
    assert "slice slice" not in " ".join(turns)


def varint(number: int, padding: int = 0) -> bytes:
    """A number in seven bits a byte, with so many bytes more than it needs."""
    digits = [number >> shift & 0x7F for shift in range(0, 64, 7)]
    while len(digits) > 1 and digits[-1] == 0:
        digits.pop()
    digits = (digits + [0] * padding)[:10]
    return bytes([digit | 0x80 for digit in digits[:-1]] + [digits[-1]])


fields = st.tuples(st.sampled_from([2, 2, 2, 9]), st.binary(max_size=300), st.integers(0, 4))


@given(st.lists(st.lists(fields, max_size=3), max_size=4))
def test_upload_content_equals_what_protobuf_reads(messages: list[list[tuple[int, bytes, int]]]) -> None:
    """Also of messages with unknown fields, with data twice, of which the last counts, and with long lengths."""
    raws = [
        b"".join(varint(number << 3 | 2) + varint(len(value), padding) + value for number, value, padding in each)
        for each in messages
    ]
    expected = b"".join(type(data(b"")).FromString(raw).data for raw in raws)
    assert b"".join(asyncio.run(pieces(*raws))) == expected


@pytest.mark.parametrize("raw", [b"\x12", b"\x12\x05abc", b"\x12" + b"\xff" * 9 + b"\x01", b"\x12" + b"\xff" * 12])
async def test_truncated_message_is_refused(raw: bytes) -> None:
    """A length that says more than there is, or that never ends."""
    with pytest.raises(ApiError, match="not a UploadFileChunk"):
        await pieces(raw)
