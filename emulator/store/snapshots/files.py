"""The file of a snapshot: an SQLite database with an application id.

The bytes of blobs are in its table `blobs`, or, as long as it is stored where it was made, in a directory of hard links
that its table `links` names.
"""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import quote

from emulator.core.clock import LATEST
from emulator.core.locks import BLOB_NAME, LINKS_NAME
from emulator.store.blobs import Blobs

FORMAT_VERSION = 1
SCHEMA_VERSION = 2  # of the tables in a snapshot: those of a database have other numbers
APPLICATION_ID = 0x58414953  # in the file's header: "XAIS"
PIECE_BYTES = 1024 * 1024


class BadSnapshot(ValueError):
    """A file that is no snapshot, or that cannot be restored here; the message has the reason."""


def open_part(path: Path) -> sqlite3.Connection:
    """Open a snapshot for writing. It needs no journal, because it is renamed only when it is complete."""
    connection = sqlite3.connect(path, isolation_level="DEFERRED")
    connection.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;")
    return connection


def open_whole(path: Path) -> sqlite3.Connection:
    """Open a snapshot for reading. Raises BadSnapshot."""
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
    _links_row(file)


def _links_row(file: sqlite3.Connection) -> tuple[str, int] | None:
    if file.execute("SELECT 1 FROM sqlite_master WHERE name = 'links'").fetchone() is None:
        return None
    name, size = file.execute("SELECT directory, bytes FROM links").fetchone()
    if not isinstance(name, str) or LINKS_NAME.fullmatch(name) is None or not isinstance(size, int):
        raise BadSnapshot("the snapshot does not say where its bytes are")
    return name, size


def links_of(file: sqlite3.Connection) -> str | None:
    """Return the name of the directory with a snapshot's bytes; None if they are in the file."""
    row = _links_row(file)
    return None if row is None else row[0]


def size_of(file: sqlite3.Connection) -> int:
    """Return the bytes of a snapshot: those in its file and those in its links."""
    [own] = file.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").fetchone()
    row = _links_row(file)
    return int(own) + (0 if row is None else row[1])


def name_links(file: sqlite3.Connection, name: str, size: int) -> None:
    """Store the directory and the number of bytes of a snapshot in its file."""
    file.execute("CREATE TABLE links (directory TEXT, bytes INTEGER)")
    file.execute("INSERT INTO links VALUES (?, ?)", (name, size))


def linked(links: Path, name: object) -> Path:
    """Return the path of a linked blob of a snapshot. Raises BadSnapshot if it does not exist."""
    path = links / str(name)
    if BLOB_NAME.fullmatch(str(name)) is None or not path.is_file():  # a file may contain any name, a path as well
        raise BadSnapshot(
            "the bytes of the snapshot are not there: it was removed meanwhile, or its file was copied by hand "
            "(use `xai-emulator snapshot fetch`)"
        )
    return path


def put_blobs(file: sqlite3.Connection, links: Path) -> None:
    """Copy the bytes of a snapshot into its file. Raises BadSnapshot if they do not exist."""
    for rowid, name in file.execute("SELECT rowid, name FROM blobs").fetchall():
        with linked(links, name).open("rb") as source:
            size = source.seek(0, 2)
            source.seek(0)
            file.execute("UPDATE blobs SET content = zeroblob(?) WHERE rowid = ?", (size, rowid))
            with file.blobopen("blobs", "content", rowid) as target:
                while piece := source.read(PIECE_BYTES):
                    target.write(piece)
    file.execute("DROP TABLE links")


def take_blob(file: sqlite3.Connection, rowid: int, blobs: Blobs) -> str:
    """Copy bytes from a snapshot into a new blob, and return its name."""
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
