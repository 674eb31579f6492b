"""The shared port: HTTP/1.1 and gRPC told apart by their first bytes, each at its own pace, ended within a second."""

import asyncio
import errno
import functools
import gc
import inspect
import logging
import os
import resource
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest

from emulator import port as port_module
from emulator.port import (
    H2_PREFACE,
    HEAD_BYTES_MAX,
    SOCKET_DIRECTORY_BYTES_MAX,
    TLS_HINT,
    TRANSPORT,
    CannotListen,
    Message,
    Port,
    PortTaken,
    Receive,
    Send,
)

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
with suppress(ImportError):
    import uvloop

    LOOPS["uvloop"] = uvloop.new_event_loop

MIB = 1024 * 1024
SETTINGS = (
    b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"  # an empty frame, RFC 9113 §6.5: the client's first after the preface
)
PATIENCE_SECONDS = 20  # for what should take milliseconds, on a machine that is busy
LOCALHOST6 = "::1"


def on_each_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an asynchronous test once on each kind of event loop, and not for ever."""

    @functools.wraps(test)
    def run(new_loop: Callable[[], asyncio.AbstractEventLoop], **fixtures: Any) -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(asyncio.wait_for(test(**fixtures), PATIENCE_SECONDS))

    parameters = inspect.signature(test).parameters.values()
    loop_parameter = inspect.Parameter("new_loop", inspect.Parameter.KEYWORD_ONLY)
    run.__signature__ = inspect.Signature([*parameters, loop_parameter])  # type: ignore[attr-defined]
    decorated: Callable[..., None] = pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS)(run)
    return decorated


class App:
    """An ASGI app whose requests do what their path says, and report what became of them."""

    def __init__(self) -> None:
        self.running = asyncio.Event()  # a request has reached /wait, /events or /hang
        self.go_on = asyncio.Event()  # lets /wait answer
        self.disconnected: list[str] = []  # paths of requests that saw their client go
        self.cancelled: list[str] = []

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        try:
            await getattr(self, path[1:], self.echo)(scope, receive, send)
        except asyncio.CancelledError:
            self.cancelled.append(path)
            raise

    async def echo(self, scope: Message, receive: Receive, send: Send) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.disconnected.append(scope["path"])
                return
            body += message["body"]
            more = message["more_body"]
        await self.answer(send, body or scope["path"].encode())

    async def wait(self, scope: Message, receive: Receive, send: Send) -> None:
        self.running.set()
        await self.go_on.wait()
        await self.answer(send, b"waited")

    async def hang(self, scope: Message, receive: Receive, send: Send) -> None:
        self.running.set()
        await asyncio.Event().wait()

    async def leave(self, scope: Message, receive: Receive, send: Send) -> None:
        self.running.set()
        while (await receive())["type"] != "http.disconnect":
            pass
        self.disconnected.append(scope["path"])

    async def events(self, scope: Message, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        await self.leave(scope, receive, send)

    async def large(self, scope: Message, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", str(64 * MIB).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for _ in range(256):
            await send({"type": "http.response.body", "body": bytes(MIB // 4), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def client(self, scope: Message, receive: Receive, send: Send) -> None:
        await self.answer(send, "{}:{}".format(*scope["client"]).encode())

    async def fail(self, scope: Message, receive: Receive, send: Send) -> None:
        raise LookupError("a secret of the app")

    async def drop(self, scope: Message, receive: Receive, send: Send) -> None:
        scope["extensions"][TRANSPORT].abort()

    @staticmethod
    async def answer(send: Send, body: bytes) -> None:
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class Calls(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc carries no types
    """Services of bytes in, bytes out."""

    def __init__(self) -> None:
        self.held = threading.Event()  # a call of /test/hold has arrived
        self.let_go = threading.Event()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return {
            "/test/echo": grpc.unary_unary_rpc_method_handler(lambda request, context: request),
            "/test/peer": grpc.unary_unary_rpc_method_handler(lambda request, context: context.peer().encode()),
            "/test/count": grpc.stream_unary_rpc_method_handler(lambda stream, context: b"%d" % sum(map(len, stream))),
            "/test/repeat": grpc.unary_stream_rpc_method_handler(self.repeat),
            "/test/hold": grpc.unary_unary_rpc_method_handler(self.hold),
        }[details.method]

    def repeat(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        for _ in range(int(request)):
            yield bytes(MIB)

    def hold(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.held.set()
        context.add_callback(self.let_go.set)
        self.let_go.wait(PATIENCE_SECONDS)
        return request


class Backend:
    """A real gRPC server, loaded when the port asks for it."""

    def __init__(self) -> None:
        self.calls = Calls()
        self.paths: list[str] = []  # of every load

    def load(self, path: str) -> "Backend":
        self.paths.append(path)
        self.pool = ThreadPoolExecutor(32)
        self.server = grpc.server(self.pool, handlers=[self.calls])
        self.server.add_insecure_port(f"unix:{path}")
        self.server.start()
        return self

    def stop(self) -> None:
        self.server.stop(0.5).wait()
        self.pool.shutdown()


class RawBackend:
    """A server of plain bytes on the unix socket, whose every connection is handled by the function given."""

    def __init__(self, handle: Callable[[socket.socket], None]) -> None:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                handle(self.request)

        self.handler = Handler

    def load(self, path: str) -> "RawBackend":
        self.server = socketserver.ThreadingUnixStreamServer(path, self.handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def no_grpc(path: str) -> Any:
    raise AssertionError("gRPC was loaded although no client asked for it")


class Client:
    """A plain TCP client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> "Client":
        self.writer.write(data)
        await self.writer.drain()
        return self

    async def response(self) -> bytes:
        """The body of one response with a Content-Length."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n"), head
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        return await self.reader.readexactly(int(length.partition(b":")[2]))

    async def settings(self) -> bool:
        """Whether what comes next is what an HTTP/2 server begins with."""
        return (await self.reader.readexactly(len(SETTINGS)))[3] == SETTINGS[3]

    async def rest(self) -> bytes:
        """Everything up to the end of the connection; empty when that is a reset."""
        try:
            return await self.reader.read()
        except ConnectionResetError:
            return b""


class TestedPort(Port):
    """A port with its clients, which are closed when the test ends."""

    __test__ = False
    clients: list[Client]

    async def client(self, sends: bytes = b"", host: str = "127.0.0.1") -> Client:
        """Connect, and send something at once."""
        client = Client(*await asyncio.open_connection(host, self.number))
        self.clients.append(client)
        return await client.send(sends)

    async def get(self, path: str, host: str = "127.0.0.1") -> bytes:
        """GET on a connection of its own: everything that comes back."""
        client = await self.client(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode(), host)
        return await client.rest()


@asynccontextmanager
async def running(
    app: App, load: Callable[[str], Any] = no_grpc, log: list[str] | None = None, **settings: Any
) -> AsyncIterator[TestedPort]:
    """A port that listens; what it logs must have been expected by the test, which then passes the list for it."""
    unexpected: list[str] = []
    port = TestedPort(app, load, log=(unexpected if log is None else log).append, **settings)
    port.clients = []
    await port.start()
    try:
        yield port
    finally:
        await port.stop()
        for client in port.clients:
            client.writer.transport.abort()
        await asyncio.sleep(0)  # closes them
    assert unexpected == []


async def delivered(port: TestedPort) -> None:
    """Return when the port has seen what was sent to it: a later request on another connection has been served."""
    assert await port.get("/seen") != b""


def channel(port: Port) -> grpc.Channel:
    """A gRPC channel with a connection of its own, and no waiting between attempts to connect."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.initial_reconnect_backoff_ms", 100)]
    return grpc.insecure_channel(f"127.0.0.1:{port.number}", [*options, ("grpc.max_receive_message_length", -1)])


async def call(port: Port, method: str, request: bytes) -> bytes:
    """One unary gRPC call on a connection of its own."""

    def work() -> bytes:
        with channel(port) as opened:
            return bytes(opened.unary_unary(method)(request, timeout=PATIENCE_SECONDS))

    return await asyncio.to_thread(work)


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until something has become true."""
    while not condition():
        await asyncio.sleep(0.001)


async def seconds_of(work: Awaitable[object]) -> float:
    before = time.perf_counter()
    await work
    return time.perf_counter() - before


# What the first bytes decide


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
async def test_the_h2_preface_is_recognised_however_it_is_cut() -> None:
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
async def test_a_method_that_begins_like_the_preface_is_http(method: bytes) -> None:
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
async def test_what_is_no_http_is_answered_with_400(sent: bytes) -> None:
    """Bytes that are neither HTTP/1.1 nor the preface get a 400 that says so, and no line in the log."""
    async with running(App()) as port:
        answer = asyncio.create_task((await port.client(sent)).rest())
        assert await seconds_of(answer) < 0.5
        assert answer.result().startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert answer.result().endswith(b"\r\n\r\nThis is not an HTTP request.")


@on_each_loop
async def test_a_tls_client_is_hung_up_on_and_explained_once() -> None:
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


# The gRPC server behind the port


@on_each_loop
async def test_many_first_grpc_clients_load_the_server_once_while_http_goes_on() -> None:
    """Clients that arrive while the gRPC server is being loaded wait for it, and all are served by the one server."""
    backend, let_load = Backend(), threading.Event()

    def slow_load(path: str) -> Backend:
        let_load.wait(PATIENCE_SECONDS)
        return backend.load(path)

    async with running(App(), slow_load) as port:
        clients = [await port.client(H2_PREFACE + SETTINGS) for _ in range(50)]
        echo = asyncio.create_task(call(port, "/test/echo", b"patience"))
        await delivered(port)
        let_load.set()
        assert {await client.settings() for client in clients} == {True}
        assert await echo == b"patience"
    assert len(backend.paths) == 1
    assert not os.path.exists(os.path.dirname(backend.paths[0]))


@on_each_loop
async def test_a_server_that_cannot_be_loaded_is_logged_and_tried_again() -> None:
    """The clients that wait for a failing load are hung up on, with one line for all; the next one loads anew."""
    log: list[str] = []
    backend, let_load = Backend(), threading.Event()

    def load(path: str) -> Backend:
        backend.paths.append(path)
        if len(backend.paths) == 1:
            let_load.wait(PATIENCE_SECONDS)
            raise ImportError("no module of that name")
        return backend.load(path)

    async with running(App(), load, log) as port:
        clients = [await port.client(H2_PREFACE) for _ in range(5)]
        await delivered(port)
        let_load.set()
        assert [await client.rest() for client in clients] == [b""] * 5
        assert log == ["The gRPC server could not be loaded: ImportError: no module of that name"]
        assert await call(port, "/test/echo", b"again") == b"again"
    assert len(log) == 1
    assert not any(os.path.exists(os.path.dirname(path)) for path in backend.paths)


@on_each_loop
async def test_the_socket_of_the_grpc_server_is_private() -> None:
    """The directory of the unix socket can be entered by its owner only."""
    backend = Backend()
    async with running(App(), backend.load) as port:
        await call(port, "/test/echo", b"")
        assert os.stat(os.path.dirname(backend.paths[0])).st_mode & 0o777 == 0o700


def test_a_long_name_of_the_temporary_directory_is_avoided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where temporary files live under a name that leaves no room for a socket, the socket lives elsewhere."""
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    directory = port_module.private_directory()
    try:
        assert len(directory) <= SOCKET_DIRECTORY_BYTES_MAX
        assert os.stat(directory).st_mode & 0o777 == 0o700
        assert list(long.iterdir()) == []
    finally:
        os.rmdir(directory)


@on_each_loop
async def test_every_grpc_connection_has_a_peer_name_of_its_own() -> None:
    """Calls of one connection share their peer, calls of two connections do not, and a closed one leaves no trace."""
    backend = Backend()
    async with running(App(), backend.load) as port:
        with channel(port) as one, channel(port) as other:
            peers = [
                await asyncio.to_thread(opened.unary_unary("/test/peer"), b"", timeout=PATIENCE_SECONDS)
                for opened in (one, other, one)
            ]
        assert peers[0] == peers[2] != peers[1]
        await until(lambda: port.connections == 0)
        assert os.listdir(os.path.dirname(backend.paths[0])) == ["grpc"]


@on_each_loop
async def test_large_grpc_streams_arrive_whole_in_both_directions() -> None:
    """64 MiB up and 64 MiB down, at the pace of gRPC, lose nothing."""
    async with running(App(), Backend().load) as port:

        def work() -> None:
            with channel(port) as opened:
                sent = (bytes(MIB) for _ in range(64))
                assert opened.stream_unary("/test/count")(sent, timeout=PATIENCE_SECONDS) == b"%d" % (64 * MIB)
                received = opened.unary_stream("/test/repeat")(b"64", timeout=PATIENCE_SECONDS)
                assert sum(map(len, received)) == 64 * MIB

        await asyncio.to_thread(work)


# Pace


def small_buffers(port: Port) -> socket.socket:
    """A blocking client whose kernel buffers are small, so that the port's are what fills."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    client.settimeout(PATIENCE_SECONDS)
    client.connect(("127.0.0.1", port.number))
    return client


def buffered(port: Port) -> int:
    """The bytes that the port holds for slow readers."""
    ends = [connection for connection in port._open if isinstance(connection, port_module.ClientEnd)]
    return sum(end.transport.get_write_buffer_size() for client in ends for end in (client, client.other) if end)


async def fullest(port: Port, read: Callable[[], int], total: int) -> int:
    """Read so much in a thread, little by little, and return the most that the port has held meanwhile."""
    most = 0
    loop = asyncio.get_running_loop()

    def work() -> None:
        left = total
        while left:
            count = read()
            assert count
            left -= count

    reading = loop.run_in_executor(None, work)
    while not reading.done():
        most = max(most, buffered(port))
        await asyncio.sleep(0.001)
    await reading
    return most


@on_each_loop
async def test_a_slow_grpc_server_slows_its_client_down() -> None:
    """Of 64 MiB sent to a server that does not read, the port takes less than 1 MiB; when it reads, all of it comes."""
    connections: list[socket.socket] = []
    accepted, done = threading.Event(), threading.Event()

    def handle(connection: socket.socket) -> None:
        connections.append(connection)
        accepted.set()
        done.wait(PATIENCE_SECONDS)

    async with running(App(), RawBackend(handle).load) as port:
        client = small_buffers(port)
        sending = asyncio.create_task(asyncio.to_thread(client.sendall, H2_PREFACE + bytes(64 * MIB)))
        assert await asyncio.to_thread(accepted.wait, PATIENCE_SECONDS)
        await until(lambda: buffered(port) > 65536)
        await delivered(port)
        assert not sending.done()
        most = await fullest(port, lambda: len(connections[0].recv(65536)), len(H2_PREFACE) + 64 * MIB)
        await sending
        done.set()
        client.close()
    assert most < MIB


@on_each_loop
async def test_a_slow_grpc_client_slows_its_server_down() -> None:
    """Of 64 MiB sent to a client that does not read, the port takes less than 1 MiB; when it reads, all of it comes."""
    sent = threading.Event()

    def handle(connection: socket.socket) -> None:
        connection.sendall(bytes(64 * MIB))
        sent.set()
        connection.recv(1)

    async with running(App(), RawBackend(handle).load) as port:
        client = small_buffers(port)
        client.sendall(H2_PREFACE)
        await until(lambda: buffered(port) > 65536)
        await delivered(port)
        assert not sent.is_set()
        most = await fullest(port, lambda: len(client.recv(65536)), 64 * MIB)
        client.close()
    assert most < MIB


@on_each_loop
async def test_a_half_close_is_passed_on_in_either_direction() -> None:
    """Whichever side stops sending first, the other one learns it and can still send."""

    def answer_at_the_end(connection: socket.socket) -> None:
        received = b"".join(iter(functools.partial(connection.recv, 65536), b""))
        connection.sendall(b"%d bytes" % len(received))

    def end_at_once(connection: socket.socket) -> None:
        connection.shutdown(socket.SHUT_WR)
        received = b"".join(iter(functools.partial(connection.recv, 65536), b""))
        heard.append(received)
        all_heard.set()

    heard: list[bytes] = []
    all_heard = threading.Event()
    async with running(App(), RawBackend(answer_at_the_end).load) as port:
        client = await port.client(H2_PREFACE + bytes(MIB))
        client.writer.write_eof()
        assert await client.rest() == b"%d bytes" % (MIB + len(H2_PREFACE))
        await until(lambda: port.connections == 0)
    async with running(App(), RawBackend(end_at_once).load) as port:
        client = await port.client(H2_PREFACE)
        assert await client.reader.read() == b""
        await client.send(b"still here")
        client.writer.close()
        assert await asyncio.to_thread(all_heard.wait, PATIENCE_SECONDS)
        assert heard == [H2_PREFACE + b"still here"]
        await until(lambda: port.connections == 0)


@on_each_loop
async def test_slow_clients_hold_nobody_up() -> None:
    """Beside clients stuck in the preface, in a head, in a body and in a response, others are answered at once."""
    async with running(App(), grace_seconds=0) as port:
        stuck = [b"P", b"PRI * HTTP/2.0", b"GET / HT", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n1"]
        for sent in [*stuck, b"GET /large HTTP/1.1\r\n\r\n"] * 20:
            await port.client(sent)
        took = await seconds_of(asyncio.gather(*(port.get("/quick") for _ in range(20))))
        assert port.connections == 100
    assert took < 2


@on_each_loop
async def test_idle_clients_are_cheap() -> None:
    """1,000 idle keep-alive connections and 200 idle HTTP/2 ones are served, and gone within a second of the stop."""
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
            assert await seconds_of(port.stop()) < 1
            assert port.connections == 0
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, files)


# HTTP/1.1 as it is served here


@on_each_loop
async def test_an_app_that_fails_answers_500_and_keeps_its_reasons() -> None:
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
async def test_a_request_head_has_a_longest_length(count: int, in_one_piece: bool) -> None:
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
            assert await (await client.send(request)).response() == b"/head", "each request is counted anew"
        else:
            assert (await client.rest()).startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")


@on_each_loop
async def test_a_header_without_end_is_refused() -> None:
    """A client that goes on and on with one header is refused without waiting for its end."""
    async with running(App()) as port:
        client = await port.client(b"GET / HTTP/1.1\r\na: ")
        for _ in range(2 * HEAD_BYTES_MAX // 50_000):
            await client.send(b"x" * 50_000)
            await delivered(port)
        assert (await client.rest()).startswith(b"HTTP/1.1 431")


@on_each_loop
async def test_a_long_body_is_not_counted_as_head() -> None:
    """Body and trailers may be longer than the head's limit."""
    chunk = b"%x\r\n%s\r\n" % (HEAD_BYTES_MAX, bytes(HEAD_BYTES_MAX))
    async with running(App()) as port:
        client = await port.client(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 8 + b"0\r\n\r\n")
        assert await client.response() == bytes(8 * HEAD_BYTES_MAX)


@on_each_loop
async def test_an_offered_upgrade_to_h2c_is_declined_in_silence() -> None:
    """A client that offers to upgrade, as `curl --http2` does, is answered over HTTP/1.1 and may go on there."""
    upgrade = b"GET /up HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n\r\n"
    async with running(App()) as port:
        client = await port.client(upgrade)
        assert await client.response() == b"/up"
        assert await (await client.send(b"GET /on HTTP/1.1\r\n\r\n")).response() == b"/on"


@on_each_loop
async def test_pipelined_requests_are_answered_in_order() -> None:
    """Requests sent without waiting are answered one after the other."""
    async with running(App()) as port:
        client = await port.client(b"".join(b"GET /%d HTTP/1.1\r\n\r\n" % n for n in range(50)))
        assert [await client.response() for _ in range(50)] == [b"/%d" % n for n in range(50)]
        assert (await (await client.send(b"\0")).rest()).startswith(b"HTTP/1.1 400"), "all that came before is answered"


@on_each_loop
async def test_a_running_request_learns_that_its_client_has_gone() -> None:
    """A request is told of the end of its connection, also when others wait behind it on that connection."""
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
async def test_a_connection_that_was_reset_is_forgotten() -> None:
    """Nothing keeps what belonged to a connection, once its client has reset it."""
    async with running(App()) as port:
        client = await port.client(b"GET / HTTP/1.1\r\n\r\n")
        await client.response()
        connections = weakref.WeakSet(port._open)
        client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.writer.transport.abort()
        await until(lambda: port.connections == 0)
        gc.collect()
        assert not connections


@on_each_loop
async def test_a_client_cannot_pass_for_another() -> None:
    """The app is told who connected, whatever a client says that it forwards."""
    async with running(App()) as port:
        client = await port.client(b"GET /client HTTP/1.1\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n")
        assert await client.response() == b"%s:%d" % (b"127.0.0.1", client.writer.get_extra_info("sockname")[1])


@on_each_loop
async def test_small_writes_are_sent_at_once() -> None:
    """TCP_NODELAY is set on accepted connections: a small write does not wait for the acknowledgement of the last."""
    async with running(App()) as port:
        await (await port.client(b"GET / HTTP/1.1\r\n\r\n")).response()
        (connection,) = port._open
        assert isinstance(connection, port_module.HttpConnection)
        accepted = connection.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


@on_each_loop
async def test_the_loggers_of_the_process_are_left_alone() -> None:
    """Another uvicorn in the same process keeps its access log."""
    names = ["uvicorn", "uvicorn.error", "uvicorn.access"]
    before = [(logger.level, logger.handlers, logger.propagate) for logger in map(logging.getLogger, names)]
    async with running(App()) as port:
        await port.get("/")
    assert before == [(logger.level, logger.handlers, logger.propagate) for logger in map(logging.getLogger, names)]


# Faults


@on_each_loop
async def test_a_request_can_have_its_connection_reset() -> None:
    """What the app finds in the scope resets the connection: the client sees ECONNRESET, and the log stays empty."""
    async with running(App()) as port:
        client = await port.client(b"GET /drop HTTP/1.1\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            await client.reader.read()


@on_each_loop
async def test_a_grpc_call_can_have_its_connection_reset() -> None:
    """The peer that a call sees is enough to reset its connection, and no other."""
    backend = Backend()
    async with running(App(), backend.load) as port:
        with channel(port) as doomed, channel(port) as other:
            peer = (await asyncio.to_thread(doomed.unary_unary("/test/peer"), b"", timeout=PATIENCE_SECONDS)).decode()
            assert await asyncio.to_thread(other.unary_unary("/test/echo"), b"1", timeout=PATIENCE_SECONDS) == b"1"
            held = doomed.unary_unary("/test/hold").future(b"", timeout=PATIENCE_SECONDS)
            assert await asyncio.to_thread(backend.calls.held.wait, PATIENCE_SECONDS)
            port.abort_peer(peer)
            error = await asyncio.to_thread(held.exception)
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            assert port.connections == 1
            assert await asyncio.to_thread(other.unary_unary("/test/echo"), b"2", timeout=PATIENCE_SECONDS) == b"2"


# Addresses


def has_ipv6_loopback() -> bool:
    with suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind((LOCALHOST6, 0))
        return True
    return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6_loopback(), reason="this machine has no ::1")


@needs_ipv6
@on_each_loop
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_both_loopbacks_answer_on_one_number(host: str) -> None:
    """Whether a client resolves localhost to IPv4 or to IPv6, it finds the same port."""
    async with running(App(), host=host) as port:
        for address in ("127.0.0.1", LOCALHOST6, "localhost"):
            assert (await port.get("/here", address)).endswith(b"/here")


@needs_ipv6
@on_each_loop
async def test_another_host_is_bound_alone() -> None:
    """A host that is no name of the IPv4 loopback is bound as given, and nothing beside it."""
    async with running(App(), host=LOCALHOST6) as port:
        assert (await port.get("/six", LOCALHOST6)).endswith(b"/six")
        with pytest.raises(ConnectionRefusedError):
            await port.get("/four", "127.0.0.1")


@on_each_loop
async def test_a_taken_port_is_refused_at_once() -> None:
    """A second port of the same number does not start, says so in one sentence, and leaves the first one alone."""
    async with running(App()) as port:
        second = Port(App(), no_grpc, number=port.number)
        with pytest.raises(PortTaken) as refused:
            await second.start()
        taken = f"Port {port.number} is taken: something else already listens on 127.0.0.1:{port.number}."
        assert str(refused.value) == taken
        assert refused.value.errno == errno.EADDRINUSE
        await second.stop()
        assert (await port.get("/alive")).endswith(b"/alive")


@needs_ipv6
@on_each_loop
async def test_a_port_taken_on_one_loopback_is_refused() -> None:
    """A number that only ::1 has taken is refused as well, for some clients of localhost would reach the other one."""
    async with running(App()) as port:
        free_on_both = port.number
    async with running(App(), host=LOCALHOST6, number=free_on_both) as port:
        with pytest.raises(PortTaken, match=rf"something else already listens on \[::1\]:{port.number}\.$"):
            await Port(App(), no_grpc, number=port.number).start()
        with socket.socket() as free:
            free.bind(("127.0.0.1", port.number))  # nothing was left behind


@needs_ipv6
def test_any_number_is_one_that_both_loopbacks_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number picked for IPv4 that IPv6 has taken is given back, and another one is picked."""
    with socket.socket(socket.AF_INET6) as blocker:
        blocker.bind((LOCALHOST6, 0))
        blocker.listen()
        taken = blocker.getsockname()[1]
        bind = port_module._listening_socket
        asked: list[tuple[str, int]] = []

        def unlucky(family: int, address: str, number: int) -> socket.socket:
            asked.append((address, number))
            return bind(family, address, taken if len(asked) == 1 else number)

        monkeypatch.setattr(port_module, "_listening_socket", unlucky)
        sockets = port_module.listening_sockets("localhost", 0)
        numbers = {listener.getsockname()[1] for listener in sockets}
        for listener in sockets:
            listener.close()
    assert len(sockets) == 2
    assert len(numbers) == 1
    assert numbers != {taken}
    assert asked[1] == (LOCALHOST6, taken)


def test_a_machine_without_ipv6_listens_on_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where ::1 cannot be bound, 127.0.0.1 alone is good enough."""
    bind = port_module._listening_socket

    def without_ipv6(family: int, address: str, number: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise CannotListen(address, number, OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address"))
        return bind(family, address, number)

    monkeypatch.setattr(port_module, "_listening_socket", without_ipv6)
    (listener,) = port_module.listening_sockets("localhost", 0)
    with listener:
        assert listener.getsockname()[0] == "127.0.0.1"


@on_each_loop
@pytest.mark.parametrize(("host", "named"), [("192.0.2.1", "192.0.2.1"), ("no.such.host.invalid", "no.such.host")])
async def test_an_address_of_another_machine_is_refused(host: str, named: str) -> None:
    """A host that is not of this machine, or has no address, is refused in a sentence that names it."""
    with pytest.raises(CannotListen, match=f"^Cannot listen on {named}.*:80: .*\\.$") as refused:
        await Port(App(), no_grpc, host=host, number=80).start()
    assert not isinstance(refused.value, PortTaken)


# The end


@on_each_loop
async def test_an_idle_port_stops_at_once_and_frees_its_number() -> None:
    """A port with nothing but idle connections stops within 10 ms, closes them, and can be opened again right away."""
    took = []
    for _ in range(5):
        async with running(App()) as port:
            idle = [
                await port.client(b"GET /once HTTP/1.1\r\n\r\n"),
                await port.client(),
                await port.client(b"GET / HT"),
            ]
            assert await idle[0].response() == b"/once"
            took.append(await seconds_of(port.stop()))
            assert port.connections == 0
            assert [await client.rest() for client in idle] == [b""] * 3
            async with running(App(), number=port.number) as again:
                assert (await again.get("/again")).endswith(b"/again")
    assert min(took) < 0.01


@on_each_loop
async def test_stop_may_be_called_early_twice_and_together() -> None:
    """A port that never started stops, and a running one stops once however often it is told."""
    await Port(App(), no_grpc).stop()
    async with running(App()) as port:
        await asyncio.gather(port.stop(), port.stop())
        await port.stop()
        with pytest.raises(ConnectionRefusedError):
            await port.client()


@on_each_loop
async def test_a_running_request_is_answered_within_the_grace_period() -> None:
    """A request that ends soon after the stop is answered, and then its connection is closed; no new one is taken."""
    app = App()
    async with running(app, grace_seconds=PATIENCE_SECONDS) as port:
        client = await port.client(b"GET /wait HTTP/1.1\r\n\r\n")
        await app.running.wait()
        stopping = asyncio.create_task(port.stop())
        await until(lambda: not any(listener.is_serving() for listener in port._listeners))
        with pytest.raises(ConnectionRefusedError):
            await port.client()
        app.go_on.set()
        answer = await client.rest()
        await stopping
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b"\r\n\r\nwaited")


@on_each_loop
async def test_a_request_without_end_is_cut_off_after_the_grace_period() -> None:
    """A request that goes on and on is cancelled, its client sees the connection drop, and the log stays empty."""
    app = App()
    async with running(app, grace_seconds=0.05) as port:
        client = await port.client(b"GET /hang HTTP/1.1\r\n\r\n")
        await app.running.wait()
        assert 0.04 < await seconds_of(port.stop()) < 1
        assert app.cancelled == ["/hang"]
        assert await client.rest() == b""


@on_each_loop
async def test_an_event_stream_ends_properly_at_once() -> None:
    """The stop does not wait for an open event stream: its client gets a proper end, its app learns of it."""
    app = App()
    async with running(app, grace_seconds=PATIENCE_SECONDS) as port:
        client = await port.client(b"GET /events HTTP/1.1\r\n\r\n")
        await app.running.wait()
        assert await seconds_of(port.stop()) < 0.5
        assert (await client.rest()).endswith(b"\r\n\r\n9\r\ndata: 1\n\n\r\n0\r\n\r\n")
        assert app.disconnected == ["/events"]


@on_each_loop
@pytest.mark.parametrize(
    "sent",
    [
        b"P",
        H2_PREFACE[:10],
        b"GET / HTTP/1.1\r\nHost:",
        b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n1",
        b"GET /large HTTP/1.1\r\n\r\n",
        b"\x00",
    ],
)
async def test_a_stuck_client_does_not_hold_up_the_stop(sent: bytes) -> None:
    """A client that stopped in the middle of something is cut off when the grace period is over, if not before."""
    async with running(App(), grace_seconds=0.05) as port:
        await port.client(sent)
        await delivered(port)
        assert await seconds_of(port.stop()) < 1
        assert port.connections == 0


@on_each_loop
async def test_an_idle_grpc_connection_does_not_hold_up_the_stop() -> None:
    """A port with an idle gRPC channel stops long before the grace period is over."""
    async with running(App(), Backend().load, grace_seconds=PATIENCE_SECONDS) as port:
        with channel(port) as opened:
            await asyncio.to_thread(opened.unary_unary("/test/echo"), b"", timeout=PATIENCE_SECONDS)
            assert await seconds_of(port.stop()) < 0.5
            assert port.connections == 0


@on_each_loop
@pytest.mark.parametrize("in_the_stop", [True, False])
async def test_a_client_that_does_not_end_its_side_does_not_hold_up_the_stop(in_the_stop: bool) -> None:
    """When the gRPC server has ended its side of a connection, be it before or in the stop, the port ends the rest."""
    ended, stop = threading.Event(), threading.Event()

    def handle(connection: socket.socket) -> None:
        connection.recv(len(H2_PREFACE))
        if in_the_stop:
            ended.set()
            stop.wait(PATIENCE_SECONDS)
        connection.shutdown(socket.SHUT_WR)
        ended.set()
        connection.recv(1)

    class Stopping(RawBackend):
        def stop(self) -> None:
            stop.set()
            super().stop()

    async with running(App(), Stopping(handle).load, grace_seconds=PATIENCE_SECONDS) as port:
        await port.client(H2_PREFACE)
        assert await asyncio.to_thread(ended.wait, PATIENCE_SECONDS)
        await delivered(port)
        assert await seconds_of(port.stop()) < 1
        assert port.connections == 0


@on_each_loop
async def test_a_grpc_call_may_end_within_the_grace_period() -> None:
    """A call that ends soon after the stop is answered: its last bytes are let through."""
    backend = Backend()
    async with running(App(), backend.load) as port:
        with channel(port) as opened:
            held = opened.unary_unary("/test/hold").future(bytes(MIB), timeout=PATIENCE_SECONDS)
            assert await asyncio.to_thread(backend.calls.held.wait, PATIENCE_SECONDS)
            stopping = asyncio.create_task(port.stop())
            await until(lambda: port._backend._stopped)
            backend.calls.let_go.set()
            assert await asyncio.to_thread(held.result) == bytes(MIB)
            await stopping


@on_each_loop
async def test_a_grpc_call_without_end_is_cut_off_after_the_grace_period() -> None:
    """A call that goes on and on ends with an error within a second, and so does the stop."""
    backend = Backend()
    async with running(App(), backend.load) as port:
        with channel(port) as opened:
            held = opened.unary_unary("/test/hold").future(b"", timeout=PATIENCE_SECONDS)
            assert await asyncio.to_thread(backend.calls.held.wait, PATIENCE_SECONDS)
            assert await seconds_of(port.stop()) < 1
            error = await asyncio.to_thread(held.exception)
            assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


@on_each_loop
async def test_a_stop_while_the_grpc_server_is_loaded_leaves_none_behind() -> None:
    """A server that is still being loaded when the port stops is stopped as soon as it runs, and its client let go."""
    backend, loading, let_load, stopped = Backend(), threading.Event(), threading.Event(), threading.Event()

    class Stopped(Backend):
        def stop(self) -> None:
            super().stop()
            stopped.set()

    backend = Stopped()

    def slow_load(path: str) -> Backend:
        loading.set()
        let_load.wait(PATIENCE_SECONDS)
        return backend.load(path)

    log: list[str] = []
    async with running(App(), slow_load, log, grace_seconds=0.05) as port:
        client = await port.client(H2_PREFACE)
        assert await asyncio.to_thread(loading.wait, PATIENCE_SECONDS)
        assert await seconds_of(port.stop()) < 1
        assert await client.rest() == b""
        let_load.set()
        assert await asyncio.to_thread(stopped.wait, PATIENCE_SECONDS)
        await until(lambda: not os.path.exists(os.path.dirname(backend.paths[0])))
    assert log == ["The gRPC server did not stop within 0.35 s and is left behind."]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="open files are counted in /proc")
@on_each_loop
async def test_restarts_leave_nothing_behind() -> None:
    """A process that starts and stops ports again and again, each used over HTTP and gRPC, keeps no file or thread."""

    async def use_one() -> None:
        backend = Backend()
        async with running(App(), backend.load) as port:
            await port.get("/")
            await port.client(b"GET / HTTP/1.1\r\n\r\n")
            await port.client(H2_PREFACE[:5])
            await call(port, "/test/echo", b"")
        assert not os.path.exists(os.path.dirname(backend.paths[0]))

    def held() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    await use_one()
    at_first = held()
    for _ in range(8):
        await use_one()
    await until(lambda: all(now <= before for now, before in zip(held(), at_first, strict=True)))  # gRPC needs a moment


@pytest.mark.alone
@on_each_loop
async def test_a_warm_start_and_stop_take_milliseconds() -> None:
    """In a process that has done it once, to start a port and stop it again takes less than 5 ms."""

    async def start_and_stop() -> None:
        async with running(App()):
            pass

    assert min([await seconds_of(start_and_stop()) for _ in range(10)]) < 0.005
