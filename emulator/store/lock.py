"""An exclusive lock on a directory, held by the process and freed by the kernel when the process dies."""

from __future__ import annotations

import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has no flock; there two processes on one directory are not noticed
    fcntl = None  # type: ignore[assignment]


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
