"""The file of a snapshot: an SQLite database that says what it is, with the bytes of blobs in a table of their own."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import quote

from emulator.clock import LATEST
from emulator.store.blobs import Blobs
from emulator.store.database import SCHEMA_VERSION

FORMAT_VERSION = 1
APPLICATION_ID = 0x58414953  # in the file's header: "XAIS"
PIECE_BYTES = 1024 * 1024


class BadSnapshot(ValueError):
    """A file that is no snapshot, or none that can be restored here; the message says why."""


def open_part(path: Path) -> sqlite3.Connection:
    """Open a snapshot that is being written. It is not whole before it is renamed, so a journal could save nothing."""
    connection = sqlite3.connect(path, isolation_level="DEFERRED")
    connection.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;")
    return connection


def open_whole(path: Path) -> sqlite3.Connection:
    """Open a snapshot to be read. Raises BadSnapshot."""
    with ExitStack() as opened:
        try:
            file = opened.enter_context(closing(sqlite3.connect(_address(path), uri=True)))
            _check(file)
        except (sqlite3.Error, TypeError) as error:
            raise BadSnapshot(f"this is no snapshot of an xai-emulator ({error})") from None
        opened.pop_all()
        return file


def _address(path: Path) -> str:
    return f"file:{quote(str(path))}?mode=ro&immutable=1"


def _check(file: sqlite3.Connection) -> None:
    if file.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise BadSnapshot("this is no snapshot of an xai-emulator")
    version = file.execute("PRAGMA user_version").fetchone()[0]
    if version != FORMAT_VERSION:
        raise BadSnapshot(f"the snapshot has format {version}, this xai-emulator reads format {FORMAT_VERSION}")
    if file.execute("SELECT 1 FROM sqlite_master WHERE type NOT IN ('table', 'index')").fetchone() is not None:
        raise BadSnapshot("this is no snapshot of an xai-emulator: it holds more than tables")
    schema, team, at = file.execute("SELECT schema_version, team, at FROM snapshot").fetchone()
    if schema != SCHEMA_VERSION:
        raise BadSnapshot(f"the snapshot has schema {schema}, this xai-emulator reads schema {SCHEMA_VERSION}")
    if not isinstance(team, str) or not isinstance(at, int) or not 0 <= at <= LATEST:
        raise BadSnapshot("the snapshot does not say whose it is, or from when")


def put_blob(file: sqlite3.Connection, path: Path) -> None:
    """Add the bytes of a blob, under its name."""
    size = path.stat().st_size
    rowid = file.execute("INSERT INTO blobs VALUES (?, zeroblob(?))", (path.name, size)).lastrowid
    assert rowid is not None
    with path.open("rb") as source, file.blobopen("blobs", "content", rowid) as target:
        while piece := source.read(PIECE_BYTES):
            target.write(piece)


def take_blob(file: sqlite3.Connection, rowid: int, blobs: Blobs) -> str:
    """Copy bytes out of a snapshot into a new blob, and return its name."""
    blob = blobs.new()
    try:
        with file.blobopen("blobs", "content", rowid, readonly=True) as source:
            while piece := source.read(PIECE_BYTES):
                blob.write(piece)
        blob.keep()
    except BaseException:
        blob.discard()
        raise
    return blob.name
