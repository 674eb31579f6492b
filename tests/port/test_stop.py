"""Stopping the port: within a second with any client connected, and nothing is left behind."""

import asyncio
import gc
import os
import socket
import threading

import grpc
import pytest

from emulator.port import H2_PREFACE, Port
from tests.port.harness import (
    MIB,
    PATIENCE_SECONDS,
    App,
    Backend,
    RawBackend,
    call,
    channel,
    delivered,
    no_grpc,
    on_each_loop,
    running,
    seconds_of,
    until,
)

# A stop that waits for a client to end by itself takes PATIENCE_SECONDS; half of that is a clear bound at any load.
BEFORE_GRACE_SECONDS = PATIENCE_SECONDS / 2


@on_each_loop
async def test_idle_port_stops_at_once_and_frees_its_number() -> None:
    """A port with nothing but idle connections closes them when it stops, and can be opened again right away."""
    for _ in range(5):
        async with running(App(), grace_seconds=PATIENCE_SECONDS) as port:
            idle = [
                await port.client(b"GET /once HTTP/1.1\r\n\r\n"),
                await port.client(),
                await port.client(b"GET / HT"),
            ]
            assert await idle[0].response() == b"/once"
            assert await seconds_of(port.stop()) < BEFORE_GRACE_SECONDS
            assert port.connections == 0
            assert [await client.rest() for client in idle] == [b""] * 3
            async with running(App(), number=port.number) as again:
                assert (await again.get("/again")).endswith(b"/again")


@on_each_loop
async def test_stop_may_be_called_early_twice_and_together() -> None:
    """A port that never started can be stopped; a running one stops once, however often `stop` is called."""
    await Port(App(), no_grpc).stop()
    async with running(App()) as port:
        await asyncio.gather(port.stop(), port.stop())
        await port.stop()
        with pytest.raises(ConnectionRefusedError):
            await port.client()


@on_each_loop
async def test_running_request_is_answered_within_grace_period() -> None:
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
async def test_endless_request_is_cancelled_after_grace_period() -> None:
    """A request that does not end is cancelled, its client sees the connection drop, and the log stays empty."""
    app = App()
    async with running(app, grace_seconds=0.05) as port:
        client = await port.client(b"GET /hang HTTP/1.1\r\n\r\n")
        await app.running.wait()
        assert 0.04 < await seconds_of(port.stop()) < BEFORE_GRACE_SECONDS
        assert app.cancelled == ["/hang"]
        assert await client.rest() == b""


@on_each_loop
async def test_stop_ends_event_stream_at_once() -> None:
    """The stop does not wait for an open event stream: its client gets a proper end, its app learns of it."""
    app = App()
    async with running(app, grace_seconds=PATIENCE_SECONDS) as port:
        client = await port.client(b"GET /events HTTP/1.1\r\n\r\n")
        await app.running.wait()
        assert await seconds_of(port.stop()) < BEFORE_GRACE_SECONDS
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
async def test_stuck_client_does_not_delay_stop(sent: bytes) -> None:
    """A client that stopped in the middle of something is cut off when the grace period is over, if not before."""
    async with running(App(), grace_seconds=0.05) as port:
        await port.client(sent)
        await delivered(port)
        assert await seconds_of(port.stop()) < BEFORE_GRACE_SECONDS
        assert port.connections == 0


@on_each_loop
async def test_idle_grpc_connection_does_not_delay_stop() -> None:
    """A port with an idle gRPC channel stops long before the grace period is over."""
    async with running(App(), Backend().load, grace_seconds=PATIENCE_SECONDS) as port:
        with channel(port) as opened:
            await asyncio.to_thread(opened.unary_unary("/test/echo"), b"", timeout=PATIENCE_SECONDS)
            assert await seconds_of(port.stop()) < BEFORE_GRACE_SECONDS
            assert port.connections == 0


@on_each_loop
@pytest.mark.parametrize("in_the_stop", [True, False])
async def test_client_that_does_not_end_its_side_is_cut_off_after_the_grace_period(in_the_stop: bool) -> None:
    """When the gRPC server has ended its side of a connection, be it before or in the stop, the client may end its."""
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

    async with running(App(), Stopping(handle).load, grace_seconds=0.05) as port:
        await port.client(H2_PREFACE)
        assert await asyncio.to_thread(ended.wait, PATIENCE_SECONDS)
        await delivered(port)
        assert await seconds_of(port.stop()) < BEFORE_GRACE_SECONDS
        assert port.connections == 0


@on_each_loop
async def test_grpc_call_ends_within_grace_period() -> None:
    """A call that ends soon after the stop is answered: its last bytes are let through."""
    backend = Backend(grace_seconds=PATIENCE_SECONDS)
    async with running(App(), backend.load, grace_seconds=PATIENCE_SECONDS) as port:
        with channel(port) as opened:
            held = opened.unary_unary("/test/hold").future(bytes(MIB), timeout=PATIENCE_SECONDS)
            assert await asyncio.to_thread(backend.calls.held.wait, PATIENCE_SECONDS)
            stopping = asyncio.create_task(port.stop())
            await until(lambda: port._backend._stopped)
            backend.calls.let_go.set()
            assert await asyncio.to_thread(held.result) == bytes(MIB)
            await stopping


@on_each_loop
async def test_endless_grpc_call_is_cancelled_after_grace_period() -> None:
    """A call that does not end fails when the port stops."""
    backend = Backend()
    async with running(App(), backend.load) as port:
        with channel(port) as opened:
            held = opened.unary_unary("/test/hold").future(b"", timeout=PATIENCE_SECONDS)
            assert await asyncio.to_thread(backend.calls.held.wait, PATIENCE_SECONDS)
            assert await seconds_of(port.stop()) < BEFORE_GRACE_SECONDS
            error = await asyncio.to_thread(held.exception)
            assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


@on_each_loop
async def test_stop_during_load_stops_grpc_server() -> None:
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
    async with running(App(), slow_load, log, grace_seconds=0.05, backend_seconds=0.3) as port:
        client = await port.client(H2_PREFACE)
        assert await asyncio.to_thread(loading.wait, PATIENCE_SECONDS)
        assert await seconds_of(port.stop()) < BEFORE_GRACE_SECONDS
        assert await client.rest() == b""
        let_load.set()
        assert await asyncio.to_thread(stopped.wait, PATIENCE_SECONDS)
        await until(lambda: not os.path.exists(os.path.dirname(backend.paths[0])))
    assert log == ["The gRPC server did not stop within 0.35 s and is left running."]


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
        gc.collect()  # gRPC's objects refer to each other, and hold files
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    await use_one()
    at_first = held()
    for _ in range(8):
        await use_one()
    await until(lambda: all(now <= before for now, before in zip(held(), at_first, strict=True)))  # gRPC needs a moment


@pytest.mark.measure
@on_each_loop
async def test_warm_start_and_stop_take_milliseconds() -> None:
    """In a process that has done it once, to start a port and stop it again takes less than 5 ms."""

    async def start_and_stop() -> None:
        async with running(App()):
            pass

    assert min([await seconds_of(start_and_stop()) for _ in range(10)]) < 0.005
