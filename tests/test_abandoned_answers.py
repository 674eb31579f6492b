"""Clients of model endpoints that leave before their answer is there: its work ends, and nothing is stored.

The answers come at a pace of the team's clock, which stands still, so a call waits for the clock until its client
leaves. The clock is moved on afterwards, so that work that went on would come to its end and be found.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from emulator import Emulator
from fixtures.team import EmulatedTeam
from tests.rpc.client import Rpc, message
from tests.serving import PATIENCE_SECONDS, until

Json = dict[str, Any]
Leaving = Callable[[Emulator], None]
SECONDS = 60  # of the answer, by the clock of the team


@pytest.fixture
def team(emulator: Emulator) -> Iterator[EmulatedTeam]:
    """A team whose clock stands still, and whose answers take a minute."""
    emulator.reset()
    team = EmulatedTeam(emulator, "default")
    httpx.post(f"{emulator.url}/_emulator/clock/freeze", json={}).raise_for_status()
    emulator.answer(None, " ".join(["word"] * SECONDS), tokens_per_second=1)
    yield team
    emulator.reset()


@contextmanager
def rest_call(emulator: Emulator, path: str, body: Json) -> Iterator[socket.socket]:
    """Send a request over a connection that is closed at the end."""
    content = json.dumps({"model": "grok-4.3", **body}).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {emulator.api_key}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", emulator.port), timeout=PATIENCE_SECONDS) as client:
        client.sendall(head.encode() + content)
        yield client


def received(client: socket.socket, text: bytes) -> None:
    """Read until a text has come."""
    read = b""
    while text not in read:
        piece = client.recv(65536)
        assert piece, read
        read += piece


CHAT = "/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]}
RESPONSE = "/v1/responses", {"input": "x"}


def over_rest(path: str, body: Json) -> Leaving:
    """Leave before an answer over REST."""

    def leave(emulator: Emulator) -> None:
        with rest_call(emulator, path, body):
            until(lambda: waits(emulator))

    return leave


def in_stream_over_rest(path: str, body: Json) -> Leaving:
    """Leave in the middle of a stream over REST."""

    def leave(emulator: Emulator) -> None:
        with rest_call(emulator, path, {**body, "stream": True}) as client:
            until(lambda: waits(emulator))
            EmulatedTeam(emulator, "default").advance(2)
            received(client, b"word")

    return leave


def request_over_grpc() -> Any:
    """A completion that is to be stored."""
    user = message("xai_api.Message", role=1, content=[message("xai_api.Content", text="x")])
    return message("xai_api.GetCompletionsRequest", model="grok-4.3", messages=[user], store_messages=True)


def over_grpc(emulator: Emulator) -> None:
    """Leave before an answer over gRPC."""
    with Rpc(emulator.grpc_target, emulator.api_key) as rpc:
        call = rpc.start("xai_api.Chat/GetCompletion", request_over_grpc())
        until(lambda: waits(emulator))
        call.cancel()


def in_stream_over_grpc(emulator: Emulator) -> None:
    """Leave in the middle of a stream over gRPC."""
    with Rpc(emulator.grpc_target, emulator.api_key) as rpc:
        call = rpc.start("xai_api.Chat/GetCompletionChunk", request_over_grpc())
        until(lambda: waits(emulator))
        EmulatedTeam(emulator, "default").advance(2)
        assert next(call).outputs[0].delta.content == "word"
        call.cancel()


def waits(emulator: Emulator) -> bool:
    """Whether a call waits for the clock of the team."""
    return bool(emulator._running().services.waits._changes.get("default"))


LEAVING: dict[str, Leaving] = {
    "chat": over_rest(*CHAT),
    "chat stream": in_stream_over_rest(*CHAT),
    "response": over_rest(*RESPONSE),
    "response stream": in_stream_over_rest(*RESPONSE),
    "gRPC": over_grpc,
    "gRPC stream": in_stream_over_grpc,
}


@pytest.mark.parametrize("leave", LEAVING.values(), ids=LEAVING)
def test_answer_whose_client_leaves_is_cancelled_and_not_stored(
    emulator: Emulator, team: EmulatedTeam, leave: Leaving
) -> None:
    leave(emulator)
    until(lambda: not waits(emulator))
    team.advance(2 * SECONDS)
    assert emulator._running().services.store.responses.total("default") == 0


def test_answer_whose_client_stays_is_stored(emulator: Emulator, team: EmulatedTeam) -> None:
    with Rpc(emulator.grpc_target, emulator.api_key) as rpc:
        call = rpc.start("xai_api.Chat/GetCompletionChunk", request_over_grpc())
        until(lambda: waits(emulator))
        team.advance(2 * SECONDS)
        assert len(list(call)) == SECONDS + 1
    assert emulator._running().services.store.responses.total("default") == 1
