"""Limit the memory of the messages that all uploads receive.

The size of a message is known only when it has been received and decompressed: 25 KiB on the wire may be 25 MiB. So a
message is not requested while too many bytes wait to be processed, or too many other messages were requested a moment
ago. A client that has not sent its message after that moment does not count any more: stalled clients block no others.
No call waits longer than a second, whatever the others do, because a planned fault may slow down an upload for long.
"""

from __future__ import annotations

import threading

from emulator.core.clock import monotonic_ms

RECEIVES_MAX = 8  # requested within the last moment, and not received yet
MOMENT_SECONDS = 0.1
WAIT_SECONDS = 1.0


class Receiving:
    """Counts the bytes that uploads have received and not processed yet, and their pending receives.

    Used by their threads.
    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._begun: dict[object, float] = {}  # receives without their message: since when, the oldest first
        self._changed = threading.Condition()

    def begin(self) -> object:
        """Wait for a free slot, and begin to receive a message; return an object that identifies this receive."""
        receive, end = object(), monotonic_ms() + WAIT_SECONDS * 1000
        with self._changed:
            while (now := monotonic_ms()) < end and (wait_ms := self._wait_ms(now, end)) > 0:
                self._changed.wait(wait_ms / 1000)
            self._begun[receive] = monotonic_ms()
        return receive

    def end(self, receive: object, size: int) -> None:
        """Add the bytes of the received message; 0 if none arrived."""
        with self._changed:
            del self._begun[receive]
            self._bytes += size
            self._changed.notify_all()

    def worked_off(self, size: int) -> None:
        """Subtract the bytes of a processed message."""
        with self._changed:
            self._bytes -= size
            self._changed.notify_all()

    def _wait_ms(self, now: float, end: float) -> float:
        """Return the time to wait before the next check; 0 or less if a slot is free."""
        if self._bytes >= self._bytes_max:
            return end - now
        moment_ago = now - MOMENT_SECONDS * 1000
        recent = [begun for begun in self._begun.values() if begun > moment_ago]
        return recent[0] - moment_ago if len(recent) >= RECEIVES_MAX else 0
