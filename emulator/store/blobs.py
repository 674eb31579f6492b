"""The bytes of files: immutable, each in a file of its own, written under a temporary name and then renamed.

What has its name is never written again, so that snapshots can share it by hard links.

Order of an upload: write `*.part`, rename, one transaction, commit, reply. A process that dies before the commit leaves
an orphan, which the next start sweeps.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from emulator import ids
from emulator.directories import BLOB_NAME, PRIVATE_DIRECTORY, PRIVATE_FILE, TemporaryDirectory

if TYPE_CHECKING:
    from blake3 import blake3

READ_BYTES = 256 * 1024  # measured: smaller reads cost calls, larger ones stall the loop
REMOVED_AT_ONCE = 16  # on the event loop: each costs a system call, and some disks take their time
BLOBS = "blobs"  # the directory that holds them
_UNFINISHED = ".part"
_FICLONE = 0x40049409  # linux/fs.h
# Why a file cannot have a second name: another file system, one without links, as many as there may be, no permission.
_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, PRIVATE_FILE)


def clone(source: Path, target: Path) -> None:
    """Give bytes that never change a second name: a hard link, or a copy where the file system has none."""
    try:
        os.link(source, target)
        return
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
    try:
        with open(source, "rb") as origin, open(target, "xb", opener=_open_private) as copy:
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


class BlobWriter:
    """Bytes on their way in; hashed as they come."""

    def __init__(self, path: Path) -> None:
        from blake3 import blake3

        self._path = path
        self._part = path.with_name(path.name + _UNFINISHED)
        # closed by keep or discard
        self._file: IO[bytes] = open(self._part, "xb", buffering=0, opener=_open_private)  # noqa: SIM115
        self._hash: blake3 = blake3()
        self.size = 0

    @property
    def name(self) -> str:
        return self._path.name

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes. Raises OSError when the disk is full; the caller discards."""
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        self._hash.update(data)
        self.size += len(data)

    def digest(self) -> str:
        """BLAKE3-256 of the bytes so far, 64 hex digits."""
        return self._hash.hexdigest()

    def keep(self) -> None:
        """The bytes are whole: give them their name."""
        self._file.close()
        os.replace(self._part, self._path)

    def discard(self) -> None:
        """Leave nothing behind, whether or not the bytes were kept before."""
        self._file.close()
        self._part.unlink(missing_ok=True)
        self._path.unlink(missing_ok=True)


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
        self._lock = threading.Lock()  # around the next two
        self._held: Counter[str] = Counter()
        self._removed: set[str] = set()  # while they were held
        self._remover: ThreadPoolExecutor | None = None  # made when it is first needed
        self._closed = False

    def new(self) -> BlobWriter:
        """Start to write a blob, under a name that no other has: one that is derived as ids are comes again."""
        return BlobWriter(self.path(self._fresh_name()))

    def _fresh_name(self) -> str:
        return f"xai-blob-{ids.fresh_name()}"

    def adopt(self, source: Path) -> str:
        """Make the bytes of a file, which never change, a blob; its name. May run in a thread."""
        name = self._fresh_name()
        clone(source, self.path(name))
        return name

    def hold(self, names: Iterable[str]) -> None:
        """Keep blobs from being removed until as many calls of `let_go` have named them."""
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

    def path(self, name: str) -> Path:
        """Where the bytes of a blob lie."""
        return self._blobs / name

    def present(self, name: str, size: int | None = None) -> Path:
        """Where the bytes of a blob lie. Raises OSError where they cannot be opened, or some of them are lost."""
        path = self._blobs / name
        try:
            with open(path, "rb", buffering=0) as file:
                found = os.fstat(file.fileno()).st_size
        except FileNotFoundError:
            found = None
        if found is None or size not in (None, found):
            raise OSError(errno.EIO, "a file is gone or cut short", str(path))
        return path

    async def read(self, name: str, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """The bytes [start, stop) in pieces. The file stays open, so a blob removed meanwhile is still read whole."""
        with open(self._blobs / name, "rb", buffering=0) as file:
            file.seek(start)
            left = os.fstat(file.fileno()).st_size - start if stop is None else stop - start
            while left > 0 and (piece := file.read(min(READ_BYTES, left))):
                left -= len(piece)
                yield piece

    def remove(self, names: Iterable[str]) -> None:
        """Remove blobs; one that is missing already is no error. Many are removed in a thread, after the return.

        Nobody owns them any more: what is still there when the process ends is swept by the next one.
        """
        names = list(names)
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
        self.path(name).unlink(missing_ok=True)

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
