"""Clients that are slow, idle or suddenly gone: the others do not notice, and nothing stays of what they began."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import httpx
import pytest

from tests.rpc.client import Rpc, data, init, message
from tests.serving import KEY, PATIENCE_SECONDS, Served, until

HALF_OPEN = 150
IDLE_HTTP, IDLE_RPC = 1000, 200
DESCRIPTORS_KEPT = 60  # at most, by a server whose clients have left
BODY = b'--b\r\nContent-Disposition: form-data; name="file"; filename="slow.txt"\r\n\r\nslow\r\n--b--\r\n'
HEAD = (
    b"POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer xai-emulator\r\n"
    b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n\r\n"
)
LIST = "xai_api.Files/ListFiles"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A process of its own, whose blobs can be seen."""
    with Served("--data-dir", tmp_path) as process:
        yield process
    assert "Traceback" not in "".join(process.said)


def connected(served: Served, stack: ExitStack) -> socket.socket:
    """A new connection that is closed with the stack."""
    client = socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE_SECONDS)
    return stack.enter_context(client)


def blobs(directory: Path) -> int:
    """How many files of uploads there are, whole or not."""
    return len(list((directory / "blobs").iterdir()))


def answer(client: socket.socket) -> bytes:
    """The next response, of which all end with an object."""
    said = b""
    while not said.endswith(b"}"):
        received = client.recv(65536)
        assert received, said
        said += received
    return said


def test_stalled_uploads_delay_no_other_call(served: Served, tmp_path: Path) -> None:
    """150 stalled uploads delay no other call, over either transport, and are complete in the end."""
    with ExitStack() as stack:
        slow = [connected(served, stack) for _ in range(HALF_OPEN)]
        for client in slow:
            client.sendall(HEAD % len(BODY) + BODY[:-10])
        until(lambda: blobs(tmp_path) == HALF_OPEN)
        http = stack.enter_context(httpx.Client(base_url=served.url, headers=KEY, timeout=PATIENCE_SECONDS))
        for _ in range(20):
            assert http.get("/v1/files").json()["data"] == []
        with Rpc(f"localhost:{served.port}", "xai-emulator") as rpc:
            assert list(rpc.call(LIST, message("xai_api.ListFilesRequest")).data) == []
        for client in slow:
            client.sendall(BODY[-10:])
            assert answer(client).startswith(b"HTTP/1.1 200")
        assert len(http.get("/v1/files", params={"limit": 100}).json()["data"]) == 100
    assert blobs(tmp_path) == HALF_OPEN


STALLED_STREAMS = 300  # of each kind: far more than there are threads for streams


def test_stalled_streams_hold_up_no_other_calls(served: Served, tmp_path: Path) -> None:
    """300 stalled gRPC uploads and 300 unread downloads delay no other call, and when their
    clients have left, new uploads and downloads are served.
    """
    ended = threading.Event()

    def stalled() -> Iterator[object]:
        yield init()
        yield data(b"x")
        ended.wait(PATIENCE_SECONDS)

    content = message(
        "xai_api.RetrieveFileContentRequest", file_id=served.upload("a.bin", bytes(4 * 1024 * 1024))["id"]
    )
    with ExitStack() as stack:
        rpc, *others = (stack.enter_context(Rpc(f"localhost:{served.port}", "xai-emulator")) for _ in range(11))
        calls = [each.start("xai_api.Files/UploadFile", stalled()) for each in others for _ in range(30)]
        until(lambda: blobs(tmp_path) > 100)  # all threads for streams are taken
        calls += [each.start("xai_api.Files/RetrieveFileContent", content) for each in others for _ in range(30)]
        for _ in range(20):
            assert len(rpc.call(LIST, message("xai_api.ListFilesRequest")).data) == 1
        assert len(served.files()) == 1
        for call in calls:
            call.cancel()
        ended.set()
        assert rpc.call("xai_api.Files/UploadFile", [init("b"), data(b"new")]).size == 3
        assert sum(len(piece.data) for piece in rpc.call("xai_api.Files/RetrieveFileContent", content)) == 4 * 1024**2
    until(lambda: blobs(tmp_path) == 2)


def test_request_sent_byte_by_byte_is_answered(served: Served) -> None:
    """A request may come one byte at a time, with other calls between them: the file is what was sent."""
    with ExitStack() as stack:
        client = connected(served, stack)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        http = stack.enter_context(httpx.Client(base_url=served.url, headers=KEY, timeout=PATIENCE_SECONDS))
        for number, byte in enumerate(HEAD % len(BODY) + BODY):
            client.sendall(bytes([byte]))
            if number % 20 == 0:
                assert http.get("/v1/files").json()["data"] == []
        assert answer(client).startswith(b"HTTP/1.1 200")
        (file,) = http.get("/v1/files").json()["data"]
        assert http.get(f"/v1/files/{file['id']}/content").content == b"slow"


def test_client_that_disconnects_leaves_nothing(served: Served, tmp_path: Path) -> None:
    """A client that disconnects during an upload, by FIN or RST, over either transport, leaves no file and no bytes."""
    with ExitStack() as stack:
        for reset in (False, True):
            for size in (0, 10, len(BODY) - 2):
                client = connected(served, stack)
                client.sendall(HEAD % (len(BODY) + 100_000) + BODY[:size])
                if reset:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                client.close()
        rpc = stack.enter_context(Rpc(f"localhost:{served.port}", "xai-emulator"))

        def endless() -> Iterator[object]:
            yield init()
            while True:
                yield data(bytes(10_000))

        call = rpc.start("xai_api.Files/UploadFile", endless())
        until(lambda: any(path.stat().st_size > 50_000 for path in (tmp_path / "blobs").iterdir()))
        call.cancel()
        with pytest.raises(grpc.FutureCancelledError):
            call.result()
    until(lambda: blobs(tmp_path) == 0)
    assert served.files() == []


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Let this process hold all the clients: many begin with 256 or 1024 descriptors."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * (IDLE_HTTP + IDLE_RPC)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            pytest.skip(f"no process may have more than {hard} descriptors here")
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_idle_connections_delay_no_other_call(served: Served, many_descriptors: None) -> None:
    """A thousand idle connections and two hundred of gRPC at once: each stays usable, others are served, and in the end
    all descriptors are given back.
    """
    request = b"GET /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer xai-emulator\r\n\r\n"
    with ExitStack() as stack:
        idle = [connected(served, stack) for _ in range(IDLE_HTTP)]
        rpcs = [stack.enter_context(Rpc(f"localhost:{served.port}", "xai-emulator")) for _ in range(IDLE_RPC)]
        for _ in range(2):
            for client in idle:
                client.sendall(request)
                assert answer(client).startswith(b"HTTP/1.1 200")
            for rpc in rpcs:
                assert list(rpc.call(LIST, message("xai_api.ListFilesRequest")).data) == []
            assert served.upload("a.txt", b"meanwhile")["id"]
            httpx.delete(f"{served.url}/v1/files/{served.files()[0]['id']}", headers=KEY).raise_for_status()
        assert served.files() == []
    descriptors = Path(f"/proc/{served.pid}/fd")
    if descriptors.exists():
        until(lambda: len(list(descriptors.iterdir())) < DESCRIPTORS_KEPT)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limits of another process are set on Linux only")
def test_without_descriptors_calls_are_refused(served: Served, tmp_path: Path) -> None:
    """A process that may not open any more files refuses what needs one: HTTP 503 of the rule `descriptors`.

    The rest continues, and with some closed again so does all.
    """
    import resource

    kept = served.upload("kept.txt", b"kept")["id"]
    with ExitStack() as stack:
        http = stack.enter_context(httpx.Client(base_url=served.url, headers=KEY, timeout=PATIENCE_SECONDS))
        assert http.get("/v1/files").is_success
        limits = resource.prlimit(served.pid, resource.RLIMIT_NOFILE)
        used = len(list(Path(f"/proc/{served.pid}/fd").iterdir()))
        resource.prlimit(served.pid, resource.RLIMIT_NOFILE, (used + 3, limits[1]))
        for _ in range(20):  # more than it can accept
            connected(served, stack)
        refused = http.post("/v1/files", files={"file": ("a.txt", b"x")})
        while refused.is_success:  # a descriptor below the limit was free
            connected(served, stack)
            refused = http.post("/v1/files", files={"file": ("a.txt", b"x")})
        assert (refused.status_code, refused.headers["x-emulator-rule"]) == (503, "descriptors")
        assert http.get(f"/v1/files/{kept}").is_success
        refused = http.get(f"/v1/files/{kept}/content")
        assert (refused.status_code, refused.headers["x-emulator-rule"]) == (503, "descriptors")
        resource.prlimit(served.pid, resource.RLIMIT_NOFILE, limits)
        assert http.get(f"/v1/files/{kept}/content").content == b"kept"
    assert served.upload("a.txt", b"x")["id"]
    assert blobs(tmp_path) == len(served.files())
