"""Time bounds: of one case, which is interrupted, and of the whole run, which makes no further calls.

A case is interrupted with SIGALRM, so that it ends wherever it waits: in a client library's own loop, on a socket, on a
Node process. The exception is no Exception: libraries that catch those and try again do not catch it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_AGAIN_SECONDS = 5  # the signal comes again, in case it was caught


class DeadlineExceeded(BaseException):
    """What is timed has taken as long as it may."""


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise DeadlineExceeded inside the block after `seconds`; only the main thread is bounded."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: Any) -> None:
        raise DeadlineExceeded(f"it has not ended after {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001), _AGAIN_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
