"""Processes that start by a fork, with everything imported: a fifth of the work of a new interpreter.

A fork server is a process of its own that has imported what a program needs and has no thread: `xai-emulator`, or the
contract kit. For each order that comes over its socket it forks a child, which takes the given streams, environment and
directory and runs the command line; it answers with the process id, and writes the exit status of the child to the
given pipe. It ends when the process that started it closes the socket.

A child differs from `python -m emulator` or `python -m pytest` by how it has started alone: it ends, and is ended, like
any other process.
"""

from __future__ import annotations

import atexit
import functools
import gc
import io
import json
import os
import selectors
import signal
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).parent.parent
KIT = ROOT / "contract_tests"
KIT_OPTIONS = ("-c", str(KIT / "pytest.ini"), "--rootdir", str(KIT))  # of pytest

Program = Literal["emulator", "kit"]
_PID = struct.Struct("i")
_ORDER_BYTES_MAX = 100_000


def _of_python(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that an interpreter reads when it starts, but for bytecode."""
    return {
        name: value
        for name, value in environment.items()
        if name.startswith("PYTHON") and name != "PYTHONDONTWRITEBYTECODE"
    }


_STARTED_WITH = _of_python(os.environ)


def can_fork(environment: Mapping[str, str]) -> bool:
    """Return whether a child with this environment would be what a new interpreter is, and the system has pidfds."""
    return hasattr(os, "pidfd_open") and _of_python(environment) == _STARTED_WITH


class ForkedProcess:
    """A program with these arguments, with what the tests use of `subprocess.Popen`."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str], program: Program = "emulator") -> None:
        """Start it in the current directory, with pipes for stdout and stderr."""
        self.returncode: int | None = None
        order = {"arguments": arguments, "environment": dict(environment), "directory": os.getcwd()}
        (out, to_out), (err, to_err), (self._status, to_status) = os.pipe(), os.pipe(), os.pipe()
        link = _fork_server(program)
        try:
            socket.send_fds(link, [json.dumps(order).encode()], [to_out, to_err, to_status])
            (self.pid,) = _PID.unpack(link.recv(_PID.size))
        finally:
            for descriptor in (to_out, to_err, to_status):
                os.close(descriptor)
        self.stdout, self.stderr = os.fdopen(out), os.fdopen(err)

    def poll(self) -> int | None:
        """Return the exit code, negative after a signal, or None while the process runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end of the process; the exit code. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._status, selectors.EVENT_READ)
                if not selector.select(timeout):
                    raise subprocess.TimeoutExpired("a fork", timeout or 0)
            (status,) = _PID.unpack(os.read(self._status, _PID.size))
            os.close(self._status)
            self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End the process at once, unless it has ended."""
        self.send_signal(signal.SIGKILL)


def start(
    arguments: list[str],
    environment: Mapping[str, str],
    program: Program = "emulator",
    python: tuple[str, ...] | None = None,
) -> ForkedProcess | subprocess.Popen[str]:
    """Start a program, with pipes for its output: as a fork where it can be one, or as a new interpreter.

    With `python`, which are options of the interpreter, perhaps none, it is always a new one. The working directory has
    to be that of the repository, or have the program on its path.
    """
    if python is None and can_fork(environment):
        return ForkedProcess(arguments, environment, program)
    command = [sys.executable, *(python or ()), "-m", "pytest" if program == "kit" else "emulator", *arguments]
    return subprocess.Popen(command, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(arguments: list[str], environment: Mapping[str, str], program: Program = "emulator") -> tuple[int, str, str]:
    """Run a program to its end as `start` does: its exit code, stdout and stderr, with their line ends."""
    process = start(arguments, environment, program)
    assert isinstance(process.stdout, io.TextIOWrapper)
    assert isinstance(process.stderr, io.TextIOWrapper)
    try:
        with process.stdout as out, process.stderr as err, ThreadPoolExecutor(1) as reader:
            said = reader.submit(err.buffer.read)
            printed = out.buffer.read()
            return process.wait(), printed.decode(), said.result().decode()
    finally:
        process.kill()


@functools.cache
def _fork_server(program: Program) -> socket.socket:
    """Start the fork server of a program for this process; the socket that takes orders."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.fork_server", program, str(theirs.fileno())],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )

    def stop() -> None:
        ours.close()
        process.wait()

    atexit.register(stop)
    return ours


# --- in the fork server


def _next_order(descriptor: int) -> dict[str, Any] | None:
    """Fork a child for each order: in the child return the order, in the server None at the end."""
    running: dict[int, tuple[int, int]] = {}  # by the descriptor of a child: its process id, and where its status goes
    with socket.socket(fileno=descriptor) as link, selectors.DefaultSelector() as selector:
        selector.register(link, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fd in running:
                    selector.unregister(key.fd)
                    pid, to_status = running.pop(key.fd)
                    with suppress(BrokenPipeError):  # the client that asked has ended
                        os.write(to_status, _PID.pack(os.waitpid(pid, 0)[1]))
                    os.close(key.fd)
                    os.close(to_status)
                    continue
                data, descriptors, _, _ = socket.recv_fds(link, _ORDER_BYTES_MAX, 3)
                if not data:
                    return None
                *streams, to_status = descriptors
                pid = os.fork()
                if pid == 0:
                    for stream, number in zip(streams, (1, 2), strict=True):
                        os.dup2(stream, number)
                    for used in (*streams, to_status, *running, *(status for _, status in running.values())):
                        os.close(used)
                    order: dict[str, Any] = json.loads(data)
                    return order
                child = os.pidfd_open(pid)
                running[child] = pid, to_status
                selector.register(child, selectors.EVENT_READ)
                for stream in streams:
                    os.close(stream)
                link.send(_PID.pack(pid))


def _import_emulator() -> Callable[[], int]:
    import emulator.cli.serve
    import emulator.runtime.app
    import emulator.runtime.serve  # noqa: F401  # here, so that no child has to import it
    from emulator.cli import main

    return main


def _import_kit() -> Callable[[], int]:
    import httpx
    import pytest

    class Imports:
        """A plugin of a run that ends when the cases are imported, as pytest imports them."""

        @pytest.hookimpl(tryfirst=True)
        def pytest_cmdline_main(self) -> int:
            for path in KIT.glob("test_*.py"):
                import_module(f"{KIT.name}.{path.stem}")
            return 0

    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.environ.pop("PYTEST_ADDOPTS", None)
    assert pytest.main([*KIT_OPTIONS, str(KIT)], plugins=[Imports()]) == 0
    # Every client of httpx reads the trusted certificates, though none of these uses TLS.
    ssl.create_default_context = functools.cache(ssl.create_default_context)
    httpx.create_ssl_context()
    return pytest.main


_PROGRAMS: dict[str, tuple[str, Callable[[], Callable[[], int]]]] = {  # the name each has, and what imports it
    "emulator": (str(ROOT / "emulator" / "__main__.py"), _import_emulator),
    "kit": ("pytest", _import_kit),
}


def _main() -> int | None:
    name, load = _PROGRAMS[sys.argv[1]]
    run = load()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it comes from a terminal to all of its processes
    gc.freeze()  # no child looks at what was imported, nor gets copies of it
    order = _next_order(int(sys.argv[2]))
    if order is None:
        return None
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(order["directory"])
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.path[0] = order["directory"]
    sys.argv = [name, *order["arguments"]]
    return run()


if __name__ == "__main__":
    raise SystemExit(_main())
