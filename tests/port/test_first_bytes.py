"""What the first bytes of a connection decide, and that clients of both kinds do not hold each other up."""

import asyncio
import resource
import subprocess
import sys

import pytest

from emulator.port import H2_PREFACE, TLS_HINT
from tests.port.harness import (
    MIB,
    SETTINGS,
    App,
    Backend,
    call,
    delivered,
    on_each_loop,
    running,
)


@on_each_loop
async def test_http_and_grpc_are_served_on_one_port_at_the_same_time() -> None:
    """Requests of both kinds, sent together, are all answered with what belongs to them."""
    async with running(App(), Backend().load) as port:
        posts = [port.client(b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n%04d" % n) for n in range(20)]
        echoes = asyncio.gather(*(call(port, "/test/echo", b"%d" % n) for n in range(20)))
        bodies = [await client.response() for client in await asyncio.gather(*posts)]
        assert bodies == [b"%04d" % n for n in range(20)]
        assert await echoes == [b"%d" % n for n in range(20)]


@on_each_loop
async def test_h2_preface_is_recognised_in_any_pieces() -> None:
    """An HTTP/2 client is answered in HTTP/2 if its preface comes in two parts, at any byte, or byte by byte."""
    whole = H2_PREFACE + SETTINGS
    cuts = [[whole[:n], whole[n:]] for n in range(1, len(whole))] + [[whole[n : n + 1] for n in range(len(whole))]]
    async with running(App(), Backend().load) as port:
        clients = [await port.client() for _ in cuts]
        for parts in zip(*([*cut, *[b""] * (len(whole) - len(cut))] for cut in cuts), strict=True):
            for client, part in zip(clients, parts, strict=True):
                await client.send(part)
            await delivered(port)
        for client in clients:
            assert await client.settings()


@on_each_loop
@pytest.mark.parametrize("method", [b"POST", b"PUT", b"PATCH", b"PROPFIND", b"GET", b"PRI"])
async def test_method_with_prefix_of_h2_preface_is_http(method: bytes) -> None:
    """A request sent byte by byte is HTTP, also when its first bytes might have become the preface."""
    async with running(App()) as port:
        client = await port.client()
        for byte in method + b" /path HTTP/1.1\r\nConnection: close\r\n\r\n":
            await client.send(bytes([byte]))
            await delivered(port)
        answer = await client.rest()
        assert answer.startswith(b"HTTP/1.1 400" if method == b"PRI" else b"HTTP/1.1 200")


@on_each_loop
@pytest.mark.parametrize("sent", [b"\x00\xff", b"hello\r\n\r\n", H2_PREFACE[:-1] + b"!", b"\x80" * MIB, b"\r\n\r\nX"])
async def test_bytes_that_are_no_http_return_400(sent: bytes) -> None:
    """Bytes that are neither HTTP/1.1 nor the preface get a 400 that says so, and no line in the log."""
    async with running(App()) as port:
        answer = asyncio.create_task((await port.client(sent)).rest())
        await answer
        assert answer.result().startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert answer.result().endswith(b"\r\n\r\nThis is not an HTTP request.")


@on_each_loop
async def test_tls_handshake_is_closed_and_logged_once() -> None:
    """Each TLS handshake is closed without an answer; the log says what to do at the first one only."""
    log: list[str] = []
    async with running(App(), log=log) as port:
        for _ in range(3):
            assert await (await port.client(b"\x16\x03\x01\x02\x00\x01")).rest() == b""
    assert log == [TLS_HINT]
    for word in ("localhost:", "use_insecure_channel=True", "http://"):
        assert word in TLS_HINT


def test_grpc_is_not_imported_before_a_grpc_byte_arrives() -> None:
    """To import the port, start it and serve a request over HTTP needs no grpc."""
    program = """
import asyncio, sys
from emulator.port import Port
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 204})
    await send({"type": "http.response.body"})
async def main():
    port = Port(app, lambda path: __import__("grpc"))
    await port.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
    writer.write(b"GET / HTTP/1.1\\r\\n\\r\\n")
    print(await reader.readline())
    await port.stop()
asyncio.run(main())
print("grpc" in sys.modules, "starlette" in sys.modules)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == [r"b'HTTP/1.1 204 No Content\r\n'", "False False"]


@on_each_loop
async def test_slow_clients_hold_nobody_up() -> None:
    """Beside clients stuck in the preface, in a head, in a body and in a response, others are answered at once."""
    async with running(App(), grace_seconds=0) as port:
        stuck = [b"P", b"PRI * HTTP/2.0", b"GET / HT", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n1"]
        for sent in [*stuck, b"GET /large HTTP/1.1\r\n\r\n"] * 20:
            await port.client(sent)
        answers = await asyncio.gather(*(port.get("/quick") for _ in range(20)))
        assert all(answer.endswith(b"/quick") for answer in answers)
        assert port.connections == 100


@on_each_loop
async def test_idle_clients_are_cheap() -> None:
    """1,000 idle keep-alive connections and 200 idle HTTP/2 ones are served, and closed by the stop."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 6000  # both ends of everything are in this process
    if files[1] != resource.RLIM_INFINITY and files[1] < needed:
        pytest.skip("this machine does not allow so many files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(needed, files[0]), files[1]))
    try:
        async with running(App(), Backend().load) as port:
            clients = [await port.client(b"GET /x HTTP/1.1\r\n\r\n") for _ in range(1000)]
            assert {await client.response() for client in clients} == {b"/x"}
            h2 = [await port.client(H2_PREFACE + SETTINGS) for _ in range(200)]
            assert {await client.settings() for client in h2} == {True}
            assert port.connections == 1200
            await port.stop()
            assert port.connections == 0
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, files)
