"""Events of the audit log: who changed what."""

from __future__ import annotations

import msgspec

from emulator.core.clock import Instant


class AuditEvent(msgspec.Struct, frozen=True):
    """A change that a call made. `subject` is the id of what was changed, `api_key_id` that of the calling key."""

    at: Instant
    user_id: str
    api_key_id: str
    action: str  # the name of the operation
    subject: str
    description: str
    seq: int = 0

    def matches(self, words: str) -> bool:
        """Return whether the description contains each of some words, in any case."""
        description = self.description.casefold()
        return all(word in description for word in words.casefold().split())
