"""Batches on their way: speeds, input files, what is cancelled or expires meanwhile, and what is due in between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator import Emulator
from tests.examples import examples
from tests.rest.batch_helpers import Batches, chat_body, line, request
from tests.serving import until

SAMPLES = Path(__file__).parents[3] / "fixtures" / "data" / "batches"
FAILED = "JSONL file validation failed: "


@pytest.fixture
def batches(emulator: Emulator) -> Iterator[Batches]:
    """The default team, as new."""
    emulator.reset()
    client = Batches(emulator)
    with client.http:
        yield client


# --- speeds


def test_instant_batch_is_done_at_once(batches: Batches) -> None:
    """The default: in the background, and due already when the reply is sent."""
    batches.freeze()
    id = batches.filled(*(request(f"r{n}") for n in range(250)))
    batches.advance(0)
    assert batches.counters(id) == (250, 0, 250, 0, 0)


def test_realistic_batch_takes_a_second(batches: Batches) -> None:
    """A quarter of the requests every quarter of a second; results can be read while others are pending."""
    batches.configure(batches="realistic")
    batches.freeze()
    id = batches.filled(*(request(f"r{n}") for n in range(100)))
    seen = []
    for _ in range(5):
        seen.append((batches.counters(id)[1:3], len(batches.results(id))))
        batches.advance(0.25)
    assert seen == [((100, 0), 0), ((75, 25), 25), ((50, 50), 50), ((25, 75), 75), ((0, 100), 100)]


def test_manual_batch_runs_only_when_released(batches: Batches) -> None:
    """However much time passes; files are not even read before."""
    batches.configure(batches="manual")
    batches.freeze()
    id, from_file = batches.filled(request("a")), batches.from_lines(line("b"))
    batches.advance(86_400)
    assert (batches.counters(id), batches.counters(from_file)) == ((1, 1, 0, 0, 0), (0, 0, 0, 0, 0))
    batches.emulator.run_jobs()
    assert (batches.counters(id), batches.counters(from_file)) == ((1, 0, 1, 0, 0), (1, 1, 0, 0, 0))
    batches.emulator.run_jobs()
    assert batches.counters(from_file) == (1, 0, 1, 0, 0)


def test_finish_time_of_result_is_its_due_time(batches: Batches) -> None:
    """Time that passes before anybody looks does not count."""
    batches.configure(batches="realistic")
    batches.http.post("/_emulator/clock/freeze", json={"at": "2026-05-01T00:00:00Z"}).raise_for_status()
    id = batches.filled(request("a"))
    batches.advance(3 * 86_400)
    assert batches.requests(id)[0]["finish_time"] == "2026-05-01"


# --- input files


def test_sample_file_with_all_urls_is_processed(batches: Batches) -> None:
    """All seven addresses in one file, and the alias of one."""
    content = (SAMPLES / "all_urls.jsonl").read_bytes()
    lines = [json.loads(each) for each in content.splitlines()]
    assert len({each["url"] for each in lines}) == 8
    id = batches.from_file(content)
    assert batches.get(id)["input_file_id"].startswith("file_")
    batches.advance(1)
    assert batches.counters(id) == (len(lines), 0, len(lines), 0, 0)
    kinds = {key: next(iter(result["response"])) for key, result in batches.results(id).items()}
    assert kinds == {
        "chat": "chat_get_completion",
        "response": "chat_get_completion",
        "picture": "image_generation",
        "picture-edit": "image_generation",
        "film": "video_generation",
        "film-alias": "video_generation",
        "film-edit": "video_generation",
        "film-extension": "video_generation",
    }


def test_counters_of_file_batch_appear_all_at_once(batches: Batches) -> None:
    """The counters go from nothing to everything at once; nothing is listed before."""
    batches.configure(batches="realistic")
    batches.freeze()
    id = batches.from_lines(*(line(f"r{n}") for n in range(3000)))
    assert batches.counters(id) == (0, 0, 0, 0, 0)
    batches.advance(2.999)
    assert batches.counters(id) == (0, 0, 0, 0, 0), "observed live: a batch from a file shows nothing for seconds"
    assert (batches.requests(id), batches.results(id)) == ([], {})
    batches.advance(0.001)
    assert batches.counters(id) == (3000, 3000, 0, 0, 0)
    assert len(batches.requests(id, limit=1000)) == 3000
    batches.advance(1)
    assert batches.counters(id) == (3000, 0, 3000, 0, 0)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (f"{line('a')}\n{line('b')}\n{{".encode(), "line 3: invalid JSON: EOF while parsing a value"),
        (f"{line('a')}\n\n{line('a')}".encode(), "line 3: duplicate custom_id 'a'"),
        (b"\n \n", "the file has no requests"),
        (b"", "the file has no requests"),
        (line("a", "/v1/files").encode(), "line 1: unsupported url '/v1/files'"),
        (
            (SAMPLES / "bad_line.jsonl").read_bytes(),
            "line 2: missing field `body`",
        ),
        (line("a", body=chat_body(model="grok-4.5")).encode(), "Model grok-4.5 is not supported for batch processing."),
        (b"\x89PNG\r\n\x1a\n\0\0", "line 1: invalid JSON"),
    ],
)
def test_bad_file_cancels_batch_with_reason(batches: Batches, content: bytes, complaint: str) -> None:
    """In the background, with the line; the counters stay zero, and nothing can be listed."""
    id = batches.from_file(content)
    batches.advance(1)
    batch = batches.get(id)
    assert batch["cancel_by_xai_message"].startswith(FAILED + complaint)
    assert batch["cancel_time"] == batch["create_time"]
    assert set(batch["state"].values()) == {0}
    assert (batches.requests(id), batches.results(id)) == ([], {})


def test_bad_last_line_removes_all_requests(batches: Batches) -> None:
    """What was read before it is removed again."""
    id = batches.from_lines(*(line(f"r{n}") for n in range(5000)), line("r17"))
    batches.advance(5)
    assert batches.get(id)["cancel_by_xai_message"] == f"{FAILED}line 5001: duplicate custom_id 'r17'"
    assert batches.http.post("/_emulator/reset").json()["cleared"]["batch_requests"] == 0


@pytest.mark.parametrize("more", [0, 1])
def test_file_with_too_many_requests_cancels_batch(batches: Batches, more: int) -> None:
    """As many as the limit are taken, one more is not; empty lines do not count."""
    batches.configure(limits={"jsonl_lines_max": 2000})
    lines = [line(f"r{n}") for n in range(2000 + more)]
    id = batches.from_lines(*lines[:1000], "", "", *lines[1000:], "")
    batches.advance(5)
    if more:
        assert batches.get(id)["cancel_by_xai_message"] == f"{FAILED}the file has more than 2000 requests"
    else:
        assert batches.counters(id)[:3] == (2000, 0, 2000)


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_line_over_size_limit_cancels_batch(batches: Batches, more: int) -> None:
    """Also one that is longer than what is read at once."""
    long = line("long", body=chat_body("x" * 400_000))
    batches.configure(limits={"batch_request_bytes_max": len(long) - more})
    id = batches.from_lines(line("first"), long, line("last"))
    batches.advance(2)
    if more > 0:
        assert batches.get(id)["cancel_by_xai_message"].startswith(f"{FAILED}line 2: a request may have at most")
    else:
        assert batches.counters(id)[:3] == (3, 0, 3)


def test_file_over_lowered_size_limit_cancels_batch(batches: Batches) -> None:
    """The file was taken while the limit was another."""
    content = line("a").encode()
    batches.configure(limits={"jsonl_file_bytes_max": len(content)}, batches="manual")
    good, bad = batches.from_file(content), batches.from_file(content)
    batches.emulator.run_jobs()
    assert batches.counters(good)[0] == batches.counters(bad)[0] == 1
    bad = batches.from_file(content)
    batches.configure(limits={"jsonl_file_bytes_max": len(content) - 1})
    batches.emulator.run_jobs()
    assert batches.get(bad)["cancel_by_xai_message"].startswith(f"{FAILED}the file has {len(content)} bytes")


@given(
    lengths=st.lists(st.integers(0, 300_000), min_size=1, max_size=6),
    ending=st.sampled_from(["", "\n", "\r\n", "\n\n"]),
    separator=st.sampled_from(["\n", "\r\n", "\n\n"]),
)
@settings(max_examples=examples(15), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_lines_are_read_whole_wherever_a_file_is_cut(
    emulator: Emulator, lengths: list[int], ending: str, separator: str
) -> None:
    """The file is read piece by piece; no line is lost, doubled or torn."""
    batches = Batches(emulator, "cuts")
    lines = [line(f"r{n}", body=chat_body(f"{n} {'x' * length}")) for n, length in enumerate(lengths)]
    with batches.http:
        id = batches.from_file((separator.join(lines) + ending).encode())
        batches.advance(2)
        found = batches.contents(id)
    assert {key: text.split()[0] for key, text in found.items()} == {f"r{n}": str(n) for n in range(len(lengths))}


def test_batch_keeps_content_of_changed_or_deleted_file(batches: Batches) -> None:
    """The file may be deleted, expire or get other content before it is read or while requests are pending."""
    batches.configure(batches="manual")
    file = batches.http.post("/v1/files", files={"file": ("a.jsonl", line("a", body=chat_body("first")))}).json()["id"]
    changed, deleted = batches.create(input_file_id=file), batches.create(input_file_id=file)
    other = {"file": ("a.jsonl", line("b", body=chat_body("other")))}
    batches.http.put(f"/v1/files/{file}", files=other).raise_for_status()
    after = batches.create(input_file_id=file)
    batches.http.delete(f"/v1/files/{file}").raise_for_status()
    batches.emulator.run_jobs()
    batches.emulator.run_jobs()
    assert batches.contents(changed) == batches.contents(deleted) == {"a": "first"}
    assert batches.contents(after) == {"b": "other"}


def test_bytes_of_deleted_file_go_with_last_batch() -> None:
    """Not with the file, and not before."""
    with Emulator() as emulator:
        batches = Batches(emulator)
        with batches.http:
            id = batches.from_lines(line("a"))
            batches.http.delete(f"/v1/files/{batches.get(id)['input_file_id']}").raise_for_status()
            blobs = emulator._running().services.store.blobs.directory / "blobs"
            assert len(list(blobs.iterdir())) == 1
            emulator.reset()
            assert list(blobs.iterdir()) == []


# --- cancelled and expired meanwhile


@pytest.mark.parametrize("end", ["cancel", "expire"])
def test_batch_closed_before_file_is_read_has_no_requests(batches: Batches, end: str) -> None:
    """Nothing of the file ever counts."""
    batches.configure(batches="manual")
    batches.freeze()
    id = batches.from_lines(*(line(f"r{n}") for n in range(10)))
    if end == "cancel":
        batches.cancel(id)
    else:
        batches.advance(30 * 86_400)
    batches.emulator.run_jobs()
    batches.emulator.run_jobs()
    assert batches.counters(id) == (0, 0, 0, 0, 0)
    assert batches.http.post("/_emulator/reset").json()["cleared"]["batch_requests"] == 0


def test_cancelled_batch_stays_cancelled(batches: Batches) -> None:
    """Whatever is still planned for it."""
    batches.configure(batches="realistic")
    batches.freeze()
    id = batches.filled(*(request(f"r{n}") for n in range(4)))
    batches.cancel(id)
    batches.advance(60)
    assert batches.counters(id) == (4, 0, 0, 0, 4)


@pytest.mark.parametrize("speed", ["realistic", "manual"])
@pytest.mark.parametrize("by", ["team", "fault"])
def test_cancel_reverts_lets_cancelled_requests_succeed(batches: Batches, speed: str, by: str) -> None:
    """Cancelled requests turn into successes within twenty seconds, and their results can be read (observed live).

    A team can have it for every batch, or a fault for one call; both are gone with a reset.
    """
    team = batches.emulator._running().services.teams.get("default")
    batches.configure(batches=speed)
    batches.freeze()
    id, other = (batches.filled(*(request(f"r{n}") for n in range(5))) for _ in range(2))
    if by == "team":
        team.cancel_reverts = True
    else:
        fault = {"operation": "batches.cancel", "behaviour": "cancel_reverts", "times": 1}
        batches.http.post("/_emulator/faults", json=fault).raise_for_status()
    for each in (id, other):
        assert tuple(batches.cancel(each)["state"].values()) == (5, 0, 0, 0, 5)
    assert set(batches.contents(id).values()) == {"error: Batch cancelled"}
    if speed == "manual":  # with nothing else to do it is seen to be cancelled first
        batches.advance(4)
        assert batches.counters(id) == (5, 0, 0, 0, 5)
    batches.advance(20)
    assert batches.counters(id) == (5, 0, 5, 0, 0)
    assert batches.counters(other) == ((5, 0, 5, 0, 0) if by == "team" else (5, 0, 0, 0, 5))
    assert set(batches.contents(id).values()) == {"hi"}
    assert batches.get(id)["cancel_time"] is not None
    batches.emulator.reset()
    assert not team.cancel_reverts


# --- beside other work


def test_other_work_comes_in_between(batches: Batches) -> None:
    """A long batch on a clock that runs does not hold up what becomes due meanwhile.

    On a busy machine the long one may be done before the test has looked: then that is tried again.
    """
    batches.http.get("/v1/files")
    assert any(small_batch_overtakes_large_one(batches) for _ in range(20)), "each small one waited for the large one"


def small_batch_overtakes_large_one(batches: Batches) -> bool:
    """Whether the large batch had requests left when the small one, which came later, was seen to be done."""
    id = batches.filled(*(request(f"r{n}") for n in range(3000)))
    small = batches.filled(request("small"))
    until(lambda: not batches.counters(small)[1])
    overtakes = batches.counters(id)[1] > 0
    batches.advance(10)
    assert batches.counters(id) == (3000, 0, 3000, 0, 0)
    return overtakes


def test_reset_while_answering_drops_results(batches: Batches) -> None:
    """Neither results nor counters come back."""

    def forget(asked: Any) -> str:
        if asked.batch_request_id == "first":
            batches.http.post("/_emulator/reset").raise_for_status()
        return "late"

    services = batches.emulator._running().services
    services.teams.set_responder(services.teams.get("default"), forget)
    batches.filled(request("first"))
    batches.advance(1)
    assert batches.http.get("/v1/batches").json()["batches"] == []
    id = batches.filled(request("second"))
    batches.advance(1)
    assert batches.contents(id) == {"second": "hi"}, "the reset took the responder away, too"
