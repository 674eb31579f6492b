"""Chat completions by processor time: an answer beside a small GET, a stream beside bare Starlette, many streams."""

from __future__ import annotations

import http.client
import json
import socket
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack

from benchmarks.peers import WORDS
from benchmarks.servers import AUTH, Process, running, upload, use_load_cpu
from benchmarks.table import ROUNDS, Figure

MIB = 1 << 20
PATH = "/v1/chat/completions"
HEADERS = {**AUTH, "Content-Type": "application/json"}
STREAMS = 200
RESPONDER = ("--responder", "call:benchmarks.peers:thousand_words", "--log", "quiet")


def chat_body(**more: object) -> bytes:
    """The body of a short conversation."""
    return json.dumps({"model": "grok-4.3", "messages": [{"role": "user", "content": "Hello"}], **more}).encode()


def busy_seconds(process: Process, call: Callable[[http.client.HTTPConnection], None], count: int) -> float:
    """The processor time that a process takes for each of so many calls, one after the other on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", process.port)
    before = process.busy_seconds()
    for _ in range(count):
        call(connection)
    took = process.busy_seconds() - before
    connection.close()
    return took / count


def exchange(method: str, path: str, body: bytes | None = None) -> Callable[[http.client.HTTPConnection], None]:
    """A call that reads its whole response."""

    def call(connection: http.client.HTTPConnection) -> None:
        connection.request(method, path, body, HEADERS)
        reply = connection.getresponse()
        content = reply.read()
        if reply.status != 200:
            raise RuntimeError(f"{path} answered {reply.status}: {content[:200]!r}")

    return call


def cost_ratio(reference: Callable[[], float], subject: Callable[[], float]) -> tuple[float, float, float]:
    """Median of the reference's processor time over the subject's, and both medians; a first round is thrown away."""
    reference(), subject()
    pairs = [(reference(), subject()) for _ in range(ROUNDS)]
    return (
        statistics.median(one / other for one, other in pairs),
        statistics.median(one for one, _ in pairs),
        statistics.median(other for _, other in pairs),
    )


def completions() -> list[Figure]:
    """A short answer beside GET /v1/files/{id}; a stream of 1,000 deltas beside bare Starlette with the same events."""
    use_load_cpu()
    with ExitStack() as stack:
        emulator, writer = (stack.enter_context(running("emulator", *flags)) for flags in ((), RESPONDER))
        peer = stack.enter_context(running("events"))
        get = exchange("GET", f"/v1/files/{upload(emulator.url, 'a.txt', b'hello')}")
        chat, stream = exchange("POST", PATH, chat_body()), exchange("POST", PATH, chat_body(stream=True))
        unary, gets, chats = cost_ratio(
            lambda: busy_seconds(emulator, get, 500), lambda: busy_seconds(emulator, chat, 500)
        )
        streamed, bare, ours = cost_ratio(
            lambda: busy_seconds(peer, stream, 20), lambda: busy_seconds(writer, stream, 20)
        )
        notes = (
            f"{gets * 1e6:,.0f} against {chats * 1e6:,.0f} µs of processor time",
            f"{bare * 1e3:,.1f} against {ours * 1e3:,.1f} ms of processor time",
        )
        return [
            Figure("chat completion, to GET /v1/files/{id}", unary, "x", 0.5, "higher", notes[0]),
            Figure(f"stream of {WORDS:,} deltas, to bare Starlette", streamed, "x", 0.5, "higher", notes[1]),
        ]


def streams() -> list[Figure]:
    """200 streams that are all open before any is read, again and again: what is not read is not kept."""
    use_load_cpu()
    with running("emulator", *RESPONDER) as emulator:
        read_at_once(emulator)
        before = emulator.resident_bytes()
        for _ in range(3):
            read_at_once(emulator)
        grown = (emulator.peak_bytes() - before) / MIB
        return [Figure(f"{STREAMS} concurrent streams, growth of the process", grown, "MiB", 16)]


def read_at_once(process: Process) -> None:
    """Open all streams, wait until each has begun, and read them to their ends."""
    body = chat_body(stream=True)
    lines = [f"POST {PATH} HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in HEADERS.items())]
    request = "\r\n".join([*lines, f"Content-Length: {len(body)}", "Connection: close", "", ""]).encode() + body
    opened = []
    for _ in range(STREAMS):
        connection = socket.create_connection(("127.0.0.1", process.port))
        connection.sendall(request)
        opened.append(connection)
    for connection in opened:
        connection.recv(1)
    time.sleep(0.5)  # by now every stream waits for its reader
    for connection in opened:
        end = b""
        while piece := connection.recv(MIB):
            end = (end + piece)[-64:]
        if b"[DONE]" not in end:
            raise RuntimeError(f"a stream ended with {end!r}")
        connection.close()
