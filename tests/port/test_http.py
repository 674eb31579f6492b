"""HTTP/1.1 as it is served here."""

import functools
import gc
import logging
import socket
import struct
import weakref

import pytest

from emulator.port.http import HEAD_BYTES_MAX, HttpConnection, Message, Receive, Send
from tests.port.harness import MIB, App, delivered, on_each_loop, running, until


@on_each_loop
async def test_failing_app_returns_500_and_logs_traceback() -> None:
    """The traceback of a failing app is in the log and not on the wire."""
    log: list[str] = []
    async with running(App(), log=log) as port:
        answer = await port.get("/fail")
        assert answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
        assert answer.endswith(b"\r\n\r\nInternal Server Error")
    assert len(log) == 1
    assert log[0].endswith("LookupError: a secret of the app")


@on_each_loop
@pytest.mark.parametrize("in_one_piece", [True, False])
@pytest.mark.parametrize("count", [HEAD_BYTES_MAX - 1, HEAD_BYTES_MAX, HEAD_BYTES_MAX + 1, 2 * MIB])
async def test_request_head_over_limit_returns_431(count: int, in_one_piece: bool) -> None:
    """A request whose URL and headers together are longer than the limit is refused with 431, however it arrives."""
    request = b"GET /head HTTP/1.1\r\na: %s\r\n\r\n" % bytes(b"x" * (count - len(b"/heada")))
    pieces = [request] if in_one_piece else [request[n : n + 50_000] for n in range(0, len(request), 50_000)]
    async with running(App()) as port:
        client = await port.client()
        for piece in pieces:
            await client.send(piece)
            await delivered(port)
        if count <= HEAD_BYTES_MAX:
            assert await client.response() == b"/head"
            assert await (await client.send(request)).response() == b"/head", "each request is counted separately"
        else:
            assert (await client.rest()).startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")


@on_each_loop
async def test_endless_header_returns_431() -> None:
    """A header that does not end is refused without waiting for its end."""
    async with running(App()) as port:
        client = await port.client(b"GET / HTTP/1.1\r\na: ")
        for _ in range(2 * HEAD_BYTES_MAX // 50_000):
            await client.send(b"x" * 50_000)
            await delivered(port)
        assert (await client.rest()).startswith(b"HTTP/1.1 431")


@on_each_loop
async def test_body_may_be_longer_than_head_limit() -> None:
    """Body and trailers may be longer than the head's limit."""
    chunk = b"%x\r\n%s\r\n" % (HEAD_BYTES_MAX, bytes(HEAD_BYTES_MAX))
    async with running(App()) as port:
        client = await port.client(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 8 + b"0\r\n\r\n")
        assert await client.response() == bytes(8 * HEAD_BYTES_MAX)


@on_each_loop
async def test_h2c_upgrade_offer_is_ignored() -> None:
    """An offer to upgrade, as `curl --http2` sends, is answered over HTTP/1.1, and the connection stays usable."""
    upgrade = b"GET /up HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n\r\n"
    async with running(App()) as port:
        client = await port.client(upgrade)
        assert await client.response() == b"/up"
        assert await (await client.send(b"GET /on HTTP/1.1\r\n\r\n")).response() == b"/on"


@on_each_loop
async def test_long_pipeline_does_not_exceed_the_head_limit() -> None:
    """Every request has the whole limit to itself, also where reads end in the same place of many equal heads."""
    request = b"GET /head HTTP/1.1\r\na: %b\r\n\r\n" % (b"x" * 60_000)
    cut = len(b"GET /head HTTP/1.1\r\na: xxx")
    async with running(App()) as port:
        client = await port.client(request[:cut])
        for _ in range(6):  # each piece is the rest of one request and the begin of the next
            await delivered(port)
            await client.send(request[cut:] + request[:cut])
            assert await client.response() == b"/head"
        await client.send(request[cut:])
        assert await client.response() == b"/head"


@on_each_loop
@pytest.mark.parametrize("filler", [b"x", b"\r\n"], ids=["trailer without end", "lines without a request"])
async def test_input_that_never_becomes_a_request_is_refused(filler: bytes) -> None:
    """A client cannot send for ever what the parser has to keep or to skip."""
    begin = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\na: " if filler == b"x" else b""
    async with running(App()) as port:
        client = await port.client(begin)
        for _ in range(2 * HEAD_BYTES_MAX // 50_000):
            await client.send(filler * (50_000 // len(filler)))
            await delivered(port)
        assert (await client.rest()).startswith(b"HTTP/1.1 431")


@on_each_loop
async def test_trailers_are_no_headers() -> None:
    """Trailers reach neither their own request nor the next one on the connection, whatever they are called."""
    seen: list[dict[bytes, bytes]] = []

    class Headers(App):
        async def echo(self, scope: Message, receive: Receive, send: Send) -> None:
            await super().echo(scope, receive, send)
            seen.append(dict(scope["headers"]))

    trailers = b"Authorization: Bearer k\r\nHost: y\r\nUpgrade: h2c\r\nConnection: upgrade\r\n"
    head = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with running(Headers()) as port:
        client = await port.client(head + b"1\r\nb\r\n0\r\n" + trailers + b"\r\nGET /c HTTP/1.1\r\n\r\n")
        assert [await client.response() for _ in range(2)] == [b"b", b"/c"]
    assert seen == [{b"host": b"x", b"transfer-encoding": b"chunked"}, {}]


@on_each_loop
async def test_connection_close_in_a_trailer_closes_after_the_response() -> None:
    """The parser reads nothing more after it, so the connection must not seem to be open."""
    head = b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with running(App()) as port:
        client = await port.client(head + b"1\r\nb\r\n0\r\nConnection: close\r\n\r\nGET /c HTTP/1.1\r\n\r\n")
        assert await client.response() == b"b"
        assert await client.rest() == b""


@on_each_loop
async def test_nonsense_behind_whole_requests_leaves_them_their_responses() -> None:
    """A refusal never stands in the place of another request's response."""
    app = App()
    async with running(app) as port:
        client = await port.client(b"GET /wait HTTP/1.1\r\n\r\nGET /next HTTP/1.1\r\n\r\nnonsense\r\n\r\n")
        await app.running.wait()
        app.go_on.set()
        assert [await client.response() for _ in range(2)] == [b"waited", b"/next"]
        assert await client.rest() == b""


@on_each_loop
async def test_broken_body_behind_a_whole_request_leaves_that_its_response() -> None:
    app = App()
    async with running(app) as port:
        client = await port.client(b"GET /wait HTTP/1.1\r\n\r\n")
        await app.running.wait()
        await client.send(b"POST /upload HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nnonsense")
        await delivered(port)
        app.go_on.set()
        assert await client.response() == b"waited"
        assert await client.rest() == b""


@on_each_loop
async def test_pipelined_requests_are_answered_in_order() -> None:
    """Requests sent without waiting are answered one after the other."""
    async with running(App()) as port:
        client = await port.client(b"".join(b"GET /%d HTTP/1.1\r\n\r\n" % n for n in range(50)))
        assert [await client.response() for _ in range(50)] == [b"/%d" % n for n in range(50)]
        assert (await (await client.send(b"\0")).rest()).startswith(b"HTTP/1.1 400"), "all that came before is answered"


@on_each_loop
async def test_running_request_receives_disconnect() -> None:
    """A request receives the disconnect of its connection, also when pipelined requests wait behind it."""
    for behind in (b"", b"GET /next HTTP/1.1\r\n\r\n"):
        app = App()
        async with running(app) as port:
            client = await port.client(b"GET /leave HTTP/1.1\r\n\r\n" + behind)
            await app.running.wait()
            client.writer.close()
            await until(functools.partial(app.disconnected.__contains__, "/leave"))


@on_each_loop
async def test_nonsense_behind_a_request_does_not_break_into_its_response() -> None:
    """When a running request is followed by nonsense, the client gets no second answer in the first."""
    app = App()
    async with running(app) as port:
        client = await port.client(b"GET /events HTTP/1.1\r\n\r\n")
        await app.running.wait()
        answer = await (await client.send(b"\x00\x00\x00")).rest()
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"HTTP/1.1 400" not in answer
        await until(lambda: app.disconnected)


@on_each_loop
async def test_broken_chunks_are_refused_and_the_app_sees_the_client_go() -> None:
    """A body that breaks off in nonsense is answered with 400; its app is not left waiting, and may answer in vain."""
    app = App()
    async with running(app) as port:
        client = await port.client(
            b"POST /upload HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nnonsense\r\n"
        )
        assert (await client.rest()).startswith(b"HTTP/1.1 400")
        await until(lambda: app.disconnected == ["/upload"])
        client = await port.client(b"POST /wait HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nnonsense")
        assert (await client.rest()).startswith(b"HTTP/1.1 400")
        app.go_on.set()  # its answer comes too late, which is no failure
        await delivered(port)


@on_each_loop
async def test_reset_connection_is_freed() -> None:
    """Nothing keeps what belonged to a connection, once its client has reset it."""
    async with running(App()) as port:
        client = await port.client(b"GET / HTTP/1.1\r\n\r\n")
        await client.response()
        connections = weakref.WeakSet(port._open)
        client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.writer.transport.abort()
        await until(lambda: port.connections == 0)
        # More than once: a collection does nothing while another thread is in the midst of one.
        await until(lambda: gc.collect() >= 0 and not connections)


@on_each_loop
async def test_forwarded_header_does_not_change_client_address() -> None:
    """The application sees the address that connected, whatever X-Forwarded-For says."""
    async with running(App()) as port:
        client = await port.client(b"GET /client HTTP/1.1\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n")
        assert await client.response() == b"%s:%d" % (b"127.0.0.1", client.writer.get_extra_info("sockname")[1])


@on_each_loop
async def test_small_writes_are_sent_at_once() -> None:
    """TCP_NODELAY is set on accepted connections: a small write does not wait for the acknowledgement of the last."""
    async with running(App()) as port:
        await (await port.client(b"GET / HTTP/1.1\r\n\r\n")).response()
        (connection,) = port._open
        assert isinstance(connection, HttpConnection)
        accepted = connection.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


@on_each_loop
async def test_uvicorn_loggers_stay_unchanged() -> None:
    """Another uvicorn in the same process keeps its access log."""
    names = ["uvicorn", "uvicorn.error", "uvicorn.access"]
    before = [(logger.level, logger.handlers, logger.propagate) for logger in map(logging.getLogger, names)]
    async with running(App()) as port:
        await port.get("/")
    assert before == [(logger.level, logger.handlers, logger.propagate) for logger in map(logging.getLogger, names)]


@on_each_loop
async def test_whole_responses_keep_order_and_connection() -> None:
    """Responses sent at once keep the order, the connection and its end that those of uvicorn have."""
    app = App()
    async with running(app) as port:
        client = await port.client(
            b"GET /wait HTTP/1.1\r\n\r\n" + b"GET /whole HTTP/1.1\r\n\r\nGET /x HTTP/1.1\r\n\r\n" * 2
        )
        app.go_on.set()
        assert [await client.response() for _ in range(5)] == [b"waited", b"whole", b"/x", b"whole", b"/x"]
        answer = await (await client.send(b"GET /whole HTTP/1.1\r\nConnection: close\r\n\r\n")).rest()
        assert answer.split(b"\r\n") == [
            *(b"HTTP/1.1 200 OK", b"x-query: ", b"content-length: 5", b"connection: close", b"", b"whole"),
        ]
        assert (await port.get("/whole?a")).startswith(b"HTTP/1.1 200 OK\r\nx-query: a\r\n")
        assert app.fallen_back == 0


@on_each_loop
@pytest.mark.parametrize("end", ["%0A", "%0D", "%0D%0A"])
async def test_header_with_line_break_returns_500(end: str) -> None:
    """A value of two lines would be two headers: nothing of it is sent."""
    log: list[str] = []
    async with running(App(), log=log) as port:
        answer = await port.get(f"/whole?a{end}Set-Cookie:%20b")
        assert answer.startswith(b"HTTP/1.1 500 ")
        assert b"Cookie" not in answer
    assert len(log) == 1


@on_each_loop
async def test_whole_response_waits_while_writing_is_paused() -> None:
    """While a client has much to read, a whole response waits as any other does."""
    app = App()
    async with running(app) as port:
        client = await port.client(b"GET / HTTP/1.1\r\n\r\n")
        assert await client.response() == b"/"
        (connection,) = port._open
        assert isinstance(connection, HttpConnection)
        connection.pause_writing()  # as the transport does
        await client.send(b"GET /whole HTTP/1.1\r\n\r\n")
        await until(lambda: app.fallen_back == 1)
        connection.resume_writing()
        assert await client.response() == b"whole"


@on_each_loop
async def test_app_can_reset_connection() -> None:
    """What the app finds in the scope resets the connection: the client sees ECONNRESET, and the log stays empty."""
    async with running(App()) as port:
        client = await port.client(b"GET /drop HTTP/1.1\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            await client.reader.read()
