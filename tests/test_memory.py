"""Bytes pass through: a large upload or download does not lie in memory, whichever door it takes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.rpc.client import Rpc, data, init, message
from tests.serving import KEY, PATIENCE_SECONDS, Served

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
def test_a_large_file_does_not_lie_in_memory(
    tmp_path: Path, transfer: Callable[[Served, int], None], warm_up: int
) -> None:
    """48 MiB up and down again grow a process that has been used before by less than 16 MB."""
    with Served("--data-dir", tmp_path) as served:
        transfer(served, warm_up)
        assert growth(served, lambda: transfer(served, LARGE)) < GROWTH_MAX
