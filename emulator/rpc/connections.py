"""The last key on each gRPC connection: on insecure channels xai-sdk sends UploadFile without a key."""

from __future__ import annotations

import threading
from collections import OrderedDict

CONNECTIONS_MAX = 4096  # that are remembered


class LastSeen:
    """A text by connection, for the last connections that were used. Any thread may call it."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, peer: str, text: str) -> None:
        """Remember a text for a connection, in place of the one before."""
        with self._lock:
            self._seen[peer] = text
            self._seen.move_to_end(peer)
            if len(self._seen) > CONNECTIONS_MAX:
                self._seen.popitem(last=False)

    def get(self, peer: str) -> str | None:
        """Return what was last noted for a connection; None where nothing is remembered."""
        with self._lock:
            return self._seen.get(peer)
