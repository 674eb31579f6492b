"""The Files service, message by message: order, sizes, refusals, pace, and clients that leave."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import grpc
import httpx
import pytest

from emulator import Emulator
from emulator.port import H2_PREFACE
from tests.blobs import blobs_on_disk
from tests.rpc.client import PATIENCE_SECONDS, Message, Rpc, data, init, message, trailers

FILES = "xai_api.Files"
UPLOAD, LIST, READ = f"{FILES}/UploadFile", f"{FILES}/ListFiles", f"{FILES}/RetrieveFileContent"
MIB = 1024 * 1024


SETTINGS, PING, GOAWAY = 4, 6, 7  # types of frames, RFC 9113 §6


def frame(type: int, payload: bytes = b"", flags: int = 0) -> bytes:
    """A frame of HTTP/2 that belongs to no stream."""
    return struct.pack("!I", len(payload))[1:] + bytes([type, flags, 0, 0, 0, 0]) + payload


@pytest.fixture
def rpc(emulator: Emulator) -> Iterator[Rpc]:
    """A client of the inference plane, on an emulator that was reset."""
    emulator.reset()
    with Rpc(emulator.grpc_target, emulator.api_key) as client:
        yield client


def listed(rpc: Rpc, **fields: object) -> list[str]:
    """The filenames of a page."""
    return [file.filename for file in rpc.call(LIST, message("xai_api.ListFilesRequest", **fields)).data]


def content(rpc: Rpc, id: str) -> bytes:
    """The bytes of a file."""
    return b"".join(piece.data for piece in rpc.call(READ, message("xai_api.RetrieveFileContentRequest", file_id=id)))


def tasks(emulator: Emulator) -> int:
    """How many tasks run on the emulator's loop."""

    async def count() -> int:
        return len(asyncio.all_tasks()) - 1

    counted: int = emulator._run(count())
    return counted


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that happens in another thread, and has no event of its own."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end
        threading.Event().wait(0.002)


def test_upload_concatenates_data_after_init(rpc: Rpc) -> None:
    """The chunks arrive in order, however small or many; none at all is an empty file."""
    sent = [os.urandom(size) for size in (1, 70_000, 0, 3, MIB, *[7] * 500)]
    file = rpc.call(UPLOAD, [init("b.bin"), *map(data, sent)])
    assert (file.filename, file.size, content(rpc, file.id)) == ("b.bin", sum(map(len, sent)), b"".join(sent))
    assert not file.HasField("expires_at")
    assert rpc.call(UPLOAD, [init("empty")]).size == 0


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([], "Missing init chunk"),
        ([data(b"x")], "Missing init chunk"),
        ([data(b"x"), init()], "Missing init chunk"),
        ([message("xai_api.UploadFileChunk")], "Missing init chunk"),
        ([init(), init()], "Only the first message"),
        ([init(), data(b"x"), init("b")], "Only the first message"),
        ([b"\xff\xff\xff"], "not a UploadFileChunk"),
        ([init(), b"\xff\xff\xff"], "not a UploadFileChunk"),
        ([init("")], "no filename"),
        ([init("a;b")], "U+003B"),
        ([init("a" * 256)], "at most 255"),
        ([init(expires_after=0)], "at least 3600"),
        ([init(expires_after=-1)], "at least 3600"),
        ([init(expires_after=2_592_001)], "at most 2592000"),
    ],
)
def test_stream_that_is_no_upload_is_refused(emulator: Emulator, rpc: Rpc, messages: list[Message], words: str) -> None:
    """INVALID_ARGUMENT with words that name the fault, and nothing stored."""
    refused = rpc.refusal(UPLOAD, messages)
    assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT, refused
    assert words in refused.details()
    assert listed(rpc) == []
    assert blobs_on_disk(emulator) == []


@pytest.mark.parametrize(
    "method", ["ListFiles", "RetrieveFile", "DeleteFile", "RetrieveFileContent", "CreatePublicUrl"]
)
def test_bytes_that_are_no_message_are_refused(rpc: Rpc, method: str) -> None:
    """INVALID_ARGUMENT, not a defect."""
    assert rpc.refusal(f"{FILES}/{method}", b"\x0a\xff\xff").code() is grpc.StatusCode.INVALID_ARGUMENT


def test_upload_over_limit_is_refused_mid_stream() -> None:
    """RESOURCE_EXHAUSTED at the limit, although the client's stream does not end; nothing stays on disk."""
    with (
        Emulator(limits={"file_bytes_max": 2 * MIB}) as emulator,
        Rpc(emulator.grpc_target, emulator.api_key) as rpc,
    ):
        ended = threading.Event()

        def endless() -> Iterator[Message]:
            yield init()
            while not ended.is_set():
                yield data(bytes(MIB))

        try:
            refused = rpc.refusal(UPLOAD, endless())
        finally:
            ended.set()
        assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert trailers(refused)["x-emulator-rule"] == "file_bytes_max"
        assert blobs_on_disk(emulator) == []
        assert rpc.call(UPLOAD, [init(), data(bytes(MIB)), data(bytes(MIB))]).size == 2 * MIB


@pytest.mark.parametrize("size", [5 * MIB, 20 * MIB])
def test_message_of_20_mib_is_accepted(rpc: Rpc, size: int) -> None:
    """xai-sdk sends messages of up to 20 MiB; what is read comes in messages of at most 5 MB."""
    file = rpc.call(UPLOAD, [init(), data(bytes(size))])
    pieces = rpc.call(READ, message("xai_api.RetrieveFileContentRequest", file_id=file.id))
    assert sum(len(piece.data) for piece in pieces) == file.size == size
    assert max(len(piece.data) for piece in pieces) <= 5_000_000


def test_pings_without_calls_are_tolerated(emulator: Emulator, rpc: Rpc) -> None:
    """xai-sdk pings every 30 seconds, calls or not. grpcio's own choice is to hang up on the third such ping."""
    listed(rpc)  # the gRPC server is there
    with socket.create_connection(("127.0.0.1", emulator.port), PATIENCE_SECONDS) as client:
        client.sendall(H2_PREFACE + frame(SETTINGS))
        received = client.makefile("rb")
        for _ in range(2):  # a GOAWAY would come after the answers to all pings that have arrived
            client.sendall(frame(PING, bytes(8)) * 20)
            answered = 0
            while answered < 20:
                head = received.read(9)
                received.read(int.from_bytes(head[:3]))
                assert head[3] != GOAWAY
                answered += head[3] == PING


def test_slow_uploads_do_not_starve_other_calls(rpc: Rpc) -> None:
    """While 40 uploads wait for their clients, a call is answered; and then the uploads are."""
    go_on = threading.Event()

    def slow(name: str) -> Iterator[Message]:
        yield init(name)
        yield data(b"x")
        go_on.wait(PATIENCE_SECONDS)
        yield data(b"y")

    calls = [rpc.start(UPLOAD, slow(str(n))) for n in range(40)]
    try:
        assert listed(rpc) == []
    finally:
        go_on.set()
    assert {call.result().size for call in calls} == {2}
    assert len(listed(rpc)) == 40


def test_upload_cancelled_midway_stores_nothing(emulator: Emulator, rpc: Rpc) -> None:
    """The task is cancelled, its bytes are gone, and what was sent is not taken for the whole of a file."""
    go_on = threading.Event()

    def stuck() -> Iterator[Message]:
        yield init()
        yield data(bytes(1000))
        go_on.wait(PATIENCE_SECONDS)

    before = tasks(emulator)
    for _ in range(30):
        call = rpc.start(UPLOAD, stuck())
        until(lambda: any(blob.stat().st_size == 1000 for blob in blobs_on_disk(emulator)))
        call.cancel()
        until(lambda: all(blob.suffix != ".part" for blob in blobs_on_disk(emulator)))
    go_on.set()
    until(lambda: tasks(emulator) <= before)
    assert listed(rpc) == []
    assert blobs_on_disk(emulator) == []


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="open files are seen in /proc")
def test_download_cancelled_midway_closes_file(emulator: Emulator, rpc: Rpc) -> None:
    """The file that was being read is closed, no task keeps running, and the journal shows it as cancelled."""

    def open_blobs() -> list[str]:
        links = (f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd"))
        return [path for link in links if os.path.lexists(link) and (path := os.readlink(link)).startswith(directory)]

    directory = emulator._running().services.store.blobs.directory.as_posix() + "/blobs"
    file = rpc.call(UPLOAD, [init(), data(bytes(20 * MIB))])
    before = tasks(emulator)
    call = rpc.start(READ, message("xai_api.RetrieveFileContentRequest", file_id=file.id))
    assert next(call).data
    until(lambda: len(open_blobs()) == 1)
    call.cancel()
    until(lambda: open_blobs() == [] and tasks(emulator) <= before)
    journal = f"{emulator.url}/_emulator/requests"
    until(lambda: httpx.get(journal).json()["requests"][-1]["outcome"] == "CANCELLED")


def test_download_of_deleted_file_continues_over_grpc(rpc: Rpc) -> None:
    """Who has begun to read gets all of it."""
    file = rpc.call(UPLOAD, [init(), data(bytes(20 * MIB))])
    call = rpc.start(READ, message("xai_api.RetrieveFileContentRequest", file_id=file.id))
    size = len(next(call).data)
    rpc.call(f"{FILES}/DeleteFile", message("xai_api.DeleteFileRequest", file_id=file.id))
    assert size + sum(len(piece.data) for piece in call) == 20 * MIB


def test_files_are_listed_oldest_first_by_default(rpc: Rpc) -> None:
    """The enum's 0 is ascending; 0 or a negative limit is 100."""
    for name in "bac":
        rpc.call(UPLOAD, [init(name)])
    assert listed(rpc) == listed(rpc, limit=0) == listed(rpc, limit=-5) == ["b", "a", "c"]
    assert listed(rpc, order=1) == ["c", "a", "b"]
    assert listed(rpc, order=1, sort_by=1, limit=2) == ["c", "b"]


@pytest.mark.parametrize("field", ["order", "sort_by"])
def test_unknown_enum_number_is_refused(rpc: Rpc, field: str) -> None:
    """Enums are open on the wire, so any number arrives."""
    refused = rpc.refusal(LIST, message("xai_api.ListFilesRequest", **{field: 7}))
    assert (refused.code(), field in refused.details()) == (grpc.StatusCode.INVALID_ARGUMENT, True)


def test_unknown_download_format_is_refused(rpc: Rpc) -> None:
    """0 and 1 are the bytes as they are, 2 the text of them."""
    id = rpc.call(UPLOAD, [init(), data("é".encode())]).id
    for format in (0, 1, 2):
        (piece,) = rpc.call(READ, message("xai_api.RetrieveFileContentRequest", file_id=id, format=format))
        assert piece.data.decode() == "é"
    refused = rpc.refusal(READ, message("xai_api.RetrieveFileContentRequest", file_id=id, format=3))
    assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_trailers_tell_what_headers_tell_over_rest(rpc: Rpc) -> None:
    """The emulator's version always, the rule of a refusal, the warnings of an answer."""
    refused = rpc.refusal(f"{FILES}/RetrieveFile", message("xai_api.RetrieveFileRequest", file_id="nope"))
    assert trailers(refused)["x-emulator-rule"] == "not_found"
    clamped = rpc.start(LIST, message("xai_api.ListFilesRequest", limit=101))
    assert list(clamped.result().data) == []
    assert "page_items_max" in trailers(clamped)["x-emulator-warning"]
    assert "x-emulator" in trailers(clamped)


@pytest.mark.parametrize("method", ["/xai_api.Files/Nothing", "/xai_api.Embedder/Embed", "/nothing"])
def test_unknown_method_and_service_are_unimplemented(rpc: Rpc, method: str) -> None:
    """Another method, another service, no service at all."""
    with pytest.raises(grpc.RpcError) as refused:
        rpc.channel.unary_unary(method)(b"", timeout=PATIENCE_SECONDS)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_public_url_has_authority_of_call(emulator: Emulator, rpc: Rpc, host: str) -> None:
    """The authority of the call is that of the URL."""
    target = f"{host}:{emulator.port}"
    with Rpc(target, emulator.api_key) as client:
        id = client.call(UPLOAD, [init("a.png"), data(b"\x89PNG")]).id
        made = client.call(f"{FILES}/CreatePublicUrl", message("xai_api.CreatePublicUrlRequest", file_id=id))
    assert made.public_url.startswith(f"http://{target}/_files-cdn/")


@pytest.mark.parametrize(
    ("key", "words"),
    [(None, "No credentials provided"), ("xai-token-abcdefgh", "Incorrect API key provided: xa***gh.")],
)
def test_call_with_wrong_or_no_key_is_unauthenticated(emulator: Emulator, key: str | None, words: str) -> None:
    """UNAUTHENTICATED for a wrong key and for none."""
    with Rpc(emulator.grpc_target, key) as client:
        refused = client.refusal(LIST, message("xai_api.ListFilesRequest"))
    assert refused.code() is grpc.StatusCode.UNAUTHENTICATED
    assert words in refused.details()


def test_api_key_info_equals_that_of_rest(emulator: Emulator, rpc: Rpc, rest: httpx.Client) -> None:
    """The same ids, name and permissions; the key itself is not in the answer."""
    key = rpc.call("xai_api.Auth/get_api_key_info", b"")
    said = rest.get("/v1/api-key").json()
    for field in ("redacted_api_key", "user_id", "name", "team_id", "api_key_id", "modified_by"):
        assert getattr(key, field) == said[field]
    assert list(key.acls) == said["acls"]
    assert emulator.api_key not in str(key)
    assert [key.disabled, key.team_blocked, key.api_key_blocked] == [False] * 3
