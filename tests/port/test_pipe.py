"""The gRPC server behind the port: loaded once, private, with backpressure in both directions."""

import asyncio
import functools
import os
import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

import grpc
import pytest

from emulator.core.locks import MARK
from emulator.port import H2_PREFACE, Port
from emulator.port.pipe import ClientEnd
from tests.port.harness import (
    MIB,
    PATIENCE_SECONDS,
    SETTINGS,
    App,
    Backend,
    RawBackend,
    call,
    channel,
    delivered,
    on_each_loop,
    running,
    until,
)


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
async def test_failed_load_of_grpc_server_is_logged_and_retried() -> None:
    """When loading fails, waiting clients are disconnected and one line is logged; the next client loads again."""
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
async def test_grpc_socket_directory_is_private() -> None:
    """The directory of the unix socket can be entered by its owner only."""
    backend = Backend()
    async with running(App(), backend.load) as port:
        await call(port, "/test/echo", b"")
        assert os.stat(os.path.dirname(backend.paths[0])).st_mode & 0o777 == 0o700


@on_each_loop
async def test_grpc_connections_have_distinct_peer_names() -> None:
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
        assert sorted(os.listdir(os.path.dirname(backend.paths[0]))) == [MARK, "grpc"]


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
    ends = [connection for connection in port._open if isinstance(connection, ClientEnd)]
    return sum(end.transport.get_write_buffer_size() for client in ends for end in (client, client.other) if end)


def stalled(port: Port) -> bool:
    """Whether the port has stopped reading from one end of a pipe until the other end takes what it holds.

    The number of bytes it holds says less: the kernel may take some of them after the stop, and so few of them that
    the port does not read again.
    """
    clients = [connection for connection in port._open if isinstance(connection, ClientEnd)]
    pipes = [(client, client.other) for client in clients if client.other is not None]
    return any(
        slow.transport.get_write_buffer_size() and not fast.transport.is_reading()
        for client, server in pipes
        for slow, fast in ((client, server), (server, client))
    )


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
async def test_backpressure_of_grpc_server_reaches_client() -> None:
    """Of 64 MiB sent to a server that does not read, the port takes less than 1 MiB; when it reads, all of it comes."""
    connections: list[socket.socket] = []
    accepted, done = threading.Event(), threading.Event()

    def handle(connection: socket.socket) -> None:
        connections.append(connection)
        accepted.set()
        done.wait(PATIENCE_SECONDS)

    async with running(App(), RawBackend(handle).load) as port:
        with small_buffers(port) as client:
            sending = asyncio.create_task(asyncio.to_thread(client.sendall, H2_PREFACE + bytes(64 * MIB)))
            assert await asyncio.to_thread(accepted.wait, PATIENCE_SECONDS)
            await until(lambda: stalled(port))
            await delivered(port)
            assert not sending.done()
            most = await fullest(port, lambda: len(connections[0].recv(65536)), len(H2_PREFACE) + 64 * MIB)
            await sending
            done.set()
    assert most < MIB


@on_each_loop
async def test_backpressure_of_grpc_client_reaches_server() -> None:
    """Of 64 MiB sent to a client that does not read, the port takes less than 1 MiB; when it reads, all of it comes."""
    sent = threading.Event()

    def handle(connection: socket.socket) -> None:
        connection.sendall(bytes(64 * MIB))
        sent.set()
        connection.recv(1)

    async with running(App(), RawBackend(handle).load) as port:
        with small_buffers(port) as client:
            client.sendall(H2_PREFACE)
            await until(lambda: stalled(port))
            await delivered(port)
            assert not sent.is_set()
            most = await fullest(port, lambda: len(client.recv(65536)), 64 * MIB)
    assert most < MIB


@on_each_loop
async def test_half_close_is_forwarded_both_ways() -> None:
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
@pytest.mark.parametrize("reads_all", [True, False], ids=["write fails", "read fails"])
async def test_server_that_closes_with_client_still_sending_loses_no_answer(reads_all: bool) -> None:
    """A server closes a connection after its last answer; the client gets all of it, whatever it sends meanwhile.

    Where the server has not read all, the port's next read fails; where it has, the port's next write.
    """
    sent, more, closed = 0, threading.Event(), threading.Event()

    def handle(connection: socket.socket) -> None:
        nonlocal sent
        connection.recv(len(H2_PREFACE))
        if not reads_all:
            while not select.select([connection], [], [], PATIENCE_SECONDS)[0]:
                pass
        connection.setblocking(False)
        while not more.is_set():
            with suppress(BlockingIOError):
                sent += connection.send(bytes(65536))
        connection.close()
        closed.set()

    async with running(App(), RawBackend(handle).load, grace_seconds=PATIENCE_SECONDS) as port:
        with small_buffers(port) as client:
            client.sendall(H2_PREFACE)
            if not reads_all:
                client.sendall(b"unread")
            await until(lambda: stalled(port))
            more.set()
            assert await asyncio.to_thread(closed.wait, PATIENCE_SECONDS)
            for _ in range(3):
                client.sendall(b"update")
                await delivered(port)
            stopping = asyncio.create_task(port.stop())

            def read() -> int:
                count = 0
                while piece := client.recv(65536):
                    count += len(piece)
                    client.sendall(b"update")
                return count

            assert await asyncio.to_thread(read) == sent
        await stopping


@on_each_loop
async def test_abort_peer_resets_one_grpc_connection() -> None:
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
