"""Calls over REST whose client leaves before they are answered."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from emulator import Emulator
from emulator.http.responses import ContentResponse
from emulator.operations.base import Content
from tests.serving import PATIENCE_SECONDS, until

SLOW_SECONDS = 60  # far longer than the tests wait, so that a call ends by its cancellation or not at all
HEAD = b"Host: x\r\nAuthorization: Bearer %b\r\nContent-Type: application/json\r\n"


@pytest.fixture
def slow(control: httpx.Client) -> Iterator[httpx.Client]:
    """A control client of an emulator that delays every call."""
    rule = {"operation": "*", "delay_seconds": SLOW_SECONDS}
    assert control.post("/faults", json=rule).is_success
    yield control
    control.post("/reset")


def send(emulator: Emulator, request: bytes) -> socket.socket:
    """Send raw bytes over a new connection."""
    client = socket.create_connection(("127.0.0.1", emulator.port), timeout=PATIENCE_SECONDS)
    client.sendall(request)
    return client


def journal(control: httpx.Client) -> list[dict[str, Any]]:
    """Return the journalled calls."""
    calls: list[dict[str, Any]] = control.get("/requests").json()["requests"]
    return calls


@pytest.mark.parametrize("reset", [False, True], ids=["close", "reset"])
@pytest.mark.parametrize(
    "request_line",
    [b"GET /v1/files", b"DELETE /v1/files/file_1", b"POST /v1/collections"],
    ids=["read", "delete", "create"],
)
def test_client_disconnect_cancels_the_running_call(
    emulator: Emulator, slow: httpx.Client, request_line: bytes, reset: bool
) -> None:
    body = b'{"collection_name":"abandoned"}' if b"POST" in request_line else b""
    key = (emulator.management_key if body else emulator.api_key).encode()
    head = request_line + b" HTTP/1.1\r\n" + HEAD % key + b"Content-Length: %d\r\n\r\n" % len(body)
    client = send(emulator, head + body)
    until(lambda: journal(slow))
    assert journal(slow)[0]["outcome"] is None, "the call is still running"
    if reset:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    client.close()
    until(lambda: journal(slow)[0]["outcome"])
    assert [(call["outcome"], call["status"]) for call in journal(slow)] == [("CANCELLED", None)]


def test_disconnect_after_the_response_cancels_nothing(emulator: Emulator, control: httpx.Client) -> None:
    request = b"GET /v1/files HTTP/1.1\r\n" + HEAD % emulator.api_key.encode() + b"\r\n"
    client = send(emulator, request * 2)
    said = b""
    while said.count(b"HTTP/1.1 200") < 2 or not said.endswith(b"}"):
        said += client.recv(65536)
    client.close()
    until(lambda: all(call["outcome"] for call in journal(control)))
    assert [call["outcome"] for call in journal(control)] == ["ok", "ok"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/chat/completions", {"messages": [{"role": "user", "content": "one two three"}]}),
        ("/responses", {"input": "one two three"}),
    ],
)
def test_stream_that_its_client_leaves_is_shown_as_cancelled(
    emulator: Emulator, control: httpx.Client, rest: httpx.Client, path: str, body: dict[str, Any]
) -> None:
    """A stall lasts a minute of real time: the client leaves long before the end."""
    control.post("/faults", json={"operation": "*", "stall_stream_after_deltas": 1})
    with rest.stream("POST", f"/v1{path}", json={"model": "grok-4.3", "stream": True, **body}) as reply:
        pieces = reply.iter_raw()  # kept: without it the client would close the connection
        next(pieces)
        assert journal(control)[0]["outcome"] == "ok"
    until(lambda: journal(control)[0]["outcome"] == "CANCELLED")
    assert journal(control)[0]["status"] == 200


def test_download_that_its_client_leaves_is_shown_as_cancelled(control: httpx.Client, rest: httpx.Client) -> None:
    id = rest.post("/v1/files", files={"file": ("a.bin", bytes(1000))}).json()["id"]
    control.post("/faults", json={"operation": "files.content", "drip_bytes_per_second": 20})
    with rest.stream("GET", f"/v1/files/{id}/content") as reply:
        pieces = reply.iter_raw()  # kept: without it the client would close the connection
        next(pieces)
        assert journal(control)[-1]["outcome"] == "ok"
    until(lambda: journal(control)[-1]["outcome"] == "CANCELLED")


async def test_client_that_leaves_with_every_byte_of_a_download_has_read_it() -> None:
    """A client that knows the length need not wait for the end of the response."""
    left = list[str]()

    async def read(start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    async def download(bytes_read: int) -> None:
        async def send(message: dict[str, Any]) -> None:
            received.append(message.get("body", b""))
            if len(b"".join(received)) == bytes_read:
                task.cancel()

        task, received = asyncio.current_task(), list[bytes]()
        assert task is not None
        response = ContentResponse(Content(6, "text/plain", read), None)
        response.on_left = lambda: left.append(f"after {bytes_read} bytes")
        await response({"type": "http", "method": "GET", "headers": []}, None, send)  # type: ignore[arg-type]

    for bytes_read in (3, 6):
        [error] = await asyncio.gather(asyncio.create_task(download(bytes_read)), return_exceptions=True)
        assert isinstance(error, asyncio.CancelledError)
    assert left == ["after 3 bytes"]


def test_stop_with_a_running_call_is_not_taken_for_a_disconnect() -> None:
    """A call that the stop ends is cancelled as before, and nothing is logged of it."""
    with Emulator() as emulator:
        control = httpx.Client(base_url=f"{emulator.url}/_emulator", timeout=PATIENCE_SECONDS)
        control.post("/faults", json={"operation": "*", "delay_seconds": SLOW_SECONDS})
        with send(emulator, b"GET /v1/files HTTP/1.1\r\n" + HEAD % emulator.api_key.encode() + b"\r\n") as client:
            until(lambda: journal(control))
            control.close()
            emulator.stop()
            with pytest.raises(ConnectionResetError):
                client.recv(1)
