"""Chaos: behaviours that the contract allows and clients tend not to expect, each behind a flag.

No behaviour breaks the documented contract. Each decision derives from a seed, so that a failing run can be reproduced.
The behaviours themselves are in `pipeline/chaos/`.
"""

from __future__ import annotations

import enum

import msgspec

from emulator.core import ids

SEED_CHARS_MAX = 64


class ChaosFlag(enum.Enum):
    """Turns one behaviour on; the value describes it."""

    SMALL_PAGES = "Lists come in pages of 3, whatever limit the client asks for."
    SHUFFLED = "The keys of JSON objects, and lists without a documented order, change their order with each call."
    UNKNOWN_FIELDS = "Objects and messages carry undocumented fields."
    UNKNOWN_VALUES = "About one response in four has undocumented status values."
    LAG = "The first call that asks for a new object does not find it."
    DRIPS = "Downloads arrive in small pieces of different sizes."
    RATE_LIMITS = "About one call in seven is refused with 429 and a Retry-After of one second, never two in a row."

    @property
    def word(self) -> str:
        """The name of the flag on the command line and in the control API."""
        return self.name.lower()


CHAOS_FLAGS: dict[str, ChaosFlag] = {flag.word: flag for flag in ChaosFlag}


class ChaosConfig(msgspec.Struct, frozen=True):
    """The seed of all random decisions, and the flags that are on."""

    seed: str
    flags: frozenset[ChaosFlag] = frozenset(ChaosFlag)

    def __str__(self) -> str:
        if self.flags == frozenset(ChaosFlag):
            return self.seed
        return f"{self.seed}:{','.join(sorted(flag.word for flag in self.flags))}"


class ChaosState(msgspec.Struct):
    """The chaos of one team: its configuration and what has happened so far."""

    config: ChaosConfig
    team: str
    calls: int = 0  # seen so far; each random decision depends on this number
    rejected: int = -1  # the number of the last call that was rejected
    hidden: set[str] = msgspec.field(default_factory=set)  # ids of new objects that the next call does not find

    def has(self, flag: ChaosFlag) -> bool:
        """Return whether a flag is on."""
        return flag in self.config.flags

    def random(self, purpose: str, sides: int) -> int:
        """Return a pseudo-random integer in `[0, sides)`, determined by seed, team, call number and purpose."""
        return ids.deterministic_random(self.config.seed, self.team, self.calls, purpose, sides)


def parse(text: str) -> ChaosConfig | None:
    """Parse `SEED`, `SEED:FLAG,…` or `off`. Raises ValueError with a one-line reason."""
    if text == "off":
        return None
    seed, colon, words = text.partition(":")
    if not seed or len(seed) > SEED_CHARS_MAX or not seed.isascii() or not seed.isprintable():
        raise ValueError("a seed is needed, any short word or number")
    if not colon:
        return ChaosConfig(seed)
    unknown = [word for word in words.split(",") if word not in CHAOS_FLAGS]
    if unknown:
        raise ValueError(f"unknown chaos flag {unknown[0]!r}; known flags: {', '.join(CHAOS_FLAGS)}")
    return ChaosConfig(seed, frozenset(CHAOS_FLAGS[word] for word in words.split(",")))
