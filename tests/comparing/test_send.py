"""Requests to the emulator: early refusals and closed connections lose no answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from emulator.comparing.binding import Binding
from emulator.comparing.send import Sender, Target
from emulator.recordings.chains import ID
from emulator.recordings.entries import Entry, PostData, Request
from tests.serving import PATIENCE_SECONDS

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
REFUSAL = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
UUID = "0b944dc7-e2fb-4545-82ea-290458071a9c"
Serve = Callable[[socket.socket], None]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(PATIENCE_SECONDS)
        yield listening


def sender(listener: socket.socket) -> Sender:
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    return Sender(Target(url, "", {}, "default"), Binding(), Path("live.har"), foreign=False)


def serve(listener: socket.socket, work: Serve) -> threading.Thread:
    thread = threading.Thread(target=work, args=(listener,))
    thread.start()
    return thread


def read_head(connection: socket.socket) -> None:
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(1)


def test_early_refusal_is_read_where_the_body_has_no_reader(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server answers after the head and closes: to send the body then fails, and the answer is there."""

    def refuse(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            read_head(connection)
            connection.sendall(REFUSAL)

    def send_head_alone(connection: HTTPConnection, body: bytes | None = None) -> None:
        send(connection)
        raise BrokenPipeError

    send = HTTPConnection.endheaders
    monkeypatch.setattr(HTTPConnection, "endheaders", send_head_alone)
    thread = serve(listener, refuse)
    asking, large = sender(listener), PostData("text/plain", "too large")
    assert asking.rest(Entry(Request("POST", "https://api.x.ai/v1/batches", body=large))).status == 413
    asking.close()
    thread.join()


def test_request_on_a_connection_that_was_closed_is_sent_again(listener: socket.socket) -> None:
    closed = threading.Event()

    def close_after_one(listening: socket.socket) -> None:
        for _ in range(2):
            connection, _ = listening.accept()
            with connection:
                read_head(connection)
                connection.sendall(ANSWER)
            closed.set()

    thread = serve(listener, close_after_one)
    asking, entry = sender(listener), Entry(Request("GET", "https://api.x.ai/v1/files"))
    assert asking.rest(entry).status == 200
    assert closed.wait(PATIENCE_SECONDS)
    assert asking.rest(entry).status == 200
    asking.close()
    thread.join()


def test_server_that_answers_nothing_is_named(listener: socket.socket) -> None:
    def hang_up(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            read_head(connection)

    thread = serve(listener, hang_up)
    asking = sender(listener)
    with pytest.raises(ConnectionError, match="no answer"):
        asking.rest(Entry(Request("GET", "https://api.x.ai/v1/files")))
    thread.join()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"file_{UUID}", [f"file_{UUID}"]),
        (f"/batch_request_{UUID}?x={UUID}", [f"batch_request_{UUID}", UUID]),
        (f"n{UUID}", [UUID]),
        (f"_file_{UUID} 1file_{UUID}", [UUID, f"file_{UUID}"]),
        (f"{UUID}0 {UUID.upper()}", [UUID]),
    ],
)
def test_ids_are_found_with_their_prefixes(text: str, found: list[str]) -> None:
    assert ID.findall(text) == found


@pytest.mark.parametrize("text", ["a" * 3_000_000, "a_" * 1_500_000, "ab12" * 750_000, "left out " * 330_000])
def test_ids_are_looked_for_in_linear_time(text: str) -> None:
    """A quadratic search through a recorded text of this length would take hours."""
    assert ID.findall(text) == []
