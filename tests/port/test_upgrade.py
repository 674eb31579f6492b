"""Offers to change the protocol: declined, without a word lost of the request that carries them or of the next one."""

import pytest

from tests.port.harness import App, delivered, on_each_loop, running

BODY = b"DELETE /smuggled HTTP/1.1\r\n\r\n"  # a body that would be a request if it were not taken for a body
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"3\r\n%b\r\n%x;ext=1\r\n%b\r\n0\r\nx-trailer: 1\r\n\r\n" % (BODY[:3], len(BODY) - 3, BODY[3:])
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
WEBSOCKET = b"Upgrade: websocket\r\nConnection: keep-alive\r\nConnection: uPgRaDe\r\nUpgrade: h2c\r\n"

POST = b"POST /%b HTTP/1.1\r\nHost: x\r\n"
UPGRADES = {
    "h2c, length": (POST % b"a" + H2C + LENGTH + b"\r\n" + BODY, BODY),
    "length, h2c": (POST % b"a" + LENGTH + H2C + b"\r\n" + BODY, BODY),
    "h2c, chunks": (POST % b"a" + H2C + CHUNKED + b"\r\n" + CHUNKS, BODY),
    "h2c, empty body": (POST % b"a" + H2C + b"Content-Length: 0\r\n\r\n", b"/a"),
    "h2c, no body": (b"GET /a HTTP/1.1\r\n" + H2C + b"\r\n", b"/a"),
    "websocket, length": (POST % b"a" + WEBSOCKET + LENGTH + b"\r\n" + BODY, BODY),
}
NEXT = b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n"


@on_each_loop
@pytest.mark.parametrize(("request_bytes", "expected"), UPGRADES.values(), ids=UPGRADES)
async def test_request_with_upgrade_keeps_its_body_however_it_is_split(request_bytes: bytes, expected: bytes) -> None:
    """Split at every byte, and followed by itself and a request without an offer."""
    sent = request_bytes + request_bytes + NEXT
    async with running(App()) as port:
        client = await port.client()
        for split in range(1, len(request_bytes) + 2):
            await client.send(sent[:split])
            await delivered(port)
            await client.send(sent[split:])
            assert [await client.response() for _ in range(3)] == [expected, expected, b"/next"], split


@on_each_loop
@pytest.mark.parametrize(("request_bytes", "expected"), UPGRADES.values(), ids=UPGRADES)
async def test_request_with_upgrade_keeps_its_body_byte_by_byte(request_bytes: bytes, expected: bytes) -> None:
    async with running(App()) as port:
        client = await port.client()
        for byte in request_bytes + NEXT:
            await client.send(bytes([byte]))
            await delivered(port)
        assert [await client.response() for _ in range(2)] == [expected, b"/next"]


@on_each_loop
async def test_upgrade_with_connection_close_closes_after_the_response() -> None:
    """What follows a request that ends its connection is not served."""
    head = POST % b"a" + b"Connection: Upgrade, close\r\nUpgrade: h2c\r\n" + LENGTH + b"\r\n"
    async with running(App()) as port:
        client = await port.client(head + BODY + NEXT)
        assert await client.response() == BODY
        assert await client.rest() == b""


@on_each_loop
@pytest.mark.parametrize("framing", [LENGTH + CHUNKED, CHUNKED + LENGTH, LENGTH + LENGTH])
async def test_upgrade_does_not_excuse_ambiguous_framing(framing: bytes) -> None:
    async with running(App()) as port:
        client = await port.client(POST % b"a" + H2C + framing + b"\r\n" + CHUNKS)
        answer = await client.rest()
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.count(b"HTTP/1.1") == 1


@on_each_loop
async def test_connect_is_refused_and_nothing_behind_it_is_served() -> None:
    """Bytes behind CONNECT belong to a tunnel that is not opened: RFC 9110 section 9.3.6."""
    for framing in (b"", LENGTH, CHUNKED):
        async with running(App()) as port:
            client = await port.client(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n" + framing + b"\r\n" + NEXT)
            answer = await client.rest()
            assert answer.startswith(b"HTTP/1.1 501 Not Implemented\r\n")
            assert answer.count(b"HTTP/1.1") == 1
