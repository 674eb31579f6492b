"""The last team on each gRPC connection: on insecure channels xai-sdk sends UploadFile without a key."""

from __future__ import annotations

import threading
from collections import OrderedDict

CONNECTIONS_MAX = 4096  # connections in the table


class LastSeen:
    """A text for each of the most recently used connections. Any thread may call it."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, peer: str, text: str) -> None:
        """Store a text for a connection, and replace the previous one."""
        with self._lock:
            self._seen[peer] = text
            self._seen.move_to_end(peer)
            if len(self._seen) > CONNECTIONS_MAX:
                self._seen.popitem(last=False)

    def get(self, peer: str) -> str | None:
        """Return the text of a connection; None if there is none."""
        with self._lock:
            return self._seen.get(peer)
