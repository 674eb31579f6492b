"""The emulator and its peers as processes, each pinned to one processor while the load runs on another."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
KEY = "xai-emulator"
AUTH = {"Authorization": f"Bearer {KEY}"}
MOTO = Path(f"{sys.prefix}-moto") / "bin" / "python"  # an environment of its own, which `make bench` makes
# With bytecode, as an installed package has it.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
ENVIRONMENT["PYTHONPATH"] = str(ROOT)
SERVER_CPU, LOAD_CPU = {0}, {1}


@dataclass
class Process:
    """A running server."""

    popen: subprocess.Popen[str]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def resident_bytes(self) -> int:
        """The memory it holds now."""
        pages = int(Path(f"/proc/{self.popen.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def peak_bytes(self) -> int:
        """The most memory it has held."""
        status = Path(f"/proc/{self.popen.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024

    def busy_seconds(self) -> float:
        """The processor time it has used, to the nanosecond."""
        return time.clock_gettime(~self.popen.pid << 3 | 2)  # the number of another process' clock in Linux


def use_load_cpu() -> None:
    """Pin this process, the load, away from the servers."""
    if len(os.sched_getaffinity(0)) > 1 or os.sched_getaffinity(0) == SERVER_CPU:
        os.sched_setaffinity(0, LOAD_CPU if (os.cpu_count() or 1) > 1 else SERVER_CPU)


def free_port() -> int:
    """A free port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def start(command: list[str], port: int) -> Process:
    """Start a server and return when it accepts connections."""
    popen = subprocess.Popen(
        command,
        env=ENVIRONMENT,
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, SERVER_CPU),
    )
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return Process(popen, port)
        except OSError:
            if popen.poll() is not None:
                raise RuntimeError(f"{command} ended with {popen.returncode}") from None
            time.sleep(0.005)


@contextmanager
def running(*arguments: str) -> Iterator[Process]:
    """A peer of `benchmarks.peers`, or with the name `emulator` the emulator itself."""
    port = free_port()
    if arguments[0] == "emulator":
        command = [sys.executable, "-m", "emulator", "serve", "--port", str(port), *arguments[1:]]
    elif arguments[0] == "moto":
        command = [str(MOTO), "-m", "moto.server", "-p", str(port)]
    else:
        command = [sys.executable, "-m", "benchmarks.peers", arguments[0], str(port)]
    process = start(command, port)
    try:
        yield process
    finally:
        process.popen.terminate()
        process.popen.wait(10)


def upload(url: str, name: str, content: bytes) -> str:
    """Upload a file to the emulator and return its id."""
    import json

    boundary = "benchmark"
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
        + content
        + f"\r\n--{boundary}--\r\n".encode()
    )
    headers = {**AUTH, "Content-Type": f"multipart/form-data; boundary={boundary}"}
    request = urllib.request.Request(f"{url}/v1/files", body, headers)
    with urllib.request.urlopen(request) as reply:
        id: str = json.load(reply)["id"]
        return id


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A directory for a peer's files, in memory where the system offers that."""
    return tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
