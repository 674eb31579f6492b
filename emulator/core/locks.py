"""Directories that belong to one process: data directories, which users name, and temporary ones, which we create.

The emulator only removes what it created itself:

- A temporary directory contains a mark: a file that has the path of the directory and is locked by its process. `sweep`
  removes only directories with a mark that no process locks. A copy, a renamed directory or one that a user created has
  no valid mark, whatever its name and place. A directory with a database or with the lock of a data directory is never
  swept.
- Inside it, only files with names that the emulator uses are removed. A directory that contains anything else stays.

Locks are `flock` locks: the kernel releases them when the process dies.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from emulator.core.forks import on_fork, replace_by_null
from emulator.core.lazy_pattern import lazy_pattern

try:
    import fcntl
except ImportError:  # Windows has no flock; there two processes on one directory are not noticed, and none is swept
    fcntl = None  # type: ignore[assignment]

PRIVATE_DIRECTORY, PRIVATE_FILE = 0o700, 0o600  # modes of what we create
DATABASE = "emulator.sqlite"
MARK = ".xai-emulator-temporary"
_LOCK = "lock"
_PREFIX = "xai-emulator-"
_SHORT = "/tmp"  # a short path, whatever TMPDIR is

# The names of files and directories that the emulator creates; no other program has reason to use them.
BLOB_NAME = lazy_pattern(r"xai-blob-[0-9a-f]{32}(\.part)?")
PART_NAME = lazy_pattern(r"xai-part-[0-9a-f]{32}")
LINKS_NAME = lazy_pattern(r"xai-links-[0-9a-f]{32}")
SNAPSHOT_SUFFIX = ".xai-snapshot"
# The contents of temporary directories: blobs, snapshots, and the sockets of the gRPC server and its clients.
_MADE_DIRECTORIES = lazy_pattern(rf"blobs|snapshots(/parts|/team-[^/]+|/links(/{LINKS_NAME.pattern})?)?")
_MADE_FILES = lazy_pattern(
    rf"blobs/{BLOB_NAME.pattern}|snapshots/parts/{PART_NAME.pattern}|snapshots/team-[^/]+/[^/]+\.xai-snapshot|"
    rf"snapshots/links/{LINKS_NAME.pattern}/{BLOB_NAME.pattern}"
)
_NOTHING = lazy_pattern(r"(?!)")
_MADE_SOCKETS = lazy_pattern(r"grpc|c\d+")

_TAKEN = {errno.EWOULDBLOCK, errno.EACCES}  # errors of flock if another process has the lock


class LockTaken(Exception):
    """Another process uses the directory."""


class DirectoryLock:
    """Locks a data directory for this process.

    Both the directory and its file `lock` are locked. Deleting the file does not unlock the directory, and on a file
    system that cannot lock directories (NFS) the file suffices.
    """

    def __init__(self, directory: Path, *, create: bool = True) -> None:
        """Take the lock. Raises LockTaken, or OSError if there is no file `lock` and `create` is false."""
        self._directory = directory
        self._descriptors: list[int] = []
        try:
            if fcntl is not None:
                self._hold(directory, os.O_RDONLY, is_needed=False)
            flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | (os.O_CREAT if create else 0)
            self._hold(directory / _LOCK, flags, is_needed=True)
        except BaseException:
            self.release()
            raise
        on_fork(self)

    def _hold(self, path: Path, flags: int, *, is_needed: bool) -> None:
        descriptor = os.open(path, flags | getattr(os, "O_CLOEXEC", 0), PRIVATE_FILE)
        self._descriptors.append(descriptor)
        if fcntl is not None:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in _TAKEN:
                    raise LockTaken(f"{self._directory} is in use by another xai-emulator") from None
                if is_needed:
                    raise OSError(error.errno, error.strerror, str(path)) from None

    def release(self) -> None:
        """Release the lock; a second call does nothing."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def leave_to_parent(self) -> None:
        """Release the lock in a forked child only."""
        replace_by_null(self._descriptors)


class TemporaryDirectory:
    """A directory that only this user can enter, until it is removed, or swept after its process died."""

    def __init__(self, path_bytes_max: int | None = None) -> None:
        """Create the directory. Its path has at most the given length, because socket addresses are short."""
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))  # mode 0700
        if path_bytes_max is not None and len(os.fsencode(self.path)) > path_bytes_max:
            self.path.rmdir()
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_SHORT))
        self._is_owner, self._mark = True, -1
        try:
            self._mark = os.open(self.path / MARK, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
            if fcntl is not None:
                # Before the mark is written: an empty mark is never swept, so there is no race with another process.
                fcntl.flock(self._mark, fcntl.LOCK_EX)
            os.write(self._mark, _mark_of(self.path))
        except BaseException:
            self.remove()
            raise
        on_fork(self)

    def remove(self) -> None:
        """Remove the emulator's files in the directory, and the directory unless it contains anything else."""
        if self._is_owner:
            self._is_owner = False
            with suppress(OSError):
                _remove_temporary(self.path)
            if self._mark >= 0:
                os.close(self._mark)
                self._mark = -1

    def leave_to_parent(self) -> None:
        """Neither lock nor remove the directory in a forked child."""
        self._is_owner = False
        replace_by_null([self._mark])


def is_temporary(directory: Path) -> bool:
    """Return whether a directory has the mark of a temporary one, valid or not."""
    return os.path.lexists(directory / MARK)


def sweep() -> None:
    """Remove the temporary directories of dead processes: no process locks their mark."""
    if fcntl is not None:
        for root in {tempfile.gettempdir(), _SHORT}:
            for path in _marked(root):
                with suppress(OSError):  # another process uses or removes it
                    _sweep(Path(path))


def _marked(root: str) -> list[str]:
    """Return the directories below a root that have a mark. Runs at each start, so it is fast for many directories."""
    try:
        with os.scandir(root) as entries:
            named = [entry.path for entry in entries if entry.name.startswith(_PREFIX)]
    except OSError:
        return []
    return [path for path in named if os.path.lexists(f"{path}/{MARK}")]


def _sweep(directory: Path) -> None:
    mark = os.open(directory / MARK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_ours = os.read(mark, 1000) == _mark_of(directory)
        is_given = any(os.path.lexists(directory / name) for name in (DATABASE, _LOCK))
        if is_ours and not is_given:
            _remove_temporary(directory)
    finally:
        os.close(mark)


def _mark_of(directory: Path) -> bytes:
    """Return the content of a temporary directory's mark. Raises OSError if it cannot be this user's."""
    found = os.lstat(directory)
    if not stat.S_ISDIR(found.st_mode) or (hasattr(os, "geteuid") and found.st_uid != os.geteuid()):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(directory))
    return (
        f"{directory.name}, number {found.st_ino}, is a temporary directory of an xai-emulator. "
        "It is removed when its process has ended.\n"
    ).encode()


def _remove_temporary(directory: Path) -> None:
    _remove_made(directory, "")
    # Last, so that the next sweep continues an interrupted removal.
    (directory / MARK).unlink(missing_ok=True)
    with suppress(OSError):  # it contains something else
        os.rmdir(directory)


def _remove_made(directory: Path, below: str) -> None:
    with os.scandir(directory) as entries:
        for entry in list(entries):
            name = below + entry.name
            if entry.is_dir(follow_symlinks=False):
                if _MADE_DIRECTORIES.fullmatch(name):
                    _remove_made(Path(entry.path), f"{name}/")
                    with suppress(OSError):
                        os.rmdir(entry.path)
            else:
                with suppress(FileNotFoundError):  # it was removed meanwhile, as sockets are when a connection ends
                    if _made_for(entry.stat(follow_symlinks=False).st_mode).fullmatch(name):
                        os.unlink(entry.path)


def _made_for(mode: int) -> re.Pattern[str]:
    """Return the names that we use for files (not directories) of this mode."""
    return _MADE_FILES if stat.S_ISREG(mode) else _MADE_SOCKETS if stat.S_ISSOCK(mode) else _NOTHING
