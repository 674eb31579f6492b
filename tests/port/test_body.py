"""A request's body on its way from the parser to the app: every byte, in order, and one end."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from emulator.port.body import WAITING_BYTES_MAX, Body
from tests.serving import PATIENCE_SECONDS


class Uvicorn:
    """Imitates uvicorn's `receive`: waits for an event, then reports whether there is more, without bytes."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.more = True
        self.gone = False

    async def receive(self) -> dict[str, Any]:
        await self.event.wait()
        self.event.clear()
        if self.gone:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": b"", "more_body": self.more}


@given(pieces=st.lists(st.binary(min_size=1, max_size=5), max_size=8), steps=st.lists(st.integers(0, 3), max_size=20))
def test_body_arrives_in_order_and_ends(pieces: list[bytes], steps: list[int]) -> None:
    """Whatever the interleaving of arriving and asking, the app sees the bytes in order and `more_body` false last."""

    async def run() -> None:
        uvicorn, body, waiting, pauses = Uvicorn(), Body(), list(pieces), iter(steps)
        receive = body.receiver(uvicorn.receive)

        async def arrive() -> None:
            while waiting:
                body.add(waiting.pop(0))
                uvicorn.event.set()
                for _ in range(next(pauses, 0)):
                    await asyncio.sleep(0)
            uvicorn.more = False
            uvicorn.event.set()

        arriving = asyncio.create_task(arrive())
        seen, more = b"", True
        while more:
            message = await asyncio.wait_for(receive(), PATIENCE_SECONDS)
            seen += message["body"]
            more = message["more_body"]
        await arriving
        assert seen == b"".join(pieces)

    asyncio.run(run())


def test_received_body_is_delivered_before_disconnect() -> None:
    """A disconnect is reported after the pieces that were received before it."""

    async def run() -> None:
        uvicorn, body = Uvicorn(), Body()
        receive = body.receiver(uvicorn.receive)
        body.add(b"x")
        uvicorn.gone = True
        uvicorn.event.set()
        assert (await receive())["body"] == b"x"
        assert (await receive())["type"] == "http.disconnect"

    asyncio.run(run())


def test_unread_body_over_bound_is_full() -> None:
    """Beyond its bound it says so, and the connection stops to read."""
    body = Body()
    body.add(b"x" * WAITING_BYTES_MAX)
    assert not body.full
    body.add(b"x")
    assert body.full
