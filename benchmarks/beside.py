"""How long a small call takes beside heavy work, in time that the server itself is to blame for."""

from __future__ import annotations

import threading
import time
import urllib.request
from collections.abc import Callable
from typing import TypeVar

from benchmarks.servers import Process
from benchmarks.table import Figure

T = TypeVar("T")


class Waits:
    """Health checks one after the other. Of each the time on the clock, and what of it the server was working.

    A shared machine may leave the server waiting for a processor; that it works on something else is its own doing.
    """

    def __init__(self, server: Process) -> None:
        self._server, self._over = server, threading.Event()
        self._seconds: list[float] = []
        self._busy_seconds: list[float] = []
        self._check()  # the first one loads the control plane

    def during(self, work: Callable[[], T]) -> T:
        """Do some work, with health checks beside it."""
        self._seconds, self._busy_seconds = [], []
        self._over.clear()
        watcher = threading.Thread(target=self._watch)
        watcher.start()
        try:
            return work()
        finally:
            self._over.set()
            watcher.join()

    def figure(self, work: str) -> Figure:
        """The worst of them, beside the work of that name."""
        note = f"{max(self._seconds) * 1000:.0f} ms on the clock, {len(self._seconds)} checks"
        return Figure(f"health check beside {work}, worst", max(self._busy_seconds) * 1000, "ms", 50, note=note)

    def _watch(self) -> None:
        while not self._over.is_set():
            self._check()
            time.sleep(0.003)

    def _check(self) -> None:
        started, busy = time.perf_counter(), self._server.busy_seconds()
        urllib.request.urlopen(f"{self._server.url}/_emulator/health").read()
        self._seconds.append(time.perf_counter() - started)
        self._busy_seconds.append(min(self._server.busy_seconds() - busy, self._seconds[-1]))
