"""Long loops give other calls their turn by the processor time that they use."""

from __future__ import annotations

import pytest

from emulator.core.time_slices import TimeSlices
from tests.operations.client import end_slices_after, turns


@pytest.mark.parametrize(("steps", "had"), [(1, [1, 2, 3, 4, 5, 6]), (2, [2, 4, 6]), (4, [4]), (7, [])])
async def test_pause_yields_when_the_slice_is_used_up(
    monkeypatch: pytest.MonkeyPatch, steps: int, had: list[int]
) -> None:
    """Not before, and a new slice begins after it."""
    end_slices_after(steps, monkeypatch)
    done: list[int] = []
    slices = TimeSlices()
    with turns(lambda: len(done)) as seen:
        for step in range(6):
            done.append(step)
            await slices.pause()
    assert seen == had
