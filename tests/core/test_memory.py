"""Bytes pass through: a large upload or download does not lie in memory, over whichever transport."""

from __future__ import annotations

import mmap
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.rpc.client import Rpc, data, init, message
from tests.serving import KEY, PATIENCE_SECONDS, Served, until

MIB = 1024 * 1024
LARGE = 48 * MIB  # the most that a file may have
GROWTH_MAX = 16 * MIB

pytestmark = [
    pytest.mark.measure,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the memory of a process is read in /proc"),
]


def memory(served: Served, row: str) -> int:
    """A row of the process' memory, in bytes."""
    status = Path(f"/proc/{served.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith(row))
    return int(line.split()[1]) * 1024


def growth(served: Served, work: Callable[[], None]) -> int:
    """By how much the process is larger than before, at the worst moment of some work."""
    Path(f"/proc/{served.pid}/clear_refs").write_text("5")  # forget the largest size so far
    before = memory(served, "VmRSS")
    work()
    return memory(served, "VmHWM") - before


def form(size: int) -> Iterator[bytes]:
    """A form with a file, made as it is sent."""
    yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
    for start in range(0, size, MIB):
        yield bytes(min(MIB, size - start))
    yield b"\r\n--b--\r\n"


def over_rest(served: Served, size: int) -> None:
    """Send a file and get it back."""
    headers = {**KEY, "content-type": "multipart/form-data; boundary=b"}
    with httpx.Client(base_url=served.url, headers=KEY, timeout=PATIENCE_SECONDS) as client:
        file = client.post("/v1/files", content=form(size), headers=headers).json()
        with client.stream("GET", f"/v1/files/{file['id']}/content") as reply:
            assert sum(len(piece) for piece in reply.iter_raw()) == file["bytes"] == size


def over_grpc(served: Served, size: int) -> None:
    """Send a file, in the 3 MiB of xai-sdk at once, and get it back."""
    step = 3 * MIB
    with Rpc(f"localhost:{served.port}", "xai-emulator") as rpc:
        messages = (data(bytes(min(step, size - start))) for start in range(0, size, step))
        file = rpc.call("xai_api.Files/UploadFile", (each for part in ([init()], messages) for each in part))
        pieces = rpc.start(
            "xai_api.Files/RetrieveFileContent", message("xai_api.RetrieveFileContentRequest", file_id=file.id)
        )
        assert sum(len(piece.data) for piece in pieces) == file.size == size


@pytest.mark.parametrize(
    ("transfer", "warm_up"),
    [
        (over_rest, 1000),
        # grpcio keeps some of the memory of its first large messages, to use it again.
        (over_grpc, LARGE),
    ],
)
def test_large_transfer_does_not_grow_memory(
    tmp_path: Path, transfer: Callable[[Served, int], None], warm_up: int
) -> None:
    """48 MiB up and down again grow a process that has been used before by less than 16 MB."""
    with Served("--data-dir", tmp_path, python=()) as served:
        transfer(served, warm_up)
        assert growth(served, lambda: transfer(served, LARGE)) < GROWTH_MAX


UPLOADS = 4


def test_grpc_uploads_use_the_same_memory_again(tmp_path: Path) -> None:
    """A process maps fewer pages for an upload than the upload fills: most of its messages lie where others lay."""

    def mapped(served: Served) -> int:
        """The pages that the process has mapped so far."""
        return int(Path(f"/proc/{served.pid}/stat").read_text().rpartition(")")[2].split()[7])

    with Served("--data-dir", tmp_path, python=()) as served:
        over_grpc(served, LARGE)
        before = mapped(served)
        for _ in range(UPLOADS):
            over_grpc(served, LARGE)
        assert (mapped(served) - before) * mmap.PAGESIZE < UPLOADS * LARGE


STALLED = 6
MESSAGE_BYTES = 25 * MIB
SETTLED_GROWTH_MAX = 64 * MIB  # less than half of the messages of one moment


def test_stalled_uploads_of_large_compressed_messages_give_their_memory_back(tmp_path: Path) -> None:
    """Six gRPC uploads that stand still after a compressed message of 25 MiB each keep less than 64 MiB in all."""
    compressed = ("grpc.default_compression_algorithm", 2)  # gzip
    ended = threading.Event()

    def stalled() -> Iterator[object]:
        yield init()
        yield data(bytes(MESSAGE_BYTES))
        ended.wait(PATIENCE_SECONDS)

    def received() -> bool:
        return [path.stat().st_size for path in (tmp_path / "blobs").iterdir()] == [MESSAGE_BYTES] * STALLED

    with (
        Served("--data-dir", tmp_path, python=()) as served,
        Rpc(f"localhost:{served.port}", "xai-emulator", compressed) as rpc,
    ):
        rpc.call("xai_api.Auth/get_api_key_info", b"")
        before = memory(served, "VmRSS")
        calls = [rpc.start("xai_api.Files/UploadFile", stalled()) for _ in range(STALLED)]
        until(received)
        until(lambda: memory(served, "VmRSS") - before < SETTLED_GROWTH_MAX)
        ended.set()
        for call in calls:
            call.cancel()
