"""Starting and stopping one `Emulator`: from many threads at once, and in processes that are forked while it runs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from emulator import Emulator
from tests.serving import PATIENCE_SECONDS, environment, free_port

THREADS = 8


def test_start_from_many_threads_starts_one_server() -> None:
    """One thread starts the server, the others get an error that it is running; one stop ends it."""
    emulator, together = Emulator(), threading.Barrier(THREADS)
    before = threading.active_count()

    def start() -> str:
        together.wait(PATIENCE_SECONDS)
        try:
            emulator.start()
        except RuntimeError as error:
            return str(error)
        return "started"

    with ThreadPoolExecutor(THREADS) as pool:
        outcomes = [future.result() for future in [pool.submit(start) for _ in range(THREADS)]]
    try:
        assert sorted(outcomes) == ["started", *["this emulator runs already"] * (THREADS - 1)]
        assert httpx.get(f"{emulator.url}/_emulator/health").is_success
        assert sum(thread.name == "xai-emulator-loop" for thread in threading.enumerate()) == 1
    finally:
        emulator.stop()
    assert threading.active_count() <= before


def test_stop_from_many_threads_returns_when_it_is_stopped(tmp_path: Path) -> None:
    """To each of them: the directory is free then."""
    emulator, together = Emulator(data_dir=tmp_path), threading.Barrier(THREADS)
    emulator.start()

    def stop() -> bool:
        together.wait(PATIENCE_SECONDS)
        emulator.stop()
        return (tmp_path / "emulator.sqlite-wal").exists()  # SQLite removes it when the database is closed

    with ThreadPoolExecutor(THREADS) as pool:
        assert [future.result() for future in [pool.submit(stop) for _ in range(THREADS)]] == [False] * THREADS
    with pytest.raises(RuntimeError, match="does not run"):
        emulator.url  # noqa: B018
    with emulator:
        assert httpx.get(f"{emulator.url}/_emulator/health").is_success


# The parent's side is the main program. Pipes decide which process continues: nothing waits for a time.
FORK = """
import os, sys
from urllib.request import urlopen
from emulator import Emulator

directory, end, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
ready, go_on = os.pipe(), os.pipe()

def answers(emulator):
    return urlopen(f"{emulator.url}/_emulator/health", timeout=600).status == 200

with Emulator(data_dir=directory, port=port) as emulator:
    assert answers(emulator)
    child = os.fork()
    if child == 0:
        os.close(go_on[1])
        assert emulator.port == port and emulator.base_url and emulator.api_key
        for forbidden in (emulator.start, emulator.reset, lambda: emulator.advance(1), lambda: emulator.app):
            try:
                forbidden()
            except RuntimeError as error:
                assert "runs in the process that started it" in str(error), error
            else:
                raise AssertionError(forbidden)
        emulator.stop()
        assert answers(emulator)
        with Emulator() as other:
            assert answers(other) and other.port != port
        os.write(ready[1], b"x")
        os.read(go_on[0], 1)  # until the parent ends it
        if end == "hard":
            os._exit(0)
        sys.exit(0)
    os.close(ready[1])
    assert os.read(ready[0], 1) == b"x", "the child failed"
    assert answers(emulator)

with Emulator(data_dir=directory, port=port) as again:
    assert answers(again)
    os.close(go_on[1])
    assert os.waitpid(child, 0)[1] == 0
    assert answers(again)
print("done")
"""


@pytest.mark.skipif(not hasattr(os, "register_at_fork"), reason="this system does not fork")
@pytest.mark.parametrize("end", ["soft", "hard"])
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_forked_child_holds_neither_port_nor_directory(tmp_path: Path, end: str, loop: str) -> None:
    """While it lives, the parent stops its emulator and starts another with the same port and directory.

    The child can read the addresses, call the parent's emulator and start its own; `stop` in it does nothing.
    """
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    hidden = "" if loop == "uvloop" else "import sys; sys.modules['uvloop'] = None\n"
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", hidden + FORK]
    command += [str(tmp_path / "state"), end, str(free_port())]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


@pytest.mark.skipif(not hasattr(os, "register_at_fork"), reason="this system does not fork")
def test_forked_child_that_ends_leaves_running_server_alone(tmp_path: Path) -> None:
    """Its finalization closes nothing of the parent's, over connections that were open before the fork, too."""
    code = """
import os, sys
from http.client import HTTPConnection
from emulator import Emulator

with Emulator(data_dir=sys.argv[1]) as emulator:
    old = HTTPConnection("localhost", emulator.port, timeout=600)
    for number in range(3):
        child = os.fork()
        if child == 0:
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        for connection in (old, HTTPConnection("localhost", emulator.port, timeout=600)):
            connection.request("GET", "/_emulator/health")
            assert connection.getresponse().read()
assert sorted(os.listdir(sys.argv[1])) == ["blobs", "emulator.sqlite", "lock"]
"""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code, str(tmp_path / "state")]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert (done.returncode, done.stderr) == (0, "")
