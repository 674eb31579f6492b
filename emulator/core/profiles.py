"""Profiles: how strict the emulator is where the documentation is open. A row per profile, a column per choice."""

from __future__ import annotations

import enum

import msgspec

from emulator.core.limits import DOCUMENTED, RELAXED, Limits


class Reaction(enum.Enum):
    """The reaction to a request that is not known to be valid."""

    ACCEPT = "accept"  # silently
    WARN = "warn"  # accept, and say so in `x-emulator-warning`
    REFUSE = "refuse"


class Profile(msgspec.Struct, frozen=True):
    """One profile's choices."""

    name: str
    limits: Limits
    page_limit_above_max: Reaction  # ACCEPT and WARN clamp
    undefined_metadata_key: Reaction
    batch_rate_limits: bool
    unread_fields: Reaction
    inference_key_for_collections: Reaction  # with the stricter body that the real service requires (observed)
    # Of search matches; the real service sent 0 for every page of a PDF (observed live, 2026-10).
    pdf_page_numbers: bool


PROFILES: dict[str, Profile] = {
    p.name: p
    for p in (
        Profile("documented", DOCUMENTED, Reaction.WARN, Reaction.WARN, False, Reaction.WARN, Reaction.WARN, True),
        Profile("strict", DOCUMENTED, Reaction.REFUSE, Reaction.REFUSE, True, Reaction.WARN, Reaction.REFUSE, False),
        Profile("relaxed", RELAXED, Reaction.ACCEPT, Reaction.ACCEPT, False, Reaction.ACCEPT, Reaction.ACCEPT, True),
    )
}
