"""Read the files of all teams in threads, with a bound on how many large ones are read at once.

A reader of one file may take up to `Bounds.memory_bytes_max`, in a process of its own or in this one. `READERS_MAX`
bounds the total: all teams share these slots, in the order of arrival.
"""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TypeVar

from emulator.core.threads import in_thread

T = TypeVar("T")

READERS_MAX = 4  # with a process of 1 GiB each


class Processes:
    """The reader processes of one emulator, which end with it."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._closed = False

    def run(self, command: Sequence[str], data: bytes | Path, cwd: Path, seconds_max: float) -> tuple[int, bytes]:
        """Run a command with the data on its standard input; return its exit code and its standard output.

        Raises subprocess.TimeoutExpired after `seconds_max`.
        """
        if isinstance(data, Path):
            with data.open("rb") as file:
                return self._run(command, file, None, cwd, seconds_max)
        return self._run(command, subprocess.PIPE, data, cwd, seconds_max)

    def _run(
        self, command: Sequence[str], stdin: int | IO[bytes], data: bytes | None, cwd: Path, seconds_max: float
    ) -> tuple[int, bytes]:
        with subprocess.Popen(
            command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=cwd
        ) as process:
            try:
                with self._lock:
                    self._running.add(process)
                    if self._closed:
                        process.kill()
                output, _ = process.communicate(data, seconds_max)
            except BaseException:
                process.kill()
                raise
            finally:
                with self._lock:
                    self._running.discard(process)
            return process.returncode, output

    def close(self) -> None:
        """Kill running processes, and from now on every new one."""
        with self._lock:
            self._closed = True
            for process in self._running:
                process.kill()


class Readers:
    """Runs the readers of one emulator. Called on the event loop."""

    def __init__(self, at_once: int = READERS_MAX) -> None:
        self.processes = Processes()
        self._slots = asyncio.Semaphore(at_once)

    async def run(self, read: Callable[[], T], *, large: bool) -> T:
        """Run `read` in its own thread; a large one waits for one of the slots.

        A slot is free again when the reading has ended, not when its caller was cancelled.
        """
        if large:
            await self._slots.acquire()
        return await in_thread(read, "reader", ended=self._slots.release if large else lambda: None)

    def close(self) -> None:
        """End the processes of running readers."""
        self.processes.close()
