"""The bytes of files: immutable, each in a file of its own, written under a temporary name and then renamed.

Order of an upload: write `*.part`, rename, one transaction, commit, reply. A process that dies before the commit leaves
an orphan, which the next start sweeps.
"""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING

from emulator import ids
from emulator.directories import TemporaryDirectory

if TYPE_CHECKING:
    from blake3 import blake3

READ_BYTES = 256 * 1024  # measured: smaller reads cost calls, larger ones stall the loop
BLOBS = "blobs"  # the directory that holds them
_UNFINISHED = ".part"


class BlobWriter:
    """Bytes on their way in; hashed as they come."""

    def __init__(self, path: Path) -> None:
        from blake3 import blake3

        self._path = path
        self._part = path.with_name(path.name + _UNFINISHED)
        self._file: IO[bytes] = open(self._part, "xb", buffering=0)  # noqa: SIM115 - closed by keep or discard
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
        self._blobs.mkdir(exist_ok=True)

    def new(self) -> BlobWriter:
        """Start to write a blob, under a name that no other has: one that is derived as ids are comes again."""
        return BlobWriter(self._blobs / ids.fresh_name())

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
        """Remove blobs; one that is missing already is no error."""
        for name in names:
            (self._blobs / name).unlink(missing_ok=True)

    def sweep(self, owned: set[str]) -> int:
        """Remove what no row owns: the rest of uploads that were cut off. Returns how many."""
        orphans = [entry.name for entry in os.scandir(self._blobs) if entry.name not in owned]
        self.remove(orphans)
        return len(orphans)

    def close(self) -> None:
        """Remove a temporary directory; leave a data directory as it is."""
        if self._temporary is not None:
            self._temporary.remove()
