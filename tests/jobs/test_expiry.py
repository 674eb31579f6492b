"""The end of files: when it comes, in which order, and what is left of them."""

from __future__ import annotations

from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator import Emulator
from tests.blobs import blobs_on_disk
from tests.examples import examples

HOURS = st.lists(st.integers(1, 20), min_size=1, max_size=8)


def upload(rest: httpx.Client, hours: int | None) -> str:
    """A file that lives so many hours."""
    fields = {} if hours is None else {"expires_after": str(hours * 3600)}
    id: str = rest.post("/v1/files", data=fields, files={"file": ("a.txt", b"x")}).json()["id"]
    return id


def advance(rest: httpx.Client, seconds: float) -> list[dict[str, Any]]:
    """Move the clock; the jobs that ran."""
    jobs: list[dict[str, Any]] = rest.post("/_emulator/clock/advance", json={"seconds": seconds}).json()["jobs"]
    return jobs


def living(rest: httpx.Client) -> set[str]:
    """The files that are listed."""
    return {file["id"] for file in rest.get("/v1/files").json()["data"]}


@settings(max_examples=examples(20), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(lives=HOURS, steps=st.lists(st.integers(0, 8), max_size=5))
def test_files_end_in_the_order_of_their_times(
    emulator: Emulator, rest: httpx.Client, lives: list[int], steps: list[int]
) -> None:
    """Each at its time, however far the clock goes at once; bytes and rows are gone, and those that live are not."""
    emulator.reset()
    rest.post("/_emulator/clock/freeze")
    ends = {upload(rest, hours): hours for hours in lives}
    kept, now, ended = upload(rest, None), 0, list[str]()
    for step in steps:
        now += step
        ran = advance(rest, step * 3600)
        ended += [job["subject"] for job in ran]
        assert sorted(job["at"] for job in ran) == [job["at"] for job in ran]
        assert living(rest) == {kept} | {id for id, end in ends.items() if end > now}
    assert ended == sorted(
        (id for id, end in ends.items() if end <= now), key=lambda id: (ends[id], list(ends).index(id))
    )
    assert len(blobs_on_disk(emulator)) == 1 + len(lives) - len(ended)


def test_file_expires_without_any_call(emulator: Emulator, rest: httpx.Client) -> None:
    """At its instant it is not there any more, and an instant before it is."""
    rest.post("/_emulator/clock/freeze")
    id = upload(rest, 1)
    assert advance(rest, 3600 - 1e-6) == []
    assert living(rest) == {id}
    assert [job["subject"] for job in advance(rest, 1e-6)] == [id]
    assert emulator._running().services.store.files.usage("default") == (0, 0)


def test_expiry_job_of_changed_or_deleted_file_does_nothing(emulator: Emulator, rest: httpx.Client) -> None:
    """The last word counts, and a deleted file has none."""
    moved, deleted = upload(rest, 1), upload(rest, 1)
    rest.put(f"/v1/files/{moved}", json={"expires_after": 7200})
    rest.delete(f"/v1/files/{deleted}")
    assert advance(rest, 3601) == []
    assert living(rest) == {moved}
    assert [job["subject"] for job in advance(rest, 3600)] == [moved]
