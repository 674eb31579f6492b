"""State: SQLite rows, blobs and job rows. The only package that knows SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from emulator.core import ids
from emulator.core.locks import DATABASE, PRIVATE_DIRECTORY, DirectoryLock, LockTaken, is_temporary, sweep
from emulator.store.api_keys import ApiKeys
from emulator.store.audit import AuditLog
from emulator.store.batch_requests import BatchRequests
from emulator.store.batches import Batches
from emulator.store.blobs import BLOBS, REMOVED_AT_ONCE, Blobs
from emulator.store.chunks import Chunks
from emulator.store.collections import Collections
from emulator.store.database import Database, DatabaseUnusable
from emulator.store.deferred import DeferredCompletions
from emulator.store.documents import Documents
from emulator.store.field_columns import FieldColumns
from emulator.store.files import Files
from emulator.store.index.index_cache import Indexes
from emulator.store.index.segment_files import SegmentFiles
from emulator.store.jobs import Jobs
from emulator.store.media import Media
from emulator.store.responses import StoredResponses
from emulator.store.snapshots.directory import SNAPSHOTS
from emulator.store.snapshots.snapshots import LoadedSnapshot, Snapshots
from emulator.store.teams import Teams
from emulator.store.videos import Videos

__all__ = ["DatabaseUnusable", "LockTaken", "Store"]


def _check_own(directory: Path) -> None:
    """Refuse a directory that is not exclusive to this store, before anything is written to it.

    A temporary directory will be removed. A directory whose parts are links may share its blobs with another one, and
    each would sweep the blobs of the other.
    """
    if is_temporary(directory):
        raise DatabaseUnusable(f"{directory} is a temporary directory of an xai-emulator: use another --data-dir")
    for name in (DATABASE, BLOBS, SNAPSHOTS):
        if (directory / name).is_symlink():
            raise DatabaseUnusable(
                f"{directory / name} is a symbolic link: put what it leads to in its place, or link the whole directory"
            )


def _check_whole(directory: Path) -> None:
    """Refuse a new database next to existing blobs: the sweep would remove them, because no row owns them."""
    database, blobs = directory / DATABASE, directory / BLOBS
    is_new = not database.exists() or database.stat().st_size == 0
    if is_new and blobs.is_dir() and any(blobs.iterdir()):
        raise DatabaseUnusable(
            f"the database {database} is missing or empty, but {blobs} holds files: put it back, or use another "
            "--data-dir"
        )


class Store:
    """All persistent state, in memory (blobs: in a temporary directory) or below one data directory."""

    def __init__(self, directory: Path | None, seed: str | None = None) -> None:
        """Open the store. `seed` replaces the seed of the ids. Raises LockTaken, DatabaseUnusable or OSError."""
        with ExitStack() as opened:
            if directory is not None:
                directory.mkdir(parents=True, exist_ok=True, mode=PRIVATE_DIRECTORY)
                _check_own(directory)
                opened.callback(DirectoryLock(directory).release)
                _check_whole(directory)
            self.database = Database(None if directory is None else directory / DATABASE)
            opened.callback(self.database.close)
            self.blobs = Blobs(directory)
            opened.callback(self.blobs.close)
            self.files = Files(self.database)
            self.collections = Collections(self.database)
            self.documents = Documents(self.database)
            self.fields = FieldColumns(self.database)
            self.chunks = Chunks(self.database)
            self.indexes = Indexes(self.chunks, SegmentFiles(self.database, directory))
            opened.callback(self.indexes.close)
            self.batches = Batches(self.database)
            self.media = Media(self.database)
            self.videos = Videos(self.database)
            self.deferred = DeferredCompletions(self.database)
            self.api_keys = ApiKeys(self.database)
            self.audit = AuditLog(self.database)
            self.responses = StoredResponses(self.database)
            self.batch_requests = BatchRequests(self.database, self.blobs)
            self.batch_requests.take_back_all()
            self.jobs = Jobs(self.database)
            self.teams = Teams(self.database)
            self.snapshots = Snapshots(self.database, self.blobs)
            self._unowned: list[str] = []  # blobs that lose their owner when the transaction commits
            self.blobs.sweep(self.files.blobs() | self.batches.blobs())
            self.blobs.trim(self.files.open_blobs())
            self.seed = self._keep_seed(seed)
            sweep()  # last: the directory is locked by now
            self._opened = opened.pop_all()

    def _keep_seed(self, given: str | None) -> str:
        """Return the seed of all ids: the given one, else the stored one, else a new one."""
        row = self.database.row("SELECT seed FROM emulator")
        kept: str | None = None if row is None else row[0]
        seed = given or kept or ids.random_seed()
        if seed != kept:
            with self.transaction():
                self.database.write("DELETE FROM emulator")
                self.database.write("INSERT INTO emulator VALUES (?)", (seed,))
        return seed

    def totals(self) -> dict[str, int]:
        """Return the number of objects of all teams by kind; an incomplete upload counts as a file."""
        count = self.database.count
        return {name: count(name) for name in ("teams", "files", "collections", "documents", "batches", "jobs")}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything inside, or nothing. Blobs are removed after the commit, so a rollback keeps them."""
        mark = len(self._unowned)
        try:
            with self.database.transaction():
                yield
        except BaseException:
            del self._unowned[mark:]
            raise
        if not self.database.in_transaction:
            names, self._unowned = self._unowned, []
            if len(names) > REMOVED_AT_ONCE:
                self.blobs.remove(set(names) - self.batches.blobs())
            else:
                self.blobs.remove(name for name in names if not self.batches.reads(name))

    def release_blob(self, name: str) -> None:
        """Remove a blob when the current transaction commits; one that a batch reads is kept as long as the batch."""
        self._unowned.append(name)

    def remove_file(self, team: str, id: str) -> None:
        """Delete a file with its bytes, its public URL, its planned expiry and its documents."""
        with self.transaction():
            file = self.files.get_including_expired(team, id)
            if file is not None:
                for collection_id in self.documents.collections_of(team, id):
                    self.remove_document(team, collection_id, id)
                self.files.delete(team, id)
                self.jobs.cancel(team, "expire_file", id)
                self.release_blob(file.blob)

    def remove_document(self, team: str, collection_id: str, file_id: str) -> bool:
        """Remove a file from a collection, with its chunks; return whether it was a document of the collection."""
        with self.transaction():
            self.chunks.remove(team, collection_id, file_id)
            return self.documents.delete(team, collection_id, file_id)

    def remove_collection(self, team: str, id: str) -> None:
        """Delete a collection with its documents and their chunks. The files stay."""
        with self.transaction():
            self.chunks.remove_collection(team, id)
            self.collections.delete(team, id)

    def clear(self, team: str, *, in_steps: bool = False) -> dict[str, int]:
        """Delete everything of a team; return the number of rows removed by table.

        If there are many rows of chunks, a later job deletes them in steps; no search finds them meanwhile.
        """
        with self.transaction():
            for name in self.files.blobs(team) | self.batches.blobs(team):
                self.release_blob(name)
            self.indexes.drop_team(team)
            counts = self.teams.clear(team)
            return {**counts, "chunks": self.chunks.clear(team, in_steps=in_steps)}

    def restore(
        self,
        team: str,
        snapshot: LoadedSnapshot,
        overrides: Mapping[str, Any],
        new_token: Callable[[], str] | None = None,
    ) -> None:
        """Replace everything of a team by a snapshot, except the settings in `overrides`.

        `new_token` gives its public URLs new tokens. Raises BadSnapshot, and changes nothing then.
        """
        with self.snapshots.restoring(snapshot), self.transaction():
            self.clear(team)
            self.snapshots.insert(team, snapshot)
            self.teams.set_overrides(team, overrides)
            if new_token is not None:
                self.files.renew_public_urls(team, new_token)

    def close(self) -> None:
        """Close the database and remove temporary files; a second call does nothing."""
        self._opened.close()
