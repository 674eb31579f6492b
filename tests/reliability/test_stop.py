"""Stopping a process on a signal, with any client connected and any work running."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from emulator import Emulator
from tests.rpc.client import Rpc, data, init, message
from tests.serving import KEY, PATIENCE_SECONDS, Served, until

EACH = 20  # connections of each kind
CALLS = 50  # that are journalled while the event streams are unread

WATCH = b"GET /_emulator/requests/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"
UPLOAD = (
    b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer xai-emulator\r\n"
    b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000\r\n\r\n--b\r\n"
)
LIST = b"GET /v1/files HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer xai-emulator\r\n\r\n"


def connect(served: Served, stack: ExitStack, sends: bytes, answer: bytes = b"") -> socket.socket:
    """Connect, send something, and wait until this is in what comes back."""
    client = stack.enter_context(socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE_SECONDS))
    client.sendall(sends)
    said = b""
    while answer not in said:
        received = client.recv(65536)
        assert received, said
        said += received
    return client


def test_process_with_open_connections_of_every_kind_ends() -> None:
    """SIGTERM ends the process with open event streams, half uploads, idle connections and gRPC streams: exit code 0.

    Twenty of each; the event streams are unread, and some listeners have left with events still to come.
    """
    with Served(python=()) as served, ExitStack() as stack, ExitStack() as leaving:
        for _ in range(EACH):
            connect(served, leaving, WATCH, b": watching")
            connect(served, stack, WATCH, b": watching")
            connect(served, stack, UPLOAD)
            connect(served, stack, LIST, b'"data"')
        arrived, go_on = threading.Semaphore(0), threading.Event()

        def stuck() -> Iterator[object]:
            yield init()
            yield data(b"x")
            arrived.release()
            go_on.wait(PATIENCE_SECONDS)

        rpc = stack.enter_context(Rpc(f"localhost:{served.port}", "xai-emulator"))
        rpc.call("xai_api.Files/ListFiles", message("xai_api.ListFilesRequest"))
        calls = [rpc.start("xai_api.Files/UploadFile", stuck()) for _ in range(EACH)]
        for _ in calls:
            assert arrived.acquire(timeout=PATIENCE_SECONDS)
        with httpx.Client(base_url=served.url, headers=KEY) as http:
            for _ in range(CALLS):
                http.get("/v1/files")
            leaving.close()
        served.stop()
        go_on.set()
        assert all(call.exception() is not None for call in calls)
    assert "Traceback" not in "".join(served.said)


def test_process_with_a_thread_that_never_ends_ends(tmp_path: Path) -> None:
    """SIGTERM ends the process also where a responder's library keeps a thread that nothing can interrupt."""
    (tmp_path / "stuck.py").write_text(
        "import threading, emulator.runtime.serve\n"
        "emulator.runtime.serve.STOP_SECONDS = 0.2\n"
        "threading.Thread(target=threading.Event().wait).start()\n"
        "answer = str\n"
    )
    with Served("--responder", "call:stuck:answer", PYTHONPATH=str(tmp_path)) as served:
        served.stop()
        until(lambda: any("is still running 0.2 s after the signal" in line for line in served.said))


@pytest.mark.parametrize("reset", [False, True], ids=["close", "reset"])
def test_listener_that_left_costs_nothing(reset: bool) -> None:
    """An event stream whose listener has left is forgotten, also where events were still to be sent to it."""
    with Emulator() as emulator, ExitStack() as stack:
        watchers = emulator._running().services.journal.ring("default").watchers  # type: ignore[attr-defined]
        for _ in range(EACH):
            client = socket.create_connection(("127.0.0.1", emulator.port), timeout=PATIENCE_SECONDS)
            if reset:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            stack.enter_context(client).sendall(WATCH)
        until(lambda: len(watchers) == EACH)
        with httpx.Client(base_url=emulator.url, headers=KEY) as http:
            for _ in range(CALLS):
                http.get("/v1/files")
        stack.close()
        until(lambda: not watchers)
