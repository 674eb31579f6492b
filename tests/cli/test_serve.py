"""`xai-emulator serve` as a process: what it says on which stream, and how it ends."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.serving import PATIENCE_SECONDS, run_serve

READY = re.compile(r"xai-emulator ready (http://localhost:\d+) grpc=localhost:\d+ pid=(\d+)\n")


@contextmanager
def serving(*flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that serves, and its address."""
    command = [sys.executable, "-m", "emulator", "serve", "--port", "0", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = READY.fullmatch(process.stdout.readline())
            assert ready, process.communicate()
            assert int(ready[2]) == process.pid
            yield process, ready[1]
        finally:
            process.kill()


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_serve_prints_one_line_on_stdout_and_logs_to_stderr(log_format: str) -> None:
    """Each entry of the log is a line of JSON if that is asked for; a real-looking key draws one, and is not in it."""
    key = "xai-" + "a1" * 40
    with serving("--log-format", log_format) as (process, url):
        for _ in range(2):
            httpx.get(f"{url}/v1/me", headers={"authorization": f"Bearer {key}"})
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, out) == (0, "")
    assert key not in err
    if log_format == "json":
        entries = [json.loads(line) for line in err.splitlines()]
        assert all(set(entry) == {"time", "message"} for entry in entries)
        messages = [entry["message"] for entry in entries]
        assert [message.partition(" ")[0] for message in messages] == ["keys:", "A"]
    assert err.count("sent a key that looks real") == 1
    assert f"console: {url}/_emulator/" in err


def test_bad_seed_exits_with_code_2(tmp_path: object) -> None:
    """One line, and the port stays free."""
    path = f"{tmp_path}/none.yaml"
    line = f"xai-emulator: --seed: {path}: No such file or directory\n"
    assert run_serve("--port", "0", "--seed", path) == (2, "", line)
