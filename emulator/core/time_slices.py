"""Long computations on the event loop, divided into slices of processor time, so that other calls run in between."""

from __future__ import annotations

import asyncio
import time

SLICE_SECONDS = 0.005  # of processor time


def processor_seconds() -> float:
    """Return the processor time of this thread, which does not advance while other processes run."""
    return time.thread_time()


class TimeSlices:
    """Measures the processor time of one computation, which calls `pause` after every step."""

    def __init__(self) -> None:
        self._began = processor_seconds()

    async def pause(self) -> None:
        """Yield to other calls if the slice is used up. A cancelled call ends here."""
        if processor_seconds() - self._began >= SLICE_SECONDS:
            await asyncio.sleep(0)
            self._began = processor_seconds()
