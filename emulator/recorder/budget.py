"""How many calls a run may make to the service."""

from __future__ import annotations

import threading

from emulator.recorder.access import Refused


class Budget:
    """A number of calls; None for any number."""

    def __init__(self, calls: int | None) -> None:
        self._calls, self._spent, self._lock = calls, 0, threading.Lock()

    def spend(self) -> None:
        """Count one call. Raises Refused when there is none left."""
        with self._lock:
            if self._calls is not None and self._spent >= self._calls:
                raise Refused(
                    429, "RESOURCE_EXHAUSTED", f"xai-emulator record: the budget of {self._calls} calls is spent."
                )
            self._spent += 1
