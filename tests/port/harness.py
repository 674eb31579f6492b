"""Apps, gRPC servers and plain clients to try the port with."""

import asyncio
import functools
import inspect
import socket
import socketserver
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import unquote_to_bytes

import grpc
import pytest

from emulator.port import Port
from emulator.port.http import CONNECTION, Message, Receive, Send
from tests.serving import PATIENCE_SECONDS

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
with suppress(ImportError):
    import uvloop

    LOOPS["uvloop"] = uvloop.new_event_loop

MIB = 1024 * 1024
SETTINGS = (
    b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"  # an empty frame, RFC 9113 §6.5: the client's first after the preface
)
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
        self.fallen_back = 0  # responses that could not be sent at once

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

    async def whole(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer at once, and with two calls of `send` where that is refused; the query is the value of a header."""
        headers = [(b"x-query", unquote_to_bytes(scope["query_string"])), (b"content-length", b"5")]
        if not scope["extensions"][CONNECTION].respond(200, headers, b"whole"):
            self.fallen_back += 1
            await self.answer(send, b"whole")

    async def drop(self, scope: Message, receive: Receive, send: Send) -> None:
        scope["extensions"][CONNECTION].abort()

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

    def __init__(self, grace_seconds: float = 0.5) -> None:
        self.grace_seconds = grace_seconds  # for the calls that run when it is stopped
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
        self.server.stop(self.grace_seconds).wait()
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
    log = unexpected if log is None else log
    port = TestedPort(app, load, log=log.append, **{"backend_seconds": PATIENCE_SECONDS, **settings})
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


def has_ipv6_loopback() -> bool:
    with suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind((LOCALHOST6, 0))
        return True
    return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6_loopback(), reason="this machine has no ::1")
