"""The fork server: what its children are given, what comes back of them, and when they and it end."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from emulator import Emulator
from tests import fork_server
from tests.fork_server import KIT, KIT_OPTIONS, ROOT, ForkedProcess, can_fork
from tests.serving import PATIENCE_SECONDS, environment, run_command

# A process that starts a server, says which process it is and waits until its input ends.
STARTER = """
import sys
from tests.fork_server import ForkedProcess
from tests.serving import environment

child = ForkedProcess(["serve", "--port", "0"], environment())
child.stdout.readline()
parent = next(line for line in open(f"/proc/{child.pid}/status") if line.startswith("PPid:")).split()[1]
print(child.pid, parent, flush=True)
sys.stdin.read()
child.kill()
child.wait()
"""

pytestmark = pytest.mark.skipif(not can_fork(environment()), reason="a fork would differ from a new interpreter here")


def test_child_returns_output_and_exit_code_of_success() -> None:
    code, out, err = run_command("version")
    assert (code, err) == (0, "")
    assert out == subprocess.run([sys.executable, "-m", "emulator", "version"], capture_output=True, text=True).stdout


def test_child_returns_output_and_exit_code_of_failure() -> None:
    code, out, err = run_command("no-such-command")
    assert (code, out) == (2, "")
    assert "no-such-command" in err


def test_kit_says_as_a_fork_what_it_says_in_a_new_interpreter(emulator: Emulator) -> None:
    """The cases it collects, the head and the tables of its report, but for the time it took and the random prefix."""
    options = [*KIT_OPTIONS, f"--base-url={emulator.url}", "--run-prefix=fork-", "--clients=httpx", "--cases=auth.me"]
    chosen = environment(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    command = [sys.executable, "-m", "pytest", *options, str(KIT)]
    alone = subprocess.run(command, cwd=ROOT, env=chosen, capture_output=True, text=True)
    code, out, err = fork_server.run([*options, str(KIT)], chosen, "kit")
    assert (code, err) == (alone.returncode, alone.stderr) == (0, "")
    assert out.splitlines()[:-1] == alone.stdout.splitlines()[:-1]


def test_child_has_environment_of_its_order() -> None:
    """Its variables are those of the order alone: one child sees nothing of another."""
    code, out, _ = run_command("env", XAI_EMULATOR_URL="http://localhost:1234")
    assert code == 0
    assert "http://localhost:1234" in out
    assert "http://localhost:1234" not in run_command("env")[1]


def test_child_runs_in_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    child = ForkedProcess(["serve", "--port", "0"], environment())
    with child.stdout, child.stderr:
        assert child.stdout.readline().startswith("xai-emulator ready")
        assert Path(f"/proc/{child.pid}/cwd").resolve() == tmp_path.resolve()
        child.kill()
        child.wait(PATIENCE_SECONDS)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGKILL, -9)])
def test_signal_ends_child_as_it_ends_a_command(number: signal.Signals, code: int) -> None:
    child = ForkedProcess(["serve", "--port", "0"], environment())
    with child.stdout, child.stderr:
        assert child.stdout.readline().startswith("xai-emulator ready")
        assert child.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0)
        child.send_signal(number)
        assert child.wait(PATIENCE_SECONDS) == child.poll() == code
        child.send_signal(number)  # to a process that has ended: nothing


def test_variable_of_the_interpreter_needs_a_new_interpreter() -> None:
    assert not can_fork(environment(PYTHONHASHSEED="7"))
    assert can_fork(environment(PYTHONDONTWRITEBYTECODE="1"))


def test_server_ends_with_the_process_that_started_it() -> None:
    """Even where that process is killed."""
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    assert starter.stdin is not None
    with starter.stdin, starter.stdout:
        child, server = map(os.pidfd_open, map(int, starter.stdout.readline().split()))
        try:
            starter.kill()
            starter.wait(PATIENCE_SECONDS)
            ends = select.poll()
            ends.register(server, select.POLLIN)
            assert ends.poll(PATIENCE_SECONDS * 1000)
        finally:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(child, signal.SIGKILL)
            os.close(child)
            os.close(server)
