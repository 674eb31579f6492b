"""Long loops on the event loop, in slices of processor time, so that no other call waits for their end."""

from __future__ import annotations

import asyncio
import time

SLICE_SECONDS = 0.005  # of processor time


def processor_seconds() -> float:
    """The processor time of this thread: unlike the wall clock it does not pass while other processes run."""
    return time.thread_time()


class TimeSlices:
    """Counts the processor time of one loop, which calls `pause` after every step."""

    def __init__(self) -> None:
        self._began = processor_seconds()

    async def pause(self) -> None:
        """Let other calls run if the slice is used up. This is also where a cancelled call ends."""
        if processor_seconds() - self._began >= SLICE_SECONDS:
            await asyncio.sleep(0)
            self._began = processor_seconds()
