"""The directory of snapshots, below the data directory or the temporary one.

A snapshot that was made here shares the bytes of files: its own file names a directory of hard links to the blobs,
which are never written again. So saving and restoring copy rows only. `export` writes a file that contains the bytes.

    snapshots/team-TEAM/NAME.xai-snapshot   the file of a snapshot
    snapshots/links/xai-links-HEX/BLOB      its bytes
    snapshots/parts/xai-part-HEX            a file that is being written

A file is written under another name and renamed when its links are complete, so a snapshot exists completely or not at
all. A process that dies leaves a part, or links that no file names; the next start removes those, and nothing else.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from emulator.core import ids
from emulator.core.clock import Instant
from emulator.core.locks import BLOB_NAME, LINKS_NAME, PART_NAME, PRIVATE_DIRECTORY, PRIVATE_FILE, SNAPSHOT_SUFFIX
from emulator.store.database import translate_error
from emulator.store.snapshots.files import BadSnapshot, links_of, open_part, open_whole, put_blobs, size_of

SNAPSHOTS = "snapshots"


class SnapshotRow(msgspec.Struct, frozen=True):
    """A stored snapshot."""

    name: str
    team: str
    at: Instant  # in the time of the team
    size: int  # bytes, including the shared ones


class NoSpace(ValueError):
    """The snapshots of a team would exceed their limit of bytes; the message has the limit."""


class SnapshotDirectory:
    """The files of all snapshots."""

    def __init__(self, directory: Path) -> None:
        """Open a directory, which may not exist yet, and remove the files that a process that died has left in it."""
        self._directory = directory / SNAPSHOTS
        self._parts, self.links = self._directory / "parts", self._directory / "links"
        self._changing = threading.Lock()  # held while a snapshot is replaced or removed
        self._sweep()

    def _sweep(self) -> None:
        for path in _named(self._parts, PART_NAME):
            path.unlink(missing_ok=True)
        links = _named(self.links, LINKS_NAME)
        try:
            used = {_links_in(path) for path in self._directory.glob(f"team-*/*{SNAPSHOT_SUFFIX}")} if links else set()
        except BadSnapshot:
            return  # a snapshot that cannot be read now may need its bytes later
        for path in links:
            if path.name not in used:
                remove_links(path)

    def path(self, team: str, name: str) -> Path:
        """Return the path of a snapshot, which may not exist."""
        return self._directory / f"team-{team}" / f"{name}{SNAPSHOT_SUFFIX}"

    def names(self, team: str) -> list[str]:
        """Return the names of a team's snapshots, sorted."""
        paths = self.path(team, "").parent.glob(f"*{SNAPSHOT_SUFFIX}")
        return sorted(path.name.removesuffix(SNAPSHOT_SUFFIX) for path in paths)

    def describe(self, team: str, name: str) -> SnapshotRow:
        """Return the row of a snapshot. Raises BadSnapshot."""
        with closing(open_whole(self.path(team, name))) as file:
            origin, at = file.execute("SELECT team, at FROM snapshot").fetchone()
            return SnapshotRow(name, origin, at, size_of(file))

    def new_part(self) -> Path:
        """Make an empty file for an incomplete snapshot. Raises OSError when the disk is full."""
        self._make(self._parts)
        part = self._parts / f"xai-part-{ids.fresh_name()}"
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE))
        return part

    def new_links(self) -> Path:
        """Make a directory for links. Raises OSError when the disk is full."""
        links = self.links / f"xai-links-{ids.fresh_name()}"
        self._make(links)
        return links

    def _make(self, directory: Path) -> None:
        for missing in [each for each in (directory.parent.parent, directory.parent, directory) if not each.exists()]:
            missing.mkdir(PRIVATE_DIRECTORY, exist_ok=True)

    def space_left(self, target: Path, bytes_max: int | None) -> int | None:
        """Return how many bytes a snapshot may have beside the others of its team; None if there is no limit."""
        if bytes_max is None:
            return None
        others = (path for path in target.parent.glob(f"*{SNAPSHOT_SUFFIX}") if path != target)
        return bytes_max - sum(_size(path) for path in others)

    def check_space(self, target: Path, size: int, bytes_max: int | None) -> None:
        """Raise NoSpace if a snapshot of `size` bytes exceeds the limit."""
        space = self.space_left(target, bytes_max)
        if space is not None and size > space:
            raise NoSpace(f"{size} bytes, and {max(space, 0)} of {bytes_max} are left")

    def keep(self, part: Path, target: Path, bytes_max: int | None = None) -> int:
        """Rename a file to the name of a snapshot, which it replaces; return the bytes of the snapshot.

        Raises BadSnapshot for a file of another kind, and NoSpace (see `space_left`).
        """
        size = _size_or_raise(part)
        self._make(target.parent)
        with self._changing:
            self.check_space(target, size, bytes_max)
            old = _links_or_none(target)
            os.replace(part, target)
            self._remove_links(old)
        return size

    def import_file(self, part: Path, team: str, name: str, bytes_max: int | None) -> None:
        """Store an uploaded file. Raises BadSnapshot for a file of another kind, and NoSpace."""
        if _links_in(part) is not None:
            raise BadSnapshot("the snapshot has no bytes in it: send one that was fetched")
        self.keep(part, self.path(team, name), bytes_max)

    def remove(self, team: str, name: str) -> None:
        """Delete a snapshot."""
        path = self.path(team, name)
        with self._changing:
            old = _links_or_none(path)
            path.unlink(missing_ok=True)
            self._remove_links(old)

    def remove_all(self, team: str) -> None:
        """Delete the snapshots of a team."""
        for name in self.names(team):
            self.remove(team, name)
        with suppress(OSError):  # the directory is missing, or contains something else
            self.path(team, "").parent.rmdir()

    def _remove_links(self, name: str | None) -> None:
        if name is not None:
            remove_links(self.links / name)

    def export(self, path: Path) -> Path:
        """Write a snapshot as a file that contains the bytes; the caller removes it. May run in a thread.

        Raises BadSnapshot, and OSError when the disk is full.
        """
        part = self.new_part()
        try:
            shutil.copyfile(path, part)
            with closing(open_part(part)) as file, file:
                links = links_of(file)
                if links is not None:
                    put_blobs(file, self.links / links)
        except BaseException as error:
            part.unlink(missing_ok=True)
            if isinstance(error, sqlite3.Error):
                raise translate_error(error) from error
            raise
        return part


def remove_links(directory: Path) -> None:
    """Remove a directory of links, but no file that was not made here."""
    for path in _named(directory, BLOB_NAME):
        path.unlink(missing_ok=True)
    with suppress(OSError):
        directory.rmdir()


def _named(directory: Path, pattern: re.Pattern[str]) -> list[Path]:
    """Return the files in a directory that match a pattern; the directory may be missing."""
    try:
        with os.scandir(directory) as entries:
            return [Path(entry.path) for entry in entries if pattern.fullmatch(entry.name) and not entry.is_symlink()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _links_in(path: Path) -> str | None:
    with closing(open_whole(path)) as file:
        return links_of(file)


def _links_or_none(path: Path) -> str | None:
    """Return the links of a snapshot if it can be read; otherwise a later start removes them."""
    try:
        return _links_in(path)
    except BadSnapshot:
        return None


def _size_or_raise(path: Path) -> int:
    with closing(open_whole(path)) as file:
        return size_of(file)


def _size(path: Path) -> int:
    try:
        return _size_or_raise(path)
    except BadSnapshot:
        with suppress(FileNotFoundError):
            return path.stat().st_size
        return 0
