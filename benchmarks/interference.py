"""How long a small call takes beside heavy work, in time that the server itself is to blame for."""

from __future__ import annotations

import statistics
import threading
import time
import urllib.request
from collections.abc import Callable
from typing import TypeVar

from benchmarks.servers import Process
from benchmarks.table import Figure

T = TypeVar("T")


class Waits:
    """Health checks one after the other, in rounds. Of each the time on the clock, and what of it the server worked.

    A shared machine may leave the server waiting for a processor; that it works on something else is its own doing.
    """

    def __init__(self, server: Process) -> None:
        self._server, self._over = server, threading.Event()
        self._seconds: list[float] = []
        self._worst: list[float] = []  # of each round, in seconds of work
        self._check()  # the first one loads the control plane

    def during(self, work: Callable[[], T]) -> T:
        """A round: some work, and health checks beside it."""
        self._over.clear()
        self._worst.append(0.0)
        watcher = threading.Thread(target=self._watch)
        watcher.start()
        try:
            return work()
        finally:
            self._over.set()
            watcher.join()

    def figure(self, work: str, goal: float | None = 50) -> Figure:
        """Return the median of the worst times of each round while `work` runs, and reset the measurements."""
        worst, self._worst = self._worst, []
        clock, self._seconds = max(self._seconds), []
        note = f"{len(worst)} rounds; of all the worst {max(worst) * 1000:.0f} ms, {clock * 1000:.0f} ms on the clock"
        return Figure(f"health check beside {work}, worst", statistics.median(worst) * 1000, "ms", goal, note=note)

    def _watch(self) -> None:
        while not self._over.is_set():
            self._worst[-1] = max(self._worst[-1], self._check())
            time.sleep(0.003)

    def _check(self) -> float:
        started, busy = time.perf_counter(), self._server.busy_seconds()
        urllib.request.urlopen(f"{self._server.url}/_emulator/health").read()
        self._seconds.append(time.perf_counter() - started)
        return min(self._server.busy_seconds() - busy, self._seconds[-1])
