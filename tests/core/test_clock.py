"""A team's time: never backwards, frozen or running, and written as each plane writes it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.core import clock
from emulator.core.clock import LATEST, MICROSECONDS, Clock

INSTANTS = st.integers(0, LATEST)


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The wall clock, to be set by the test."""
    now = [1_700_000_000 * MICROSECONDS]
    monkeypatch.setattr(clock, "wall", lambda: now[0])
    return now


@given(INSTANTS)
def test_instants_are_formatted_exactly(instant: int) -> None:
    """RFC 3339 with six digits, whole seconds, the day: all as Python's own arithmetic has it."""
    moment = clock.to_datetime(instant)
    assert clock.from_datetime(moment) == instant
    assert datetime.fromisoformat(clock.rfc3339(instant)) == moment
    assert len(clock.rfc3339(instant)) == len("2026-01-01T00:00:00.000000Z")
    assert clock.rfc3339(instant).startswith(clock.date(instant))
    assert clock.seconds(instant) == int(moment.replace(microsecond=0).timestamp())


def test_wall_clock_is_system_time() -> None:
    """Microseconds since the epoch."""
    before = datetime.now(UTC)
    assert before <= clock.to_datetime(clock.wall() + 1)


def test_new_clock_follows_wall_clock(wall: list[int]) -> None:
    """And goes with it."""
    team = Clock()
    assert team.now() == wall[0]
    wall[0] += 5
    assert team.now() == wall[0]


STEPS = st.lists(
    st.tuples(st.sampled_from(["advance", "freeze", "resume", "pass"]), st.integers(0, 10**9)), max_size=30
)


@given(STEPS)
def test_clock_never_runs_backwards(steps: list[tuple[str, int]]) -> None:
    """Whatever is done with it but a reset; frozen it shows one instant, and it resumes from there without a jump."""
    now = [1_700_000_000 * MICROSECONDS]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "wall", lambda: now[0])
        team = Clock()
        expected = now[0]
        for step, amount in steps:
            if step == "pass":
                now[0] += amount
                expected += 0 if team.frozen else amount
            elif step == "advance":
                team.advance(amount)
                expected += amount
            else:
                getattr(team, step)()
            assert team.now() == expected
        team.reset()
        assert (team.now(), team.frozen) == (now[0], False)


def test_clock_stops_at_end_of_year_9999(wall: list[int]) -> None:
    """It stops at the end of the year 9999, which is as far as RFC 3339 goes, and goes forward only."""
    team = Clock()
    team.advance(LATEST - wall[0])
    assert clock.rfc3339(team.now()) == "9999-12-31T23:59:59.000000Z"
    for step in (1, -1):
        with pytest.raises(ValueError, match="a clock"):
            team.advance(step)
    wall[0] += 10 * MICROSECONDS
    assert team.now() == LATEST
    for at in (-1, LATEST + 1):
        with pytest.raises(ValueError, match="before 1970 or after 9999"):
            team.freeze(at)
    assert not team.frozen


@given(INSTANTS, st.integers(-(2**80), 2**80))
def test_later_is_bounded_by_calendar(instant: int, microseconds: int) -> None:
    """Beyond its ends is at its ends."""
    assert clock.later(instant, microseconds) == sorted((0, instant + microseconds, LATEST))[1]
