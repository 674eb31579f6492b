"""Random starts, stops and kills on given and temporary directories: `python -m tests.reliability.lifecycles --help`.

A sandbox stands for the machine: `tmp` is the directory for temporary files, and given directories lie in it, beside it
and inside each other, under names of temporary ones, with files of their users in every place. After each cycle all
that users gave, and all that was acknowledged, has to be there. A kill is a SIGKILL of a forked process.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from emulator.core import locks
from emulator.core.locks import LockTaken, TemporaryDirectory, sweep
from emulator.domain.files import File, UploadStatus
from emulator.store import DatabaseUnusable, Store

TEAM = "default"
GIVEN = (
    "home/state",
    "home/xai-emulator-notes",
    "tmp/xai-emulator-ab12cd_3",  # as a temporary directory is called
    "tmp/xai-emulator-ab12cd_3/xai-emulator-inner",
    "tmp/xai-emulator-state/blobs/below",
    "tmp",  # TMPDIR itself
)
# What users have in their directories, some of it called almost as what the emulator makes.
FOREIGN = (
    "notes.txt",
    "lock",
    "grpc",
    "c1",
    "xai-emulator-mine/notes.txt",
    "xai-emulator-mine/lock",
    "blobs/photo.jpg",
    f"blobs/{'0' * 32}",
    f"blobs/old/xai-blob-{'0' * 32}",
    "snapshots/notes.txt",
    f"snapshots/parts/{'0' * 32}",
    "snapshots/links/mine/notes.txt",
    "snapshots/team-default/notes.txt",
)
FILES_MAX = 5  # of one given directory; then some are deleted
HELD_MAX = 3  # stores that stay open over cycles
KEPT_MAX = 8  # copies of temporary directories, and those into which a user put something


def content(name: str) -> bytes:
    """The bytes of a file, derived from its name."""
    return name.encode() * 7


class Work:
    """Operations on one open store; `report` is called before a file is deleted and after one was added."""

    def __init__(self, store: Store, rng: random.Random, ids: list[str], report: Callable[[str], None]) -> None:
        self._store, self._rng, self._ids, self._report = store, rng, ids, report
        store.teams.insert(TEAM)

    def some(self) -> None:
        """A few random things."""
        for _ in range(self._rng.randrange(3)):
            self._rng.choices((self.add, self.delete, self.snapshot), (5, 2, 1))[0]()

    def add(self) -> None:
        """Upload a file."""
        if len(self._ids) >= FILES_MAX:
            return self.delete()
        blob, id = self._store.blobs.new(), f"file_{self._rng.getrandbits(64):x}"
        blob.write(content(id))
        blob.keep()
        with self._store.transaction():
            self._store.files.insert(
                TEAM,
                File(
                    id=id,
                    filename=id,
                    size=blob.size,
                    content_type="text/plain",
                    hash=blob.digest(),
                    blob=blob.name,
                    created_at=0,
                    expires_at=None,
                    upload_status=UploadStatus.COMPLETE,
                    open_for_chunks=False,
                ),
            )
        self._ids.append(id)
        self._report(f"+{id}")
        return None

    def delete(self) -> None:
        """Delete a file."""
        if self._ids:
            id = self._ids.pop(self._rng.randrange(len(self._ids)))
            self._report(f"-{id}")
            self._store.remove_file(TEAM, id)

    def snapshot(self) -> None:
        """Save a snapshot, or remove it."""
        kept = self._store.snapshots.kept
        if self._rng.random() < 0.5:
            self._store.snapshots.save(TEAM, kept.path(TEAM, "s"), 0, without=("responder",)).finish()
        else:
            kept.remove(TEAM, "s")

    def leave_halves(self) -> None:
        """What a process that dies may have begun: an upload, a blob without a row, a part, links."""
        self._store.blobs.new().write(b"half")
        blob = self._store.blobs.new()
        blob.keep()
        self._store.snapshots.kept.new_part()
        self._store.snapshots.kept.new_links()


class Given:
    """A directory that a user gave, with all that has to stay in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ids: list[str] = []  # of files that were acknowledged
        self.foreign: dict[str, bytes] = {}
        self.unsure: set[str] = set()  # deletions that may not have happened

    def plant(self, name: str) -> None:
        """Put a user's file into the directory."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(name))
        self.foreign[name] = content(name)

    def check(self, *, bytes_too: bool) -> None:
        """Compare what has to be there: sizes, or every byte."""
        for name, expected in self.foreign.items():
            path = f"{self.path}/{name}"
            assert os.stat(path).st_size == len(expected), path
            assert not bytes_too or Path(path).read_bytes() == expected, path

    def check_files(self, store: Store) -> None:
        """Compare what was acknowledged with what a start finds."""
        found = {file.id: file for file in (store.files.get(TEAM, id, 0) for id in [*self.ids, *self.unsure]) if file}
        assert set(self.ids) <= set(found), (self.path, self.ids, set(found))
        for id, file in found.items():
            assert store.blobs.path(file.blob).read_bytes() == content(id), (self.path, id)
        self.ids, self.unsure = list(found), set()


class Machine:
    """The sandbox, and what may be done in it."""

    def __init__(self, root: Path, seed: int) -> None:
        self._rng = random.Random(seed)
        self._tmp = root / "tmp"
        self._tmp.mkdir(parents=True)
        tempfile.tempdir = locks._SHORT = str(self._tmp)
        self._given = [Given(root / name) for name in GIVEN]
        self._held: list[Store] = []
        self._kept: list[Given] = []
        self.counts: dict[str, int] = {}
        for given in self._given:
            Store(given.path).close()  # with files in `blobs` a new database would be refused
            for name in FOREIGN:
                given.plant(name)

    def cycle(self) -> None:
        """One random thing, after which everything given is there."""
        action, _ = self._rng.choices(ACTIONS, [weight for _, weight in ACTIONS])[0]
        self.counts[action.__name__] = self.counts.get(action.__name__, 0) + 1
        action(self)
        self.check(bytes_too=self._rng.random() < 0.1)

    def check(self, *, bytes_too: bool) -> None:
        """Compare all that users have."""
        for given in (*self._given, *self._kept):
            given.check(bytes_too=bytes_too)

    def end(self) -> None:
        """Stop what is open; whatever the dead have left is swept, and nothing else."""
        while self._held:
            self._held.pop().close()
        for given in self._given:
            store = Store(given.path)
            given.check_files(store)
            store.close()
        self.check(bytes_too=True)
        known = {given.path for given in (*self._given, *self._kept)} | {self._tmp / "xai-emulator-mine"}
        known |= {self._tmp / Path(name).parts[1] for name in GIVEN if len(Path(name).parts) > 1}
        left = {path for path in self._tmp.glob("xai-emulator-*") if path not in known}
        assert left == set(), left

    # --- temporary directories

    def stop_temporary(self) -> None:
        """Start without a data directory, and stop."""
        store = Store(None)
        Work(store, self._rng, [], lambda line: None).some()
        path = store.blobs.directory
        assert path.parent == self._tmp
        store.close()
        assert not path.exists()

    def hold_temporary(self) -> None:
        """Start without a data directory, and stop some cycles later."""
        self._held.append(Store(None))
        if len(self._held) > HELD_MAX:
            self._held.pop(0).close()
        for store in self._held:
            assert store.blobs.directory.is_dir()

    def stop_socket(self) -> None:
        """Make and remove a directory as that of the gRPC server's socket."""
        directory = TemporaryDirectory()
        for name in ("grpc", "c7"):
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(os.path.relpath(directory.path / name))  # a socket's address has little room
        directory.remove()
        assert not directory.path.exists()

    def kill_temporary(self) -> Path:
        """Start without a data directory, and be killed; the path of what is left."""

        def child(report: Callable[[str], None]) -> None:
            store = Store(None)
            report(str(store.blobs.directory))
            work = Work(store, self._rng, [], lambda line: None)
            work.some()
            work.leave_halves()

        (line,) = self._killed(child)
        return Path(line)

    def sweep_dead(self) -> None:
        """The next start of any emulator removes what the dead have left."""
        dead = self.kill_temporary()
        assert dead.is_dir()
        if self._rng.random() < 0.5:
            sweep()
        else:
            Store(None).close()
        assert not dead.exists()

    # --- given directories

    def stop_given(self) -> None:
        """Start with a data directory, find everything there, and stop."""
        given = self._rng.choice(self._given)
        store = Store(given.path)
        given.check_files(store)
        Work(store, self._rng, given.ids, lambda line: None).some()
        store.close()

    def kill_given(self) -> None:
        """Start with a data directory, and be killed."""
        given = self._rng.choice(self._given)
        halves = self._rng.random() < 0.5

        def child(report: Callable[[str], None]) -> None:
            work = Work(Store(given.path), self._rng, list(given.ids), report)
            work.some()
            if halves:
                work.leave_halves()

        for line in self._killed(child):
            if line[0] == "+":
                given.ids.append(line[1:])
            else:
                given.ids.remove(line[1:])
                given.unsure.add(line[1:])

    def start_twice(self) -> None:
        """A second start on a directory is refused, with or without the file that is locked."""
        given = self._rng.choice(self._given)
        store = Store(given.path)
        if self._rng.random() < 0.5:
            (given.path / "lock").unlink()
            given.foreign.pop("lock", None)  # it was the user who deleted it
        try:
            Store(given.path)
        except LockTaken:
            store.close()
        else:
            raise AssertionError(f"two stores on {given.path}")

    # --- what users do

    def plant(self) -> None:
        """A user puts a file back, or changes nothing."""
        self._rng.choice(self._given).plant(self._rng.choice(FOREIGN))

    def keep_temporary(self) -> None:
        """A user puts a file into what a dead process has left, copies or renames it, or gives it as data directory."""
        path = self.kill_temporary()
        if len(self._kept) >= KEPT_MAX:
            old = self._kept.pop(0)
            shutil.rmtree(old.path)
        how = self._rng.randrange(4)
        target = self._tmp / f"xai-emulator-{self._rng.getrandbits(40):x}"
        if how == 0:
            kept = Given(path)
            kept.plant(self._rng.choice(FOREIGN))
        elif how == 1:
            shutil.copytree(path, target)
            kept = everything(target)
        elif how == 2:
            path.rename(target)
            kept = everything(target)
        else:
            try:
                Store(path)
            except DatabaseUnusable:
                sweep()
                assert not path.exists()
                return
            raise AssertionError(f"a store in the temporary directory {path}")
        self._kept.append(kept)

    def _killed(self, child: Callable[[Callable[[str], None]], None]) -> list[str]:
        """The lines that a forked process reported before it was killed."""
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            try:
                child(lambda line: (os.write(writing, f"{line}\n".encode()), None)[1])
                os.kill(os.getpid(), signal.SIGKILL)
            finally:  # it failed
                sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
                os._exit(1)
        os.close(writing)
        with open(reading, encoding="utf-8") as reported:
            lines = reported.read().splitlines()
        assert os.waitpid(process, 0)[1] == signal.SIGKILL
        self._rng.random()  # the child has drawn from a copy
        return lines


def everything(path: Path) -> Given:
    """A directory in which everything is a user's."""
    given = Given(path)
    given.foreign = {str(each.relative_to(path)): each.read_bytes() for each in path.rglob("*") if each.is_file()}
    return given


ACTIONS: tuple[tuple[Callable[[Machine], object], int], ...] = (
    (Machine.stop_socket, 20),
    (Machine.stop_temporary, 10),
    (Machine.hold_temporary, 10),
    (Machine.stop_given, 15),
    (Machine.start_twice, 5),
    (Machine.plant, 10),
    (Machine.sweep_dead, 5),
    (Machine.kill_given, 15),
    (Machine.keep_temporary, 5),
)


def main() -> None:
    """Run cycles, and say how many of each kind there were."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("sandbox", type=Path, help="a directory that does not exist yet")
    parser.add_argument("cycles", type=int)
    parser.add_argument("seed", type=int)
    options = parser.parse_args()
    sandbox = options.sandbox.absolute()
    machine = Machine(sandbox, options.seed)
    os.chdir(sandbox)  # from where the paths of sockets, which have little room, are short
    gc.freeze()  # so that a fork copies little
    for _ in range(options.cycles):
        machine.cycle()
    machine.end()
    print(machine.counts)


if __name__ == "__main__":
    main()
