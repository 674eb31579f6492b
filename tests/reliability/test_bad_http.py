"""What no client should send, over the sockets of a process: refused in the documented dialect; the next is served."""

from __future__ import annotations

import ast
import re
import socket
import string
import struct
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import grpc
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import emulator
from emulator.core.errors import ApiError
from emulator.domain.paging import Cursor, decode_token, encode_token
from emulator.rest.routes import ROUTES
from emulator.rpc.methods import METHODS
from emulator.rpc.requests import Method
from tests.examples import examples
from tests.reliability.attacks import ATTEMPTS, Attempt, rest_request
from tests.rpc.client import PATIENCE_SECONDS, Rpc, message
from tests.serving import KEY, Served

HEAD = b"Host: x\r\nAuthorization: Bearer xai-emulator\r\n"
FORM = b"Content-Type: multipart/form-data; boundary=b\r\n"
UPLOAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n--b--\r\n'
SMUGGLED = b"GET /v1/smuggled HTTP/1.1\r\n" + HEAD + b"\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
KEYS = {"INFERENCE": "xai-emulator", "MANAGEMENT": "xai-token-emulator", "PUBLIC": "xai-emulator"}


ENDS = ("OK", "INVALID_ARGUMENT", "NOT_FOUND", "PERMISSION_DENIED", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED")


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """A process that has never to say that something failed."""
    with Served() as process:
        yield process
        process.stop()
    assert not [line for line in process.said if "Traceback" in line or "failed" in line], process.said


@pytest.fixture(scope="module")
def clients(served: Served) -> Iterator[dict[str, tuple[httpx.Client, Rpc]]]:
    """Clients of both transports by plane."""
    with ExitStack() as stack:
        yield {
            plane: (
                stack.enter_context(
                    httpx.Client(
                        base_url=served.url, headers={"authorization": f"Bearer {key}"}, timeout=PATIENCE_SECONDS
                    )
                ),
                stack.enter_context(Rpc(f"localhost:{served.port}", key)),
            )
            for plane, key in KEYS.items()
        }


def exchange(served: Served, *pieces: bytes, half_close: bool = True) -> bytes:
    """Everything that comes back for some bytes, until the server closes or has nothing more to say."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE_SECONDS) as client:
        said = b""
        try:
            for piece in pieces:
                client.sendall(piece)
            if half_close:
                client.shutdown(socket.SHUT_WR)
            while received := client.recv(65536):
                said += received
        except (ConnectionResetError, BrokenPipeError):
            pass
        return said


def assert_serves(served: Served) -> None:
    """The next request is answered, over either transport."""
    assert httpx.get(f"{served.url}/v1/files", headers=KEY).status_code == 200


def statuses(said: bytes) -> list[int]:
    """The status of every response."""
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3})", said)]


def one_response(client: socket.socket) -> bytes:
    """The next response, whose body is an object."""
    said = b""
    while not said.endswith(b"}"):
        received = client.recv(65536)
        assert received, said
        said += received
    return said


def post(*headers: bytes, body: bytes = b"") -> bytes:
    """An upload with more headers."""
    return (
        b"POST /v1/files HTTP/1.1\r\n" + HEAD + FORM + b"".join(b"%b\r\n" % each for each in headers) + b"\r\n" + body
    )


BROKEN = {
    "chunk size that is no number": post(b"Transfer-Encoding: chunked", body=b"zz\r\nabc\r\n0\r\n\r\n"),
    "negative chunk size": post(b"Transfer-Encoding: chunked", body=b"-1\r\nabc\r\n0\r\n\r\n"),
    "chunk size beyond 64 bits": post(b"Transfer-Encoding: chunked", body=b"f" * 17 + b"\r\nabc"),
    "chunk without end of line": post(b"Transfer-Encoding: chunked", body=b"3\r\nabcd\r\n0\r\n\r\n"),
    "chunks that stop": post(b"Transfer-Encoding: chunked", body=b"ffff\r\nabc"),
    "length that is no number": post(b"Content-Length: abc", body=UPLOAD),
    "negative length": post(b"Content-Length: -1", body=UPLOAD),
    "length beyond 64 bits": post(b"Content-Length: " + b"9" * 30, body=UPLOAD),
    "two lengths": post(b"Content-Length: 5", b"Content-Length: 6", body=SMUGGLED),
    "a list of lengths": post(b"Content-Length: 5, 6", body=SMUGGLED),
    "length and chunks": post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + SMUGGLED),
    "chunks and length": post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=b"0\r\n\r\n" + SMUGGLED),
    "chunked, and something else": post(b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n" + SMUGGLED),
    "something else than chunked": post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n" + SMUGGLED),
    "chunked with a tab": post(b"Transfer-Encoding:\tchunked", b"Content-Length: 5", body=b"0\r\n\r\n" + SMUGGLED),
    "space before the colon": post(b"Content-Length : 5", body=b"12345" + SMUGGLED),
    "folded header": post(b"Content-Length: 5\r\n 0", body=b"12345" + SMUGGLED),
    "header without a colon": post(b"nonsense"),
    "header without a name": post(b": x"),
    "NUL in a header": post(b"x: a\0b"),
    "line feed only": b"GET /v1/files HTTP/1.1\n" + HEAD.replace(b"\r", b"") + b"\n",
    "head that is too long": b"GET /v1/files HTTP/1.1\r\nx: " + b"x" * 200_000 + b"\r\n\r\n",
    "too many headers": b"GET /v1/files HTTP/1.1\r\n" + b"x: y\r\n" * 40_000 + b"\r\n",
    "target that is too long": b"GET /v1/files?" + b"x" * 200_000 + b" HTTP/1.1\r\n" + HEAD + b"\r\n",
    "no target": b"GET HTTP/1.1\r\n\r\n",
    "unknown method": b"BREW /v1/files HTTP/1.1\r\n" + HEAD + b"\r\n",
    "lower-case method": b"get /v1/files HTTP/1.1\r\n" + HEAD + b"\r\n",
    "unknown version": b"GET /v1/files HTTP/9.9\r\n" + HEAD + b"\r\n",
    "NUL in the target": b"GET /v1/fi\0les HTTP/1.1\r\n" + HEAD + b"\r\n",
    "bare bytes in the target": b"GET /v1/files/\xff\xfe HTTP/1.1\r\n" + HEAD + b"\r\n",
    "encoded NUL": b"GET /v1/files/%00 HTTP/1.1\r\n" + HEAD + b"\r\n",
    "broken percent": b"GET /v1/files/%zz%f HTTP/1.1\r\n" + HEAD + b"\r\n",
    "invalid UTF-8, encoded": b"GET /v1/files/%ff%fe HTTP/1.1\r\n" + HEAD + b"\r\n",
    "absolute form": b"GET http://other.example/v1/files HTTP/1.1\r\n" + HEAD + b"\r\n",
    "absolute form without a path": b"GET http://other.example HTTP/1.1\r\n" + HEAD + b"\r\n",
    "authority form": b"CONNECT other.example:443 HTTP/1.1\r\n" + HEAD + b"\r\n",
    "asterisk form": b"OPTIONS * HTTP/1.1\r\n" + HEAD + b"\r\n",
    "asterisk with GET": b"GET * HTTP/1.1\r\n" + HEAD + b"\r\n",
    "two slashes": b"GET //v1//files HTTP/1.1\r\n" + HEAD + b"\r\n",
    "no slash": b"GET v1/files HTTP/1.1\r\n" + HEAD + b"\r\n",
    "fragment": b"GET /v1/files#x HTTP/1.1\r\n" + HEAD + b"\r\n",
    "odd host": b"GET /v1/files HTTP/1.1\r\nHost: \xff[::\r\nAuthorization: Bearer xai-emulator\r\n\r\n",
    "odd key": b"GET /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe@\xff\r\n\r\n",
    "odd team": b"GET /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k@../../x\r\n\r\n",
    "odd range": b"GET /v1/files HTTP/1.1\r\nRange: bytes=--1\r\n" + HEAD + b"\r\n",
    "noise": bytes(range(256)) * 16,
    "a TLS hello": bytes.fromhex("16030100c8010000c40303") + bytes(200),
    "nothing": b"",
    "half a preface": PREFACE[:12],
    "noise after the preface": PREFACE + bytes(range(256)) * 64,
    "HTTP/1 after the preface": PREFACE + SMUGGLED,
    "a frame that is too long": PREFACE + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + bytes(1000),
    "half a frame": PREFACE + b"\x00\x00\x04\x04",
    "a header block that never ends": PREFACE
    + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    + (struct.pack(">I", 100)[1:] + b"\x09\x00\x00\x00\x00\x01" + b"\x82" * 100) * 50,
}


DOCUMENT = b'{"name":"a.txt","content_type":"text/plain"}'
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(DOCUMENT), DOCUMENT)
LENGTH, CHUNKED = b"Content-Length: %d" % len(DOCUMENT), b"Transfer-Encoding: chunked"
H2C = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c")


def initialize(*headers: bytes, body: bytes = DOCUMENT, version: bytes = b"HTTP/1.1") -> bytes:
    """A request with a JSON body and more headers, followed by a request that would be seen if it were served."""
    lines = [b"POST /v1/files:initialize " + version, *HEAD.splitlines(), b"Content-Type: application/json", *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body + SMUGGLED


def chunked(body: bytes) -> bytes:
    """The same with a body in chunks."""
    return initialize(CHUNKED, body=body)


# How a request is framed, and the statuses of the responses. 404 is what SMUGGLED gets where it is a request of its
# own, as it is behind every body that is whole.
FRAMING = {
    "a length": (initialize(LENGTH), [200, 404]),
    "a length with spaces": (initialize(LENGTH + b"  "), [200, 404]),
    "a length with zeros": (initialize(LENGTH.replace(b" ", b" 000")), [200, 404]),
    "the same length twice": (initialize(LENGTH, LENGTH), [400]),
    "a length with a sign": (initialize(b"Content-Length: +44"), [400]),
    "a length in hexadecimal": (initialize(b"Content-Length: 0x2c"), [400]),
    "a length with a space in it": (initialize(b"Content-Length: 4 4"), [400]),
    "a length with an underscore": (initialize(b"Content-Length: 4_4"), [400]),
    "a length with a vertical tab": (initialize(b"Content-Length: \x0b44"), [400]),
    "a length with a no-break space": (initialize(b"Content-Length: 44\xa0"), [400]),
    "a length on a folded line": (initialize(b"Content-Length:\r\n 44"), [400]),
    "no length": (initialize(b"Content-Length: "), [400]),
    "a longer length in a trailer": (chunked(CHUNKS[:-2] + b"Content-Length: 99\r\n\r\n"), [400]),
    "chunks": (chunked(CHUNKS), [200, 404]),
    "chunks in capitals": (initialize(b"transfer-encoding: CHUNKED", body=CHUNKS), [200, 404]),
    "chunks twice": (initialize(CHUNKED, CHUNKED, body=CHUNKS), [400]),
    "chunks, listed twice": (initialize(CHUNKED + b", chunked", body=CHUNKS), [400]),
    "chunks and an empty coding": (initialize(CHUNKED + b",", body=CHUNKS), [400]),
    "identity": (initialize(b"Transfer-Encoding: identity", body=CHUNKS), [501]),
    "identity, then chunks": (initialize(b"Transfer-Encoding: identity", CHUNKED, body=CHUNKS), [501]),
    "gzip in chunks": (initialize(b"Transfer-Encoding: gzip, chunked", body=CHUNKS), [501]),
    "chunks with a parameter": (initialize(CHUNKED + b";q=1", body=CHUNKS), [501]),
    "chunks in quotes": (initialize(b'Transfer-Encoding: "chunked"', body=CHUNKS), [501]),
    "no coding": (initialize(b"Transfer-Encoding: ", body=CHUNKS), [400]),
    "a vertical tab before chunks": (initialize(b"Transfer-Encoding: \x0bchunked", body=CHUNKS), [400]),
    "a coding on a folded line": (initialize(b"Transfer-Encoding:\r\n chunked", body=CHUNKS), [400]),
    "a space before the colon": (initialize(b"Transfer-Encoding : chunked", body=CHUNKS), [400]),
    "a space before the name": (initialize(b" Transfer-Encoding: chunked", body=CHUNKS), [400]),
    "a coding in a trailer": (chunked(CHUNKS[:-2] + b"Transfer-Encoding: chunked\r\n\r\n"), [400]),
    "an upgrade in a trailer": (chunked(CHUNKS[:-2] + b"\r\n".join(H2C) + b"\r\n\r\n"), [200, 404]),
    "an end of the connection in a trailer": (chunked(CHUNKS[:-2] + b"Connection: close\r\n\r\n"), [200]),
    "chunk extensions": (chunked(CHUNKS.replace(b"\r\n", b';a=b;c="d"\r\n', 1)), [200, 404]),
    "a chunk extension with a bare line feed": (chunked(CHUNKS.replace(b"\r\n", b";a\n", 1)), [400]),
    "chunks with bare line feeds": (chunked(CHUNKS.replace(b"\r\n", b"\n")), [400]),
    "chunks with bare carriage returns": (chunked(CHUNKS.replace(b"\r\n", b"\r")), [400]),
    "chunk data that end with a line feed": (chunked(CHUNKS.replace(b"}\r\n", b"}\n")), [400]),
    "a chunk size with 0x": (chunked(b"0x" + CHUNKS), [400]),
    "a chunk size after a space": (chunked(b" " + CHUNKS), [400]),
    "a chunk size before a space": (chunked(CHUNKS.replace(b"\r\n", b" \r\n", 1)), [400]),
    "a chunk size with zeros": (chunked(b"0" * 20 + CHUNKS), [200, 404]),
    "a chunk size beyond 64 bits that wraps": (chunked(b"1" + b"0" * 14 + CHUNKS), [400]),
    "a chunk without a size": (chunked(CHUNKS.removeprefix(b"2c")), [400]),
    "chunks in HTTP/1.0": (initialize(CHUNKED, body=CHUNKS, version=b"HTTP/1.0"), [200]),
    "HTTP/0.9": (initialize(LENGTH, version=b""), [400]),
    "HTTP/1.2": (initialize(LENGTH, version=b"HTTP/1.2"), [400]),
    "HTTP/2.0": (initialize(LENGTH, version=b"HTTP/2.0"), [400]),
    "two hosts": (initialize(b"Host: x", LENGTH), [400]),
    "a bare carriage return in a header": (initialize(b"x: a\rTransfer-Encoding: chunked", LENGTH), [400]),
    "a bare line feed in a header": (initialize(b"x: a\nTransfer-Encoding: chunked", LENGTH), [400]),
    "an end of the connection": (initialize(b"Connection: close", LENGTH), [200]),
    "an upgrade with a length": (initialize(*H2C, LENGTH), [200, 404]),
    "an upgrade with chunks": (initialize(*H2C, CHUNKED, body=CHUNKS), [200, 404]),
    "an upgrade to a WebSocket": (initialize(b"Connection: upgrade", b"Upgrade: websocket", LENGTH), [200, 404]),
    "an upgrade and an end": (initialize(b"Connection: upgrade, close", b"Upgrade: h2c", LENGTH), [200]),
    "an upgrade in HTTP/1.0": (initialize(*H2C, LENGTH, version=b"HTTP/1.0"), [200]),
    "an upgrade with a length and chunks": (initialize(*H2C, LENGTH, CHUNKED, body=CHUNKS), [400]),
    "a tunnel": (b"CONNECT x:443 HTTP/1.1\r\n" + HEAD + b"\r\n" + SMUGGLED, [501]),
    "a tunnel with a body": (b"CONNECT x:443 HTTP/1.1\r\n" + HEAD + LENGTH + b"\r\n\r\n" + SMUGGLED, [501]),
}


@pytest.mark.parametrize(("sent", "expected"), FRAMING.values(), ids=FRAMING)
def test_request_with_odd_framing_is_refused_or_served_in_full(
    served: Served, sent: bytes, expected: list[int]
) -> None:
    """A request whose length is ambiguous is refused, and its connection closed.

    That is: several or malformed lengths, other transfer codings than chunked, malformed chunks, bare line ends, folded
    lines. A body never becomes a request of its own, and an offer to change the protocol changes nothing.
    """
    with socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE_SECONDS) as client:
        client.sendall(sent)
        said = b""
        while len(statuses(said)) < len(expected):
            received = client.recv(65536)
            assert received, said
            said += received
        if expected[-1] != 404:  # the connection ends without another response
            with suppress(ConnectionResetError):
                while received := client.recv(65536):
                    said += received
    assert statuses(said) == expected, said


def test_key_in_a_trailer_does_not_authenticate(served: Served) -> None:
    """A trailer never counts as a header, least of all with a key."""
    head = b"POST /v1/files:initialize HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    request = head + CHUNKED + b"\r\n\r\n" + CHUNKS[:-2] + b"Authorization: Bearer xai-emulator\r\n\r\n"
    with socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE_SECONDS) as client:
        client.sendall(request)
        assert statuses(one_response(client)) == [401]
        client.sendall(b"GET /v1/files HTTP/1.1\r\nHost: x\r\n\r\n")
        assert statuses(one_response(client)) == [401], "nor for the next request"


@pytest.mark.parametrize("sent", BROKEN.values(), ids=BROKEN)
def test_broken_request_is_refused_and_next_is_served(served: Served, sent: bytes) -> None:
    """Broken chunks, lengths, heads and targets, the shapes of request smuggling, noise, and HTTP/2 that is none.

    One answer at the most, below 500, and the connection ends; nothing hides in a body as a request of its own.
    """
    said = exchange(served, sent)
    assert len(statuses(said)) <= 1, said
    assert all(status < 500 or status == 501 for status in statuses(said)), said
    assert b"Traceback" not in said
    assert_serves(served)


WHOLE = {
    "GET": b"GET /v1/files?limit=1 HTTP/1.1\r\n" + HEAD + b"\r\n",
    "POST": post(b"Content-Length: %d" % len(UPLOAD), body=UPLOAD),
    "chunks": post(b"Transfer-Encoding: chunked", body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(UPLOAD), UPLOAD)),
    "HTTP/2": PREFACE + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
}
ODD = st.one_of(
    st.binary(max_size=4), st.sampled_from([b"\r\n", b"\r\n\r\n", b"\0", b":", b"--b", b"chunked", b"-1", b" "])
)


@st.composite
def mutations(draw: st.DrawFn, whole: bytes) -> bytes:
    """Bytes of which some pieces are cut out, repeated, or replaced by something odd."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(whole)))
        end = min(len(whole), start + draw(st.integers(0, 30)))
        piece = draw(st.one_of(st.just(b""), st.just(whole[start:end] * 2), ODD))
        whole = whole[:start] + piece + whole[end:]
    return whole


FUZZ = settings(
    max_examples=examples(80), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.mark.parametrize("whole", WHOLE.values(), ids=WHOLE)
@FUZZ
@given(data=st.data())
def test_any_mutation_of_a_request_is_answered_below_500(served: Served, whole: bytes, data: st.DataObject) -> None:
    """Requests of which pieces are cut out, repeated or replaced, as they lie on the wire: below 500, and no hang."""
    said = exchange(served, data.draw(mutations(whole)))
    assert all(status < 500 or status == 501 for status in statuses(said)), said
    assert b"Traceback" not in said


@FUZZ
@given(form=mutations(UPLOAD.replace(b"--b--", UPLOAD)))
def test_any_mutation_of_a_form_is_answered_below_500(clients: Any, form: bytes) -> None:
    """Forms of which pieces are cut out, repeated or replaced: a file, or a refusal with its rule."""
    http, _ = clients["INFERENCE"]
    reply = http.post("/v1/files", content=form, headers={"content-type": "multipart/form-data; boundary=b"})
    assert reply.status_code < 500, reply.text
    assert reply.is_success or "x-emulator-rule" in reply.headers, (form, reply.text)


def test_half_closed_connection_is_answered(served: Served) -> None:
    """A client may close its half once it has said all, and read the answer."""
    said = exchange(served, b"GET /v1/files HTTP/1.1\r\n" + HEAD + b"\r\n")
    assert statuses(said) in ([200], [])
    assert_serves(served)


# --- bodies

DEEP = 100_000
BODIES = {
    "deep arrays": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep and never closed": b'{"name":' + b"[" * DEEP,
    "a long number": b'{"name":' + b"9" * 1_000_000 + b"}",
    "a long exponent": b'{"name":1e999999999}',
    "a long fraction": b'{"name":0.' + b"1" * 1_000_000 + b"}",
    "a number for everything": b'{"name":1,"file_id":1,"query":1,"collection_name":1}',
    "duplicate keys": b'{"name":"a","name":"b","query":"a","query":"b","collection_name":"a","collection_name":"b"}',
    "many keys": b"{" + b",".join(b'"k%d":1' % n for n in range(50_000)) + b"}",
    "invalid UTF-8": b'{"name":"\xff\xfe","query":"\xff","collection_name":"\xff"}',
    "lone surrogates": rb'{"name":"\ud800","query":"\udfff","collection_name":"\ud800","filename":"\ud800"}',
    "NUL": rb'{"name":"\u0000","query":"\u0000","collection_name":"\u0000","file_id":"\u0000"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "NaN": b'{"name":NaN}',
    "null": b"null",
    "a list": b"[]",
    "a string": b'"x"',
    "nothing": b"",
    "spaces": b" " * 100_000,
    "two values": b"{}{}",
    "half": b'{"name":"a',
    "UTF-16": '{"name":"a"}'.encode("utf-16"),
}
WRITING = [route for route in ROUTES if route.method in ("POST", "PUT", "PATCH")]


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_broken_body_is_refused_by_every_operation(clients: Any, body: bytes) -> None:
    """Depth, size, numbers, duplicate keys and bytes that are no text, to every operation that takes a body, or a form.

    Below 500, in the dialect of its plane.
    """
    for route in WRITING:
        attempt = Attempt("rest", route.operation, route)
        http, _ = clients["MANAGEMENT" if attempt.is_management else "INFERENCE"]
        url = route.path.format(**dict.fromkeys([*attempt.names(), "file_id"], "x"))
        for content_type in ("application/json", "multipart/form-data; boundary=b"):
            reply = http.request(route.method, url, content=body, headers={"content-type": content_type})
            assert reply.status_code < 500, (route, reply.text)
            if reply.is_error and reply.headers["content-type"] == "application/json":
                keys = {"code", "message", "details"} if attempt.is_management else {"code", "error"}
                if route.path.startswith("/v1/responses") and reply.status_code == 422:
                    keys = {"error"}  # recorded: its body extractor answers in JSON, without a code
                assert set(reply.json()) == keys
            if reply.is_error:
                assert "x-emulator-rule" in reply.headers, (route, reply.text)


def test_broken_form_is_refused(served: Served, clients: Any) -> None:
    """Forms with heads without end, parts without names, boundaries within, or bytes that are no text are refused."""
    http, _ = clients["INFERENCE"]
    name = b'Content-Disposition: form-data; name="file"; filename="'
    forms = [
        b"--b\r\n" + b"x: y\r\n" * 10_000 + b"\r\n\r\n--b--\r\n",
        b"--b\r\n" + name + b"a" * 100_000 + b'"\r\n\r\nx\r\n--b--\r\n',
        b"--b\r\n" + name + b'\xff\xfe"\r\n\r\nx\r\n--b--\r\n',
        b"--b\r\n" + name + b'\0"\r\n\r\nx\r\n--b--\r\n',
        b"--b\r\n" + name + b"\r\n\r\nx\r\n--b--\r\n",
        b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
        b"--b\r\n\r\nx\r\n--b--\r\n",
        b"--b--\r\n",
        b"--b\r\n" * 20_000,
        (b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\ny\r\n') * 5_000 + b"--b--\r\n",
        UPLOAD[:-4],
        UPLOAD.replace(b"\r\n", b"\n"),
    ]
    for form in forms:
        reply = http.post("/v1/files", content=form, headers={"content-type": "multipart/form-data; boundary=b"})
        assert 400 <= reply.status_code < 500, (form[:80], reply.text)
        assert "x-emulator-rule" in reply.headers, (form[:80], reply.text)


def refusals() -> list[str]:
    """Where the code makes a refusal without a rule."""
    root, found = Path(emulator.__file__).parent, []
    for path in root.rglob("*.py"):
        within = path.relative_to(root)
        if within.parts[0] not in ("pipeline", "jobs"):  # planned faults have none, and jobs only use the message
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                is_refusal = isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("invalid", "ApiError")
                if is_refusal and "rule" not in [keyword.arg for keyword in node.keywords]:  # type: ignore[attr-defined]
                    found.append(f"{within}:{node.lineno}")  # type: ignore[attr-defined]
    return found


def test_refusals_name_their_rule() -> None:
    """No refusal is made without the name of its rule, for which the reference says what to do."""
    assert refusals() == []


# --- names and ids

HARMLESS = ("documents.batch_get", "files.revoke_public_url")  # of what is not there they answer that it is not
TRAVERSALS = (
    *(
        "../../../etc/passwd",
        "..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "..\\..\\windows\\win.ini",
    ),
    *(
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "....//....//etc/passwd",
        "%252e%252e%252fetc%252fpasswd",
        "a%00.txt",
        "~",
    ),
    *(
        "%c0%ae%c0%ae%c0%af",
        "file:%2f%2f%2fetc%2fpasswd",
        "x" * 10_000,
        "%0d%0aset-cookie:%20x",
        "'; DROP TABLE files;--",
    ),
)


@pytest.mark.parametrize("attempt", [each for each in ATTEMPTS if each.transport == "rest" and each.names()], ids=str)
def test_id_with_path_traversal_finds_nothing(served: Served, clients: Any, attempt: Attempt) -> None:
    """Ids in paths that climb directories, end strings or lines, or speak SQL name nothing."""
    http, _ = clients["MANAGEMENT" if attempt.is_management else "INFERENCE"]
    for bad in TRAVERSALS:
        target = rest_request(attempt.where, dict.fromkeys(attempt.names(), bad))  # type: ignore[arg-type]
        reply = http.request(attempt.where.method, **target)  # type: ignore[union-attr]
        assert reply.status_code < 500, (bad, reply.text)
        assert reply.is_error or attempt.operation in HARMLESS, (bad, reply.text)
        assert "root:" not in reply.text
        assert "set-cookie" not in reply.headers


def test_filename_with_path_traversal_writes_nothing(served: Served, clients: Any) -> None:
    """A filename that is a path is kept as it is or refused; no file appears anywhere under it."""
    http, _ = clients["INFERENCE"]
    for bad in (*TRAVERSALS, "a/../b", "con", "a\tb"):
        reply = http.post("/v1/files", files={"file": (bad, b"x")})
        assert reply.status_code in (200, 400), (bad, reply.text)
        if reply.is_success:
            assert http.get(f"/v1/files/{reply.json()['id']}/content").content == b"x"


# --- gRPC


def ended(rpc: Rpc, name: str, asked: Any) -> str:
    """The code with which a call ends."""
    try:
        rpc.call(name, asked)
    except grpc.RpcError as error:
        return str(error.code().name)
    return "OK"


@pytest.mark.parametrize("method", METHODS, ids=lambda method: f"{method.service}.{method.name}")
def test_garbage_instead_of_a_message(served: Served, clients: Any, method: Method) -> None:
    """Garbage instead of a message, to every RPC: it is refused, or is a message after all."""
    attempt = Attempt("grpc", method.operation, method)
    _, rpc = clients["MANAGEMENT" if attempt.is_management else "INFERENCE"]
    garbage: list[Any] = [
        *(b"\xff", b"\x00" * 10, bytes(range(256)), b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x02\xff\xfe", b"\x0a\x01\x00"),
        *(b"\x0a\x05abc", b"\x0b" * 10_000, b"\x08" + b"\xff" * 9 + b"\x01", b"x" * 100_000, b""),
        b"".join(bytes([field << 3 | 2, 3]) + b"\0\xc3\xa9" for field in range(1, 16)),  # a text everywhere
        b"".join(bytes([field << 3]) + b"\xff" * 9 + b"\x01" for field in range(1, 16)),  # -1 everywhere
    ]
    for raw in garbage:
        streaming = method.name == "UploadFile"
        assert ended(rpc, f"{method.service}/{method.name}", [raw] if streaming else raw) in ENDS, raw[:20]


@FUZZ
@given(method=st.sampled_from(METHODS), raw=st.binary(max_size=60))
def test_any_bytes_instead_of_a_message(clients: Any, method: Method, raw: bytes) -> None:
    """Any bytes instead of a message: refused, or a message after all."""
    attempt = Attempt("grpc", method.operation, method)
    _, rpc = clients["MANAGEMENT" if attempt.is_management else "INFERENCE"]
    assert ended(rpc, f"{method.service}/{method.name}", [raw] if method.name == "UploadFile" else raw) in ENDS


@pytest.mark.parametrize("attempt", [each for each in ATTEMPTS if each.transport == "grpc" and each.names()], ids=str)
def test_grpc_id_with_path_traversal_finds_nothing(clients: Any, attempt: Attempt) -> None:
    """Nor do such ids in messages."""
    http, rpc = clients["MANAGEMENT" if attempt.is_management else "INFERENCE"]
    for bad in map(unquote, TRAVERSALS):
        (end, _), said = attempt(http, rpc, dict.fromkeys(attempt.names(), bad))
        assert end in ENDS, (bad, said)
        assert end != "OK" or attempt.operation in HARMLESS, (bad, said)
        assert "root:" not in said


def test_methods_that_are_none(served: Served) -> None:
    """Unknown services and methods are UNIMPLEMENTED, and odd names do no harm."""
    with grpc.insecure_channel(f"localhost:{served.port}") as channel:
        for name in ("/x/y", "/xai_api.Files/Nothing", "/", "//", "/xai_api.Files/../Auth", "/" + "x" * 4000):
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(name)(b"", timeout=PATIENCE_SECONDS)
            assert caught.value.code().name in ("UNIMPLEMENTED", "INVALID_ARGUMENT"), name
    assert_serves(served)


# --- tokens and filters

LISTS = [("INFERENCE", "/v1/files"), ("MANAGEMENT", "/v1/collections"), ("INFERENCE", "/v1/batches")]
FILTER_PIECES = st.sampled_from(
    [*"()\"'=:<>*.,-", "AND", "OR", "NOT", "name", "filename", "size", "created_at", "1e999", "\\", " ", "\0", "\u2028"]
)


@FUZZ
@given(
    token=st.one_of(st.text(max_size=60), st.text(string.ascii_letters + string.digits + "-_=", max_size=80)),
    limit=st.one_of(st.integers(-(2**70), 2**70).map(str), st.text(max_size=5)),
)
def test_any_page_token_and_limit(clients: Any, token: str, limit: str) -> None:
    """Any page token and page size get a list, or a refusal with its rule."""
    for plane, path in LISTS:
        http, _ = clients[plane]
        reply = http.get(path, params={"pagination_token": token.encode("utf-8", "replace"), "limit": limit})
        assert reply.status_code < 500
        assert reply.is_success or "x-emulator-rule" in reply.headers


@FUZZ
@given(filter=st.one_of(st.text(max_size=80), st.lists(FILTER_PIECES, max_size=30).map(" ".join)))
def test_any_filter(clients: Any, filter: str) -> None:
    """Any filter gets a list, or a refusal with its rule, over both transports."""
    for plane, path in LISTS[:2]:
        http, _ = clients[plane]
        reply = http.get(path, params={"filter": filter})
        assert reply.status_code < 500
        assert reply.is_success or "x-emulator-rule" in reply.headers
    _, rpc = clients["MANAGEMENT"]
    asked = message("collections.ListCollectionsRequest", filter=filter)
    assert ended(rpc, "collections.Collections/ListCollections", asked) in ("OK", "INVALID_ARGUMENT")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5), st.lists, max_leaves=4
)


@given(key=JSON, seq=JSON)
def test_forged_page_token_is_valid_position_or_refused(key: Any, seq: Any) -> None:
    """A forged page token whose checksum is right is refused, unless it is a position that can have been given."""
    token = encode_token(Cursor(key, seq), ("query",))
    with suppress(ApiError):
        cursor = decode_token(token, ("query",))
        assert type(cursor.key) in (int, str)
        assert type(cursor.seq) is int
        assert -(2**63) <= cursor.seq < 2**63
        assert isinstance(cursor.key, str) or -(2**63) <= cursor.key < 2**63
        assert (cursor.key, cursor.seq) == (key, seq)
