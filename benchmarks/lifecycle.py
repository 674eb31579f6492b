"""Starting, stopping, teams, and long lists."""

from __future__ import annotations

import http.client
import os
import statistics
import subprocess
import sys
import time

from benchmarks.servers import ENVIRONMENT, SERVER_CPU, free_port, use_load_cpu
from benchmarks.table import Figure, percentile, ratio


def seconds_to_first_answer(command: list[str], port: int, path: str) -> float:
    """From starting a process to the end of its first answer."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, SERVER_CPU),
    )
    try:
        while True:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port)
                connection.request("GET", path, headers={"Authorization": "Bearer x"})
                connection.getresponse().read()
                return time.perf_counter() - started
            except OSError:
                time.sleep(0.002)
    finally:
        process.kill()
        process.wait()


def start() -> list[Figure]:
    """The command line to its first REST answer, beside a bare application."""
    use_load_cpu()

    def emulator() -> float:
        port = free_port()
        return seconds_to_first_answer(
            [sys.executable, "-m", "emulator", "serve", "--port", str(port)], port, "/v1/files"
        )

    def hello() -> float:
        port = free_port()
        return seconds_to_first_answer([sys.executable, "-m", "benchmarks.peers", "hello", str(port)], port, "/hello")

    value, ours, theirs = ratio(emulator, hello)
    note = f"{ours * 1000:.0f} against {theirs * 1000:.0f} ms"
    return [Figure("CLI start to the first REST answer, to bare Starlette and uvicorn", value, "x", 1.5, note=note)]


def in_process() -> list[Figure]:
    """An emulator in a warm process, and a fresh team of a running one."""
    from emulator import Emulator

    starts, stops = [], []
    for _ in range(12):
        emulator = Emulator()
        begun = time.perf_counter()
        emulator.start()
        started = time.perf_counter()
        emulator.stop()
        starts.append((started - begun) * 1000)
        stops.append((time.perf_counter() - started) * 1000)
    with Emulator() as emulator:
        services = emulator._running().services  # what a fixture asks for

        async def make(number: int) -> float:
            begun = time.perf_counter()
            services.teams.get(f"team-{number}")
            return (time.perf_counter() - begun) * 1000

        teams = [emulator._run(make(number)) for number in range(500)]
    return [
        Figure("fixture start, warm process", statistics.median(starts[1:]), "ms", 20),
        Figure("fixture stop, warm process", statistics.median(stops[1:]), "ms", 10),
        Figure("a fresh team", statistics.median(teams), "ms", 1),
    ]


def list_pages() -> list[Figure]:
    """A page of 100 of 100,000 files in every sort and at three positions, to the same page of 1,000."""
    worst, note = 0.0, ""
    small, large = ListedFiles(1000), ListedFiles(100_000)
    for sort_by in ("created_at", "filename", "size"):
        for position in (0.0, 0.5, 1.0):
            value, ours, theirs = ratio(
                lambda s=sort_by, p=position: large.page_seconds(s, p),  # type: ignore[misc]
                lambda s=sort_by, p=position: small.page_seconds(s, p),  # type: ignore[misc]
            )
            if value > worst:
                worst, note = value, f"{sort_by} at {position:.0%}: {ours * 1e6:.0f} against {theirs * 1e6:.0f} µs"
    return [
        Figure(
            "a page of 100 at 100,000 files, worst of any sort and position, to 1,000 files", worst, "x", 2, note=note
        )
    ]


class ListedFiles:
    """A store with many files, asked for pages."""

    def __init__(self, count: int) -> None:
        from emulator.domain.files import File, UploadStatus
        from emulator.store import Store

        self._count = count
        self._store = Store(None)
        self._store.teams.insert("default")
        with self._store.transaction():
            for number in range(count):
                scattered = number * 7919 % count
                self._store.files.insert(
                    "default",
                    File(
                        id=f"file_{number}",
                        filename=f"{scattered:06}.txt",
                        size=scattered,
                        content_type="text/plain",
                        hash="",
                        blob=str(number),
                        created_at=number,
                        expires_at=None,
                        upload_status=UploadStatus.COMPLETE,
                        open_for_chunks=False,
                    ),
                )

    def page_seconds(self, sort_by: str, position: float) -> float:
        """The median time of one page that starts at a share of the list."""
        from emulator.domain.files import SortBy
        from emulator.domain.paging import Cursor

        at = int(position * (self._count - 100))  # so that a whole page is left everywhere
        keys: dict[str, int | str] = {"created_at": at, "filename": f"{at:06}.txt", "size": at}
        after = Cursor(keys[sort_by], 0) if at else None
        times = []
        for _ in range(30):
            begun = time.perf_counter()
            page = self._store.files.page(
                "default", 1, sort_by=SortBy(sort_by), descending=False, after=after, limit=100
            )
            times.append(time.perf_counter() - begun)
            assert len(page) in (99, 100), "the file at the position itself may or may not be after the cursor"
        return percentile(times, 0.5)
