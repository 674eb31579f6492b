"""Calls whose clients stall: which of them are cancelled, which are refused, and that the others are served."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import httpx
import pytest

from emulator import Emulator
from emulator.rpc import call_threads
from emulator.rpc import server as rpc_server
from emulator.rpc.call_threads import CallThreads
from tests.rpc.client import PATIENCE_SECONDS, Message, Rpc, data, init, message, trailers
from tests.serving import until

UPLOAD, LIST, READ = (f"xai_api.Files/{name}" for name in ("UploadFile", "ListFiles", "RetrieveFileContent"))
MIB = 1024 * 1024
Setting = Callable[..., None]


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> Setting:
    """Set numbers of the server that is loaded next."""

    def set_all(**values: float) -> None:
        for name, value in values.items():
            monkeypatch.setattr(call_threads if hasattr(call_threads, name) else rpc_server, name, value)

    return set_all


@pytest.fixture
def running() -> Iterator[tuple[Emulator, Rpc]]:
    """An emulator whose gRPC server is loaded with the settings of the test, and a client."""
    with Emulator() as emulator, Rpc(emulator.grpc_target, emulator.api_key) as rpc:
        yield emulator, rpc


def pools(emulator: Emulator) -> tuple[CallThreads, CallThreads]:
    """The threads of unary calls and of streams, once there is a server."""
    server: Any = emulator._running().port._backend._server
    return server._unary, server._streams


def files(rpc: Rpc) -> list[Message]:
    """The files of the team."""
    return list(rpc.call(LIST, message("xai_api.ListFilesRequest")).data)


@contextmanager
def stalled(rpc: Rpc, count: int) -> Iterator[tuple[list[Any], threading.Event]]:
    """Begin uploads that stand still until an event is set."""
    go_on = threading.Event()

    def upload(number: int) -> Iterator[Message]:
        yield init(f"{number}")
        yield data(b"x")
        go_on.wait(PATIENCE_SECONDS)
        yield data(b"y")

    calls = [rpc.start(UPLOAD, upload(number)) for number in range(count)]
    try:
        yield calls, go_on
    finally:
        for call in calls:
            call.cancel()
        go_on.set()


def half_open(rpc: Rpc, name: str) -> Any:
    """Begin a unary call and send no message."""
    ended = threading.Event()

    def nothing() -> Iterator[bytes]:
        ended.wait(PATIENCE_SECONDS)
        yield from ()

    call = rpc.channel.stream_unary(f"/{name}").future(nothing(), timeout=PATIENCE_SECONDS)
    call.add_done_callback(lambda _: ended.set())
    return call


def test_unary_call_is_served_while_all_stream_threads_stall(running: tuple[Emulator, Rpc], setting: Setting) -> None:
    """More stalled streams than there are threads for streams keep no unary call waiting, and end well."""
    setting(STREAM_THREADS=3, UNARY_THREADS=1)
    emulator, rpc = running
    with stalled(rpc, 7) as (calls, go_on):
        until(lambda: emulator._running().port._backend._server and pools(emulator)[1].open_calls == 7)
        assert files(rpc) == []
        go_on.set()
        assert {call.result().size for call in calls} == {2}


def test_stalled_uploads_are_cancelled_when_others_queue(
    running: tuple[Emulator, Rpc], setting: Setting, capsys: pytest.CaptureFixture[str]
) -> None:
    """When slow uploads occupy all threads for too long, a new upload gets one; journal and log say why."""
    setting(STREAM_THREADS=2, STREAM_PATIENCE_SECONDS=0, RECEIVE_SECONDS=0, CHECK_SECONDS=0.01)
    emulator, rpc = running
    with stalled(rpc, 2) as (calls, _):
        until(lambda: emulator._running().port._backend._server and len(pools(emulator)[1]._waits) == 2)
        assert rpc.call(UPLOAD, [init("new"), data(b"new")]).size == 3
        until(lambda: any(call.done() for call in calls))
        ended = [call for call in calls if call.done()]
        assert {call.code() for call in ended} == {grpc.StatusCode.CANCELLED}
    assert [file.filename for file in files(rpc)] == ["new"]
    requests = httpx.get(f"{emulator.url}/_emulator/requests").json()["requests"]
    assert "CANCELLED" in [request["outcome"] for request in requests]
    assert "Stalled gRPC calls were cancelled" in capsys.readouterr().err


def test_stalled_downloads_are_cancelled_when_others_queue(running: tuple[Emulator, Rpc], setting: Setting) -> None:
    """A client that does not read holds a thread no longer than the patience when others want it."""
    setting(STREAM_THREADS=1, STREAM_PATIENCE_SECONDS=0, RECEIVE_SECONDS=0, CHECK_SECONDS=0.01)
    emulator, rpc = running
    file = rpc.call(UPLOAD, [init("a"), *[data(bytes(MIB))] * 20])
    with Rpc(emulator.grpc_target, emulator.api_key) as other:
        call = other.start(READ, message("xai_api.RetrieveFileContentRequest", file_id=file.id))
        assert next(call).data
        until(lambda: pools(emulator)[1]._waits)
        assert rpc.call(UPLOAD, [init("b")]).filename == "b"
        with pytest.raises(grpc.RpcError):
            list(call)
    until(lambda: pools(emulator)[1].open_calls == 0)


def test_stalled_stream_is_kept_while_threads_are_free(running: tuple[Emulator, Rpc], setting: Setting) -> None:
    """However long it stalls, as a client in a debugger does: it ends well."""
    setting(STREAM_THREADS=2, STREAM_PATIENCE_SECONDS=0, RECEIVE_SECONDS=0, CHECK_SECONDS=0.01)
    emulator, rpc = running
    with stalled(rpc, 1) as ((call,), go_on):
        until(lambda: emulator._running().port._backend._server and pools(emulator)[1]._waits)
        for _ in range(20):  # each in the other thread, once that is free again
            assert rpc.call(UPLOAD, [init("a")]).filename == "a"
            until(lambda: pools(emulator)[1].open_calls == 1)
        go_on.set()
        assert call.result().size == 2


async def test_check_while_a_cancelled_call_still_ends_cancels_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a cancelled call keeps its thread for a while; the queued call gets that one, in the end."""

    class Context:
        def __init__(self) -> None:
            self.cancelled, self.may_end = threading.Event(), threading.Event()

        def cancel(self) -> None:
            self.cancelled.set()

    def stall(context: Context) -> None:
        with pool.waiting_for_client(context):
            context.cancelled.wait(PATIENCE_SECONDS)
        context.may_end.wait(PATIENCE_SECONDS)

    monkeypatch.setattr(call_threads, "RECEIVE_SECONDS", 0)
    pool = CallThreads("test", 2, 0, asyncio.get_running_loop(), lambda line: None)
    contexts = [Context(), Context()]
    try:
        for context in contexts:
            pool.submit(stall, context)
        while len(pool._waits) < 2:
            await asyncio.sleep(0.001)
        served = asyncio.Event()
        pool.submit(asyncio.get_running_loop().call_soon_threadsafe, served.set)
        while len(pool._waits) == 2:
            await asyncio.sleep(0.001)
        pool._check()
        assert [context.cancelled.is_set() for context in contexts].count(True) == 1
        for context in contexts:
            if context.cancelled.is_set():
                context.may_end.set()
        await asyncio.wait_for(served.wait(), PATIENCE_SECONDS)
        while pool.open_calls > 1:
            await asyncio.sleep(0.001)
    finally:
        for context in contexts:
            context.cancel()
            context.may_end.set()
        pool.shutdown()
        while pool.open_calls:
            await asyncio.sleep(0.001)


async def test_call_without_a_thread_waits_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no thread left, a call is served when there is one, and the log says why it waited."""
    logged: list[str] = []
    served: queue.SimpleQueue[str] = queue.SimpleQueue()
    pool = CallThreads("test", 2, 0, asyncio.get_running_loop(), logged.append)

    def no_thread(work: Callable[[], object], name: str) -> threading.Thread:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(call_threads, "start_thread", no_thread)
        pool.submit(served.put, "first")
    assert pool.open_calls == 1
    assert logged == [
        "No thread could be started for a gRPC call, so it waits until another call ends: can't start new thread."
    ]
    pool.submit(served.put, "second")
    assert [served.get(timeout=PATIENCE_SECONDS) for _ in range(2)] == ["first", "second"]
    pool.shutdown()


async def test_call_that_raises_is_logged_and_leaves_its_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect of grpcio ends one call, not the thread that the next one gets."""
    logged: list[str] = []
    served: queue.SimpleQueue[str] = queue.SimpleQueue()
    pool = CallThreads("test", 1, 0, asyncio.get_running_loop(), logged.append)
    pool.submit(lambda: 1 // 0)
    pool.submit(served.put, "served")
    assert served.get(timeout=PATIENCE_SECONDS) == "served"
    assert logged == ["A gRPC call failed: ZeroDivisionError: integer division or modulo by zero"]
    pool.shutdown()


def test_half_open_unary_calls_are_cancelled_when_others_queue(running: tuple[Emulator, Rpc], setting: Setting) -> None:
    """Calls whose message never comes hold the threads of the others for no longer than the patience."""
    setting(UNARY_THREADS=2, UNARY_PATIENCE_SECONDS=0, RECEIVE_SECONDS=0, CHECK_SECONDS=0.01)
    emulator, rpc = running
    calls = [half_open(rpc, name) for name in (LIST, "grpc.health.v1.Health/Check", LIST)]
    until(lambda: emulator._running().port._backend._server and len(pools(emulator)[0]._waits) == 2)
    assert files(rpc) == []
    until(lambda: any(call.done() for call in calls))
    for call in calls:
        call.cancel()
    until(lambda: pools(emulator)[0].open_calls == 0)


def test_unary_call_without_message_is_unimplemented(running: tuple[Emulator, Rpc]) -> None:
    """As grpc's own servers say, and in words."""
    _, rpc = running
    with pytest.raises(grpc.RpcError) as refused:
        rpc.channel.stream_unary(f"/{LIST}")(iter(()), timeout=PATIENCE_SECONDS)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert refused.value.details() == "The call has no request message."


def test_stream_over_limit_is_refused_until_another_ends(running: tuple[Emulator, Rpc], setting: Setting) -> None:
    """RESOURCE_EXHAUSTED in words, with its rule in trailers and journal; uploads and downloads count together."""
    setting(STREAMS_MAX=2)
    emulator, rpc = running
    with stalled(rpc, 2) as (calls, go_on):
        until(lambda: emulator._running().port._backend._server and pools(emulator)[1].open_calls == 2)
        for refused in (
            rpc.refusal(UPLOAD, [init("b")]),
            rpc.refusal(READ, message("xai_api.RetrieveFileContentRequest", file_id="x")),
        ):
            assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "2 streams are open already" in refused.details()
            assert trailers(refused)["x-emulator-rule"] == "grpc_streams"
        assert files(rpc) == []
        go_on.set()
        assert {call.result().size for call in calls} == {2}
    until(lambda: pools(emulator)[1].open_calls < 2)
    assert rpc.call(UPLOAD, [init("b")]).filename == "b"
    requests = httpx.get(f"{emulator.url}/_emulator/requests").json()["requests"]
    assert [request["rule"] for request in requests].count("grpc_streams") == 2
