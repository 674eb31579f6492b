"""Directories of one process: private, short where that is needed, held while it lives, swept when it is dead."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from emulator.core import locks
from emulator.core.locks import DirectoryLock, LockTaken, TemporaryDirectory, sweep


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files live, for this test alone."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_temporary_directory_is_private_and_removable(elsewhere: Path) -> None:
    """Only this user can enter; removed, it is gone with all that is in it."""
    directory = TemporaryDirectory()
    assert directory.path.parent == elsewhere
    assert directory.path.stat().st_mode & 0o777 == 0o700
    (directory.path / "blobs").mkdir()
    directory.remove()
    assert list(elsewhere.iterdir()) == []


def test_temporary_directory_avoids_path_too_long_for_socket(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_taken_lock_is_refused(tmp_path: Path) -> None:
    """A second owner is refused with the reason; a released lock can be taken, and released again."""
    lock = DirectoryLock(tmp_path)
    with pytest.raises(LockTaken, match=f"{tmp_path} is in use"):
        DirectoryLock(tmp_path)
    lock.release()
    lock.release()
    DirectoryLock(tmp_path).release()


@pytest.mark.parametrize("gone", ["deleted", "replaced"])
def test_lock_file_removed_keeps_second_process_out(tmp_path: Path, gone: str) -> None:
    """The directory itself is locked, too."""
    lock = DirectoryLock(tmp_path)
    (tmp_path / "lock").unlink()
    if gone == "replaced":
        (tmp_path / "lock").touch()
    with pytest.raises(LockTaken, match=f"{tmp_path} is in use"):
        DirectoryLock(tmp_path)
    lock.release()
    DirectoryLock(tmp_path).release()


def test_lock_where_directories_cannot_be_locked_uses_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on NFS, which locks only what is open for writing."""
    flock = locks.fcntl.flock

    def only_files(descriptor: int, operation: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        flock(descriptor, operation)

    monkeypatch.setattr(locks.fcntl, "flock", only_files)
    lock = DirectoryLock(tmp_path)
    with pytest.raises(LockTaken):
        DirectoryLock(tmp_path)
    lock.release()


def test_lock_through_symbolic_link_is_refused(tmp_path: Path) -> None:
    """The file that it leads to is not the emulator's."""
    (tmp_path / "lock").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic links"):
        DirectoryLock(tmp_path)
    assert not (tmp_path / "other").exists()


# --- sweeping


def left_by_dead_process(root: Path) -> Path:
    """A temporary directory of a process that was killed."""
    code = (
        "import os; from emulator.core.locks import TemporaryDirectory; "
        "print(TemporaryDirectory().path, flush=True); os._exit(9)"
    )
    environment = {**os.environ, "TMPDIR": str(root)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True, check=False)
    return Path(done.stdout.strip())


def test_sweep_removes_directory_of_dead_process_only(elsewhere: Path) -> None:
    """Not what a living process holds, and nothing that has no mark in it."""
    dead, living = left_by_dead_process(elsewhere), TemporaryDirectory()
    (elsewhere / "xai-emulator-notes").mkdir()
    assert dead.is_dir()
    sweep()
    assert set(elsewhere.iterdir()) == {living.path, elsewhere / "xai-emulator-notes"}
    living.remove()


def made_by_older_version(path: Path) -> None:
    (path / locks.MARK).unlink()
    (path / "lock").touch()


def taken_as_data_directory(path: Path) -> None:
    (path / "emulator.sqlite").touch()


def holds_file_of_user(path: Path) -> None:
    (path / "blobs").mkdir()
    (path / "blobs" / "notes.txt").write_text("mine")


def half_marked(path: Path) -> None:
    (path / locks.MARK).write_bytes(b"")


@pytest.mark.parametrize("change", [made_by_older_version, taken_as_data_directory, holds_file_of_user, half_marked])
def test_sweep_keeps_what_may_be_of_a_user(elsewhere: Path, change: Callable[[Path], None]) -> None:
    """Whatever a directory is called: without a valid mark, with a database, or with anything that we did not make."""
    dead = left_by_dead_process(elsewhere)
    change(dead)
    before = {path: path.is_file() and path.read_bytes() for path in dead.rglob("*") if path.name != locks.MARK}
    assert before or change is half_marked
    sweep()
    assert {path: path.is_file() and path.read_bytes() for path in dead.rglob("*") if path in before} == before
    assert dead.is_dir()


@pytest.mark.parametrize("how", ["copied", "renamed", "linked"])
def test_sweep_keeps_directory_that_is_not_the_marked_one(elsewhere: Path, how: str) -> None:
    """The mark names its directory: it says nothing of a copy, of one with another name, or of a link to it."""
    dead, kept = left_by_dead_process(elsewhere), elsewhere / "xai-emulator-mine"
    (dead / "blobs").mkdir()
    (dead / "blobs" / f"xai-blob-{'0' * 32}").write_bytes(b"bytes")
    if how == "copied":
        shutil.copytree(dead, kept)
    elif how == "renamed":
        dead.rename(kept)
    else:
        (elsewhere / "below").mkdir()
        dead.rename(elsewhere / "below" / dead.name)
        kept.symlink_to(elsewhere / "below" / dead.name)
    sweep()
    assert (kept / "blobs" / f"xai-blob-{'0' * 32}").read_bytes() == b"bytes"


def test_removal_while_a_file_disappears_removes_the_rest(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a connection removes its socket, at the same time as the directory of all sockets is removed."""
    directory = TemporaryDirectory()
    blobs = directory.path / "blobs"
    blobs.mkdir()
    names = [f"xai-blob-{number:032x}" for number in range(3)]
    for name in names:
        (blobs / name).touch()
    made_for = locks._made_for

    def after_another_was_removed(mode: int) -> re.Pattern[str]:
        left = sorted(blobs.iterdir())
        if len(left) == 2:  # both have been listed, and neither has been removed
            left[0].unlink()
        return made_for(mode)

    monkeypatch.setattr(locks, "_made_for", after_another_was_removed)
    directory.remove()
    assert list(elsewhere.iterdir()) == []


def test_removal_keeps_what_emulator_did_not_make(elsewhere: Path) -> None:
    """A file that a user put into a temporary directory stays, with the directory."""
    directory = TemporaryDirectory()
    (directory.path / "blobs").mkdir()
    (directory.path / "blobs" / f"xai-blob-{'0' * 32}.part").touch()
    (directory.path / "notes.txt").write_text("mine")
    directory.remove()
    assert [path.name for path in directory.path.rglob("*")] == ["notes.txt"]
    directory.remove()
