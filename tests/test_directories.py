"""Directories of one process: private, short where that is needed, held while it lives, swept when it is dead."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from emulator import directories
from emulator.directories import DirectoryLock, LockTaken, TemporaryDirectory, sweep


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files live, for this test alone."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_a_temporary_directory_is_private_and_goes_when_it_is_removed(elsewhere: Path) -> None:
    """Only this user can enter; removed, it is gone with all that is in it."""
    directory = TemporaryDirectory()
    assert directory.path.parent == elsewhere
    assert directory.path.stat().st_mode & 0o777 == 0o700
    (directory.path / "blobs").mkdir()
    directory.remove()
    assert list(elsewhere.iterdir()) == []


def test_a_long_name_is_avoided_where_a_socket_has_to_fit(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where temporary files live under a name that leaves no room for a socket, the socket lives elsewhere."""
    long = elsewhere / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    directory = TemporaryDirectory(80)
    try:
        assert len(str(directory.path)) <= 80
        assert directory.path.stat().st_mode & 0o777 == 0o700
        assert list(long.iterdir()) == []
    finally:
        directory.remove()


def test_a_directory_that_is_swept_while_it_is_made_is_made_anew(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may come between the making of a directory and its lock."""
    lock, swept = directories.fcntl.flock, list[Path]()

    def too_late(file: int, operation: int) -> None:
        if not swept:
            swept.extend(elsewhere.iterdir())
            shutil.rmtree(swept[0])
        lock(file, operation)

    monkeypatch.setattr(directories.fcntl, "flock", too_late)
    directory = TemporaryDirectory()
    assert list(elsewhere.iterdir()) == [directory.path]
    assert directory.path != swept[0]
    directory.remove()


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    """The second one is refused, and told of what; a lock that was released can be taken, and be released again."""
    lock = DirectoryLock(tmp_path)
    with pytest.raises(LockTaken, match=f"{tmp_path} is in use"):
        DirectoryLock(tmp_path)
    lock.release()
    lock.release()
    DirectoryLock(tmp_path).release()


def test_only_what_the_dead_have_left_is_swept(elsewhere: Path) -> None:
    """Not what a living process holds, and nothing that has no lock in it."""
    code = "import os; from emulator.directories import TemporaryDirectory; TemporaryDirectory(); os._exit(9)"
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(elsewhere)}, check=False)
    (dead,) = elsewhere.iterdir()
    (elsewhere / "xai-emulator-notes").mkdir()
    living = TemporaryDirectory()
    sweep()
    assert set(elsewhere.iterdir()) == {living.path, elsewhere / "xai-emulator-notes"}
    assert dead not in elsewhere.iterdir()
    living.remove()
