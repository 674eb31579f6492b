"""`Emulator` inside a process: beside others of its kind, from any event loop, again and again."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from emulator import Emulator
from emulator.port import PortTaken
from emulator.state.settings import ROWS, BadSetting, Settings, from_keywords
from tests.rpc.client import Rpc, message
from tests.serving import PATIENCE_SECONDS

MIB = 1024 * 1024


def client(emulator: Emulator, team: str = "") -> httpx.Client:
    """A client of a team."""
    return httpx.Client(base_url=emulator.base_url, headers={"authorization": f"Bearer {emulator.api_key}{team}"})


def upload(rest: httpx.Client, content: bytes = b"x", **fields: str) -> httpx.Response:
    """Upload a file."""
    return rest.post("/files", data=fields, files={"file": ("a.txt", content)})


def names(rest: httpx.Client) -> list[str]:
    """The filenames of a team."""
    return [file["filename"] for file in rest.get("/files").json()["data"]]


def test_emulators_of_one_process_share_nothing() -> None:
    """Not their files, their clocks, their limits, their keys, nor their end."""
    settings: dict[str, Any] = {"limits": {"file_bytes_max": 2}, "auth": "strict", "keys": ["sk-other=inference"]}
    with Emulator() as one, client(one) as first:
        with Emulator(**settings) as other, client(other) as second:
            upload(first, expires_after="3600")
            assert upload(second, b"xxx").status_code == 413
            assert (len(names(first)), len(names(second))) == (1, 0)
            assert second.get("/files", headers={"authorization": f"Bearer {one.api_key}"}).status_code == 400
            other.advance(4000)
            assert len(names(first)) == 1
            one.advance(4000)
            assert names(first) == []
        assert upload(first).status_code == 200


def test_both_transports_accept_calls_when_start_returns() -> None:
    """On the addresses that the emulator says it has."""
    with Emulator() as emulator, Rpc(emulator.grpc_target, emulator.api_key) as rpc:
        assert emulator.url == f"http://localhost:{emulator.port}"
        assert emulator.base_url == f"{emulator.url}/v1"
        assert httpx.get(f"{emulator.url}/_emulator/ready").status_code == 200
        assert list(rpc.call("xai_api.Files/ListFiles", message("xai_api.ListFilesRequest")).data) == []


async def test_emulator_works_in_async_test() -> None:
    """It has an event loop of its own, which this one does not hold up."""
    with Emulator() as emulator:
        async with httpx.AsyncClient(base_url=emulator.base_url) as rest:
            replies = await asyncio.gather(
                *(rest.get("/files", headers={"authorization": f"Bearer {emulator.api_key}"}) for _ in range(10))
            )
    assert {reply.status_code for reply in replies} == {200}


# --- the ASGI application


async def pieces(count: int) -> AsyncIterator[bytes]:
    """A form with a file of so many MiB, made as it is sent."""
    yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
    for _ in range(count):
        yield bytes(MIB)
    yield b"\r\n--b--\r\n"


async def test_application_serves_from_another_loop() -> None:
    """Uploads and downloads are streamed through it, refusals come out of it."""
    with Emulator() as emulator:
        headers = {"authorization": f"Bearer {emulator.api_key}"}
        transport = httpx.ASGITransport(emulator.app)
        async with httpx.AsyncClient(transport=transport, base_url=emulator.base_url, headers=headers) as rest:
            form = {"content-type": "multipart/form-data; boundary=b"}
            file = (await rest.post("/files", content=pieces(5), headers=form)).json()
            assert file["bytes"] == 5 * MIB
            assert (await rest.get(f"/files/{file['id']}/content")).content == bytes(5 * MIB)
            many = await asyncio.gather(*(rest.post("/files", content=pieces(0), headers=form) for _ in range(20)))
            assert {reply.status_code for reply in many} == {200}
            assert (await rest.get("/files/nope")).status_code == 404


async def test_cancelled_asgi_upload_leaves_nothing() -> None:
    """Its task is cancelled on the emulator's loop as well, and nothing is left."""
    with Emulator() as emulator:
        begun = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if begun.is_set():
                await asyncio.Event().wait()
            begun.set()
            return {"type": "http.request", "body": await anext(pieces(0)), "more_body": True}

        async def send(message: dict[str, Any]) -> None:
            raise AssertionError(message)

        headers = {"authorization": f"Bearer {emulator.api_key}", "content-type": "multipart/form-data; boundary=b"}
        scope = {
            "type": "http",
            "method": "POST",
            "scheme": "http",
            "path": "/v1/files",
            "raw_path": b"/v1/files",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
        }
        task = asyncio.create_task(emulator.app(scope, receive, send))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with client(emulator) as rest:
            assert names(rest) == []
        assert not list((emulator._running().services.store.blobs.directory / "blobs").iterdir())


# --- settings, time and state


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"prot": 1}, "prot: there is no such setting"),
        ({"port": "x"}, "port: 'x' is not a port number"),
        ({"port": -1}, "port"),
        ({"port": 70_000}, "port"),
        ({"profile": "lax"}, "profile: 'lax' is not one of documented, strict, relaxed"),
        ({"limits": {"nope": 1}}, "there is no limit named 'nope'"),
        ({"limits": {"file_bytes_max": "lots"}}, "file_bytes_max"),
        ({"limits": {"page_items_default": None}}, "page_items_default"),
        ({"keys": ["abc"]}, "KEY=inference"),
        ({"keys": [1]}, "KEY=inference"),
        ({"limits": [1]}, "limits by their names"),
        ({"public_url": "localhost"}, "public_url"),
    ],
)
def test_invalid_setting_refuses_to_construct_emulator(settings: dict[str, Any], words: str) -> None:
    """Before anything runs, with the name of the keyword."""
    with pytest.raises(BadSetting) as refused:
        Emulator(**settings)
    assert words in str(refused.value)


def test_setting_of_none_is_default() -> None:
    """As a fixture passes it that does not care."""
    assert from_keywords(dict.fromkeys(ROWS)) == from_keywords({}) == Settings()


def test_taken_port_leaves_nothing_running() -> None:
    """The start raises, and its thread has ended."""
    before = threading.active_count()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        emulator = Emulator(port=taken.getsockname()[1])
        with pytest.raises(PortTaken):
            emulator.start()
    assert threading.active_count() <= before  # a thread of an earlier test may have ended as well
    emulator.stop()


def test_advance_and_reset_affect_one_team() -> None:
    """`advance` and `reset` touch the team they name, and no other."""
    with Emulator() as emulator, client(emulator) as default, client(emulator, "@other") as other:
        for rest in (default, other):
            upload(rest, expires_after="3600")
        emulator.advance(3600, team="other")
        assert (len(names(default)), len(names(other))) == (1, 0)
        upload(other)
        emulator.reset()
        assert (len(names(default)), len(names(other))) == (0, 1)
        with pytest.raises(ValueError, match="forward"):
            emulator.advance(-1)


def test_emulator_can_be_restarted() -> None:
    """With the same settings, on a port of its own again, and without what it had; twice at once it cannot."""
    emulator = Emulator(limits={"file_bytes_max": 5})
    for _ in range(2):
        with emulator, client(emulator) as rest:
            with pytest.raises(RuntimeError, match="runs already"):
                emulator.start()
            assert names(rest) == []
            assert [upload(rest, bytes(size)).status_code for size in (5, 6)] == [200, 413]
        emulator.stop()
        with pytest.raises(RuntimeError, match="does not run"):
            emulator.url  # noqa: B018


def test_emulator_keys_are_configured_or_default() -> None:
    """Else the well-known ones."""
    with Emulator() as emulator:
        assert (emulator.api_key, emulator.management_key) == ("xai-emulator", "xai-token-emulator")
    with Emulator(auth="strict", keys=["a=inference", "b=management:AddFileToCollection"]) as emulator:
        assert (emulator.api_key, emulator.management_key) == ("a", "b")
        with client(emulator) as rest:
            assert names(rest) == []


# --- again and again


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="open files are counted in /proc")
def test_restarts_leave_nothing_behind() -> None:
    """No file, no thread and no directory, however often, with both transports in use."""

    def use() -> None:
        with Emulator() as emulator, client(emulator) as rest, Rpc(emulator.grpc_target, emulator.api_key) as rpc:
            upload(rest)
            rpc.call("xai_api.Files/ListFiles", message("xai_api.ListFilesRequest"))
            directory = emulator._running().services.store.blobs.directory
        assert not directory.exists()

    def held() -> tuple[int, int]:
        gc.collect()  # gRPC's objects refer to each other, and hold files
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    use()
    before, end = held(), time.monotonic() + PATIENCE_SECONDS
    for _ in range(8):
        use()
    while any(now > then for now, then in zip(held(), before, strict=True)):  # gRPC needs a moment
        assert time.monotonic() < end, (before, held())
        threading.Event().wait(0.01)


@pytest.mark.measure
def test_warm_start_and_stop_take_milliseconds() -> None:
    """20 ms and 10 ms, with room for a slow machine."""
    emulator = Emulator()
    starts, stops = [], []

    def seconds(work: Callable[[], None]) -> float:
        before = time.perf_counter()
        work()
        return time.perf_counter() - before

    for _ in range(10):
        starts.append(seconds(emulator.start))
        stops.append(seconds(emulator.stop))
    assert min(starts) < 0.06
    assert min(stops) < 0.03


def test_unexpected_error_is_logged_and_returns_500(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller sees an internal error and no more; the traceback is in the log."""
    with Emulator() as emulator, client(emulator) as rest:

        def fail(*arguments: object, **more: object) -> None:
            raise LookupError("a secret of the emulator")

        monkeypatch.setattr(emulator._running().services.store.files, "page", fail)
        reply = rest.get("/files")
    assert (reply.status_code, reply.json()) == (500, {"code": "internal", "error": "Internal error"})
    (record,) = caplog.records
    assert "files.list failed" in record.getMessage()
    assert "a secret of the emulator" in caplog.text
