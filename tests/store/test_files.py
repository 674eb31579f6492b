"""The rows of files, and what is remembered of them."""

from __future__ import annotations

from contextlib import nullcontext, suppress

from hypothesis import given
from hypothesis import strategies as st

from emulator.domain.files import File, UploadStatus
from emulator.store.database import Database
from emulator.store.files import Files

NAMES = st.sampled_from(["a", "b", "c"])
STEP = st.tuples(st.sampled_from(["read", "insert", "delete", "resize"]), NAMES, st.integers(0, 9))
STEPS = st.lists(STEP, max_size=8)
ENDS = st.sampled_from(["no transaction", "commit", "roll back"])


class Abandoned(Exception):
    """Ends a transaction without effect."""


def insert(files: Files, id: str, expires_at: int | None = None) -> File:
    return files.insert(
        "t",
        File(
            id=id,
            filename="a.txt",
            size=1,
            content_type="text/plain",
            hash="",
            blob=id,
            created_at=0,
            expires_at=expires_at,
            upload_status=UploadStatus.COMPLETE,
            open_for_chunks=False,
        ),
    )


@given(transactions=st.lists(st.tuples(ENDS, STEPS), max_size=6))
def test_cached_file_equals_stored_file(transactions: list[tuple[str, list[tuple[str, str, int]]]]) -> None:
    """A file that is asked for is the one in the database, whatever was written, committed or taken back between."""
    database = Database(None)
    files, plain = Files(database), Files(database)

    def run(steps: list[tuple[str, str, int]]) -> None:
        for step, name, size in steps:
            if step == "insert" and plain.get_including_expired("t", name) is None:
                insert(files, name)
            elif step == "delete":
                database.write("DELETE FROM files WHERE id = ?", (name,))
            elif step == "resize":
                database.write("UPDATE files SET size = ? WHERE id = ?", (size, name))
            check()

    def check() -> None:
        for name in ("a", "b", "c"):
            assert files.get("t", name, 0) == plain.get_including_expired("t", name)

    for end, steps in transactions:
        with suppress(Abandoned), nullcontext() if end == "no transaction" else database.transaction():
            run(steps)
            if end == "roll back":
                raise Abandoned
        check()
    database.close()


def test_cached_file_expires() -> None:
    """Time alone ends a file, without a write."""
    database = Database(None)
    files = Files(database)
    file = insert(files, "a", expires_at=10)
    assert files.get("t", "a", 9) == file
    assert files.get("t", "a", 10) is None
    assert files.get("u", "a", 9) is None
    database.close()
