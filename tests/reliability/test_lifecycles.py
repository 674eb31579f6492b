"""Directories over many starts, stops and kills: what users give stays, and what the emulator makes goes.

`make soak` runs the same with 50,000 cycles: XAI_CYCLES says how many. A run is decided by its seed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import environment

ROOT = Path(__file__).parents[2]
CYCLES = int(os.environ.get("XAI_CYCLES", "300"))
SEED = int(os.environ.get("XAI_CYCLES_SEED", "1"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_cycles_of_starts_stops_and_kills_lose_nothing_given(tmp_path: Path) -> None:
    """Nothing is removed that the emulator did not make, wherever a directory lies and whatever it is called.

    Random starts, stops and kills of emulators with given and temporary directories. Given ones lie in the directory
    for temporary files and are called as temporary ones, or are that directory; users' files lie in every place of
    them, some under names that the emulator uses, and in what a dead process has left. After each cycle every byte is
    there, every acknowledged file is found at the next start, and of temporary directories nothing is left.
    """
    command = [sys.executable, "-m", "tests.reliability.lifecycles", str(tmp_path / "sandbox"), str(CYCLES), str(SEED)]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "kill_given" in done.stdout
