"""Sanitize and write exchanges in one thread, so that no call waits for it or fails because of it."""

from __future__ import annotations

import itertools
import queue
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import UNSET

from emulator.core import clock
from emulator.core.threads import start_thread
from emulator.recordings.capture import Sink
from emulator.recordings.entries import RECORDER, Entry, Page, Param, PostData
from emulator.recordings.har import HarWriter
from emulator.recordings.sanitize import Sanitizer

DIGITS = 6  # of the number in a content's file name


class RecordingJournal:
    """The exchanges of one run. `add` and `number` may be called by any thread."""

    def __init__(self, writer: HarWriter, sanitizer: Sanitizer, log: Callable[[str], None]) -> None:
        self._writer, self.sanitizer, self._log = writer, sanitizer, log
        self._numbers = itertools.count(1)
        self._queue: queue.SimpleQueue[Entry | Page | None] = queue.SimpleQueue()
        self.lost = 0  # exchanges that could not be written
        self.counts: Counter[str] = Counter()
        self.operations: set[str] = set()
        self.left_out_bytes = 0
        self._page: str | None = None
        self._thread = start_thread(self._run, "recording")

    def number(self) -> int:
        """Return the number of an exchange, in the order of arrival."""
        return next(self._numbers)

    @property
    def page(self) -> str | msgspec.UnsetType:
        """The current page of exchanges."""
        return UNSET if self._page is None else self._page

    def turn_to(self, page: str | None, title: str = "") -> None:
        """Begin a page, to which exchanges that begin from now on belong, or end the last one."""
        self._page = page
        if page is not None:
            self._queue.put(Page(page, title, clock.rfc3339(clock.wall())))

    def add(self, entry: Entry) -> None:
        """Pass an exchange that has ended to the writer."""
        self._queue.put(entry)

    def close(self) -> None:
        """Write the remaining exchanges and return."""
        self._queue.put(None)
        self._thread.join()
        self._writer.close()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            try:
                self._write(item)
            except Exception as error:  # after any error, the next exchange must be written
                self.lost += 1
                self._log(f"xai-emulator record: could not write an exchange: {type(error).__name__}: {error}")

    def _write(self, item: Entry | Page) -> None:
        if isinstance(item, Page):
            item.id, item.title = self.sanitizer.line(item.id), self.sanitizer.line(item.title)
            if all(page.id != item.id for page in self._writer.pages):
                self._writer.pages.append(item)
            return
        self._writer.add_encoded(self.sanitizer.encode(item))
        self._count(item)

    def _count(self, entry: Entry) -> None:
        self.counts["exchanges"] += 1
        self.counts["gRPC" if entry.grpc is not UNSET else "REST"] += 1
        self.counts["refused"] += entry.by != RECORDER and entry.response.status >= 400
        self.counts["unanswered"] += entry.by == RECORDER
        if isinstance(entry.operation, str):
            self.operations.add(entry.operation)
        body = entry.request.body
        parts: list[PostData | Param] = [] if body is UNSET else [body, *([] if body.params is UNSET else body.params)]
        for size in [part.size for part in parts] + [
            entry.response.body.size if entry.response.body.digest is not UNSET else UNSET
        ]:
            if isinstance(size, int) and size:
                self.counts["contents"] += 1
                self.left_out_bytes += size


class ContentFolder:
    """A folder beside the HAR file, for the contents of files."""

    def __init__(self, path: Path) -> None:
        self._path, self._numbers = path, itertools.count(1)
        path.mkdir(mode=0o700, exist_ok=True)
        for old in path.glob("[0-9]" * DIGITS + ".bin"):  # of a recording that is overwritten
            old.unlink()

    def new(self) -> Sink:
        """Create the file of a content."""
        return _File(self._path, f"{next(self._numbers):0{DIGITS}d}.bin")


class _File:
    def __init__(self, folder: Path, name: str) -> None:
        self._name = f"{folder.name}/{name}"
        self._file = (folder / name).open("wb")

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._file.write(data)

    def finish(self) -> str:
        self._file.close()
        return self._name
