"""The bytes of files: each blob is a file of its own, written under a temporary name and then renamed.

Bytes that can be read are never written again, so that snapshots can share them by hard links. Only a file that is
uploaded in chunks grows in place, until it is read: see `blob_writers`.

Order of an upload: write `*.part`, rename, one transaction, commit, reply. A process that dies before the commit leaves
an orphan, which the next start sweeps.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from io import FileIO
from pathlib import Path

from emulator.core import ids
from emulator.core.locks import BLOB_NAME, PRIVATE_DIRECTORY, TemporaryDirectory
from emulator.store.blob_writers import BlobShared, BlobWriter, GrowingBlobs, open_private

READ_BYTES = 256 * 1024  # measured: smaller reads cost calls, larger ones delay the event loop
REMOVED_AT_ONCE = 16  # on the event loop: each costs a system call, and some disks are slow
BLOBS = "blobs"  # name of the directory
_FICLONE = 0x40049409  # linux/fs.h
# Errors of a file that cannot be linked: another file system, no support, too many links, no permission.
_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


def clone(source: Path, target: Path) -> None:
    """Give a second name to bytes that never change: a hard link, or a copy if the file system cannot link."""
    try:
        os.link(source, target)
        return
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
    try:
        with open(source, "rb") as origin, open(target, "xb", opener=open_private) as copy:
            if not _share_blocks(origin.fileno(), copy.fileno()):
                shutil.copyfileobj(origin, copy, READ_BYTES)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _share_blocks(source: int, target: int) -> bool:
    """Copy a file by sharing its blocks, as Btrfs, XFS and others can; return whether that succeeded."""
    if not sys.platform.startswith("linux"):
        return False
    import fcntl

    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True


def _lost(path: Path) -> OSError:
    return OSError(errno.EIO, "a file is gone or cut short", str(path))


def _pieces(file: FileIO, start: int, stop: int) -> Iterator[bytes]:
    """Yield the bytes [start, stop) of a file, or those that exist."""
    file.seek(start)
    left = stop - start
    while left > 0 and (piece := file.read(min(READ_BYTES, left))):
        left -= len(piece)
        yield piece


async def _written(writer: BlobWriter, *sources: tuple[FileIO, int]) -> BlobWriter:
    """Write the first bytes of files, as many as given for each. Yields to other tasks between two pieces."""
    try:
        for file, size in sources:
            for piece in _pieces(file, 0, size):
                writer.write(piece)
                await asyncio.sleep(0)
        writer.keep()
    except BaseException:
        writer.discard()
        raise
    return writer


class Blobs:
    """All blobs, below the data directory or in a private temporary one that is removed at the end."""

    def __init__(self, directory: Path | None) -> None:
        self._temporary: TemporaryDirectory | None = None
        if directory is None:
            self._temporary = TemporaryDirectory()
            directory = self._temporary.path
        self.directory = directory
        self._blobs = directory / BLOBS
        self._blobs.mkdir(exist_ok=True, mode=PRIVATE_DIRECTORY)
        self._growing = GrowingBlobs(self._place)
        self._lock = threading.Lock()  # guards the next two
        self._held: Counter[str] = Counter()
        self._removed: set[str] = set()  # names to remove once they are released
        self._remover: ThreadPoolExecutor | None = None  # created at its first use
        self._closed = False

    def new(self) -> BlobWriter:
        """Start to write a blob, under a random name: an id derived from the seed could be used already."""
        return BlobWriter(self._place(self._fresh_name()))

    def _fresh_name(self) -> str:
        return f"xai-blob-{ids.fresh_name()}"

    def adopt(self, source: Path) -> str:
        """Make a blob of a file whose bytes never change; return its name. May run in a thread."""
        name = self._fresh_name()
        clone(source, self._place(name))
        return name

    def hold(self, names: Iterable[str]) -> None:
        """Keep blobs from being removed until `let_go` was called as often for each of them."""
        names = list(names)
        self._growing.share_all(set(names))
        with self._lock:
            self._held.update(names)

    def let_go(self, names: Iterable[str]) -> None:
        """Release blobs, and remove those whose removal was requested meanwhile. May run in a thread."""
        with self._lock:
            self._held.subtract(names)
            self._held = +self._held
            removed = {name for name in self._removed if name not in self._held}
            self._removed -= removed
        self.remove(removed)

    def share(self, name: str) -> None:
        """Prevent a blob from growing, so that the caller can depend on its bytes."""
        self._growing.share(name)

    def path(self, name: str) -> Path:
        """Share a blob, and return the path of its bytes."""
        self.share(name)
        return self._place(name)

    def _place(self, name: str) -> Path:
        return self._blobs / name

    def require(self, name: str, size: int | None = None) -> Path:
        """Return `path`. Raises OSError if the file cannot be opened, or is too short."""
        self.share(name)
        path = self._place(name)
        try:
            with open(path, "rb", buffering=0) as file:
                found = os.fstat(file.fileno()).st_size
        except FileNotFoundError:
            found = None
        if found is None or size not in (None, found):
            raise _lost(path)
        return path

    async def read(self, name: str, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes [start, stop) in pieces. The file stays open, so that a removed blob is read completely."""
        with open(self.path(name), "rb", buffering=0) as file:
            for piece in _pieces(file, start, os.fstat(file.fileno()).st_size if stop is None else stop):
                yield piece

    @asynccontextmanager
    async def appended(self, name: str, size: int, added: BlobWriter) -> AsyncIterator[BlobWriter]:
        """Append to the `size` bytes of a blob. The block commits their row; if it fails, they are discarded.

        The result has the same name if the blob could grow in place, and can grow itself. `added` is consumed.
        """
        try:
            whole = await self._joined(name, size, added) if size else added
            try:
                yield whole
            except BaseException:
                whole.discard()
                raise
            self._growing.add(whole)
        finally:
            if size:
                added.discard()

    async def _joined(self, name: str, size: int, added: BlobWriter) -> BlobWriter:
        with open(self._place(name), "rb", buffering=0) as old, open(self._place(added.name), "rb", buffering=0) as new:
            if os.fstat(old.fileno()).st_size < size:
                raise _lost(self._place(name))
            appender = self._growing.append(name)
            if appender is not None:
                with suppress(BlobShared):
                    return await _written(appender, (new, added.size))
            return await _written(self.new(), (old, size), (new, added.size))

    def remove(self, names: Iterable[str]) -> None:
        """Remove blobs; a missing one is no error. Many are removed in a thread, after the return.

        They have no owner any more: if the process ends first, the next one sweeps them.
        """
        names = list(names)
        self._growing.share_all(set(names))  # nothing is appended to them any more
        if len(names) <= REMOVED_AT_ONCE:
            for name in names:
                self._remove(name)
            return
        if self._remover is None:
            self._remover = ThreadPoolExecutor(1, thread_name_prefix="removal")
        self._remover.submit(self._remove_many, names)

    def _remove_many(self, names: Iterable[str]) -> None:
        for name in names:
            if self._closed:
                return
            with suppress(OSError):
                self._remove(name)

    def _remove(self, name: str) -> None:
        with self._lock:
            if name in self._held:
                self._removed.add(name)
                return
        self._place(name).unlink(missing_ok=True)

    def trim(self, sizes: Iterable[tuple[str, int]]) -> None:
        """Truncate blobs that could grow to the sizes in their rows: the last process may have died during a call."""
        for name, size in sizes:
            with suppress(FileNotFoundError):
                found = self._place(name).stat()
                if found.st_size > size and found.st_nlink == 1:  # a blob that a snapshot links did not grow after that
                    os.truncate(self._place(name), size)

    def sweep(self, owned: set[str]) -> int:
        """Remove blobs that no row owns: those of interrupted uploads. Return how many.

        Files with other names were not made by this class, and stay.
        """
        with os.scandir(self._blobs) as entries:
            orphans = [
                entry.name
                for entry in entries
                if entry.name not in owned and BLOB_NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
            ]
        self.remove(orphans)
        return len(orphans)

    def close(self) -> None:
        """Remove a temporary directory; leave a data directory as it is."""
        self._closed = True
        if self._remover is not None:
            self._remover.shutdown()
        if self._temporary is not None:
            self._temporary.remove()
