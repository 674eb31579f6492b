"""The bytes of files: each blob is a file of its own, written under a temporary name and then renamed.

What may be read is never written again, so that snapshots can share it by hard links. Only a file that is uploaded
in chunks grows in place, until it is read: see `blob_writers`.

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

READ_BYTES = 256 * 1024  # measured: smaller reads cost calls, larger ones stall the loop
REMOVED_AT_ONCE = 16  # on the event loop: each costs a system call, and some disks take their time
BLOBS = "blobs"  # the directory that holds them
_FICLONE = 0x40049409  # linux/fs.h
# Why a file cannot have a second name: another file system, one without links, as many as there may be, no permission.
_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


def clone(source: Path, target: Path) -> None:
    """Give bytes that never change a second name: a hard link, or a copy where the file system has none."""
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
    """Copy a file without copying its bytes, as Btrfs, XFS and others can; whether that was done."""
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
    """The bytes [start, stop) of a file, or those that are there."""
    file.seek(start)
    left = stop - start
    while left > 0 and (piece := file.read(min(READ_BYTES, left))):
        left -= len(piece)
        yield piece


async def _written(writer: BlobWriter, *sources: tuple[FileIO, int]) -> BlobWriter:
    """Write the first bytes of files, as many as given of each; others have their turn between two pieces."""
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
        self._lock = threading.Lock()  # around the next two
        self._held: Counter[str] = Counter()
        self._removed: set[str] = set()  # while they were held
        self._remover: ThreadPoolExecutor | None = None  # made when it is first needed
        self._closed = False

    def new(self) -> BlobWriter:
        """Start to write a blob, under a name that no other has: one that is derived as ids are comes again."""
        return BlobWriter(self._place(self._fresh_name()))

    def _fresh_name(self) -> str:
        return f"xai-blob-{ids.fresh_name()}"

    def adopt(self, source: Path) -> str:
        """Make the bytes of a file, which never change, a blob; its name. May run in a thread."""
        name = self._fresh_name()
        clone(source, self._place(name))
        return name

    def hold(self, names: Iterable[str]) -> None:
        """Keep blobs as they are, and from being removed, until as many calls of `let_go` have named them."""
        names = list(names)
        self._growing.share_all(set(names))
        with self._lock:
            self._held.update(names)

    def let_go(self, names: Iterable[str]) -> None:
        """Remove what was to be removed while it was held. May run in a thread."""
        with self._lock:
            self._held.subtract(names)
            self._held = +self._held
            removed = {name for name in self._removed if name not in self._held}
            self._removed -= removed
        self.remove(removed)

    def share(self, name: str) -> None:
        """Let the bytes of a blob never change again, for one who is going to rely on them."""
        self._growing.share(name)

    def path(self, name: str) -> Path:
        """Where the bytes of a blob lie, which is shared by that."""
        self.share(name)
        return self._place(name)

    def _place(self, name: str) -> Path:
        return self._blobs / name

    def require(self, name: str, size: int | None = None) -> Path:
        """Return `path`. Raises OSError where the bytes cannot be opened, or some of them are lost."""
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
        """The bytes [start, stop) in pieces. The file stays open, so a blob removed meanwhile is still read whole."""
        with open(self.path(name), "rb", buffering=0) as file:
            for piece in _pieces(file, start, os.fstat(file.fileno()).st_size if stop is None else stop):
                yield piece

    @asynccontextmanager
    async def appended(self, name: str, size: int, added: BlobWriter) -> AsyncIterator[BlobWriter]:
        """The `size` bytes of a blob with more after them, for a block that commits their row; else discard them.

        The result has the same name where the blob could grow in place, and can grow itself. `added` is used up.
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
        """Remove blobs; one that is missing already is no error. Many are removed in a thread, after the return.

        They have no owner any more: what is still there when the process ends is swept by the next one.
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
        """Cut blobs that could grow to the bytes that their rows claim: the last process may have died in a call."""
        for name, size in sizes:
            with suppress(FileNotFoundError):
                found = self._place(name).stat()
                if found.st_size > size and found.st_nlink == 1:  # what a snapshot links never grew after that
                    os.truncate(self._place(name), size)

    def sweep(self, owned: set[str]) -> int:
        """Remove blobs that no row owns: the rest of uploads that were cut off. Returns how many.

        What has any other name was not made here, and stays.
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
