"""Calls over REST whose client leaves before they are answered."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from emulator import Emulator
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
