"""`xai-emulator serve` as a process of its own."""

from __future__ import annotations

import itertools
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from tests import fork_server
from tests.fork_server import ForkedProcess

PATIENCE_SECONDS = 600  # a bound for hangs, far above what a loaded machine needs; it judges no speed
READY = re.compile(
    r"xai-emulator ready (http://localhost:(\d+)) grpc=localhost:(\d+) pid=(\d+)(?: tls=(https://localhost:\d+))?\n"
)
KEY = {"authorization": "Bearer xai-emulator"}


def environment(**variables: str) -> dict[str, str]:
    """The environment without settings of an emulator but these, and with bytecode, as an installed package has it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("XAI_EMULATOR_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept | variables


_ports = itertools.count(10_240 + os.getpid() * 16 % 20_000)


def free_port() -> int:
    """Return the number of a port that stays free: it is below the range of ephemeral ports."""
    for number in _ports:
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", number))
            return number
    raise AssertionError("there is no free port")


def start_command(
    *words: str | Path, python: tuple[str, ...] | None = None, **variables: str
) -> ForkedProcess | subprocess.Popen[str]:
    """Start `xai-emulator`, with pipes for its output: as a fork, or with `python` as a new interpreter.

    `python` is the options of the interpreter, perhaps none.
    """
    return fork_server.start([*map(str, words)], environment(**variables), python=python)


def start_serve(
    *flags: str | Path, python: tuple[str, ...] | None = None, **variables: str
) -> ForkedProcess | subprocess.Popen[str]:
    """Start `xai-emulator serve` as `start_command` does."""
    return start_command("serve", *flags, python=python, **variables)


def run_command(*words: str | Path, **variables: str) -> tuple[int, str, str]:
    """Run `xai-emulator` until it ends by itself: its exit code, stdout and stderr."""
    return fork_server.run([*map(str, words)], environment(**variables))


def run_serve(*flags: str | Path, **variables: str) -> tuple[int, str, str]:
    """Run `xai-emulator serve` as `run_command` does."""
    return run_command("serve", *flags, **variables)


class Served:
    """A process that serves, until the end of the `with`."""

    def __init__(self, *flags: str | Path, python: tuple[str, ...] | None = None, **variables: str) -> None:
        """Start it as `start_serve` does, on a free port."""
        self.process = start_serve("--port", "0", *flags, python=python, **variables)
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.stdout = self.process.stdout
        self.said: list[str] = []  # on stderr
        self._listener = threading.Thread(target=self.said.extend, args=(self.process.stderr,), daemon=True)
        self._listener.start()
        self.line = self.stdout.readline()
        found = READY.fullmatch(self.line)
        if found is None:
            self.kill()
            raise AssertionError((self.line, self.said))
        self.url, self.port, self.pid = found[1], int(found[2]), int(found[4])

    def __enter__(self) -> Served:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Ask the process to end, and wait until it has; the seconds that took."""
        before = time.perf_counter()
        self.process.send_signal(number)
        assert self.process.wait(PATIENCE_SECONDS) == 0, self.said
        return time.perf_counter() - before

    def kill(self) -> None:
        """End the process at once, unless it has ended."""
        self.process.kill()
        self.process.wait()
        self._listener.join()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def upload(self, name: str, content: bytes, **fields: Any) -> dict[str, Any]:
        """Upload a file."""
        reply = httpx.post(f"{self.url}/v1/files", headers=KEY, data=fields, files={"file": (name, content)})
        file: dict[str, Any] = reply.json()
        return file

    def files(self) -> list[dict[str, Any]]:
        """The files of the default team."""
        files: list[dict[str, Any]] = httpx.get(f"{self.url}/v1/files", headers=KEY).json()["data"]
        return files


def until(condition: Callable[[], object]) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end
        threading.Event().wait(0.005)
