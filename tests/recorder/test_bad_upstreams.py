"""Services that violate HTTP: the client sees what it would see without the recorder, which keeps running."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import closing, suppress

import grpc
import httpx
import pytest

from emulator import Emulator
from emulator.recorder import upstream
from emulator.recorder.server import Recorder
from tests.recorder.raw import RawConnection, RawServer, connect
from tests.recorder.test_grpc import grpc_of, key
from tests.recorder.test_rest import OK, client, entries
from tests.serving import PATIENCE_SECONDS

GET = b"GET /v1/files HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"


def answering(*pieces: bytes) -> Callable[[RawConnection], None]:
    def script(connection: RawConnection) -> None:
        connection.until(b"\r\n\r\n")
        for piece in pieces:
            connection.send(piece)

    return script


def reset(connection: RawConnection) -> None:
    """Close with a reset."""
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def ask_raw(recorder: Recorder, request: bytes = GET) -> bytes:
    with closing(connect(recorder.port.number)) as raw:
        raw.send(request)
        return raw.rest()


BROKEN = {
    "closes in the body": b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
    "closes in a chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nha",
    "closes before the last chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    "size of a chunk that is none": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhalf\r\n0\r\n\r\n",
    "length that is none": b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\nhalf",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 4\r\n\r\nhalf",
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "HTTP/2": b"\0\0\0\4\0\0\0\0\0",
    "status that is none": b"HTTP/1.1 99999 Odd\r\n\r\n",
    "closes in the headers": b"HTTP/1.1 200 OK\r\nx-a: ",
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_broken_answer_ends_the_clients_connection(record: Callable[..., Recorder], name: str) -> None:
    with RawServer(answering(BROKEN[name])) as server:
        recorder = record(server.url)
        with client(recorder) as http, pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            http.get("/v1/files")
    (entry,) = entries(recorder, 1)
    assert "closed the connection" in str(entry.error)
    assert recorder.journal.lost == 0


def test_reset_of_the_service_ends_the_clients_connection(record: Callable[..., Recorder]) -> None:
    def script(connection: RawConnection) -> None:
        connection.until(b"\r\n\r\n")
        reset(connection)

    with RawServer(script) as server:
        recorder = record(server.url)
        assert ask_raw(recorder) == b""
    assert "closed the connection" in str(entries(recorder, 1)[0].error)


def test_reset_in_an_upload_ends_the_clients_connection(record: Callable[..., Recorder]) -> None:
    def script(connection: RawConnection) -> None:
        connection.until(b"begun")
        reset(connection)

    with RawServer(script) as server:
        recorder = record(server.url)
        head = b"POST /v1/files HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9999\r\n\r\nbegun"
        assert ask_raw(recorder, head) == b""
    assert "closed the connection" in str(entries(recorder, 1)[0].error)


def test_more_than_the_length_says_is_not_passed_on(record: Callable[..., Recorder]) -> None:
    """Nor is it taken for the answer to the next request."""
    with RawServer(answering(OK + b"HTTP/1.1 500 Smuggled\r\ncontent-length: 0\r\n\r\n")) as server:
        recorder = record(server.url)
        with client(recorder) as http:
            replies = [http.get("/v1/files") for _ in range(2)]
    assert [(reply.status_code, reply.text) for reply in replies] == [(200, "ok")] * 2
    assert [entry.response.status for entry in entries(recorder, 2)] == [200, 200]


def test_body_without_a_length_ends_with_the_connection(record: Callable[..., Recorder]) -> None:
    with RawServer(answering(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nall", b" of it")) as server:
        recorder = record(server.url)
        with client(recorder) as http:
            assert http.get("/v1/files").text == "all of it"
    assert entries(recorder, 1)[0].response.body.text == "all of it"


def test_trailers_of_a_chunked_answer_are_passed_over(record: Callable[..., Recorder]) -> None:
    answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-trailer: 1\r\n\r\n"
    with RawServer(answering(answer)) as server:
        recorder = record(server.url)
        with client(recorder) as http:
            reply = http.get("/v1/files")
    assert (reply.text, "x-trailer" in reply.headers) == ("ok", False)


@pytest.mark.parametrize("endless", [b"x-a: " + b"a" * 1000 + b"\r\n", b"a" * 1000])
def test_headers_without_an_end_are_not_held(record: Callable[..., Recorder], endless: bytes) -> None:
    sent = []

    def script(connection: RawConnection) -> None:
        connection.until(b"\r\n\r\n")
        connection.send(b"HTTP/1.1 200 OK\r\nx-begin: ")
        try:
            while len(sent) * 1000 < 64 * upstream.HEAD_BYTES_MAX:
                connection.send(endless)
                sent.append(1)
        except OSError:
            return

    with RawServer(script) as server:
        recorder = record(server.url)
        assert ask_raw(recorder) == b""
    assert "closed the connection" in str(entries(recorder, 1)[0].error)
    assert len(sent) * 1000 < 64 * upstream.HEAD_BYTES_MAX


def test_many_headers_below_the_bound_pass(record: Callable[..., Recorder]) -> None:
    many = b"".join(b"x-%d: %b\r\n" % (number, b"a" * 1000) for number in range(60))
    with RawServer(answering(b"HTTP/1.1 200 OK\r\n" + many + b"content-length: 2\r\n\r\nok")) as server:
        recorder = record(server.url)
        answer = ask_raw(recorder)
    assert (answer.count(b"a" * 1000), answer.endswith(b"\r\n\r\nok")) == (60, True)


def test_service_that_never_answers_is_left_with_the_client(record: Callable[..., Recorder]) -> None:
    asked, ended = threading.Event(), threading.Event()

    def script(connection: RawConnection) -> None:
        connection.until(b"\r\n\r\n")
        asked.set()
        assert connection.rest() == b""
        ended.set()

    with RawServer(script) as server:
        recorder = record(server.url)
        raw = connect(recorder.port.number)
        raw.send(GET)
        assert asked.wait(PATIENCE_SECONDS)
        raw.close()
        assert ended.wait(PATIENCE_SECONDS)
    assert entries(recorder, 1)[0].error == "the client left"


def test_recorder_goes_on_after_broken_answers(service: Emulator, record: Callable[..., Recorder]) -> None:
    with RawServer(answering(b"nonsense\r\n\r\n")) as server:
        recorder = record(server.url, management_to=service.url)
        with client(recorder) as http:
            for _ in range(5):
                with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
                    http.get("/v1/files")
    from emulator.domain.keys import Plane

    with client(recorder, Plane.MANAGEMENT) as http:
        assert http.get("/v1/collections").status_code == 200


# --- gRPC


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame of HTTP/2 (RFC 9113 § 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(name: bytes, value: bytes) -> bytes:
    """A header without compression (RFC 7541 § 6.2.2)."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


SETTINGS, ACK = frame(4, 0, 0), frame(4, 1, 0)
HEAD = literal(b":status", b"200") + literal(b"content-type", b"application/grpc")
END_HEADERS, END_STREAM = 4, 1
MESSAGE = b"\0\0\0\0\2hi"
BAD_HTTP2 = {
    "closes at once": (b"", "UNAVAILABLE"),
    "speaks HTTP/1.1": (b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n", "UNAVAILABLE"),
    "closes after its settings": (SETTINGS, "UNAVAILABLE"),
    "goes away": (SETTINGS + ACK + frame(7, 0, 0, bytes(4) + (11).to_bytes(4, "big")), "UNAVAILABLE"),
    "refuses the stream": (SETTINGS + ACK + frame(3, 0, 1, (7).to_bytes(4, "big")), "UNAVAILABLE"),
    "resets the stream": (SETTINGS + ACK + frame(3, 0, 1, (2).to_bytes(4, "big")), "INTERNAL"),
    "headers that are none": (SETTINGS + ACK + frame(1, END_HEADERS | END_STREAM, 1, b"\xff\xff\xff"), None),
    "only trailers": (
        SETTINGS
        + ACK
        + frame(
            1, END_HEADERS | END_STREAM, 1, HEAD + literal(b"grpc-status", b"5") + literal(b"grpc-message", b"gone")
        ),
        "NOT_FOUND",
    ),
    "no trailers": (
        SETTINGS + ACK + frame(1, END_HEADERS, 1, HEAD) + frame(0, END_STREAM, 1, MESSAGE),
        None,
    ),
    "an HTML page": (
        SETTINGS
        + ACK
        + frame(1, END_HEADERS, 1, literal(b":status", b"503") + literal(b"content-type", b"text/html"))
        + frame(0, END_STREAM, 1, b"<html>"),
        "UNAVAILABLE",
    ),
}


@pytest.mark.parametrize("name", list(BAD_HTTP2))
def test_broken_http2_is_the_status_that_it_is_without_the_recorder(record: Callable[..., Recorder], name: str) -> None:
    answer, expected = BAD_HTTP2[name]

    done = threading.Event()

    def script(connection: RawConnection) -> None:
        with suppress(AssertionError, OSError):  # grpcio may open a further connection, and use it for nothing
            connection.until(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            if not answer.startswith(SETTINGS + ACK):
                connection.send(answer)
                return
            connection.send(SETTINGS)  # before which grpcio begins no stream
            connection.until(b"/a.B/C")
            connection.send(answer.removeprefix(SETTINGS))
            done.wait(PATIENCE_SECONDS)

    def status(target: str, metadata: tuple[tuple[str, str], ...]) -> tuple[str, str]:
        options = (("grpc.enable_retries", 0), ("grpc.enable_http_proxy", 0))
        with grpc.insecure_channel(target, options=options) as channel:
            call = channel.unary_unary("/a.B/C")
            error = call.future(b"q", metadata=metadata, timeout=PATIENCE_SECONDS).exception()
        assert isinstance(error, grpc.RpcError)
        return error.code().name, error.details()

    with RawServer(script) as server:
        target = server.url.partition("://")[2]
        try:
            direct = status(target, ())
            recorder = record(server.url)
            through = status(f"localhost:{recorder.port.number}", key(recorder))
        finally:
            done.set()
    assert through[0] == direct[0]
    if expected is not None:
        assert through[0] == expected
    (entry,) = entries(recorder, 1)
    assert (grpc_of(entry).status, recorder.journal.lost) == (through[0], 0)
    if name == "only trailers":
        assert (through[1], entry.by == "recorder") == ("gone", False)
