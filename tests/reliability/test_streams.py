"""Many streamed answers at once: each comes whole, and nothing of them stays."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from typing import Any

import grpc
import httpx
import pytest

from emulator import Emulator
from emulator.rpc.messages import load
from tests.reliability.test_load import descriptors, resident_bytes
from tests.rpc.client import message
from tests.serving import KEY, PATIENCE_SECONDS, Served, until

STREAMS = 200
ROUNDS, WARM_ROUNDS = 10, 5
GROWTH_MAX = 8 * 1024 * 1024
FEW, MANY = ("word " * count + "end" for count in (4, 60))
CHAT = "/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]}
RESPONSES = "/v1/responses", {"input": "x", "store": False}


async def read_over_rest(port: int, path: str, body: dict[str, Any]) -> bytes:
    """Return a whole stream."""
    content = json.dumps({"model": "grok-4.3", "stream": True, **body}).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {KEY['authorization']}\r\nConnection: close\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.encode() + content)
    try:
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


def streamed_text(stream: bytes) -> str:
    """The text of a stream of chunks or events that came to its end."""
    events = [json.loads(line[6:]) for line in stream.decode().splitlines() if line.startswith("data: {")]
    if "type" in events[0]:
        assert events[-1]["type"] == "response.completed"
        return "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    assert stream.rstrip(b"\r\n0").endswith(b"data: [DONE]")
    return "".join(choice["delta"].get("content", "") for event in events for choice in event["choices"])


async def read_over_grpc(call: Any) -> str:
    """Return the text of a whole stream."""
    user = message("xai_api.Message", role=1, content=[message("xai_api.Content", text="x")])
    request = message("xai_api.GetCompletionsRequest", model="grok-4.3", messages=[user])
    metadata = (("authorization", KEY["authorization"]),)
    chunks = [chunk async for chunk in call(request, metadata=metadata)]
    assert chunks[-1].usage.total_tokens > 0
    return "".join(output.delta.content for chunk in chunks for output in chunk.outputs)


async def read_all(port: int, streams: int = STREAMS) -> Counter[str]:
    """Read all streams at once: two of five each over REST, one of five over gRPC. How often each text came."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        chunk = load().message("xai_api.GetChatCompletionChunk")
        call = channel.unary_stream(
            "/xai_api.Chat/GetCompletionChunk",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=chunk.FromString,
        )
        fifth = streams // 5
        over_rest = [read_over_rest(port, *endpoint) for endpoint in (CHAT, RESPONSES) for _ in range(2 * fifth)]
        over_grpc = [read_over_grpc(call) for _ in range(fifth)]
        read, texts = await asyncio.gather(asyncio.gather(*over_rest), asyncio.gather(*over_grpc))
    return Counter([*map(streamed_text, read), *texts])


def plan(url: str, text: str, **rule: Any) -> None:
    """Plan the answer to every request."""
    httpx.post(f"{url}/_emulator/answers", json={"response": text, **rule}).raise_for_status()


def test_streams_at_once_come_whole_and_leave_nothing() -> None:
    """200 streams at once, over both transports, come whole; afterwards no task and no wait of them is left."""
    with Emulator() as emulator:
        running = emulator._running()

        async def tasks() -> int:
            return len(asyncio.all_tasks())

        assert asyncio.run(read_all(emulator.port, 5)) == {"x": 5}  # what begins with the first call stays
        until(lambda: not running.services.waits._changes)
        before = emulator._run(tasks())
        httpx.post(f"{emulator.url}/_emulator/clock/freeze", json={}).raise_for_status()
        plan(emulator.url, FEW, tokens_per_second=1)

        async def read() -> Counter[str]:
            reading = asyncio.create_task(read_all(emulator.port))
            while len(running.services.waits._changes.get("default", ())) < STREAMS:
                assert not reading.done(), reading
                await asyncio.sleep(0.005)
            async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as control:
                await control.post(f"{emulator.url}/_emulator/clock/advance", json={"seconds": 2 * len(FEW)})
            return await reading

        texts = asyncio.run(read())
        until(lambda: not running.services.waits._changes)
        until(lambda: emulator._run(tasks()) <= before)
    assert texts == {FEW: STREAMS}


@pytest.mark.measure
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory and descriptors are read in /proc")
def test_streams_at_once_do_not_grow_the_process() -> None:
    """200 streams at once, of 61 deltas each, again and again: neither memory nor descriptors grow."""
    with Served() as served:
        plan(served.url, MANY)
        assert asyncio.run(read_all(served.port, 5)) == {MANY: 5}  # what begins with the first call stays
        idle, sizes = descriptors(served), []
        for _ in range(ROUNDS):
            assert asyncio.run(read_all(served.port)) == {MANY: STREAMS}
            until(lambda: descriptors(served) <= idle)
            httpx.delete(f"{served.url}/_emulator/requests").raise_for_status()  # the journal keeps its entries
            sizes.append(resident_bytes(served))
    print([round(size / 2**20, 1) for size in sizes])
    assert sizes[-1] - sizes[WARM_ROUNDS - 1] < GROWTH_MAX
