"""Files pass through the recorder: 48 MiB up, 48 MiB down, over REST and gRPC, and none of it is held."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import httpx
import pytest

from emulator import Emulator
from emulator.rpc.messages import load
from tests.cli.test_record import Recording
from tests.serving import PATIENCE_SECONDS

MIB = 1024 * 1024
LARGE = 48 * MIB  # the most that a file may have
GROWTH_MAX = 32 * MIB

pytestmark = [
    pytest.mark.measure,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the memory of a process is read in /proc"),
]


def growth(pid: int, work: Callable[[], None]) -> int:
    """By how many bytes the process is larger than before, at the worst moment of some work."""

    def row(name: str) -> int:
        status = Path(f"/proc/{pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(name))

    Path(f"/proc/{pid}/clear_refs").write_text("5")  # forget the largest size so far
    before = row("VmRSS")
    work()
    return row("VmHWM") - before


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Recording]:
    """A recorder in a process of its own, which has passed a file each way before it is measured."""
    with Emulator() as service:
        recording = Recording(tmp_path / "live.har", service.url)
        yield recording
        assert recording.end(signal.SIGTERM) == 0


def form(size: int) -> Iterator[bytes]:
    """A form with a file, made as it is sent."""
    yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
    for _ in range(0, size, MIB):
        yield bytes(min(size, MIB))
    yield b"\r\n--b--\r\n"


def test_file_over_rest_is_not_held(recording: Recording) -> None:
    headers = {"authorization": f"Bearer {recording.key}"}
    with httpx.Client(base_url=recording.url, headers=headers, timeout=PATIENCE_SECONDS, trust_env=False) as http:

        def both_ways(size: int) -> None:
            kind = {"content-type": "multipart/form-data; boundary=b"}
            file = http.post("/v1/files", headers=kind, content=form(size)).json()
            with http.stream("GET", f"/v1/files/{file['id']}/content") as reply:
                assert sum(map(len, reply.iter_bytes())) == size

        both_ways(1000)
        assert growth(recording.process.pid, lambda: both_ways(LARGE)) < GROWTH_MAX


def test_file_over_grpc_is_not_held(recording: Recording) -> None:
    chunk, asked = load().message("xai_api.UploadFileChunk"), load().message("xai_api.RetrieveFileContentRequest")
    file, part = load().message("xai_api.File"), load().message("xai_api.FileContentChunk")
    metadata = (("authorization", f"Bearer {recording.key}"),)
    with grpc.insecure_channel(recording.url.partition("://")[2]) as channel:

        def chunks(size: int) -> Iterator[bytes]:
            yield chunk(init={"name": "a.bin"}).SerializeToString()
            for _ in range(0, size, MIB):
                yield chunk(data=bytes(min(size, MIB))).SerializeToString()

        def both_ways(size: int) -> None:
            upload = channel.stream_unary("/xai_api.Files/UploadFile")
            made = file.FromString(upload(chunks(size), metadata=metadata, timeout=PATIENCE_SECONDS))
            download = channel.unary_stream("/xai_api.Files/RetrieveFileContent")
            request = asked(file_id=made.id).SerializeToString()
            parts = download(request, metadata=metadata, timeout=PATIENCE_SECONDS)
            assert sum(len(part.FromString(raw).data) for raw in parts) == size

        both_ways(1000)
        assert growth(recording.process.pid, lambda: both_ways(LARGE)) < GROWTH_MAX
