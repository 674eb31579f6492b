"""Directories that belong to one process: held by a lock that the kernel frees when the process dies."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has no flock; there two processes on one directory are not noticed
    fcntl = None  # type: ignore[assignment]

_PREFIX = "xai-emulator-"
_SHORT = "/tmp"  # where names are short, whatever TMPDIR says


class LockTaken(Exception):
    """Another process works in the directory."""


class DirectoryLock:
    """Holds `DIRECTORY/lock`."""

    def __init__(self, directory: Path, *, create: bool = True) -> None:
        """Take the lock. Raises LockTaken, or OSError where there is no lock file and `create` is false."""
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        self._fd = os.open(directory / "lock", flags, 0o600)
        if fcntl is not None:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(self._fd)
                raise LockTaken(f"{directory} is in use by another xai-emulator") from None

    def release(self) -> None:
        """Free the lock; a second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class TemporaryDirectory:
    """A directory that only this user can enter, until it is removed or, after the death of its process, swept."""

    def __init__(self, path_bytes_max: int | None = None) -> None:
        """Make the directory; its path is no longer than told, for a socket's address has little room."""
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))  # mode 0700
            if path_bytes_max is not None and len(os.fsencode(self.path)) > path_bytes_max:
                self.path.rmdir()
                self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_SHORT))
            try:
                self._lock = DirectoryLock(self.path)
            except (LockTaken, FileNotFoundError):
                continue  # another process is sweeping it, before it could be locked
            if (self.path / "lock").exists():
                return
            self._lock.release()  # it was swept, and what was locked is a file without a name

    def remove(self) -> None:
        """Remove the directory with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.release()


def sweep() -> None:
    """Remove the temporary directories of processes that have died: nobody holds their lock."""
    for root in {tempfile.gettempdir(), _SHORT}:
        for entry in Path(root).glob(f"{_PREFIX}*"):
            try:
                lock = DirectoryLock(entry, create=False)
            except (LockTaken, OSError):
                continue
            shutil.rmtree(entry, ignore_errors=True)
            lock.release()
