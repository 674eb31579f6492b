"""Write and read recordings as HAR files.

A file is a complete HAR file after every entry: one system call overwrites the tail, which closes the JSON, with the
new entry and a new tail. Only a kill in the middle of that call can leave an incomplete entry, which `read` skips,
because every entry is one line.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, UnsetType

from emulator.recordings.bounded_json import BAD_JSON, DEPTH_MAX, is_deeper
from emulator.recordings.entries import About, Entry, Grpc, Log, Page
from emulator.recordings.foreign import convert
from emulator.recordings.foreign_har import exchange_of
from emulator.recordings.planes import complete

FILE_BYTES_MAX = 512 * 1024 * 1024
ENTRIES_MAX = 200_000
_BOM = b"\xef\xbb\xbf"


class BadRecording(ValueError):
    """A file is no recording; the message is one line."""


class Recording(msgspec.Struct):
    """A recording that was read from a file.

    `unreadable` counts the invalid entries, `elsewhere` the calls to other hosts. `lacks_contents` says that another
    program wrote it, without the contents of files.
    """

    path: Path
    log: Log
    entries: list[Entry]
    unreadable: int = 0
    elsewhere: int = 0
    lacks_contents: bool = False

    @property
    def contents_left_out(self) -> bool:
        """Return whether the contents of files are missing, and in our own files free texts as well."""
        about = self.log.about
        return self.lacks_contents or (isinstance(about, About) and about.contents == "lengths")


class HarWriter:
    """A new HAR file. One thread at a time may write to it."""

    def __init__(self, path: Path, about: About, *, overwrite: bool = False) -> None:
        """Begin the file. Raises FileExistsError unless it may be overwritten, and OSError."""
        flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if overwrite else os.O_EXCL)
        self._file = os.open(path, flags, 0o600)
        os.fchmod(self._file, 0o600)  # of a file that is overwritten, too
        self.pages: list[Page] = []
        self.entries = 0
        log = msgspec.json.encode(Log(about=about))
        pages = log.rindex(b',"pages":')
        self._end = self._write(b'{"log":' + log[:pages] + b',"entries":[', 0)

    def add(self, entry: Entry) -> None:
        """Append an entry. Raises OSError without changing the file."""
        self.add_encoded(msgspec.json.encode(entry))

    def add_encoded(self, entry: bytes) -> None:
        """Append an entry that is JSON already, on one line."""
        self._end = self._write((b",\n" if self.entries else b"\n") + entry, self._end)
        self.entries += 1

    def _write(self, content: bytes, position: int) -> int:
        """Write content at a position, and the tail after it; return the position of the tail."""
        tail = b'\n],"pages":' + msgspec.json.encode(self.pages) + b"}}\n"
        try:
            self._write_all(content + tail, position)
        except OSError:  # the disk is full, perhaps
            self._write_all(self._tail, position)
            os.ftruncate(self._file, position + len(self._tail))
            raise
        self._tail = tail
        return position + len(content)

    _tail = b""

    def _write_all(self, content: bytes, position: int) -> None:
        written = 0
        while written < len(content):
            written += os.pwrite(self._file, content[written:], position + written)

    def close(self) -> None:
        """Close the file, which is complete after every entry."""
        os.close(self._file)


class _Read(msgspec.Struct):
    log: _ReadLog


class _ReadLog(msgspec.Struct, rename={"about": "_xai_emulator"}):
    about: msgspec.Raw | UnsetType = UNSET
    pages: msgspec.Raw | UnsetType = UNSET
    entries: list[msgspec.Raw] = msgspec.field(default_factory=list)


def parse(data: bytes, path: Path) -> Recording:
    """Read the bytes of a HAR file; `path` names it in errors. Raises BadRecording."""
    data = data.removeprefix(_BOM)
    try:
        head = msgspec.json.decode(data, type=_Read).log
        raws: list[bytes] = [bytes(raw) for raw in head.entries]
    except msgspec.ValidationError as error:
        raise BadRecording(f"{path}: this is no HAR file: {error}") from None
    except BAD_JSON as error:
        head, raws = _salvage(data, path, str(error))
    if len(raws) > ENTRIES_MAX:
        raise BadRecording(f"{path}: the file has more than {ENTRIES_MAX} entries")
    log = _log(head, path)
    if log.about is UNSET:
        found = convert([exchange_of(raw) for raw in raws])
        return Recording(path, log, found.entries, found.unreadable, found.elsewhere, found.lacks_contents)
    entries = [entry for raw in raws if (entry := _own(raw)) is not None]
    return Recording(path, log, entries, len(raws) - len(entries))


def _log(head: _ReadLog, path: Path) -> Log:
    """Return the metadata of a file. Pages of other programs are pages of browsers, not cases."""
    if head.about is UNSET:
        return Log()
    try:
        about = msgspec.json.decode(head.about, type=About)
        pages = [] if head.pages is UNSET else msgspec.json.decode(head.pages, type=list[Page])
    except BAD_JSON as error:
        raise BadRecording(f"{path}: this is no recording of xai-emulator: {error}") from None
    if about.format > About().format:
        raise BadRecording(f"{path}: a newer xai-emulator wrote this file (format {about.format})")
    return Log(about=about, pages=pages)


def _own(raw: bytes) -> Entry | None:
    """Decode one of our own entries. It may have been edited, so its host and path come from its URL."""
    try:
        entry = msgspec.json.decode(raw, type=Entry, strict=False)
        target = urlsplit(entry.request.url)
    except BAD_JSON:
        return None
    if target.scheme not in ("http", "https"):
        return None
    if isinstance(entry.grpc, Grpc) and is_deeper([entry.grpc.request, entry.grpc.response], DEPTH_MAX):
        return None
    complete(entry)
    return entry


def _salvage(data: bytes, path: Path, why: str) -> tuple[_ReadLog, list[bytes]]:
    """Read one of our own files with an incomplete last entry: all lines except the first and the last are entries."""
    head, *lines = data.split(b"\n")
    if not head.endswith(b',"entries":['):
        raise BadRecording(f"{path}: this is no HAR file: {why}")
    try:
        log = msgspec.json.decode(head + b"]}}", type=_Read).log
    except BAD_JSON as error:
        raise BadRecording(f"{path}: this is no HAR file: {error}") from None
    return log, [_first_value(line) for line in lines if line.startswith(b'{"request"')]


def _first_value(line: bytes) -> bytes:
    """Return the JSON value at the start of a line; the line itself if there is none."""
    try:
        text = line.decode()
        return text[: json.JSONDecoder().raw_decode(text)[1]].encode()
    except (ValueError, RecursionError):
        return line
