"""Write blobs: new ones, and more bytes at the end of one that grows.

A file may be uploaded in many calls, and its content is complete after each of them. Copying it in every call would
write the square of its size, so its blob grows in place as long as only the row of the file depends on it:

- The first `size` bytes of a blob, as its row says, are never written again.
- A reader, the index and a link each share the blob before they use its bytes. A shared blob never grows again: the
  next call writes a copy, which grows from then on.
- Bytes are appended before the row with the new size is committed. Until then they lie behind `size`: sharing the
  blob, a failure of the call, or the next start truncates them.

All of this runs on the event loop. Only blobs that are shared already may be shared in a thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from emulator.core.locks import PRIVATE_FILE

if TYPE_CHECKING:
    from blake3 import blake3

GROWING_MAX = 1000  # blobs whose hash state is in memory, about 2 KiB each; a blob that is dropped is copied once
_UNFINISHED = ".part"


def open_private(path: str, flags: int) -> int:
    """Open a file that only this user can read; use it as `opener` of `open`."""
    return os.open(path, flags, PRIVATE_FILE)


class BlobWriter:
    """Writes a new blob, and hashes its bytes."""

    def __init__(self, path: Path) -> None:
        from blake3 import blake3

        self._path = path
        self._part = path.with_name(path.name + _UNFINISHED)
        # closed by keep or discard
        self._file: IO[bytes] = open(self._part, "xb", buffering=0, opener=open_private)  # noqa: SIM115
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
        """Return the BLAKE3-256 of the bytes so far, 64 hex digits."""
        return self._hash.hexdigest()

    def keep(self) -> None:
        """Rename the complete file to its final name."""
        self._file.close()
        os.replace(self._part, self._path)

    def discard(self) -> None:
        """Delete the blob, whether or not `keep` was called."""
        self._file.close()
        self._part.unlink(missing_ok=True)
        self._path.unlink(missing_ok=True)


class BlobShared(Exception):
    """The blob was shared, or removed, while bytes were appended to it."""


class _Growing:
    """A blob that can grow: the committed number of its bytes, and their hash."""

    def __init__(self, size: int, hash: blake3) -> None:
        self.size, self.hash = size, hash
        self.is_appended = False  # by a writer that is not finished
        self.is_shared = False


class BlobAppender(BlobWriter):
    """Appends bytes to a growing blob; size and digest are those of all its bytes."""

    def __init__(self, path: Path, growing: _Growing) -> None:
        self._path, self._growing = path, growing
        # closed by keep or discard
        self._file = open(path, "r+b", buffering=0)  # noqa: SIM115
        self._file.seek(growing.size)
        self._hash = growing.hash.copy()
        self.size = growing.size
        growing.is_appended = True

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes. Raises BlobShared, and OSError when the disk is full; the caller discards."""
        if self._growing.is_shared:
            raise BlobShared
        super().write(data)

    def keep(self) -> None:
        """Do nothing: the blob already has its final name."""
        self._file.close()
        if self._growing.is_shared:
            raise BlobShared

    def commit(self) -> None:
        """Keep the bytes: a committed row includes them."""
        self._growing.size, self._growing.hash, self._growing.is_appended = self.size, self._hash, False

    def discard(self) -> None:
        """Truncate the blob to its former size."""
        self._file.close()
        self._growing.is_appended = False
        if not self._growing.is_shared:  # else it has been truncated already, and others may depend on it
            os.truncate(self._path, self._growing.size)


class GrowingBlobs:
    """The blobs that can grow: this process wrote them for a chunked upload, and nothing else depends on them."""

    def __init__(self, path_of: Callable[[str], Path]) -> None:
        self._path_of = path_of
        self._growing: dict[str, _Growing] = {}  # oldest first

    def add(self, writer: BlobWriter) -> None:
        """Allow the blob of a writer to grow: a committed row owns it."""
        if isinstance(writer, BlobAppender):
            writer.commit()
            return
        while len(self._growing) >= GROWING_MAX:
            self.share(next(iter(self._growing)))
        self._growing[writer.name] = _Growing(writer.size, writer._hash)

    def append(self, name: str) -> BlobAppender | None:
        """Start to append to a blob; return None if it cannot grow, or another call appends to it."""
        growing = self._growing.get(name)
        return None if growing is None or growing.is_appended else BlobAppender(self._path_of(name), growing)

    def share_all(self, names: set[str]) -> None:
        """Prevent all blobs from growing."""
        for name in self._growing.keys() & names:
            self.share(name)

    def share(self, name: str) -> None:
        """Prevent a blob from growing. Uncommitted bytes are truncated."""
        growing = self._growing.pop(name, None)
        if growing is not None:
            growing.is_shared = True
            if growing.is_appended:
                with suppress(FileNotFoundError):
                    os.truncate(self._path_of(name), growing.size)
